#!/usr/bin/env python3
"""Checks the rendered documentation of one crate, as its users read it: `.ci/links.py target/doc/forebay`.

Run it behind `cargo doc -p forebay --no-deps` into a folder without the pages of other crates: their
pages would make links valid that are dead for a reader of this crate alone. It refuses

- a local link (`href`, `src`) whose file does not exist, or whose file has no such anchor;
- a link in documentation that rustdoc has left as it was written, `[text]` or `[text](path)`;
- in the visible text the paths `forebay_io::` and `forebay_tls::`: users depend on `forebay` alone.

Pages of source code, and what rustdoc brings with it (search, help, settings), are not read.
"""

import re
import sys
from html import unescape
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

FOREIGN_PATHS = re.compile(r"\bforebay_(?:io|tls)\b(?:::|#)?")
# Brackets around one word of code, or before parentheses, are a link that was not resolved.
UNRESOLVED = re.compile(r"\[[^\[\]]*\]\([^()\s]*\)")


class Page(HTMLParser):
    """The links, the anchors and the visible text of one page."""

    def __init__(self, path):
        super().__init__()
        self.links, self.anchors, self.text, self.prose = [], set(), [], []
        self.hidden = 0
        self.code = 0
        self.feed(path.read_text(encoding="utf-8"))

    def handle_starttag(self, tag, attributes):
        for name, value in attributes:
            if name == "id":
                self.anchors.add(value)
            if name in ("href", "src") and value:
                self.links.append(value)
        self.hidden += tag in ("script", "style", "head")
        self.code += tag == "code" or tag == "pre"

    def handle_endtag(self, tag):
        self.hidden -= tag in ("script", "style", "head")
        self.code -= tag == "code" or tag == "pre"

    def handle_data(self, data):
        if not self.hidden:
            self.text.append(data)
            if not self.code:
                self.prose.append(data)


def pages(folder):
    return sorted(folder.rglob("*.html"))


def complaints_of(path, page, parsed):
    for link in page.links:
        parts = urlsplit(unescape(link))
        if parts.scheme or link.startswith("//"):
            continue
        target = path if not parts.path else (path.parent / unquote(parts.path))
        if target.is_dir():
            target = target / "index.html"
        if not target.exists():
            yield f"a dead link: {link}"
        elif parts.fragment and target.suffix == ".html" and "/src/" not in link:
            known = parsed(target).anchors
            if unquote(parts.fragment) not in known and parts.fragment not in known:
                yield f"a link to an anchor that does not exist: {link}"
    for found in FOREIGN_PATHS.finditer("".join(page.text)):
        yield f"the visible text says {found.group()}"
    for found in UNRESOLVED.finditer("".join(page.prose)):
        yield f"a link that was not resolved: {found.group()}"


def main():
    folder = Path(sys.argv[1])
    if not (folder / "index.html").exists():
        sys.exit(f"{folder}: there is no documentation; run cargo doc first")
    cache = {}

    def parsed(path):
        path = path.resolve()
        if path not in cache:
            cache[path] = Page(path)
        return cache[path]

    count, links = 0, 0
    for path in pages(folder):
        page = parsed(path)
        links += len(page.links)
        for complaint in dict.fromkeys(complaints_of(path, page, parsed)):
            print(f"{path}: {complaint}")
            count += 1
    if count:
        sys.exit(f"{count} complaints")
    print(f"{len(cache)} pages, {links} links")


if __name__ == "__main__":
    main()
