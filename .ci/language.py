#!/usr/bin/env python3
"""Checks the language of comments, documentation and messages, and the names of types.

    python3 .ci/language.py --check           complains about this repository, `file:line: text`
    python3 .ci/language.py --count PATH...   prints a table of counts for any source trees

Rust sources are read for doc comments (`///`, `//!`, `/** */`, `#[doc = ".."]`), for other comments,
and for messages: string literals of three words or more outside tests. Markdown is read as it is.
Blocks of code are left out, and a piece of inline code counts as one word.

The rules, and how each is decided:

  indefinite  nobody, somebody, everybody, anybody, no one, someone, everyone, anyone, whoever,
              whomever. Name the thread, task, caller or peer that is meant.
  who         who, whose, whom. A program is a `which` or a `that`. --count counts all of them;
              --check spares the ones straight behind a word of PEOPLE ("users who"), and "whose",
              which English has for things too ("a call whose answer is lost").
  pronoun     he, him, his, himself, she, her, hers, herself.
  opening     the first word of a doc comment is one of OPENINGS: the comment begins like a question
              ("Whether it is ..") or like half a sentence ("What is left of ..").
  verb        the doc comment of a public function opens with a third-person verb ("Returns ..").
              Public is `pub fn`, methods too, not `pub(crate)`; undocumented ones and those that are
              `#[doc(hidden)]` are left to rustc. A verb is a word that ends in a single s and is not
              in NOT_VERBS: "Is", "Has" and "Does" open questions, "This" and "Its" are no verbs, and
              nouns in the plural ("Bytes ..") are added there when they are met. One adverb may stand
              in front of it: "Always", "Never", or one that ends in -ly ("Asynchronously reads ..").
  for ever    is written "forever".
  glossary    words that docs/glossary.md replaces: in its tables `| instead of | use |`, what the
              first column has in `backticks` is refused as the name of an item (`linger*` is every
              name that begins so), and its other words, separated by commas, are refused in prose.
  twice       a struct, enum, union, trait or type alias is defined in one file of the crates alone,
              tests aside. (Two in one file are alternatives of a `#[cfg]`; IDIOMS are free.)

All but the last, and names of the glossary, look only at CLEAN.
"""

import re
import sys
from pathlib import Path

# Paths that are clean and stay so.
CLEAN = [
    "ARCHITECTURE.md",
    "CHANGELOG.md",
    "CONTRIBUTING.md",
    "README.md",
    "SECURITY.md",
    "bench",
    "crates",
    "docs",
    "examples",
    "fuzz",
    "models",
]

# Types that are defined twice and wait to be renamed. A name goes from here when it is unique.
TWICE_STILL = [
]

# Private words that mean, by convention, "of the type that this module is about": they are never met
# outside their module, and Rust readers know them.
IDIOMS = ["Inner", "Sealed", "State"]

INDEFINITE = r"\b(?:nobody|somebody|everybody|anybody|no one|someone|everyone|anyone|whoever|whomever)\b"
WHO = r"\b(?:who|whose|whom)\b"
PRONOUN = r"\b(?:he|him|his|himself|she|her|hers|herself)\b"
FOR_EVER = r"\bfor ever\b"

PEOPLE = "attacker author contributor developer maintainer operator people person programmer those user"

OPENINGS = set(
    "what who whoever whose whom which whether how why where has have had is are was were does do did"
    " can may must".split()
)
NOT_VERBS = set("is has was does this its as thus always less perhaps sometimes us yes bytes lines".split())

GLOSSARY = Path("docs/glossary.md")
CRATES = ["crates/forebay-io", "crates/forebay-tls", "crates/forebay"]


def main():
    if sys.argv[1:2] == ["--count"] and len(sys.argv) > 2:
        print_counts([Path(each) for each in sys.argv[2:]])
    elif sys.argv[1:] == ["--check"]:
        complaints = [*check_prose(), *check_names()]
        print(*complaints, sep="\n", end="\n" if complaints else "")
        if complaints:
            sys.exit(1)
        print(f"language: {len(CLEAN)} paths are clean, {len(TWICE_STILL)} names wait to be unique")
    else:
        sys.exit(__doc__)


# -- reading --------------------------------------------------------------------------------------

TOKENS = re.compile(
    r"""
    (?P<line>//[^\n]*)
    | (?P<block>/\*)
    | (?P<string>b?r(?P<hashes>\#*)"(?:.|\n)*?"(?P=hashes) | [bc]?"(?:\\(?:.|\n)|[^"\\])*")
    | b?'(?:\\(?:x..|u\{[^}]*\}|.)|[^'\\\n])'        # a character, not a lifetime
    """,
    re.VERBOSE,
)
REPETITION = re.compile(r"\s*\$\(#\[\$\w+\]\)\*\s*")
DOC_ATTRIBUTE = re.compile(r"\bdoc\s*=\s*(?:concat\s*!\s*\(\s*)?$")


class Prose:
    """A piece of text that people read: where it begins, what it is, and its lines."""

    def __init__(self, kind, line, lines, end=0):
        self.kind, self.line, self.lines, self.end = kind, line, lines, end

    def readable(self):
        """(line, text) without code, links' addresses and comments of Markdown."""
        fenced = False
        for number, text in enumerate(self.lines, self.line):
            if re.match(r"\s*(```|~~~)", text):
                fenced = not fenced
            elif not fenced:
                yield number, plain(text)

    def first_words(self):
        for _, text in self.readable():
            if words := re.findall(r"[\w'-]+", text.replace(CODE, " 0 ")):
                return words[:2]
        return []


CODE = "\u00a4"  # stands for a piece of inline code


def plain(text):
    text = re.sub(r"(`+)(?:(?!\1).)*\1", CODE, text)
    text = re.sub(r"\]\([^)]*\)|^\s*\[[^\]]*\]:.*", "]", text)
    return re.sub(r"<!--.*?-->|https?://\S+", " ", text)


class Source:
    """A Rust source: its prose, and `code`, the text with all else blanked at the same offsets."""

    def __init__(self, text):
        self.text, self.prose, self.comment_lines = text, [], set()
        pieces, position = [], 0
        while match := TOKENS.search(text, position):
            start, end = match.start(), match.end()
            if match["block"]:
                end = end_of_block(text, start)
            self.take(match, start, end)
            pieces += [text[position:start], re.sub(r"[^\n]", " ", text[start:end])]
            position = end
        self.code = "".join([*pieces, text[position:]])
        self.prose = [each for each in self.prose if each.kind != "message" or len(" ".join(each.lines).split()) > 2]

    def take(self, match, start, end):
        text, line = self.text[start:end], self.text.count("\n", 0, start) + 1
        if match["string"]:
            # A variable in a format string is no word of the message.
            content = re.sub(r'^[^"]*"|"#*$|\{\w*[:}]', "", text)
            if DOC_ATTRIBUTE.search(self.text[max(0, start - 40):start]):
                self.add("doc", line, content.split("\n"), end)
            else:
                self.prose.append(Prose("message", line, content.split("\n"), end))
        elif match["line"] or match["block"]:
            kind, content = taken_apart(text)
            if kind == "comment":
                self.comment_lines.update(range(line, line + text.count("\n") + 1))
            # A comment at the end of a line of code does not go on below it.
            alone = not self.text[self.text.rfind("\n", 0, start) + 1:start].strip()
            self.go_on_behind_repetition(kind, line, start)
            self.add(kind, line, content, end, alone)

    def go_on_behind_repetition(self, kind, line, start):
        """A macro's documentation goes on below the attributes that the macro is given."""
        before = self.prose[-1] if self.prose else None
        if before and before.kind == kind == "doc" and REPETITION.fullmatch(self.text, before.end, start):
            before.lines += [""] * (line - before.line - len(before.lines))

    def add(self, kind, line, lines, end, alone=True):
        before = self.prose[-1] if self.prose else None
        if alone and before and before.kind == kind and line == before.line + len(before.lines):
            before.lines += lines
            before.end = end
        else:
            self.prose.append(Prose(kind, line, list(lines), end))


def taken_apart(comment):
    """A comment's kind and the lines of its content."""
    if comment.startswith("//"):
        found = re.match(r"//(?:(/)(?!/)|(!))?", comment)
        kind = "doc" if found[1] else "module" if found[2] else "comment"
        return kind, [comment[found.end():]]
    doc = re.match(r"/\*(?:(\*)(?![*/])|(!))", comment)
    kind = "comment" if not doc else "doc" if doc[1] else "module"
    lines = comment.removesuffix("*/")[3 if doc else 2:].split("\n")
    return kind, [re.sub(r"^\s*\* ?", " ", each) for each in lines]


def end_of_block(text, start):
    """Block comments nest."""
    depth = 0
    for match in re.compile(r"/\*|\*/").finditer(text, start):
        depth += 1 if match.group(0) == "/*" else -1
        if depth == 0:
            return match.end()
    return len(text)


TEST_MODULE = re.compile(r"#\[cfg\((?:test|all\(test[^\]]*)\)\]\s*(?:#\[[^\]]*\]\s*)*(?:pub(?:\(\w+\))?\s+)?mod\s+(\w+)\s*(;|\{)")


def without_tests(code):
    """The code with inline test modules blanked."""
    while found := TEST_MODULE.search(code):
        end = found.end()
        if found[2] == "{":
            end = end_of_braces(code, found.end() - 1)
        code = code[:found.start()] + re.sub(r"[^\n]", " ", code[found.start():end]) + code[end:]
    return code


def is_shipped(prose, code, shipped):
    """True if the code behind a string is not that of a test."""
    following = re.compile(r"\S").search(code, prose.end)
    return bool(following) and shipped[following.start():following.end()].strip() != ""


def end_of_braces(code, start):
    depth = 0
    for match in re.compile(r"[{}]").finditer(code, start):
        depth += 1 if match.group(0) == "{" else -1
        if depth == 0:
            return match.end()
    return len(code)


def rust_files(root):
    """(path, is it a test) of the sources below `root`, generated and built ones aside."""
    if root.is_file():
        return [(root, is_test(root))] if root.suffix == ".rs" else []
    paths = [each for each in sorted(root.rglob("*.rs")) if "target" not in each.relative_to(root).parts]
    test_modules = set()
    for path in paths:
        folder = path.parent if path.stem in ("mod", "lib", "main") else path.with_suffix("")
        for found in TEST_MODULE.finditer(path.read_text()):
            test_modules |= {folder / f"{found[1]}.rs", folder / found[1]}
    return [(each, is_test(each) or bool(test_modules & {each, *each.parents})) for each in paths]


def is_test(path):
    return bool({"tests", "benches"} & set(path.parts)) or path.name == "tests.rs"


def markdown(path):
    # A comment over several lines is not shown.
    text = re.sub(r"<!--.*?-->", lambda found: "\n" * found[0].count("\n"), path.read_text(), flags=re.S)
    return Prose("markdown", 1, text.split("\n"))


# -- the rules of prose ---------------------------------------------------------------------------

def faults_of_words(prose, strict):
    """(rule, line, text) of one piece of prose. A line's break may stand inside a pair of words."""
    lines = list(prose.readable())
    text = "\n".join(each for _, each in lines)
    for rule, pattern in [("indefinite", INDEFINITE), ("who", WHO), ("pronoun", PRONOUN), ("for ever", FOR_EVER)]:
        for found in re.finditer(pattern.replace(" ", r"\s+"), text, re.I):
            before = re.findall(r"\w+", text[:found.start()])[-1:]
            if strict and rule == "who" and (found[0].lower() == "whose" or before and is_people(before[0])):
                continue
            yield rule, lines[text.count("\n", 0, found.start())][0], found[0]


def is_people(word):
    return word.lower() in PEOPLE.split() or word.lower().removesuffix("s") in PEOPLE.split()


def opening_fault(prose):
    words = prose.first_words()
    if prose.kind in ("doc", "module") and words and words[0].lower() in OPENINGS:
        return words[0]
    return None


def public_functions(source, code):
    """(doc comment, name) of the public functions that are documented."""
    for prose in source.prose:
        if prose.kind != "doc":
            continue
        rest = code[prose.end:]
        found = re.match(
            r"(?:\s|\]|\)|#\[(?:[^\[\]]|\[[^\]]*\])*\])*"
            r"pub\s+(?:(?:async|const|unsafe|extern)\s+)*fn\s+(\w+)", rest)
        if found and "doc(hidden)" not in found[0]:
            yield prose, found[1]


def opens_with_verb(prose):
    words = prose.first_words()
    if len(words) == 2 and re.fullmatch(r"Always|Never|[A-Z][a-z]+ly", words[0]):
        words = [words[1].capitalize()]
    return bool(words) and words[0].lower() not in NOT_VERBS and bool(re.fullmatch(r"[A-Z][a-z-]*[^s\W]s", words[0]))


# -- counting -------------------------------------------------------------------------------------

def print_counts(roots):
    rows = ["words", "indefinite", "who", "pronoun", "for ever", "openings", "verbless", "comments", "messages"]
    print("| tree | words of docs and comments | nobody .. | who .. | he .. | for ever"
          " | docs that open like a question | public functions without a verb"
          " | lines with comments, of lines of code | the same words in messages |")
    print("|---" * (len(rows) + 1) + "|")
    for root in roots:
        print("| " + " | ".join([str(root), *counts(root)]) + " |")


def counts(root):
    words = docs = functions = code_lines = comment_lines = 0
    found = dict.fromkeys(["indefinite", "who", "pronoun", "for ever", "opening", "verb", "message"], 0)
    for path, test in rust_files(root):
        source = Source(path.read_text())
        shipped = "" if test else without_tests(source.code)
        for prose in source.prose:
            hits = list(faults_of_words(prose, strict=False))
            if prose.kind == "message":
                found["message"] += len(hits) if is_shipped(prose, source.code, shipped) else 0
                continue
            words += sum(len(re.findall(rf"[\w'-]+|{CODE}", text)) for _, text in prose.readable())
            docs += prose.kind != "comment"
            found["opening"] += bool(opening_fault(prose))
            for rule, _, _ in hits:
                found[rule] += 1
        for prose, _ in public_functions(source, shipped):
            functions += 1
            found["verb"] += not opens_with_verb(prose)
        lines = [number for number, text in enumerate(shipped.split("\n"), 1) if text.strip()]
        code_lines += len(lines)
        # In a file without tests every comment counts; beside inline tests those up to its last line.
        comment_lines += len([each for each in source.comment_lines if lines and each <= lines[-1]])
    for path in markdown_files(root):
        prose = markdown(path)
        words += sum(len(re.findall(rf"[\w'-]+|{CODE}", text)) for _, text in prose.readable())
        for rule, _, _ in faults_of_words(prose, strict=False):
            found[rule] += 1
    thousand = max(words, 1) / 1000
    per = [f"{found[rule]} ({found[rule] / thousand:.2f} ‰)" for rule in ("indefinite", "who", "pronoun")]
    return [
        f"{words:,}", *per, str(found["for ever"]), share(found["opening"], docs), share(found["verb"], functions),
        share(comment_lines, code_lines), str(found["message"]),
    ]


def share(part, whole):
    return f"{part} of {whole} ({100 * part / max(whole, 1):.1f} %)"


def markdown_files(root):
    if root.is_file():
        return [root] if root.suffix == ".md" else []
    return [each for each in sorted(root.rglob("*.md")) if "target" not in each.parts]


# -- checking -------------------------------------------------------------------------------------

def check_prose():
    complaints = []
    refused = [each for each in glossary() if not each.startswith("`")]
    for clean in map(Path, CLEAN):
        if not clean.exists():
            complaints.append(f"{clean}:1: in CLEAN, but there is no such path")
        for path, test in rust_files(clean):
            source = Source(path.read_text())
            shipped = "" if test else without_tests(source.code)
            for prose in source.prose:
                if prose.kind != "message" or is_shipped(prose, source.code, shipped):
                    complaints += [f"{path}:{text}" for text in complain(prose, refused)]
            for prose, name in public_functions(source, shipped):
                if not opens_with_verb(prose):
                    complaints.append(f"{path}:{prose.line}: {name}: its documentation opens with"
                                      f" \"{' '.join(prose.first_words())}\", not with a verb (\"Returns ..\")")
        for path in markdown_files(clean):
            if path != GLOSSARY:
                complaints += [f"{path}:{text}" for text in complain(markdown(path), refused)]
    return complaints


def complain(prose, refused):
    for rule, line, text in faults_of_words(prose, strict=True):
        text = re.sub(r"\s+", " ", text)
        yield f"{line}: \"{text}\": " + {
            "indefinite": "name the thread, task, caller or peer that is meant",
            "who": "a program is a \"which\" or a \"that\"",
            "pronoun": "a program is an \"it\"",
            "for ever": "is written \"forever\"",
        }[rule]
    if word := opening_fault(prose):
        yield f"{prose.line}: opens with \"{word}\": begin with what it is, or with what it does"
    for word in refused:
        for line, text in prose.readable():
            if re.search(rf"\b{re.escape(word)}\b", text, re.I):
                yield f"{line}: \"{word}\": the glossary has another word"


def glossary():
    """The first column of each table of the glossary that is headed `| instead of | use |`."""
    entries, inside = [], False
    for line in GLOSSARY.read_text().split("\n") if GLOSSARY.exists() else []:
        cells = [each.strip() for each in line.strip().strip("|").split("|")]
        if not line.startswith("|"):
            inside = False
        elif [each.lower() for each in cells[:2]] == ["instead of", "use"]:
            inside = True
        elif inside and not re.fullmatch(r":?-+:?", cells[0]):
            entries += [each.strip() for each in cells[0].split(",") if each.strip()]
    return entries


def check_names():
    complaints, types, names = [], {}, []
    for crate in CRATES:
        for path, test in rust_files(Path(crate) / "src"):
            if test:
                continue
            code = without_tests(Source(path.read_text()).code)
            # rustfmt keeps an item of a module at the margin; `type` further in is an associated one.
            for found in re.finditer(r"^( *)(?:pub(?:\([^)]*\))? +)?(?:unsafe +)?(struct|enum|union|trait|type) +(\w+)", code, re.M):
                if found[2] != "type" or not found[1]:
                    types.setdefault(found[3], {}).setdefault(path, line_of(code, found.start(3)))
            for found in re.finditer(r"\b(?:struct|enum|union|trait|type|fn|mod|const|static|macro_rules!) +(\w+)", code):
                names.append((found[1], path, line_of(code, found.start())))
    for name, places in sorted(types.items()):
        if len(places) > 1 and name not in TWICE_STILL + IDIOMS:
            first, *others = [f"{path}:{line}" for path, line in places.items()]
            complaints += [f"{other}: {name}: is defined in {first} too" for other in others]
    for name in TWICE_STILL:
        if len(types.get(name, {})) < 2:
            complaints.append(f".ci/language.py:1: {name}: in TWICE_STILL, but is not defined twice any more")
    for entry in glossary():
        if entry.startswith("`"):
            pattern = re.escape(entry.strip("`")).replace(r"\*", r"\w*")
            complaints += [f"{path}:{line}: {name}: the glossary has another name"
                           for name, path, line in names if re.fullmatch(pattern, name)]
    return complaints


def line_of(text, offset):
    return text.count("\n", 0, offset) + 1


if __name__ == "__main__":
    main()
