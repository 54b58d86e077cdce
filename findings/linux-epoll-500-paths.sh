#!/usr/bin/env bash
# Linux refuses the 501st epoll instance that watches a descriptor, if each of them is watched by another one, with
# EINVAL: "Invalid argument", although each argument is as good as those of the 500 calls before. One level
# deeper it is the 101st. Instances that no other watches have no such limit. epoll_ctl(2) has EINVAL for other
# reasons only, and for nesting it has ELOOP, for circles and more than five levels. The kernel counts the ways
# on which a wake-up of one file may go (fs/eventpoll.c).
#
# So a program that gives each of its parts an epoll instance, and watches these by one of its event loop, may share a
# descriptor (a queue, an eventfd, a listening socket) between 500 of them, and the error says nothing of a number.
#
# Seen on Linux 6.18: one deep 501, two deep 101, not nested no limit up to 1,200.
#
# Exit status: 0 if it is so, 1 if it has changed, 2 if it cannot be tried here.
set -euo pipefail

if [ "$(uname -s)" != Linux ] || ! command -v python3 > /dev/null; then
    echo "SKIP: this takes Linux and Python 3"
    exit 2
fi
uname -sr
python3 - << 'P'
import errno
import os
import resource
import select
import sys

resource.setrlimit(resource.RLIMIT_NOFILE, (4096, resource.getrlimit(resource.RLIMIT_NOFILE)[1]))


def refused(depth, tries):
    """Returns the number of the first instance that is refused the pipe, and how."""
    reader, writer = os.pipe()
    held = []
    for number in range(1, tries + 1):
        chain = [select.epoll() for _ in range(depth + 1)]
        held.append(chain)
        for inner, outer in zip(chain, chain[1:]):
            outer.register(inner.fileno(), select.EPOLLIN)
        try:
            chain[0].register(reader, select.EPOLLIN)
        except OSError as error:
            return number, errno.errorcode[error.errno]
    return None


seen = {depth: refused(depth, tries) for depth, tries in [(0, 1200), (1, 700), (2, 300)]}
print(f"not nested: {seen[0]}; one deep: {seen[1]}; two deep: {seen[2]}")
sys.exit(seen != {0: None, 1: (501, "EINVAL"), 2: (101, "EINVAL")})
P
