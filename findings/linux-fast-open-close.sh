#!/usr/bin/env bash
# On Linux, close(2) and shutdown(2) reset a connection of TCP Fast Open that the server has not answered yet, and every
# call succeeds: connect, send (which returns the number of bytes), shutdown, close. On other connections that is how one
# sends a request and leaves: the kernel delivers what it has taken, and then the end mark.
#
# With TCP_FASTOPEN_CONNECT on a non-blocking socket, connect(2) returns at once if the kernel knows the server's cookie,
# and send(2) puts the bytes into the SYN. Until the answer comes, the connection is in SYN-SENT, where shutdown disconnects
# it (inet_shutdown in net/ipv4/af_inet.c) and close drops it (tcp_close_state). The server has what fitted into the SYN, and
# then a reset in place of the end; the rest of a longer request is lost.
#
# On loopback the answer is there before the call returns, so it takes a network to be seen. Here the answers are dropped
# until the client has left, as if they took a while.
#
# So wait until the connection is writable and getpeername(2) succeeds, before the end mark.
#
# Seen with Linux 6.18.
#
# Exit status: 0 if it is so, 1 if it has changed, 2 if it cannot be tried here.
set -euo pipefail

if [ "$(uname -s)" != Linux ] || ! command -v python3 > /dev/null || ! command -v nft > /dev/null; then
    echo "SKIP: this takes Linux, Python 3 and nft"
    exit 2
fi
program=$(mktemp)
trap 'rm -f "$program"' EXIT
cat > "$program" << 'P'
import socket
import subprocess
import time

TCP_FASTOPEN_CONNECT = 30
REQUEST = b"x" * 5_000
LOSES = """
table inet t {
    chain input {
        type filter hook input priority 0;
        tcp flags & (syn | ack) == syn | ack drop
    }
}"""

listener = socket.socket()
listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_FASTOPEN, 16)
listener.bind(("127.0.0.1", 0))
listener.listen()


def connected(fast_open):
    client = socket.socket()
    client.setsockopt(socket.IPPROTO_TCP, TCP_FASTOPEN_CONNECT, fast_open)
    client.connect(listener.getsockname())
    # A blocking one would wait in send(2).
    client.setblocking(False)
    return client


def received():
    listener.settimeout(5)
    server = listener.accept()[0]
    server.settimeout(5)
    count = 0
    try:
        while part := server.recv(100_000):
            count += len(part)
        return f"{count} bytes and the end"
    except OSError as error:
        return f"{count} bytes and {error.strerror or error}"


# The first connection fetches the cookie.
first = connected(True)
first.send(b"x")
first.close()
received()
for waits in [True, False]:
    for end in ["shutdown", "close"]:
        subprocess.run(["nft", LOSES], check=True)
        client = connected(True)
        sent = client.send(REQUEST)
        if waits:
            subprocess.run(["nft", "flush", "ruleset"], check=True)
            while True:
                try:
                    client.getpeername()
                    break
                except OSError:
                    time.sleep(0.01)
        if end == "shutdown":
            client.shutdown(socket.SHUT_WR)
        else:
            client.close()
        if not waits:
            subprocess.run(["nft", "flush", "ruleset"], check=True)
        name = "after the answer" if waits else "before it"
        print(f"{sent} bytes sent, {end} {name}: the server has {received()}")
P
inside="ip link set lo up && echo 3 > /proc/sys/net/ipv4/tcp_fastopen && exec python3 $program"
if ! said=$(unshare --net sh -c "$inside"); then
    echo "SKIP: no network namespace to be had"
    exit 2
fi
echo "$said"
[ "$(grep -c 'after the answer: the server has 5000 bytes and the end' <<< "$said")" = 2 ] &&
    [ "$(grep -c 'before it: .*Connection reset by peer' <<< "$said")" = 2 ]
