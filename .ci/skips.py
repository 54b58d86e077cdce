#!/usr/bin/env python3
"""Reads logs for `SKIP name: reason` and fails unless .ci/skips allows each name.

    python3 .ci/skips.py LOG...

A test that finds its peer missing says so and passes, so that nobody needs more than the Rust
toolchain; here, where the peers were installed, a skip means that something went unproven.
"""

import re
import sys
from pathlib import Path

ALLOWED = Path(".ci/skips")


def main():
    lines = [line.split("#", 1)[0].strip() for line in ALLOWED.read_text().splitlines()]
    allowed = {line for line in lines if line}
    complaints, skipped = [], {}
    for log in sys.argv[1:]:
        for line in Path(log).read_text(errors="replace").splitlines():
            # The test runner may have begun the line: `test name ... SKIP peer: reason`.
            found = re.search(r"\bSKIP (\S+): +(\S.*)", line)
            if found:
                skipped[found.group(1)] = found.group(2)
            elif re.match(r"\s*SKIP\b", line):
                complaints.append(f"{log}: not of the form `SKIP name: reason`: {line.strip()}")
    for name, reason in sorted(skipped.items()):
        print(f"{'allowed' if name in allowed else 'NOT ALLOWED'}: {name}: {reason}")
        if name not in allowed:
            complaints.append(f"{name} was skipped and is not in {ALLOWED}")
    if complaints:
        sys.exit("\n".join(complaints))
    print(f"{len(skipped)} skipped, all of them allowed")


if __name__ == "__main__":
    main()
