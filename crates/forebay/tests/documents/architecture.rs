//! ARCHITECTURE.md is walked with a finger: each file and each function that it names is there. And the list
//! of decisions has each page once.

use std::fs;
use std::path::{Path, PathBuf};

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

fn sources(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            sources(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
}

/// Returns what stands between backticks, outside blocks of code.
fn quoted(page: &str) -> impl Iterator<Item = &str> {
    let prose = page.split("```").step_by(2);
    prose.flat_map(|text| text.split('`').skip(1).step_by(2))
}

/// True if the text defines this name: a function, a type, a trait, or a method's.
fn defines(text: &str, name: &str) -> bool {
    ["fn", "struct", "enum", "trait", "type", "macro_rules!"].iter().any(|keyword| {
        text.match_indices(&format!("{keyword} {name}")).any(|(at, found)| {
            let next = text[at + found.len()..].chars().next();
            !next.is_some_and(|next| next.is_alphanumeric() || next == '_')
        })
    })
}

#[test]
fn each_file_and_function_that_the_architecture_names_exists() {
    let page = fs::read_to_string(root().join("ARCHITECTURE.md")).unwrap();
    let mut files = Vec::new();
    sources(&root().join("crates"), &mut files);
    let mut named = 0;
    for item in quoted(&page).filter(|item| item.contains(".rs") && !item.contains('*')) {
        let (path, symbols) = item.split_once("::").unwrap_or((item, ""));
        // The crate's name stands in front where the file's does not say which crate it is in.
        let path = Path::new(path);
        let here: Vec<_> = files.iter().filter(|file| file.ends_with(path)).collect();
        assert!(!here.is_empty(), "`{item}`: there is no {}", path.display());
        for name in symbols.split("::").filter(|name| !name.is_empty()) {
            let is_defined =
                here.iter().any(|file| defines(&fs::read_to_string(file).unwrap(), name));
            let is_implemented = here
                .iter()
                .any(|file| fs::read_to_string(file).unwrap().contains(&format!("impl {name}")));
            assert!(is_defined || is_implemented, "`{item}`: {name} is not defined there");
        }
        named += 1;
    }
    assert!(named > 100, "the page names {named} files only: is this how it is written?");
}

/// A merge of two branches that both add rows keeps both versions of a row that one of them has changed.
#[test]
fn each_decision_is_listed_once_and_in_order() {
    let folder = root().join("docs/decisions");
    let names = fs::read_dir(&folder).unwrap();
    let mut pages: Vec<_> =
        names.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    pages.retain(|name| name != "README.md");
    pages.sort();
    let list = fs::read_to_string(folder.join("README.md")).unwrap();
    let rows = list.lines().filter_map(|line| line.strip_prefix("| ["));
    let listed: Vec<_> = rows.map(|row| row.split(['(', ')']).nth(1).unwrap_or_default()).collect();
    assert_eq!(listed, pages);
}
