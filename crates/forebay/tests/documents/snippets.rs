//! The Rust snippets of README, of the pages in `docs/` and of the first page of the documentation compile
//! as they are shown, in a crate of a user, which depends on `forebay` alone.
//!
//! A snippet with `fn main` is a module as it is. Any other is a fragment, and becomes the body of
//! `async fn fragment(selector: SelectorManager) -> forebay::Result<()>`, with `Ok(())` behind it. Lines that
//! rustdoc hides are left out. What a snippet needs besides the default features stands in it, as
//! `// In Cargo.toml: forebay = { .., features = ["certificates"] }`, and it gets no more. The programs for
//! tokio name tokio in the same way, and are run; each says hello.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use forebay_testing::skip;

use crate::readme::{root, text};

struct Snippet {
    /// The page and the line, as the name of a module.
    name: String,
    code: String,
}

impl Snippet {
    /// Returns the line of its manifest for this dependency, if it shows one.
    fn dependency(&self, name: &str) -> Option<&str> {
        let mut shown =
            self.code.lines().filter_map(|line| line.strip_prefix("// In Cargo.toml: "));
        shown.find(|line| line.starts_with(name))
    }

    /// Returns the features of forebay that it asks for: `["certificates"]`.
    fn features(&self) -> &str {
        let shown = self.dependency("forebay").and_then(|line| line.split_once("features = "));
        let features = shown.and_then(|(_, behind)| behind.split_inclusive(']').next());
        features.unwrap_or_default()
    }

    fn is_for_tokio(&self) -> bool {
        self.dependency("tokio").is_some()
    }

    fn module(&self) -> String {
        if self.code.contains("fn main(") {
            return self.code.clone();
        }
        let code = &self.code;
        format!(
            "async fn fragment(selector: forebay::SelectorManager) -> forebay::Result<()> {{\n\
             {code}\n    Ok(())\n}}\n"
        )
    }
}

/// Takes the blocks out of a page. `is_rust` decides by what stands behind the fence.
fn snippets_of(page: &str, lines: &[String], is_rust: fn(&str) -> bool) -> Vec<Snippet> {
    let mut snippets = Vec::new();
    let mut open: Option<Option<Snippet>> = None;
    for (index, line) in lines.iter().enumerate() {
        match (line.trim_start().strip_prefix("```"), &mut open) {
            (Some(fence), None) => {
                let name = format!("{page}_line_{}", index + 1);
                open = Some(is_rust(fence).then(|| Snippet { name, code: String::new() }));
            }
            (Some(_), Some(_)) => snippets.extend(open.take().flatten()),
            (None, Some(Some(snippet))) if !(line == "#" || line.starts_with("# ")) => {
                snippet.code += line;
                snippet.code.push('\n');
            }
            _ => {}
        }
    }
    snippets
}

fn pages() -> Vec<(String, PathBuf)> {
    let mut pages = vec![("readme".to_owned(), root().join("README.md"))];
    let entries = fs::read_dir(root().join("docs")).unwrap().flatten().map(|entry| entry.path());
    for path in entries.filter(|path| path.extension().is_some_and(|ending| ending == "md")) {
        let stem = path.file_stem().unwrap().to_string_lossy().replace('-', "_");
        pages.push((stem, path));
    }
    pages
}

fn snippets() -> Vec<Snippet> {
    let mut all = Vec::new();
    for (page, path) in pages() {
        let lines: Vec<_> = fs::read_to_string(path).unwrap().lines().map(str::to_owned).collect();
        all.extend(snippets_of(&page, &lines, |fence| fence == "rust"));
    }
    let is_doc_test = |fence: &str| fence.is_empty() || fence == "no_run";
    let tls: Vec<_> = text("crates/forebay/src/tls.md").lines().map(str::to_owned).collect();
    all.extend(snippets_of("tls", &tls, is_doc_test));
    let first = text("crates/forebay/src/lib.rs");
    let first: Vec<_> = first
        .lines()
        .map(|line| line.strip_prefix("//!").unwrap_or_default())
        .map(|line| line.strip_prefix(' ').unwrap_or(line).to_owned())
        .collect();
    all.extend(snippets_of("first_page", &first, is_doc_test));
    all
}

/// Makes a crate of these snippets, in a folder of its own, and returns that.
fn make_crate(name: &str, dependencies: &str, snippets: &[&Snippet], is_program: bool) -> PathBuf {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
    // An earlier run has left it, or there is none.
    fs::remove_dir_all(&folder).ok();
    fs::create_dir_all(folder.join("src")).unwrap();
    // As the workspace's profiles, so that what the tests are built with is not built again.
    let manifest = format!(
        "[package]\nname = {name:?}\nversion = \"0.1.0\"\nedition = \"2024\"\npublish = false\n\n\
         [dependencies]\n{dependencies}\n\n\
         [profile.dev]\ndebug = \"line-tables-only\"\n\n\
         [profile.dev.package.\"*\"]\ndebug = false\n\n[workspace]\n"
    );
    fs::write(folder.join("Cargo.toml"), manifest).unwrap();
    fs::copy(root().join("Cargo.lock"), folder.join("Cargo.lock")).unwrap();
    if is_program {
        fs::write(folder.join("src/main.rs"), &snippets[0].code).unwrap();
        return folder;
    }
    for snippet in snippets {
        let file = folder.join("src").join(&snippet.name).with_extension("rs");
        fs::write(file, snippet.module()).unwrap();
    }
    let allowed = "#![allow(dead_code, unused_variables, unreachable_code)]".to_owned();
    let modules = snippets.iter().map(|snippet| format!("mod {};", snippet.name));
    let modules: Vec<_> = std::iter::once(allowed).chain(modules).collect();
    fs::write(folder.join("src/lib.rs"), modules.join("\n")).unwrap();
    folder
}

fn forebay_with(features: &str) -> String {
    let path = env!("CARGO_MANIFEST_DIR");
    let features =
        if features.is_empty() { String::new() } else { format!(", features = {features}") };
    format!("forebay = {{ path = {path:?}{features} }}")
}

fn cargo(folder: &Path, arguments: &[&str]) -> Output {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let target = Path::new(env!("CARGO_TARGET_TMPDIR")).parent().unwrap();
    let mut command = Command::new(cargo);
    command.current_dir(folder).args(arguments).env("CARGO_TARGET_DIR", target);
    command.output().unwrap()
}

#[test]
fn every_snippet_compiles_for_a_user_of_forebay_alone() {
    let all = snippets();
    assert!(all.len() >= 8, "only {} snippets were found", all.len());
    let mut groups = BTreeMap::<&str, Vec<&Snippet>>::new();
    for snippet in all.iter().filter(|snippet| !snippet.is_for_tokio()) {
        groups.entry(snippet.features()).or_default().push(snippet);
    }
    for (number, (features, group)) in groups.iter().enumerate() {
        let name = format!("forebay-snippets-{number}");
        let folder = make_crate(&name, &forebay_with(features), group, false);
        let done = cargo(&folder, &["build", "--offline"]);
        let said = String::from_utf8_lossy(&done.stderr);
        assert!(done.status.success(), "the snippets with the features {features:?}:\n{said}");
    }
}

#[test]
fn the_snippets_under_tokio_run() {
    let all = snippets();
    let for_tokio: Vec<_> = all.iter().filter(|snippet| snippet.is_for_tokio()).collect();
    assert!(for_tokio.len() >= 2, "only {} snippets were found", for_tokio.len());
    for snippet in for_tokio {
        run_under_tokio(snippet);
    }
}

fn run_under_tokio(snippet: &Snippet) {
    const NAME: &str = "the_snippets_under_tokio_run";
    let tokio = snippet.dependency("tokio").unwrap();
    let dependencies = format!("{}\n{tokio}", forebay_with(snippet.features()));
    let name = format!("forebay-under-tokio-{}", snippet.name);
    let folder = make_crate(&name, &dependencies, &[snippet], true);
    // The library's own tree has no tokio: it comes from what cargo has stored, or is fetched.
    let is_there = |arguments: &[&str]| cargo(&folder, arguments).status.success();
    if !is_there(&["fetch", "--offline"]) {
        let fetched = cargo(&folder, &["fetch"]);
        let said = String::from_utf8_lossy(&fetched.stderr);
        if said.contains("failed to download") || said.contains("failed to query") {
            return skip(NAME, "tokio is not in cargo's store, and its registry cannot be reached");
        }
        assert!(fetched.status.success(), "{said}");
    }
    let done = cargo(&folder, &["run", "--offline"]);
    let said = String::from_utf8_lossy(&done.stderr);
    assert!(done.status.success(), "{said}");
    assert_eq!(String::from_utf8_lossy(&done.stdout), "hello\n", "{said}");
}

/// The statements of `docs/errors.md`, "What the compiler says", and some more.
const WITHOUT_AWAIT: [&str; 8] = [
    "output.write_str(\"Ada\\n\");",
    "forebay::write_line!(output, \"Ada\");",
    "input.read_line();",
    "input.read_exact(&mut [0; 4]);",
    "selector.tcp().connect(\"127.0.0.1:9002\");",
    "selector.timeout(Duration::from_secs(1), async { Ok(()) });",
    "forebay::sleep(Duration::from_secs(1));",
    "socket.close();",
];

#[test]
fn a_forgotten_await_is_a_warning_of_the_compiler() {
    let code = format!(
        "use std::time::Duration;\nuse forebay::{{ByteReadChannel, ByteWriteChannel, SelectorManager, Socket}};\n\
         async fn forgotten(selector: SelectorManager, socket: Socket, mut input: ByteReadChannel, \
         mut output: ByteWriteChannel) {{\n{}\n}}\nfn main() {{}}\n",
        WITHOUT_AWAIT.join("\n")
    );
    let snippet = Snippet { name: "forgotten".to_owned(), code };
    let folder = make_crate("forebay-forgotten-await", &forebay_with(""), &[&snippet], false);
    let done = cargo(&folder, &["build", "--offline"]);
    let said = String::from_utf8_lossy(&done.stderr);
    assert!(done.status.success(), "{said}");
    for statement in WITHOUT_AWAIT {
        let start =
            said.find(statement).unwrap_or_else(|| panic!("no word on {statement}: {said}"));
        let before = said[..start].rfind("warning: ").unwrap_or_default();
        assert!(said[before..start].contains("that must be used"), "{}", &said[before..]);
    }
    assert!(said.contains("futures do nothing unless you `.await`"), "{said}");
}

/// A fence with more behind it is compiled by none of the two tests above.
#[test]
fn pages_have_no_other_kind_of_rust() {
    for (page, path) in pages() {
        let text = fs::read_to_string(path).unwrap();
        let fences = text.lines().filter_map(|line| line.trim_start().strip_prefix("```"));
        for fence in fences {
            let known = ["", "rust", "sh", "text", "toml"];
            assert!(known.contains(&fence), "{page}: a block of {fence:?}");
        }
    }
}
