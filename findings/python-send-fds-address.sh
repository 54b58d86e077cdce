#!/usr/bin/env bash
# Python's socket.send_fds(sock, buffers, fds, flags, address) has parameters for flags and for an address, and passes
# on neither: it calls sock.sendmsg(buffers, control) and no more (Lib/socket.py). So
#
# - an unconnected Unix datagram socket cannot send descriptors by it: ENOTCONN, although the address was given;
# - MSG_DONTWAIT is lost: on a blocking socket whose peer's queue is full the call waits.
#
# The counterpart recv_fds passes its flags on.
#
# So a peer in Python uses sendmsg, which takes all four.
#
# Seen with Python 3.9.18, 3.11.7 and 3.13.0 on Linux 6.18.
#
# Exit status: 0 if it is so, 1 if it has changed, 2 if it cannot be tried here.
set -euo pipefail

if [ "$(uname -s)" != Linux ] || ! python3 -c 'import socket; socket.send_fds' 2> /dev/null; then
    echo "SKIP: this takes Linux and Python 3.9 or later"
    exit 2
fi
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 - << 'P'
import array
import errno
import os
import socket
import sys

def error(call):
    try:
        call()
    except OSError as failed:
        return errno.errorcode[failed.errno]
    return "none"

receiver = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
receiver.bind("receiver")
sender = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
read, write = os.pipe()
rights = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", [read]))]
told = [
    ("send_fds with an address", error(lambda: socket.send_fds(sender, [b"x"], [read], 0, "receiver")), "ENOTCONN"),
    ("sendmsg with the same", error(lambda: sender.sendmsg([b"x"], rights, 0, "receiver")), "none"),
]
# A stream whose peer reads nothing, with a limit on the wait, which MSG_DONTWAIT would not reach.
ours, _theirs = socket.socketpair()
ours.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, (1).to_bytes(8, "little") + (0).to_bytes(8, "little"))
full = [b"x" * (1 << 20)]
import time
while error(lambda: ours.send(full[0], socket.MSG_DONTWAIT)) == "none":
    pass
since = time.monotonic()
error(lambda: socket.send_fds(ours, [b"x"], [read], socket.MSG_DONTWAIT))
told.append(("send_fds with MSG_DONTWAIT waits", str(time.monotonic() - since > 0.5), "True"))
since = time.monotonic()
error(lambda: ours.sendmsg([b"x"], rights, socket.MSG_DONTWAIT))
told.append(("sendmsg with MSG_DONTWAIT waits", str(time.monotonic() - since > 0.5), "False"))
print("Python", sys.version.split()[0])
for what, seen, expected in told:
    print(f"{what}: {seen}" + ("" if seen == expected else f" (expected {expected})"))
sys.exit(any(seen != expected for _, seen, expected in told))
P
