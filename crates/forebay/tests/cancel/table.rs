//! The table: its rows, the committed list that it must agree with, and running it.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::time::Duration;

use crate::support::{Cut, Manner, Trial};

/// A trial that is not over by then waits for something that never comes. It takes milliseconds.
const HANGS_AFTER: Duration = Duration::from_secs(15);

/// What a call promises about its future being dropped (`forebay_io`, "Cancel safety").
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Word {
    Lossless,
    Resumes,
    Releases,
    Poisons,
}

/// One public function that returns a future.
pub(crate) struct Row {
    pub(crate) path: &'static str,
    pub(crate) words: &'static [Word],
    pub(crate) scenes: Vec<Scene>,
}

/// One way to run it: over which transport, and what is asked of it after the cut.
pub(crate) struct Scene {
    pub(crate) name: String,
    /// A run returns Pending at least so often: twice for streaming calls, once for single waits.
    /// Less would prove nothing.
    pub(crate) waits_min: usize,
    pub(crate) run: Arc<dyn Fn(&Trial) + Send + Sync>,
}

impl Scene {
    pub(crate) fn new(
        name: impl Into<String>,
        waits_min: usize,
        run: impl Fn(&Trial) + Send + Sync + 'static,
    ) -> Self {
        Self { name: name.into(), waits_min, run: Arc::new(run) }
    }
}

/// Paths and words of the committed list.
fn listed() -> BTreeMap<String, BTreeSet<Word>> {
    let mut listed = BTreeMap::new();
    for line in include_str!("futures.txt").lines() {
        let mut words = line.split('#').next().unwrap_or_default().split_whitespace();
        let Some(path) = words.next() else { continue };
        let words: BTreeSet<_> = words.map(word).collect();
        assert!(!words.is_empty(), "{path} is listed without a word");
        let twice = listed.insert(path.to_owned(), words);
        assert!(twice.is_none(), "{path} is listed twice");
    }
    listed
}

fn word(text: &str) -> Word {
    match text {
        "Lossless" => Word::Lossless,
        "Resumes" => Word::Resumes,
        "Releases" => Word::Releases,
        "Poisons" => Word::Poisons,
        other => panic!("{other} is none of the four words"),
    }
}

/// Rows and list are the same set, both ways, each with the same words.
pub(crate) fn assert_agrees_with_the_list(rows: &[Row]) {
    let listed = listed();
    let mut complaints = Vec::new();
    let mut known = BTreeSet::new();
    for row in rows {
        let words: BTreeSet<_> = row.words.iter().copied().collect();
        match listed.get(row.path) {
            _ if !known.insert(row.path) => complaints.push(format!("{} has two rows", row.path)),
            None => complaints.push(format!("{} has a row and is not listed", row.path)),
            Some(promised) if *promised != words => complaints
                .push(format!("{} is listed as {promised:?} and tested as {words:?}", row.path)),
            Some(_) if row.scenes.is_empty() => {
                complaints.push(format!("the row of {} is empty", row.path));
            }
            Some(_) => {}
        }
    }
    for path in listed.keys().filter(|path| !known.contains(path.as_str())) {
        complaints.push(format!("{path} is listed and has no row"));
    }
    assert!(complaints.is_empty(), "\n{}", complaints.join("\n"));
}

/// Runs every scene of every row uncut, then cuts it off at every Pending that this run had, in
/// every manner. Panics with a line for each scene that failed.
pub(crate) fn run(table: Vec<(&str, Vec<Row>)>) {
    let mut total = Tally::default();
    for (part, rows) in table {
        let mut tally = Tally { rows: rows.len(), ..Tally::default() };
        for row in rows {
            for scene in row.scenes {
                let title = format!("{} {}", row.path, scene.name);
                if let Err(hung) = tally.watch(&title, scene) {
                    total.add(tally);
                    panic!("\n{}\n{hung}\nthe rest was not run\n", total.failures.join("\n"));
                }
            }
        }
        println!("{part}: {tally}");
        total.add(tally);
    }
    println!("all: {total}");
    assert!(total.failures.is_empty(), "\n{}\n", total.failures.join("\n"));
}

#[derive(Default)]
struct Tally {
    rows: usize,
    scenes: usize,
    cuts: usize,
    failures: Vec<String>,
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { rows, scenes, cuts, failures } = self;
        write!(f, "{rows} rows, {scenes} scenes, {cuts} cuts, {} failures", failures.len())
    }
}

/// What the thread of a scene tells.
enum Told {
    /// The trial that begins.
    Begins(Option<Cut>),
    Cuts(usize),
    Failed(String),
}

impl Tally {
    fn add(&mut self, other: Self) {
        self.rows += other.rows;
        self.scenes += other.scenes;
        self.cuts += other.cuts;
        self.failures.extend(other.failures);
    }

    /// Runs a scene on a thread of its own, so that one that hangs can be told from one that works.
    fn watch(&mut self, title: &str, scene: Scene) -> Result<(), String> {
        self.scenes += 1;
        let (tell, told) = channel();
        let thread = std::thread::spawn(move || every_trial(&scene, &tell));
        self.listen(title, &told)?;
        thread.join().map_err(|_| format!("{title}: its thread panicked"))
    }

    fn listen(&mut self, title: &str, told: &Receiver<Told>) -> Result<(), String> {
        let mut trial = "before it began".to_owned();
        loop {
            match told.recv_timeout(HANGS_AFTER) {
                Ok(Told::Begins(None)) => "uncut".clone_into(&mut trial),
                Ok(Told::Begins(Some(cut))) => trial = cut.to_string(),
                Ok(Told::Cuts(count)) => self.cuts += count,
                Ok(Told::Failed(why)) => self.failures.push(format!("{title}, {trial}: {why}")),
                Err(RecvTimeoutError::Disconnected) => return Ok(()),
                Err(RecvTimeoutError::Timeout) => return Err(format!("{title}, {trial}: hangs")),
            }
        }
    }
}

/// The trials of a scene, up to the first that fails.
fn every_trial(scene: &Scene, tell: &Sender<Told>) {
    // Nobody listens any more once the scene was given up.
    let tell = |told| drop(tell.send(told));
    let outcome = catch_unwind(AssertUnwindSafe(|| {
        tell(Told::Begins(None));
        let whole = Trial::new(None);
        (scene.run)(&whole);
        let (least, waits) = (scene.waits_min, whole.waits());
        assert!(waits >= least, "Pending {waits} times, where {least} is the least");
        for manner in Manner::ALL {
            let mut cuts = 0;
            for at in 1..=waits {
                let cut = Cut { at, manner };
                tell(Told::Begins(Some(cut)));
                let trial = Trial::new(Some(cut));
                (scene.run)(&trial);
                cuts += usize::from(trial.was_cut());
            }
            // Between two kernels' buffers a run may have one Pending more than the next.
            assert!(cuts >= least, "{cuts} cuts, where {least} are the least");
            tell(Told::Cuts(cuts));
        }
    }));
    if let Err(payload) = outcome {
        let text = payload.downcast_ref::<String>().map(String::as_str);
        let text = text.or_else(|| payload.downcast_ref::<&str>().copied());
        tell(Told::Failed(text.unwrap_or("a panic without words").to_owned()));
    }
}
