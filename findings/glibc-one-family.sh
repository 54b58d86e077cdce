#!/usr/bin/env bash
# glibc's getaddrinfo, asked for one family of addresses or with AI_ADDRCONFIG, gives other answers than a reader of
# /etc/hosts expects:
#
# - A name that the hosts file has with an IPv4 address only, asked for IPv6 alone, is sent to the name servers, and
#   waits for their time-out. Two look-ups beside each other, one for each family, as RFC 8305 has it, do that for
#   every such name.
# - A name that the file has with ::1 only, asked for IPv4 alone, is 127.0.0.1.
# - On a machine that has no IPv4 besides its loopback interface (a link-local IPv6 address is enough), AI_ADDRCONFIG
#   refuses even the number 127.0.0.1, and sends a name for it in the hosts file to the name servers.
#
# With neither, for both families at once and flags of zero, all of them are as in the file, and none is sent.
#
# Seen with glibc 2.36 (Debian 12).
#
# Exit status: 0 if it is so, 1 if it has changed, 2 if it cannot be tried here.
set -euo pipefail

if ! command -v python3 > /dev/null || ! ldd --version 2>&1 | grep -qiE 'glibc|gnu libc'; then
    echo "SKIP: this takes glibc and Python 3"
    exit 2
fi
if ! unshare -rnm true 2> /dev/null || ! command -v ip > /dev/null; then
    echo "SKIP: this takes ip, and namespaces of users and networks"
    exit 2
fi
ldd --version | head -n 1

folder=$(mktemp -d)
trap 'rm -r "$folder"' EXIT
printf '127.0.0.1 localhost four.test\n::1 six.test\n' > "$folder/hosts"
printf 'nameserver 127.0.0.1\noptions timeout:1 attempts:1\n' > "$folder/resolv.conf"
printf 'hosts: files dns\n' > "$folder/nsswitch.conf"
cat > "$folder/ask.py" << 'P'
import socket
import sys
import threading

server = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
server.bind(("127.0.0.1", 53))
sent = []


def listen():
    """Notes the names that are asked for, and never answers."""
    while True:
        query = server.recv(512)
        sent.append(query[13:13 + query[12]].decode())


threading.Thread(target=listen, daemon=True).start()


def found(host, family=0, flags=0):
    """Returns the addresses of a host, or None, and whether a name server was asked."""
    sent.clear()
    try:
        answers = socket.getaddrinfo(host, 80, family, socket.SOCK_STREAM, 0, flags)
        addresses = sorted({answer[4][0] for answer in answers})
    except socket.gaierror:
        addresses = None
    return addresses, bool(sent)


v4, v6, only = socket.AF_INET, socket.AF_INET6, socket.AI_ADDRCONFIG
cases = [
    ("four.test", (), (["127.0.0.1"], False)),
    ("six.test", (), (["::1"], False)),
    ("127.0.0.1", (), (["127.0.0.1"], False)),
    ("four.test", (v6,), (None, True)),
    ("six.test", (v4,), (["127.0.0.1"], False)),
    ("127.0.0.1", (0, only), (None, False)),
    ("four.test", (0, only), (None, True)),
]
changed = False
for host, how, expected in cases:
    met = found(host, *how)
    print(f"{host:10} {how}: {met[0]}, {'a' if met[1] else 'no'} name server was asked")
    changed |= met != expected
sys.exit(changed)
P
unshare -rnm sh -c '
    for file in hosts resolv.conf nsswitch.conf; do mount --bind "$0/$file" "/etc/$file" || exit 2; done
    ip link set lo up
    ip link add near type veth peer name far && ip link set far up && ip link set near up || exit 2
    ip address add fe80::77/64 dev near nodad || exit 2
    exec python3 "$0/ask.py"
' "$folder"
