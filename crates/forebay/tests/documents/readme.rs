//! README's server is the example's, and its loop is the one that is measured.

use std::collections::HashSet;
use std::fs;
use std::path::{Path, PathBuf};

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

fn text(path: &str) -> String {
    fs::read_to_string(root().join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// The lines of a piece of code without their indentation.
fn lines(code: &str) -> Vec<&str> {
    code.lines().map(str::trim).filter(|line| !line.is_empty()).collect()
}

/// The fenced block that contains `mark`; `fence` is what opens it.
fn block_with<'a>(page: &'a str, fence: &str, mark: &str) -> Vec<&'a str> {
    let blocks = page.split(fence).skip(1).filter_map(|rest| rest.split("```").next());
    let block = blocks.into_iter().find(|code| code.contains(mark));
    lines(block.unwrap_or_else(|| panic!("no block that opens with {fence:?} contains {mark:?}")))
}

fn readme_server(readme: &str) -> Vec<&str> {
    block_with(readme, "```rust\n", "Please enter your name")
}

/// From the line that begins the loop to the brace that ends it.
fn loop_of<'a>(code: &[&'a str]) -> Vec<&'a str> {
    let start = code.iter().position(|line| line.starts_with("while let")).unwrap_or(code.len());
    let end =
        code[start..].iter().position(|line| *line == "}").map_or(code.len(), |at| start + at);
    code[start..=end.min(code.len() - 1)].to_vec()
}

#[test]
fn the_measured_loop_is_readmes() {
    let (readme, modes) = (text("README.md"), text("bench/src/modes.rs"));
    let measured = modes.split("pub async fn line(").nth(1).unwrap_or_default();
    let expected = loop_of(&readme_server(&readme));
    assert_eq!(expected.len(), 3, "README's loop: {expected:?}");
    assert_eq!(loop_of(&lines(measured)), expected);
}

#[test]
fn the_example_is_readmes_server() {
    let (readme, example) = (text("README.md"), text("examples/sockets_server.rs"));
    let about_the_address = |line: &&str| line.contains("9002") || line.contains(".bind(");
    let strip = |lines: Vec<&str>| -> Vec<String> {
        lines
            .into_iter()
            .filter(|line| !line.starts_with("//!") && !about_the_address(line))
            .map(str::to_owned)
            .collect()
    };
    assert_eq!(strip(lines(&example)), strip(readme_server(&readme)));
}

#[test]
fn readmes_unix_sockets_are_those_of_the_docs() {
    let (readme, page) = (text("README.md"), text("crates/forebay/src/net/unix/builder.rs"));
    let mut shown = block_with(&readme, "```rust\n", "selector.unix()");
    // The documentation's test takes a path that no other process takes.
    shown.retain(|line| !line.starts_with("let path = "));
    let docs = page.lines().filter_map(|line| line.trim().strip_prefix("///"));
    let runs: String =
        docs.filter(|line| !line.starts_with(" # ")).flat_map(|line| [line, "\n"]).collect();
    assert_eq!(shown, block_with(&runs, "```\n", "selector.unix()"));
}

#[test]
fn readmes_tls_is_that_of_the_docs() {
    let (readme, page) = (text("README.md"), text("crates/forebay/src/tls.md"));
    let shown = block_with(&readme, "```rust\n", "Authority::new");
    assert_eq!(shown, block_with(&page, "```\n", "Authority::new"));
}

/// The middle column says what Ktor's names are called here.
#[test]
fn what_ktors_page_names_is_there() {
    let page = text("docs/coming-from-ktor.md");
    let mut sources = String::new();
    for crate_name in ["forebay-io", "forebay-tls", "forebay"] {
        gather(&root().join("crates").join(crate_name).join("src"), &mut sources);
    }
    let is_name = |character: char| character.is_alphanumeric() || character == '_';
    let known: HashSet<&str> = sources.split(|character| !is_name(character)).collect();
    let rows = page.lines().filter(|line| line.starts_with("| "));
    let ours = rows.filter_map(|row| row.replace("\\|", "").split('|').nth(2).map(str::to_owned));
    let mut count = 0;
    for cell in ours {
        for code in cell.split('`').skip(1).step_by(2) {
            // What stands in quotation marks is an argument.
            let code: String = code.split('"').step_by(2).collect();
            for name in code.split(|character| !is_name(character)).filter(|name| name.len() > 2) {
                assert!(known.contains(name), "docs/coming-from-ktor.md: there is no {name}");
                count += 1;
            }
        }
    }
    assert!(count > 100, "only {count} names were found");
}

fn gather(folder: &Path, sources: &mut String) {
    let entries =
        fs::read_dir(folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    for entry in entries.flatten().map(|entry| entry.path()) {
        if entry.is_dir() {
            gather(&entry, sources);
        } else if let Ok(source) = fs::read_to_string(&entry) {
            *sources += &source;
        }
    }
}

#[test]
fn the_front_page_of_the_docs_is_readmes_server() {
    let (readme, page) = (text("README.md"), text("crates/forebay/src/lib.rs"));
    let docs: String = page
        .lines()
        .filter_map(|line| line.strip_prefix("//!"))
        .flat_map(|line| [line, "\n"])
        .collect();
    let code = docs.split("```no_run\n").nth(1).and_then(|rest| rest.split("```").next());
    assert_eq!(lines(code.unwrap_or_default()), readme_server(&readme));
}
