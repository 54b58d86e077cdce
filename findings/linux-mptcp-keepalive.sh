#!/usr/bin/env bash
# A socket of multipath TCP on Linux takes a time of keep-alive above 32,767 seconds before it is connected, and reads it
# back, but its connection probes by the machine's default. A socket of TCP refuses the same call (EINVAL), and so does one
# of multipath TCP once it is connected.
#
# mptcp_setsockopt stores the value for the subflows, and there are none before connect(2) or listen(2); what
# each of them then answers to it is not looked at (sync_socket_options in net/mptcp/sockopt.c). TCP_KEEPINTVL and
# TCP_KEEPCNT are stored in the same way.
#
# So check the bounds (1 to 32,767 seconds, 1 to 127 probes) before the call, or look at the timer of the connection.
#
# Seen with Linux 6.18.
#
# Exit status: 0 if it is so, 1 if it has changed, 2 if it cannot be tried here.
set -euo pipefail

if [ "$(uname -s)" != Linux ] || ! command -v python3 > /dev/null || ! command -v ss > /dev/null; then
    echo "SKIP: this takes Linux, Python 3 and ss"
    exit 2
fi
if [ "$(cat /proc/sys/net/mptcp/enabled 2> /dev/null)" != 1 ]; then
    echo "SKIP: this kernel has no multipath TCP, or is set to refuse it"
    exit 2
fi
said=$(python3 - << 'P'
import socket
import subprocess

TWELVE_HOURS = 43_200


def trial(name, protocol, when):
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM, protocol)
    listener.bind(("127.0.0.1", 0))
    listener.listen()
    client = socket.socket(socket.AF_INET, socket.SOCK_STREAM, protocol)
    if when == "after":
        client.connect(listener.getsockname())
    client.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    try:
        client.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, TWELVE_HOURS)
        taken = "takes it"
    except OSError as error:
        taken = error.strerror
    if when == "before":
        client.connect(listener.getsockname())
    read = client.getsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE)
    source = "%s:%d" % client.getsockname()
    row = subprocess.run(["ss", "-tnoH", "src", source], capture_output=True, text=True).stdout
    timer = [word for word in row.split() if word.startswith("timer:(keepalive,")]
    minutes = int(timer[0].split(",")[1].removesuffix("min"))
    # It counts down from 120.
    probes = "after two hours" if 115 <= minutes <= 120 else "after %d minutes" % minutes
    print(f"{name}, {when} connect: {taken}, reads {read}, probes {probes}")


for when in ["before", "after"]:
    trial("TCP", 0, when)
    trial("multipath TCP", 262, when)
P
)
echo "$said"
[ "$said" = "TCP, before connect: Invalid argument, reads 7200, probes after two hours
multipath TCP, before connect: takes it, reads 43200, probes after two hours
TCP, after connect: Invalid argument, reads 7200, probes after two hours
multipath TCP, after connect: Invalid argument, reads 7200, probes after two hours" ]
