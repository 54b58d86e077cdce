#!/usr/bin/env bash
# A constant slice of bytes in the place of a pattern, as in `if let LARGE = bytes` or `matches!(bytes, LARGE)`, costs
# the compiler memory by the square of its length: it is checked as a pattern of one column for each byte. 8 KiB take
# over a gigabyte with `matches!` and over four with `if let`, twice as many bytes four times that; `==` with the same
# constant takes none of it. The program is valid, small, and is compiled in the end, where the memory is enough.
#
# So a large constant, such as a message of a test, is compared with `==`.
#
# Seen with rustc 1.95.0 on Linux 6.18, x86_64 (KiB at most): `==` 97,000; `matches!` of 2, 4 and 8 KiB
# 158,000, 387,000 and 1,237,000; `if let` 349,000, 1,154,000 and 4,333,000.
#
# Exit status: 0 if it is so, 1 if it has changed, 2 if it cannot be tried here.
set -euo pipefail

readonly VERSION=1.95.0
if [ "$(uname -s)" != Linux ] || ! command -v rustup python3 > /dev/null; then
    echo "SKIP: this takes Linux, rustup and Python 3"
    exit 2
fi
if ! rustup run "$VERSION" rustc --version > /dev/null 2>&1 \
    && ! rustup toolchain install "$VERSION" --profile minimal > /dev/null 2>&1; then
    echo "SKIP: rustc $VERSION cannot be had"
    exit 2
fi
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 - "$VERSION" << 'P'
import os
import subprocess
import sys

version = sys.argv[1]

def peak_kib(length, test):
    with open("lib.rs", "w") as source:
        source.write(f"const LARGE: &[u8] = &[7; {length}];\n")
        source.write(f"pub fn is_large(bytes: &[u8]) -> bool {{ {test} }}\n")
    command = ["rustup", "run", version, "rustc", "--edition=2024", "--crate-type=lib", "--emit=metadata", "lib.rs"]
    process = subprocess.Popen(command)
    _, status, usage = os.wait4(process.pid, 0)
    if status:
        sys.exit(f"{test}: the compiler has failed")
    return usage.ru_maxrss

print("rustc", version)
base = peak_kib(4096, "bytes == LARGE")
print(f"bytes == LARGE, 4096 bytes: {base} KiB")
squared = True
for test in ["matches!(bytes, LARGE)", "if let LARGE = bytes { true } else { false }"]:
    small, large = (peak_kib(length, test) - base for length in (2048, 4096))
    print(f"{test}: {small} KiB more for 2048 bytes, {large} for 4096")
    squared &= small > 0 and large > 3 * small
sys.exit(not squared)
P
