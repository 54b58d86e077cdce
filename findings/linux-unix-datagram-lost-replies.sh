#!/usr/bin/env bash
# A send on a connected Unix datagram socket whose peer has closed fails with ECONNREFUSED, as unix(7) says. On Linux the
# same call also
#
# - discards everything that has arrived at the sender and is not read yet, the last replies of that peer for instance;
# - makes the sender a socket without a peer: each later send is ENOTCONN, also when a new server listens at the path, and
#   any process may write to the sender, which only its peer could do before.
#
# No event and no SO_ERROR tells of it (net/unix/af_unix.c, unix_dgram_sendmsg and unix_dgram_disconnected).
#
# So read what has arrived before a send to a peer that may be gone, and connect again on both errors.
#
# Seen with Linux 6.18.
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
python3 - << 'P'
import errno
import socket
import sys

def made(name):
    it = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    it.bind(name)
    return it

def error(call):
    try:
        call()
    except OSError as failed:
        return errno.errorcode[failed.errno]
    return "none"

server, client = made("server"), made("client")
client.connect("server")
client.setblocking(False)
stranger = made("stranger")
told = [("a stranger writes to a socket with a peer", error(lambda: stranger.sendto(b"x", "client")), "EPERM")]
server.sendto(b"a reply", "client")
server.sendto(b"another", "client")
server.close()
told.append(("a send to the peer that has gone", error(lambda: client.send(b"x")), "ECONNREFUSED"))
told.append(("two replies had arrived; reading one", error(lambda: client.recv(10)), "EAGAIN"))
import os
os.unlink("server")
server = made("server")
told.append(("a send with a new server at the path", error(lambda: client.send(b"x")), "ENOTCONN"))
told.append(("a stranger writes", error(lambda: stranger.sendto(b"x", "client")), "none"))
client.connect("server")
told.append(("a send after another connect", error(lambda: client.send(b"x")), "none"))
for what, seen, expected in told:
    print(f"{what}: {seen}" + ("" if seen == expected else f" (expected {expected})"))
sys.exit(any(seen != expected for _, seen, expected in told))
P
