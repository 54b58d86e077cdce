#!/usr/bin/env python3
"""Prints the one command that stands in README.md in the block behind `<!-- ci: NAME -->`.

What the README tells a person to type is thus what runs here; a second copy could go its own way.
"""

import re
import sys
from pathlib import Path


def main():
    name = sys.argv[1]
    text = Path("README.md").read_text()
    marker = f"<!-- ci: {name} -->"
    if text.count(marker) != 1:
        sys.exit(f"README.md: the comment {marker} stands there {text.count(marker)} times, not once")
    behind = text.split(marker, 1)[1]
    block = re.match(r"\s*```\w*\n(.*?)^```\s*$", behind, re.DOTALL | re.MULTILINE)
    if block is None:
        sys.exit(f"README.md: no fenced block follows {marker}")
    lines = [line.strip().removeprefix("$ ") for line in block.group(1).splitlines()]
    commands = [line for line in lines if line and not line.startswith("#")]
    if len(commands) != 1:
        sys.exit(f"README.md: the block behind {marker} holds {len(commands)} commands, not one")
    print(commands[0])


if __name__ == "__main__":
    main()
