#!/usr/bin/env python3
"""Counts what a request takes of a server in user space, under callgrind: instructions, and those that lock memory.

    bench/instructions.py --mode echo -- target/release/forebay-bench --mode echo
    bench/instructions.py --mode line --depth 128 -- target/release/forebay-bench --mode line-ref --host tokio
    bench/instructions.py --mode udp -- target/release/forebay-bench --mode udp
    bench/instructions.py --check bench/instructions.txt -- target/release/forebay-bench
    bench/instructions.py --renew bench/instructions.txt -- target/release/forebay-bench

The server is any command that takes `--port P`. 64 connections send one message each (`echo`: 64 bytes; `line`: `--depth` lines
of 32 bytes, each answered by a greeting; `udp`: a datagram of 64 bytes, from a socket of its own), and when all answers are
there, the next. While they send, the server is stopped, so that it finds all messages at once, however busy the machine is.
Counting begins after 20 rounds.

Printed: the sums, and the functions that take most, with their calls and their locked instructions per request. Locked are,
on x86_64, the read-modify-writes that other processors must not see in parts: those with the prefix `lock`, and `xchg` with
memory. They are counted wherever they are executed, so reference counts, std's mutexes and the C library are among them.

`--check` counts each row of a table, and fails for one that differs by more than 3 per cent; `--renew` writes the table. Other
compilers and processors make other code: for those, `--check` prints SKIP. It needs valgrind, and objdump.
"""

import argparse
import collections
import contextlib
import functools
import os
import pathlib
import platform
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time

CONNECTIONS = 64
WARM_UP_ROUNDS = 20
TOLERANCE = 0.03

Counts = collections.namedtuple("Counts", "requests names own calls locked")
Row = collections.namedtuple("Row", "mode depth host instructions locked")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    what = parser.add_mutually_exclusive_group(required=True)
    what.add_argument("--mode", choices=["echo", "line", "udp"])
    what.add_argument("--check", metavar="TABLE", type=pathlib.Path)
    what.add_argument("--renew", metavar="TABLE", type=pathlib.Path)
    parser.add_argument("--depth", type=int, default=1)
    parser.add_argument("--requests", type=int, default=12_800)
    parser.add_argument("--functions", type=int, default=20)
    parser.add_argument("server", nargs="+")
    given = parser.parse_args()
    if given.check:
        check(given.check, given.server, given.requests)
    elif given.renew:
        renew(given.renew, given.server, given.requests)
    else:
        report(count(given.server, given.mode, given.depth, given.requests), given.functions)


def report(counts, most):
    instructions, locked = per_request(counts)
    print(f"{instructions:.1f} instructions per request, {locked:.2f} of them locked, over {counts.requests}")
    for function, own in counts.own.most_common(most):
        calls, locked = counts.calls[function] / counts.requests, counts.locked[function] / counts.requests
        name = counts.names.get(function, function)[:120]
        print(f"{own / counts.requests:9.1f} {calls:6.2f}x {locked:6.2f} locked {name}")


def per_request(counts):
    return sum(counts.own.values()) / counts.requests, sum(counts.locked.values()) / counts.requests


# ---- the table ----------------------------------------------------------------------------------


def check(table, server, requests):
    for tool in ("valgrind", "objdump"):
        if not shutil.which(tool):
            return print(f"SKIP {tool}: it is not installed, so no instructions are counted")
    made_by, rows = read_table(table)
    if made_by != maker_of(server):
        return print(f"SKIP instructions: {table} is of {made_by}, this server of {maker_of(server)}")
    wrong = []
    for row in rows:
        now = count_row(row, server, requests)
        differences = [(a - b) / b for a, b in zip(now[3:], row[3:])]
        is_right = all(abs(difference) <= TOLERANCE for difference in differences)
        print(f"{shown(now)}  {differences[0]:+.1%} {differences[1]:+.1%}{'' if is_right else '  WRONG'}", flush=True)
        wrong += [] if is_right else [f"{row.mode} ({row.host})"]
    if wrong:
        sys.exit(
            f"{', '.join(wrong)}: more than {TOLERANCE:.0%} away from {table}. If that is meant, for more or for fewer, give the "
            f"reason in the commit's message, and renew the table: bench/instructions.py --renew {table} -- {' '.join(server)}"
        )


def renew(table, server, requests):
    _, rows = read_table(table)
    head = [line for line in table.read_text().splitlines() if line.startswith("#")]
    lines = [*head, maker_of(server)]
    for row in rows:
        lines.append(shown(count_row(row, server, requests)))
        print(lines[-1], flush=True)
    table.write_text("\n".join(lines) + "\n")


def read_table(table):
    made_by, *rows = [line for line in table.read_text().splitlines() if line and not line.startswith("#")]
    return made_by, [Row(*row[:3], *map(float, row[3:])) for row in map(str.split, rows)]


def shown(row):
    return f"{row.mode:<12} {row.depth:>5} {row.host:<6} {row.instructions:>12.1f} {row.locked:>6.2f}"


def count_row(row, server, requests):
    load = re.match("echo|line|udp", row.mode).group()
    command = [*server, "--mode", row.mode, "--host", row.host]
    return row._replace(**dict(zip(Row._fields[3:], per_request(count(command, load, int(row.depth), requests)))))


def maker_of(server):
    """Returns the compiler, as each object names it in its section `.comment`, and the kind of processor."""
    compiler = re.search(rb"rustc version ([^\0]+)", pathlib.Path(server[0]).read_bytes())
    return f"rustc {compiler.group(1).decode() if compiler else 'unknown'}, {platform.machine()}"


# ---- the load -----------------------------------------------------------------------------------


def count(command, load, depth, requests):
    rounds = max(1, requests // (CONNECTIONS * depth))
    port = free_port()
    with tempfile.TemporaryDirectory() as folder:
        counts = pathlib.Path(folder) / "counts"
        server = subprocess.Popen(
            ["valgrind", "--tool=callgrind", f"--callgrind-out-file={counts}", "--dump-instr=yes", "--compress-pos=no", "-q"]
            + [*command, "--port", str(port)],
            stdout=subprocess.DEVNULL,
        )
        try:
            connections = [connect(load, port, server) for _ in range(CONNECTIONS)]
            exchange(connections, load, depth, WARM_UP_ROUNDS, server)
            control("-z", server)
            exchange(connections, load, depth, rounds, server)
            control("-d", server)
        finally:
            server.kill()
            server.wait()
        return read_counts(next(counts.parent.glob("counts.*")), rounds * CONNECTIONS * depth)


def free_port():
    with socket.socket() as it:
        it.bind(("127.0.0.1", 0))
        return it.getsockname()[1]


def connect(load, port, server):
    for _ in range(300):
        if server.poll() is not None:
            sys.exit("the server has ended")
        try:
            if load == "udp":
                return connect_udp(port)
            connection = socket.create_connection(("127.0.0.1", port))
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            return connection
        except OSError:
            time.sleep(0.1)
    sys.exit("the server does not listen")


def connect_udp(port):
    connection = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    connection.connect(("127.0.0.1", port))
    # Until the server listens, the system refuses it.
    connection.settimeout(5)
    connection.send(b"?")
    connection.recv(1)
    return connection


def exchange(connections, load, depth, rounds, server):
    line = b"x" * 31 + b"\n"
    message, answer = (line * depth, (len(line) + len("Hello, !")) * depth) if load == "line" else (b"y" * 64, 64)
    for _ in range(rounds):
        with stopped(server):
            for connection in connections:
                connection.sendall(message)
        for connection in connections:
            left = answer
            while left:
                got = connection.recv(left)
                if not got:
                    sys.exit("the server has ended a connection")
                left -= len(got)


@contextlib.contextmanager
def stopped(server):
    """Stops the server where it sleeps, which ends its sleep: always once a round, and not in some of them."""
    while not sleeps(server):
        time.sleep(0.0002)
    os.kill(server.pid, signal.SIGSTOP)
    _, status = os.waitpid(server.pid, os.WUNTRACED)
    if not os.WIFSTOPPED(status):
        sys.exit("the server has ended")
    yield
    os.kill(server.pid, signal.SIGCONT)


def sleeps(server):
    """Returns whether all threads of the server sleep; in `stat` the state is behind the name, which is in parentheses."""
    stats = pathlib.Path(f"/proc/{server.pid}/task").glob("*/stat")
    return all(stat.read_text().rpartition(") ")[2].startswith("S") for stat in stats)


def control(option, server):
    subprocess.run(["callgrind_control", option, str(server.pid)], check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


# ---- what callgrind has counted -----------------------------------------------------------------


def read_counts(path, requests):
    """Sums the counts of each function itself, as callgrind writes them (its manual, "Callgrind Format Specification")."""
    names, own, calls, locked = {}, collections.Counter(), collections.Counter(), collections.Counter()
    objects, at_locks, function, callee, is_call = {}, frozenset(), None, None, False
    for line in path.read_text(errors="replace").splitlines():
        named = re.match(r"(c?fn|c?ob)=\((\d+)\)(?: (.*))?$", line)
        if named:
            kind, number, name = named.groups()
            if name:
                (objects if kind.endswith("ob") else names)[number] = name
            if kind == "fn":
                function = number
            elif kind == "cfn":
                callee = number
            elif kind == "ob":
                at_locks = locked_in(objects[number])
        elif line.startswith("calls="):
            calls[callee] += int(line[len("calls="):].split()[0])
            # The next line has the inclusive count of the callee.
            is_call = True
        elif line.startswith("0x"):
            # The address in the object, the line in the source, and the count.
            fields = line.split()
            if not is_call and len(fields) > 2:
                own[function] += int(fields[2])
                if int(fields[0], 16) in at_locks:
                    locked[function] += int(fields[2])
            is_call = False
    return Counts(requests, names, own, calls, locked)


@functools.cache
def locked_in(path):
    """Returns the addresses of the locked instructions of an object."""
    if platform.machine() != "x86_64" or not os.path.isfile(path):
        return frozenset()
    text = subprocess.run(["objdump", "-d", "--no-show-raw-insn", path], check=True, capture_output=True, text=True).stdout
    return frozenset(int(at, 16) for at in re.findall(r"^ *([0-9a-f]+):\s+(?:lock |xchg .*\()", text, re.MULTILINE))


if __name__ == "__main__":
    main()
