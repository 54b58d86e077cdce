#!/usr/bin/env python3
"""Checks that dependencies point only where the architecture says they may.

Between crates the manifests are asked, through `cargo metadata`; inside them the sources are read
with comments and strings taken out. A new crate or a new wall is a new line in the tables below.
"""

import json
import re
import subprocess
import sys
from pathlib import Path

# What the tests of every crate are written with: it may know all of them, and only tests it.
TESTING = "forebay-testing"

# Which of our crates a crate may depend on, as a normal, a build or a test dependency.
CRATES = {
    "forebay-io": set(),
    "forebay-tls": {"forebay-io"},
    "forebay": {"forebay-io", "forebay-tls"},
    "forebay-examples": {"forebay"},
    TESTING: {"forebay-io", "forebay-tls", "forebay"},
}

# What the sources of a crate may not name at all.
FORBIDDEN_IN_CRATE = {
    "forebay-io": ["forebay", "std::net", "core::net", "std::os::unix::net"],
    # Addresses stand in certificates, so `std::net::IpAddr` may.
    "forebay-tls": ["forebay", "mio", "socket2", "std::os::unix::net"] + [
        f"{crate}::net::{name}" for crate in ("std", "core")
        for name in ("TcpStream", "TcpListener", "UdpSocket", "SocketAddr", "ToSocketAddrs")
    ],
}

# Where alone these names may stand.
ONLY_IN = {
    "mio": ["crates/forebay/src/worker/"],
}

# What the models replace: shipped code of forebay-io, and what they include of forebay, takes these
# from its crate's `sync.rs` alone.
PRIMITIVES = [
    f"{crate}::sync::{name}"
    for crate in ("std", "loom", "shuttle")
    for name in ("Mutex", "MutexGuard", "RwLock", "Condvar", "Once", "OnceLock", "LazyLock",
                 "Barrier", "atomic", "mpsc")
] + ["core::sync::atomic", "std::thread_local", "std::thread::spawn", "std::thread::park"]
PRIMITIVES_IN = (
    "crates/forebay-io/src/",
    "crates/forebay/src/host/slot.rs",
    "crates/forebay/src/lock.rs",
    "crates/forebay/src/names/look_up.rs",
    "crates/forebay/src/net/registration.rs",
    "crates/forebay/src/net/socket/discard.rs",
    "crates/forebay/src/net/socket/life.rs",
    "crates/forebay/src/task/control.rs",
    "crates/forebay/src/task/group.rs",
    "crates/forebay/src/task/live.rs",
)
PRIMITIVES_FROM = "crates/forebay-io/src/sync.rs"

# Folders of crates/forebay/src, and the ones above them, of which they know nothing.
FORBIDDEN_IN_FOLDER = {
    "selector": ["net"],
    "names": ["net", "selector", "worker", "host", "time"],
    "worker": ["net", "selector", "names"],
    "host": ["net", "selector", "names", "worker"],
    "task": ["net", "selector", "names", "worker", "host", "time"],
    "time": ["net", "selector", "names", "worker", "host", "task"],
}


def main():
    complaints = check_manifests()
    roots = sorted(Path("crates").glob("*/src/lib.rs"))
    if not roots:
        complaints.append("no crates/*/src/lib.rs: is this the root of the repository?")
    for root in roots:
        complaints += check_root(root)
    sources = sorted(path for path in Path("crates").rglob("*.rs") if "target" not in path.parts)
    for path in sources:
        complaints += check_source(path)
    if complaints:
        # A path in a `use` is also seen as a path: say it once.
        sys.exit("\n".join(sorted(set(complaints))))
    print(f"{len(roots)} crates and {len(sources)} sources: all arrows point down")


def check_manifests():
    command = ["cargo", "metadata", "--no-deps", "--format-version", "1"]
    answer = subprocess.run(command, stdout=subprocess.PIPE)
    if answer.returncode != 0:
        sys.exit("arrows.py: cargo metadata failed")
    metadata = json.loads(answer.stdout)
    complaints = []
    for package in metadata["packages"]:
        name = package["name"]
        if name not in CRATES:
            complaints.append(f"crate {name}: not in the table of .ci/arrows.py")
            continue
        for needed, kind in {(entry["name"], entry["kind"]) for entry in package["dependencies"]}:
            # A crate's tests may need the crate itself, with more features: that is no arrow.
            if (needed, kind) in ((name, "dev"), (TESTING, "dev")):
                continue
            if needed.startswith("forebay") and needed not in CRATES[name]:
                complaints.append(f"crate {name}: must not depend on {needed}")
    return complaints


def check_root(path):
    """The attribute stands before every item, so that no module escapes it."""
    attributes = re.match(r"(\s*#!\[[^\]]*\])*", strip(path.read_text())).group(0)
    if re.search(r"#!\[\s*forbid\s*\(\s*unsafe_code\s*\)\s*\]", attributes):
        return []
    return [f"{path}: does not begin with #![forbid(unsafe_code)]"]


def check_source(path):
    crate = path.parts[1]
    folder = path.parts[3] if len(path.parts) > 4 and path.parts[2] == "src" else ""
    # A folder's own file, should it not be called mod.rs, belongs to the folder.
    if path.parts[2] == "src" and len(path.parts) == 4:
        folder = path.stem
    complaints = []
    for line, name in paths_named_in(path):
        def complain(reason):
            complaints.append(f"{path}:{line}: {name}: {reason}")

        for forbidden in FORBIDDEN_IN_CRATE.get(crate, []):
            if begins_with(name, forbidden):
                complain(f"{crate} must not name {forbidden}")
        for guarded, places in ONLY_IN.items():
            if begins_with(name, guarded) and not str(path).startswith(tuple(places)):
                complain(f"{guarded} may stand only in {' and '.join(places)}")
        if takes_primitives(path) and any(begins_with(name, each) for each in PRIMITIVES):
            complain("comes from the crate's sync.rs, so that the models run this source")
        if crate == "forebay":
            for above in FORBIDDEN_IN_FOLDER.get(folder, []):
                if begins_with(name, f"crate::{above}"):
                    complain(f"{folder}/ must not know {above}/")
    if takes_primitives(path):
        text = strip(path.read_text())
        used = re.search(r"\bthread_local\s*!", text)
        if used and not re.search(r"\buse\s+crate::sync::(\{[^}]*\b)?thread_local\b", text):
            complaints.append(f"{path}:{line_of(text, used.start())}: thread_local! is the prelude's,"
                              " not that of the crate's sync.rs")
    return complaints


def takes_primitives(path):
    """True for what a model runs: not for unit tests, whose threads are the system's."""
    shipped = "tests" not in path.parts and path.name != "tests.rs"
    return str(path).startswith(PRIMITIVES_IN) and str(path) != PRIMITIVES_FROM and shipped


def begins_with(name, prefix):
    return name == prefix or name.startswith(prefix + "::")


def paths_named_in(path, text=None):
    """Every path in a source as (line, path), with `use` trees spread out and `super` resolved."""
    text = strip(path.read_text()) if text is None else text
    here = module_of(path)
    for use in re.finditer(r"\buse\b([^;]*);", text):
        for name in spread(re.sub(r"\bas\s+\w+", "", use.group(1)).replace(" ", "").replace("\n", "")):
            yield line_of(text, use.start()), resolve(name, here)
    for found in re.finditer(r"(?<![\w:])(?:::)?\w+(?:\s*::\s*\w+)+", text):
        name = re.sub(r"\s", "", found.group(0)).removeprefix("::")
        yield line_of(text, found.start()), resolve(name, here)
    for found in re.finditer(r"\bextern\s+crate\s+(\w+)", text):
        yield line_of(text, found.start()), found.group(1)


def line_of(text, offset):
    return text.count("\n", 0, offset) + 1


def spread(tree):
    """`a::{b, c::{self, d}}` as `a::b`, `a::c`, `a::c::d`."""
    tree = tree.removeprefix("::")
    opening = tree.find("{")
    if opening < 0:
        return [tree.removesuffix("::self").removesuffix("::*")]
    prefix, inside = tree[:opening], tree[opening + 1:tree.rfind("}")]
    branches, depth, start = [], 0, 0
    for position, character in enumerate(inside + ","):
        depth += (character == "{") - (character == "}")
        if character == "," and depth == 0:
            branches.append(inside[start:position])
            start = position + 1
    return [name for branch in branches if branch for name in spread(prefix + branch)]


def module_of(path):
    """The module that a file is, as the components after `crate`."""
    parts = list(path.parts[3:]) if path.parts[2] == "src" else []
    if parts:
        parts[-1] = parts[-1].removesuffix(".rs")
        if parts[-1] in ("mod", "lib", "main"):
            parts.pop()
    return parts


def resolve(name, here):
    """Writes `self::` and `super::` out. An inline module is taken for its file's: that errs upwards."""
    first, *rest = name.split("::")
    if first not in ("self", "super"):
        return name
    module = list(here)
    words = [first, *rest]
    while words and words[0] in ("self", "super"):
        if words.pop(0) == "super" and module:
            module.pop()
    return "::".join(["crate", *module, *words])


TOKENS = re.compile(
    r"""
    (?P<line>//[^\n]*)
    | (?P<block>/\*)
    | b?r(?P<hashes>\#*)"(?:.|\n)*?"(?P=hashes)      # a raw string
    | [bc]?"(?:\\(?:.|\n)|[^"\\])*"                  # a string
    | b?'(?:\\(?:x..|u\{[^}]*\}|.)|[^'\\\n])'        # a character, not a lifetime
    """,
    re.VERBOSE,
)


def strip(text):
    """The source without comments and strings, its lines kept."""
    pieces, position = [], 0
    while match := TOKENS.search(text, position):
        end = match.end() if not match.group("block") else end_of_block(text, match.start())
        pieces += [text[position:match.start()], " ", "\n" * text.count("\n", match.start(), end)]
        position = end
    return "".join([*pieces, text[position:]])


def end_of_block(text, start):
    """Block comments nest."""
    depth = 0
    for match in re.compile(r"/\*|\*/").finditer(text, start):
        depth += 1 if match.group(0) == "/*" else -1
        if depth == 0:
            return match.end()
    return len(text)


if __name__ == "__main__":
    main()
