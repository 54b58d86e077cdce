//! The Rust snippets of README, of the pages in `docs/` and of the first page of the documentation compile
//! as they are shown, in a crate of a user, which depends on `forebay` alone.
//!
//! A snippet with `fn main` is a module as it is. Any other is a fragment, and becomes the body of
//! `async fn fragment(selector: SelectorManager) -> forebay::Result<()>`, with `Ok(())` behind it. Lines that
//! rustdoc hides are left out. What a snippet needs besides the default features stands in it, as
//! `// In Cargo.toml: forebay = { .., features = ["certificates"] }`, and it gets no more. A program that goes
//! with other crates names them in the same way; it is run, and prints what it says behind `// Prints: `.

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
    /// Returns the lines of its manifest that it shows.
    fn dependencies(&self) -> impl Iterator<Item = &str> {
        self.code.lines().filter_map(|line| line.strip_prefix("// In Cargo.toml: "))
    }

    /// Returns those for other crates.
    fn others(&self) -> Vec<&str> {
        self.dependencies().filter(|line| !line.starts_with("forebay ")).collect()
    }

    /// Returns the features of forebay that it asks for: `["certificates"]`.
    fn features(&self) -> &str {
        let shown = self.dependencies().find(|line| line.starts_with("forebay "));
        let shown = shown.and_then(|line| line.split_once("features = "));
        let features = shown.and_then(|(_, behind)| behind.split_inclusive(']').next());
        features.unwrap_or_default()
    }

    /// Returns what it prints, as it says.
    fn prints(&self) -> &str {
        let said = self.code.lines().find_map(|line| line.trim().strip_prefix("// Prints: "));
        said.unwrap_or_else(|| panic!("{} does not say what it prints", self.name))
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
    for snippet in all.iter().filter(|snippet| snippet.others().is_empty()) {
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
fn the_programs_with_other_crates_run() {
    let all = snippets();
    let programs: Vec<_> = all.iter().filter(|snippet| !snippet.others().is_empty()).collect();
    assert!(programs.len() >= 5, "only {} programs were found", programs.len());
    for program in programs {
        let dependencies =
            format!("{}\n{}", forebay_with(program.features()), program.others().join("\n"));
        let name = format!("forebay-{}", program.name.replace('_', "-"));
        let folder = make_crate(&name, &dependencies, &[program], true);
        if !is_fetched(&folder) {
            let what = "a crate is not in cargo's store, and its registry cannot be reached";
            return skip("the_programs_with_other_crates_run", what);
        }
        let done = cargo(&folder, &["run", "--offline"]);
        let said = String::from_utf8_lossy(&done.stderr);
        assert!(done.status.success(), "{}: {said}", program.name);
        let printed = String::from_utf8_lossy(&done.stdout);
        assert_eq!(printed.trim_end(), program.prints(), "{}: {said}", program.name);
    }
}

/// Gets what a crate depends on. The library's own tree does not have all of it: it comes from what cargo has
/// stored, or is fetched. Returns `false` if the registry cannot be reached.
fn is_fetched(folder: &Path) -> bool {
    if cargo(folder, &["fetch", "--offline"]).status.success() {
        return true;
    }
    let fetched = cargo(folder, &["fetch"]);
    let said = String::from_utf8_lossy(&fetched.stderr);
    let is_reached = !said.contains("failed to download") && !said.contains("failed to query");
    assert!(fetched.status.success() || !is_reached, "{said}");
    is_reached
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
