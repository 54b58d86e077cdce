#!/usr/bin/env python3
"""Lists every public function of the workspace's published libraries that returns a future.

    python3 .ci/futures.py                  prints the paths, sorted, one on a line
    python3 .ci/futures.py --check FILE     compares them with FILE and names what differs

In FILE the first word of a line is a path; what follows it is free; `#` begins a comment.

The source of truth is rustdoc's JSON, made by a nightly toolchain, so that what a macro wrote counts
like what a person wrote. A function is listed when

  - it is an `async fn`, or
  - its return type is, or holds (`Result`, `Option`, tuples, `Box`, `Pin`, any other generic
    argument), `impl Future`, `dyn Future`, a type that implements `Future` or `IntoFuture`, a type
    parameter or an associated type that is bound by one of them.

Methods stand under their type (`forebay_io::ByteReadChannel::read_line`), methods of public traits
under the trait, and an exported macro, as `crate::name!`, when its own text calls a listed function
or writes `async`. `#[doc(hidden)]` things are left out, and so are re-exports of another crate's
items: each path is the one in the crate that defines it.
"""

import argparse
import json
import os
import re
import subprocess
import sys
from pathlib import Path

# Where the root of a path may lie for it to be the trait we mean.
TRAIT_CRATES = {"core", "std", "futures_core"}
FUTURE_TRAITS = {"Future", "IntoFuture", "FusedFuture", "TryFuture"}
# Futures of other crates, whose own documentation is not at hand here.
FOREIGN_FUTURES = {
    ("core", "Ready"), ("std", "Ready"), ("core", "Pending"), ("std", "Pending"),
    ("core", "PollFn"), ("std", "PollFn"), ("async_task", "Task"), ("async_task", "FallibleTask"),
}
TESTED_FORMAT = 57


def main():
    arguments = parse_arguments()
    surface = Surface()
    for package in library_packages(arguments.manifest_path):
        surface.add(Crate(document(package, arguments)))
    names = surface.names()
    if not names:
        sys.exit("futures.py: not one future found: has rustdoc's JSON changed its shape?")
    if arguments.check is None:
        print("\n".join(names))
    else:
        compare(names, Path(arguments.check))


def parse_arguments():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--check", metavar="FILE", help="compare with the first words of FILE")
    parser.add_argument("--manifest-path", default="Cargo.toml")
    parser.add_argument("--toolchain", default=os.environ.get("FOREBAY_NIGHTLY", "nightly"))
    return parser.parse_args()


def compare(names, path):
    words = [line.split("#", 1)[0].split() for line in path.read_text().splitlines()]
    listed = [line[0] for line in words if line]
    complaints = [f"missing from {path}: {name}" for name in sorted(set(names) - set(listed))]
    complaints += [f"stale in {path}: {name}" for name in sorted(set(listed) - set(names))]
    complaints += [f"twice in {path}: {name}" for name in sorted(set(listed)) if listed.count(name) > 1]
    if complaints:
        sys.exit("\n".join(complaints))
    print(f"{len(names)} public functions that return a future, all listed in {path}")


# ---- asking cargo and rustdoc ---------------------------------------------------------------------


def library_packages(manifest):
    """The workspace's libraries, each after those of the workspace that it depends on."""
    command = ["cargo", "metadata", "--no-deps", "--format-version", "1", "--manifest-path", manifest]
    answer = subprocess.run(command, stdout=subprocess.PIPE)
    if answer.returncode != 0:
        sys.exit("futures.py: cargo metadata failed")
    metadata = json.loads(answer.stdout)
    waiting = {}
    # What is never published has no public surface.
    published = [package for package in metadata["packages"] if package["publish"] != []]
    for package in published:
        for target in package["targets"]:
            if "lib" in target["kind"]:
                package["library"] = target["name"].replace("-", "_")
                package["root"] = metadata["workspace_root"]
                package["target"] = metadata["target_directory"]
                waiting[package["name"]] = package
    ordered = []
    while waiting:
        ready = [name for name, package in waiting.items() if not any(
            needed["name"] in waiting and needed["kind"] is None for needed in package["dependencies"])]
        if not ready:
            sys.exit(f"futures.py: these crates depend on each other in a circle: {', '.join(waiting)}")
        ordered += [waiting.pop(name) for name in sorted(ready)]
    return ordered


def document(package, arguments):
    """Runs rustdoc and returns its JSON, with the workspace's root added, to find sources by."""
    target = os.path.join(package["target"], "futures")
    command = ["cargo", f"+{arguments.toolchain}", "rustdoc", "--quiet", "--lib", "--all-features",
               "--manifest-path", arguments.manifest_path, "--target-dir", target,
               "--package", package["name"], "--", "-Zunstable-options", "--output-format", "json",
               "--document-hidden-items", "--cap-lints", "allow"]
    # Standard output belongs to the list alone.
    if subprocess.run(command, stdout=sys.stderr).returncode != 0:
        sys.exit(f"futures.py: rustdoc failed for {package['name']}")
    path = os.path.join(target, "doc", package["library"] + ".json")
    with open(path, encoding="utf-8") as file:
        documentation = json.load(file)
    version = documentation["format_version"]
    if version != TESTED_FORMAT:
        print(f"futures.py: rustdoc's JSON has format {version}; this script was tried with "
              f"{TESTED_FORMAT}", file=sys.stderr)
    documentation["workspace_root"] = package["root"]
    return documentation


# ---- one crate ------------------------------------------------------------------------------------


class Crate:
    """One crate's documentation: its items by id, and questions about them."""

    def __init__(self, documentation):
        self.index = {str(key): item for key, item in documentation["index"].items()
                      if item["crate_id"] == 0}
        self.paths = {str(key): path["path"] for key, path in documentation["paths"].items()}
        self.root = str(documentation["root"])
        self.name = self.index[self.root]["name"]
        self.workspace_root = documentation["workspace_root"]

    def item(self, key):
        """The item, its kind and its content: three times `None` when another crate defines it."""
        item = self.index.get(str(key))
        return (None, None, None) if item is None else (item, *next(iter(item["inner"].items())))

    def full_path(self, key):
        return tuple(self.paths.get(str(key), ()))

    def is_future_trait(self, trait):
        path = self.full_path(trait["id"]) or tuple(trait.get("path", "").split("::"))
        return path[-1] in FUTURE_TRAITS and (len(path) == 1 or path[0] in TRAIT_CRATES)

    def bounds_say_future(self, bounds):
        return any("trait_bound" in bound and self.is_future_trait(bound["trait_bound"]["trait"])
                   for bound in bounds)

    def written_impls(self, content):
        """The impls that somebody wrote: neither derived, nor automatic, nor for every type."""
        for key in content.get("impls", []):
            item, _, impl = self.item(key)
            if item is None or impl.get("is_synthetic") or impl.get("blanket_impl"):
                continue
            if "automatically_derived" not in json.dumps(item["attrs"]).lower():
                yield item, impl

    def is_future_type(self, content):
        return any(impl["trait"] and self.is_future_trait(impl["trait"])
                   for _, impl in self.written_impls(content))


def is_hidden(item):
    attributes = json.dumps(item["attrs"])
    return re.search(r"doc\s*\(([\w\s]+,)*\s*hidden\b", attributes) is not None


# ---- all crates -----------------------------------------------------------------------------------


class Surface:
    """What has been found so far, over all the crates, in the order of their dependencies."""

    def __init__(self):
        self.found = {}  # (crate, item) to its path: the shortest, if there are several
        self.called = set()  # last words of the listed functions and of hidden ones like them
        self.futures = set()  # full definition paths of the types that are futures
        self.aliases = {}  # full definition paths of type aliases to (crate, type)
        self.macros = []  # (crate, item, path, hidden)

    def add(self, crate):
        for key, item in crate.index.items():
            kind, content = next(iter(item["inner"].items()))
            if kind in ("struct", "enum", "union") and crate.is_future_type(content):
                self.futures.add(crate.full_path(key))
            elif kind == "type_alias":
                self.aliases[crate.full_path(key)] = (crate, content["type"])
        self.walk(crate, crate.root, (), None, False, ())

    def names(self):
        pending = list(self.macros)
        while True:
            listed = [entry for entry in pending if self.macro_is_future(*entry[:2])]
            if not listed:
                return sorted(set(self.found.values()))
            for crate, item, path, hidden in listed:
                if not hidden:
                    self.name(crate, item, "::".join(path) + "!")
                self.called.add(path[-1] + "!")
            pending = [entry for entry in pending if entry not in listed]

    def walk(self, crate, key, parent, name, hidden, trail):
        """Visits what the outside can name as `parent::name`, and everything below it.

        A name of `None` stands for the item's own; the trail guards against modules that re-export
        each other.
        """
        item, kind, content = crate.item(key)
        if item is None or key in trail:
            return
        hidden = hidden or is_hidden(item)
        trail = (*trail, key)
        path = (*parent, name or item["name"])
        if kind == "use" and content["is_glob"]:
            _, _, module = crate.item(content["id"])
            self.walk_public(crate, (module or {}).get("items", []), parent, hidden, trail)
        elif kind == "use":
            self.walk(crate, str(content["id"]), parent, name or content["name"], hidden, trail)
        elif kind == "module":
            self.walk_public(crate, content["items"], path, hidden, trail)
        elif kind == "function":
            self.visit(crate, item, content, path, hidden, None)
        elif kind in ("struct", "enum", "union"):
            self.walk_impls(crate, content, path, hidden)
        elif kind == "trait":
            for child in content["items"]:
                method, child_kind, function = crate.item(child)
                if child_kind == "function":
                    self.visit(crate, method, function, (*path, method["name"]), hidden, content)
        elif kind == "macro":
            self.macros.append((crate, item, path, hidden))

    def walk_public(self, crate, keys, path, hidden, trail):
        for key in map(str, keys):
            item, kind, _ = crate.item(key)
            if item is not None and (item["visibility"] == "public" or kind == "macro"):
                self.walk(crate, key, path, None, hidden, trail)

    def walk_impls(self, crate, content, path, hidden):
        for item, impl in crate.written_impls(content):
            trait = impl["trait"]
            # Methods of our own traits stand under the trait. Of the foreign ones only this returns
            # a future; the clone of a future is no new one.
            if trait is not None and trait["path"].split("::")[-1] != "IntoFuture":
                continue
            for child in impl["items"]:
                method, kind, function = crate.item(child)
                if kind == "function" and (trait is not None or method["visibility"] == "public"):
                    self.visit(crate, method, function, (*path, method["name"]),
                               hidden or is_hidden(item), impl)

    def visit(self, crate, item, function, path, hidden, owner):
        output = function["sig"]["output"]
        if not (function["header"]["is_async"] or self.holds_future(crate, output, [function, owner])):
            return
        self.called.add(path[-1])
        if not (hidden or is_hidden(item)):
            self.name(crate, item, "::".join(path))

    def name(self, crate, item, path):
        key = (crate.name, item["id"])
        known = self.found.get(key, path)
        self.found[key] = min(known, path, key=lambda path: (path.count("::"), path))

    # ---- types ----

    def holds_future(self, crate, kind, scopes):
        """Whether a value of this type is a future, or has one among its generic arguments."""
        if not isinstance(kind, dict):
            return False
        (name, content), = kind.items()
        if name == "resolved_path":
            return self.named_type_holds_future(crate, content, scopes)
        if name == "impl_trait":
            return crate.bounds_say_future(content)
        if name == "dyn_trait":
            return any(crate.is_future_trait(entry["trait"]) for entry in content["traits"])
        if name == "generic":
            return self.parameter_is_future(crate, content, scopes)
        if name == "qualified_path":
            return self.associated_type_is_future(crate, content, scopes)
        if name == "tuple":
            return any(self.holds_future(crate, part, scopes) for part in content)
        if name in ("array", "slice"):
            return self.holds_future(crate, content["type"] if name == "array" else content, scopes)
        return False

    def named_type_holds_future(self, crate, content, scopes):
        path = crate.full_path(content["id"])
        if path in self.futures or (path and (path[0], path[-1]) in FOREIGN_FUTURES):
            return True
        if path in self.aliases and self.holds_future(*self.aliases[path], []):
            return True
        arguments = ((content.get("args") or {}).get("angle_bracketed") or {}).get("args", [])
        return any(self.holds_future(crate, argument["type"], scopes)
                   for argument in arguments if isinstance(argument, dict) and "type" in argument)

    def parameter_is_future(self, crate, name, scopes):
        for scope in filter(None, scopes):
            if name == "Self":
                if "for" in scope and self.holds_future(crate, scope["for"], []):
                    return True
                if crate.bounds_say_future(scope.get("bounds", [])):
                    return True
            generics = scope.get("generics", {})
            for parameter in generics.get("params", []):
                bounds = parameter["kind"].get("type", {}).get("bounds", [])
                if parameter["name"] == name and crate.bounds_say_future(bounds):
                    return True
            for predicate in generics.get("where_predicates", []):
                bound = predicate.get("bound_predicate")
                if bound and bound["type"] == {"generic": name} and crate.bounds_say_future(bound["bounds"]):
                    return True
        return False

    def associated_type_is_future(self, crate, content, scopes):
        if content["self_type"] != {"generic": "Self"}:
            return False
        for scope in filter(None, scopes):
            for key in scope.get("items", []):
                item, kind, associated = crate.item(key)
                if kind == "assoc_type" and item["name"] == content["name"]:
                    if crate.bounds_say_future(associated["bounds"]):
                        return True
                    if self.holds_future(crate, associated["type"], scopes):
                        return True
        return False

    # ---- macros ----

    def macro_is_future(self, crate, item):
        """Rustdoc leaves a macro's expansion out, so this reads it where it was written."""
        span = item["span"]
        lines = Path(crate.workspace_root, span["filename"]).read_text().splitlines()
        text = "\n".join(lines[span["begin"][0] - 1:span["end"][0]])
        if re.search(r"\basync\b", text):
            return True
        calls = re.findall(r"(?:\.|::)\s*(\w+)\s*(?:::\s*<[^>]*>\s*)?\(", text)
        calls += [name + "!" for name in re.findall(r"\b(\w+)\s*!", text)]
        return not self.called.isdisjoint(calls)


if __name__ == "__main__":
    main()
