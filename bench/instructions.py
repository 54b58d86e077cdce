#!/usr/bin/env python3
"""Counts the user-space instructions of a server per request, under callgrind.

    bench/instructions.py --mode echo -- target/release/forebay-bench --mode echo
    bench/instructions.py --mode line --depth 128 -- target/release/forebay-bench --mode line-ref --host tokio
    bench/instructions.py --mode udp -- target/release/forebay-bench --mode udp

The server is any command that takes `--port P`, built with `CARGO_PROFILE_RELEASE_DEBUG=1` for the names of its functions.
64 connections send one message each (`echo`: 64 bytes; `line`: `--depth` lines of 32 bytes, each answered by a greeting; `udp`:
a datagram of 64 bytes, from a socket of its own), and when all answers are there, the next. Counting begins after 20 rounds. Printed: the sum, and the functions that take most,
with their calls per request. It needs valgrind.
"""

import argparse
import collections
import pathlib
import re
import socket
import subprocess
import sys
import tempfile
import time

CONNECTIONS = 64
WARM_UP_ROUNDS = 20


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--mode", choices=["echo", "line", "udp"], required=True)
    parser.add_argument("--depth", type=int, default=1)
    parser.add_argument("--port", type=int, default=7799)
    parser.add_argument("--requests", type=int, default=12_800)
    parser.add_argument("--functions", type=int, default=20)
    parser.add_argument("server", nargs="+")
    given = parser.parse_args()
    rounds = max(1, given.requests // (CONNECTIONS * given.depth))
    with tempfile.TemporaryDirectory() as folder:
        counts = pathlib.Path(folder) / "counts"
        server = subprocess.Popen(
            ["valgrind", "--tool=callgrind", f"--callgrind-out-file={counts}", "-q", *given.server, "--port", str(given.port)],
            stdout=subprocess.DEVNULL,
        )
        try:
            connections = [connect(given, server) for _ in range(CONNECTIONS)]
            exchange(connections, given, WARM_UP_ROUNDS)
            control("-z", server)
            exchange(connections, given, rounds)
            control("-d", server)
        finally:
            server.kill()
            server.wait()
        report(next(counts.parent.glob("counts.*")), rounds * CONNECTIONS * given.depth, given.functions)


def connect(given, server):
    for _ in range(300):
        if server.poll() is not None:
            sys.exit("the server has ended")
        try:
            if given.mode == "udp":
                return connect_udp(given.port)
            connection = socket.create_connection(("127.0.0.1", given.port))
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


def exchange(connections, given, rounds):
    line = b"x" * 31 + b"\n"
    message, answer = (b"y" * 64, 64) if given.mode in ("echo", "udp") else (line * given.depth, (len(line) + len("Hello, !")) * given.depth)
    for _ in range(rounds):
        for connection in connections:
            connection.sendall(message)
        for connection in connections:
            left = answer
            while left:
                got = connection.recv(left)
                if not got:
                    sys.exit("the server has ended a connection")
                left -= len(got)


def control(option, server):
    subprocess.run(["callgrind_control", option, str(server.pid)], check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def report(counts, requests, most):
    """Sums the counts of each function itself, as callgrind writes them (its manual, "Callgrind Format Specification")."""
    names, own, calls = {}, collections.Counter(), collections.Counter()
    function, callee, is_call = None, None, False
    for line in counts.read_text(errors="replace").splitlines():
        named = re.match(r"(c?fn)=\((\d+)\)(?: (.*))?$", line)
        if named:
            kind, number, name = named.groups()
            if name:
                names[number] = name
            if kind == "fn":
                function = number
            else:
                callee = number
        elif line.startswith("calls="):
            calls[callee] += int(line[len("calls="):].split()[0])
            # The next line has the inclusive count of the callee.
            is_call = True
        elif re.match(r"[\d+*-]", line):
            fields = line.split()
            if not is_call and len(fields) > 1:
                own[function] += int(fields[1])
            is_call = False
    print(f"{sum(own.values()) / requests:.1f} instructions per request, over {requests}")
    for number, count in own.most_common(most):
        print(f"{count / requests:9.1f} {calls[number] / requests:6.2f}x {names.get(number, number)[:120]}")


if __name__ == "__main__":
    main()
