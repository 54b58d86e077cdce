//! The table: its rows, the committed list that it must agree with, and running it.

use forebay_testing::report;
use std::collections::{BTreeMap, BTreeSet};
use std::env;
use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::thread;
use std::time::Duration;

use crate::support::{Cut, Manner, Trial};

/// A trial that is not over by then waits for something that never comes. It takes milliseconds.
const HANGS_AFTER: Duration = Duration::from_secs(15);

/// A call's promise for the case that its future is dropped (`forebay::cancel_safety`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Word {
    Lossless,
    Resumes,
    Releases,
    Poisons,
    Aborts,
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
        "Aborts" => Word::Aborts,
        other => panic!("{other} is none of the five words"),
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
///
/// The scenes are shared out among processes, one for each processor, because the ledger of a trial
/// is that of its process. `test` is the name of the test that calls this.
pub(crate) fn run(test: &str, table: Vec<(&str, Vec<Row>)>) {
    if let Some(share) = Share::of_this_process() {
        return run_share(share, table);
    }
    let scenes = table.iter().flat_map(|(_, rows)| rows).map(|row| row.scenes.len()).sum();
    let count = thread::available_parallelism().map_or(1, usize::from);
    let children: Vec<_> = (0..count).map(|number| Share { number, count }.start(test)).collect();
    let (mut run, mut cuts, mut has_failed) = (0, 0, false);
    for child in children {
        let output = child.wait_with_output().unwrap();
        let said = String::from_utf8_lossy(&output.stdout);
        print!("{said}{}", String::from_utf8_lossy(&output.stderr));
        has_failed |= !output.status.success();
        for tally in said.lines().filter_map(|line| line.strip_prefix(ALL)) {
            let mut numbers = tally.split(' ').filter_map(|word| word.parse::<usize>().ok());
            run += numbers.next().unwrap();
            cuts += numbers.next().unwrap();
        }
    }
    report(&format!("in {count} processes: {run} scenes, {cuts} cuts"));
    assert!(!has_failed, "see what the processes said");
    assert_eq!(run, scenes, "scenes that were run, and scenes that there are");
}

/// The part of all scenes that a process runs.
#[derive(Clone, Copy)]
struct Share {
    number: usize,
    count: usize,
}

impl Share {
    /// The environment variable that tells a child its share.
    const VARIABLE: &str = "FOREBAY_CANCEL_SHARE";

    fn of_this_process() -> Option<Self> {
        let share = env::var(Self::VARIABLE).ok()?;
        let (number, count) = share.split_once('/').unwrap();
        Some(Self { number: number.parse().unwrap(), count: count.parse().unwrap() })
    }

    /// Neighbours are alike and take alike long, so they go to the processes in turn.
    fn has(self, scene: usize) -> bool {
        scene % self.count == self.number
    }

    fn start(self, test: &str) -> Child {
        Command::new(env::current_exe().unwrap())
            .args(["--exact", test, "--nocapture"])
            .env(Self::VARIABLE, format!("{}/{}", self.number, self.count))
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap()
    }
}

/// Stands before the last line of a share.
const ALL: &str = "all of a share: ";

fn run_share(share: Share, table: Vec<(&str, Vec<Row>)>) {
    let (mut total, mut number) = (Tally::default(), 0);
    for (part, rows) in table {
        let mut tally = Tally::default();
        for row in rows {
            for scene in row.scenes {
                number += 1;
                if !share.has(number) {
                    continue;
                }
                let title = format!("{} {}", row.path, scene.name);
                if let Err(hung) = tally.watch(&title, scene) {
                    total.add(tally);
                    panic!("\n{}\n{hung}\nthe rest was not run\n", total.failures.join("\n"));
                }
            }
        }
        report(&format!("{part}: {tally}"));
        total.add(tally);
    }
    println!("{ALL}{total}");
    assert!(total.failures.is_empty(), "\n{}\n", total.failures.join("\n"));
}

#[derive(Default)]
struct Tally {
    scenes: usize,
    cuts: usize,
    failures: Vec<String>,
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { scenes, cuts, failures } = self;
        write!(f, "{scenes} scenes, {cuts} cuts, {} failures", failures.len())
    }
}

/// A message from the thread of a scene.
enum Told {
    /// The trial that begins.
    Begins(Option<Cut>),
    Cuts(usize),
    Failed(String),
}

impl Tally {
    fn add(&mut self, other: Self) {
        self.scenes += other.scenes;
        self.cuts += other.cuts;
        self.failures.extend(other.failures);
    }

    /// Runs a scene on a thread of its own, so that one that hangs can be told from one that works.
    fn watch(&mut self, title: &str, scene: Scene) -> Result<(), String> {
        self.scenes += 1;
        let (tell, told) = channel();
        let thread = thread::spawn(move || every_trial(&scene, &tell));
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

/// Counts again while it is too little, a few times: between two kernels' buffers, and on a busy machine, a run may find
/// bytes there that another one must wait for.
fn at_least(least: usize, mut count: impl FnMut() -> usize) -> usize {
    const TRIES_MAX: usize = 10;
    let mut counted = count();
    for _ in 1..TRIES_MAX {
        if counted >= least {
            break;
        }
        counted = count();
    }
    counted
}

/// The trials of a scene, up to the first that fails.
fn every_trial(scene: &Scene, tell: &Sender<Told>) {
    // Once the scene was given up, the receiver is gone.
    let tell = |told| drop(tell.send(told));
    let outcome = catch_unwind(AssertUnwindSafe(|| {
        let least = scene.waits_min;
        let waits = at_least(least, || {
            tell(Told::Begins(None));
            let whole = Trial::new(None);
            (scene.run)(&whole);
            whole.waits()
        });
        assert!(waits >= least, "Pending {waits} times, where {least} is the least");
        for manner in Manner::ALL {
            let cuts = at_least(least, || {
                let cut_at = |at| {
                    let cut = Cut { at, manner };
                    tell(Told::Begins(Some(cut)));
                    let trial = Trial::new(Some(cut));
                    (scene.run)(&trial);
                    trial.was_cut()
                };
                (1..=waits).filter(|at| cut_at(*at)).count()
            });
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
