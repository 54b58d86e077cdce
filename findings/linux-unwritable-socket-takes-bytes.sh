#!/usr/bin/env bash
# A TCP socket that poll(2) and epoll(7) of Linux call not writable takes bytes all the same. A socket becomes
# writable when a third of its send buffer is free, and not when a send(2) would succeed again. So a writer
# that waits for EPOLLOUT cannot tell a peer that reads slowly from one that reads nothing, for as long as
# that takes: a limit on the silence of a write that counts events ends a connection which makes progress.
#
# Seen on Linux 6.18: 4,291,584 bytes are queued; the peer reads 131,072 of them; poll says "not writable", and
# send takes 47,616 bytes.
#
# Exit status: 0 if it is so, 1 if it has changed, 2 if it cannot be tried here.
set -euo pipefail

if [ "$(uname -s)" != Linux ] || ! command -v python3 > /dev/null; then
    echo "SKIP: this takes Linux and Python 3"
    exit 2
fi
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"

cat > fill.py << 'P'
import select
import socket
import sys
import time

listener = socket.create_server(("127.0.0.1", 0))
near = socket.create_connection(listener.getsockname())
far, _ = listener.accept()
near.setblocking(False)


def fill():
    count = 0
    try:
        while True:
            count += near.send(bytes(65536))
    except BlockingIOError:
        return count


def is_writable():
    poll = select.poll()
    poll.register(near, select.POLLOUT)
    return bool(poll.poll(0))


queued = fill()
# The receiver's window may still grow.
for _ in range(20):
    time.sleep(0.05)
    queued += fill()
print(f"queued {queued} bytes, writable: {is_writable()}")

taken = 0
while taken < queued:
    taken += len(far.recv(65536))
    time.sleep(0.02)
    if is_writable():
        sys.exit(f"after {taken} bytes it is writable, and took nothing before")
    try:
        sent = near.send(bytes(1 << 20))
    except BlockingIOError:
        continue
    print(f"the peer has read {taken} bytes; not writable, and send took {sent} bytes")
    sys.exit(0)
P
timeout 120 python3 fill.py
