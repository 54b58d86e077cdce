"""Carries packets between two network devices of its own, and loses, doubles and delays some.

    python3 relay.py LEFT RIGHT SEED LOST DOUBLED DELAYED

The last three are per cent. It says "ready" when both devices are there, and goes on until its
standard input ends; then it says how many packets it carried, lost, doubled and delayed.
"""

import fcntl
import os
import random
import select
import struct
import sys

TUNSETIFF = 0x400454CA
IFF_TUN, IFF_NO_PI = 0x0001, 0x1000
# A packet that is delayed is overtaken by so many of those behind it.
OVERTAKEN_BY_MAX = 20
# How long it waits for them, in seconds.
PATIENCE = 0.02


def device(name):
    fd = os.open("/dev/net/tun", os.O_RDWR | os.O_NONBLOCK)
    fcntl.ioctl(fd, TUNSETIFF, struct.pack("16sH", name.encode(), IFF_TUN | IFF_NO_PI))
    return fd


def send(fd, packet):
    try:
        os.write(fd, packet)
    except OSError:
        pass  # The device is not up yet, or its queue is full: one more that is lost.


def main():
    left, right = device(sys.argv[1]), device(sys.argv[2])
    chance = random.Random(int(sys.argv[3]))
    lost, doubled, delayed = (int(it) / 100 for it in sys.argv[4:7])
    counts = dict.fromkeys(("carried", "lost", "doubled", "delayed"), 0)
    waiting = {left: [], right: []}  # Per target: [packets to be overtaken by, packet].
    print("ready", flush=True)
    while True:
        held = any(waiting.values())
        readable, _, _ = select.select([left, right, 0], [], [], PATIENCE if held else None)
        if not readable:
            for target, packets in waiting.items():
                for _, packet in packets:
                    send(target, packet)
                packets.clear()
        if 0 in readable and not os.read(0, 1):
            break
        for source in readable:
            if source == 0:
                continue
            target = right if source == left else left
            packet = os.read(source, 65536)
            counts["carried"] += 1
            dice = chance.random()
            if dice < lost:
                counts["lost"] += 1
                continue
            if dice < lost + delayed:
                counts["delayed"] += 1
                waiting[target].append([chance.randint(1, OVERTAKEN_BY_MAX), packet])
                continue
            send(target, packet)
            if dice > 1 - doubled:
                counts["doubled"] += 1
                send(target, packet)
            for late in waiting[target]:
                late[0] -= 1
            for _, packet in [late for late in waiting[target] if late[0] == 0]:
                send(target, packet)
            waiting[target] = [late for late in waiting[target] if late[0] > 0]
    print(*(f"{count} {name}" for name, count in counts.items()), sep=", ", flush=True)


main()
