#!/usr/bin/env python3
"""Refuses import circles inside a crate: files that need each other cannot be read one after the other.

A file needs another one when it names something of it. A name that a module gives on (`pub use`) is
followed to where it is defined, so that a `mod.rs` that only gives on is in no circle. Two things do not
count: tests, and a file that names a type of another one in order to write an `impl` block of it, because
the blocks of one type may be spread over several files.

    .ci/circles.py          refuses circles
    .ci/circles.py --list   prints them, and how many files are in one
"""

import re
import sys
from pathlib import Path

from arrows import module_of, paths_named_in, resolve, spread, strip


def main():
    circles = [circle for root in sorted(Path("crates").glob("*/src")) for circle in circles_of(root)]
    lines = [" <-> ".join(str(path) for path in circle) for circle, _ in circles]
    if "--list" in sys.argv[1:]:
        for circle, needs in circles:
            print("\n".join(f"{path} -> {other} ({', '.join(sorted(needs[path][other]))})"
                            for path in circle for other in circle if other in needs[path]), end="\n\n")
        print(f"{len(circles)} circles, {sum(len(circle) for circle, _ in circles)} files in one")
    elif lines:
        sys.exit("\n".join(["These files need each other:", *lines]))
    else:
        print("no import circles")


def circles_of(root):
    sources = {path: without_tests(path) for path in sorted(root.rglob("*.rs")) if is_shipped(path)}
    modules = {"::".join(["crate", *module_of(path)]): path for path in sources}
    given_on = {module: dict(names_given_on(path, sources[path])) for module, path in modules.items()}
    needs = {path: {} for path in sources}
    for path, text in sources.items():
        written = set(re.findall(r"\bimpl\b(?:<[^{]*?>)?\s+(?:\w+::)*(\w+)(?:<[^{]*?>)?\s*(?:where[^{]*)?\{", text))
        own = set(given_on["::".join(["crate", *module_of(path)])].values())
        names = {name for _, name in paths_named_in(path, text) if name.startswith("crate::")} - own
        # The front of a longer path, or of a tree in braces, is no name of its own.
        fronts = {name.rsplit("::", length)[0] for name in names | own
                  for length in range(1, name.count("::") + 1)}
        for name in names - fronts:
            found = defined_in(name, modules, given_on)
            if found and found != path and not written & set(name.split("::")):
                needs[path].setdefault(found, set()).add(name.split("::")[-1])
    return [(sorted(circle), needs) for circle in components(needs) if len(circle) > 1]


def without_tests(path):
    return re.split(r"#\[cfg\(test\)\]\s*mod \w+ \{", strip(path.read_text()))[0]


def is_shipped(path):
    return not {"tests", "samples"} & set(path.parts) and path.name != "tests.rs"


def names_given_on(path, text):
    """What this module gives on, as (its name here, where it comes from)."""
    here = module_of(path)
    for use in re.finditer(r"\bpub(?:\([^)]*\))?\s+use\b([^;]*);", text):
        tree = re.sub(r"\s+as\s+(\w+)", r"#\1", use.group(1))
        for name in spread(re.sub(r"\s", "", tree)):
            name, _, renamed = name.partition("#")
            yield renamed or name.split("::")[-1], resolve(name, here)


def defined_in(name, modules, given_on):
    """The file in which a path ends, through what modules give on."""
    for _ in range(16):
        parts = name.split("::")
        for length in range(len(parts), 0, -1):
            module = "::".join(parts[:length])
            if module in modules:
                break
        else:
            return None
        rest = parts[length:]
        if not rest or rest[0] not in given_on[module]:
            # The root of a crate is no file that others need: what it defines, it gives on.
            return None if module == "crate" else modules[module]
        name = "::".join([given_on[module][rest[0]], *rest[1:]])
    return None


def components(needs):
    """Tarjan's strongly connected components."""
    index, low, stack, on_stack, found = {}, {}, [], set(), []

    def visit(path):
        index[path] = low[path] = len(index)
        stack.append(path)
        on_stack.add(path)
        for other in needs[path]:
            if other not in index:
                visit(other)
                low[path] = min(low[path], low[other])
            elif other in on_stack:
                low[path] = min(low[path], index[other])
        if low[path] == index[path]:
            component = []
            while True:
                other = stack.pop()
                on_stack.discard(other)
                component.append(other)
                if other == path:
                    break
            found.append(component)

    sys.setrecursionlimit(10_000)
    for path in needs:
        if path not in index:
            visit(path)
    return found


if __name__ == "__main__":
    main()
