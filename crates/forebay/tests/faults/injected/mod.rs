//! Every kind of system call that the examples make fails once, with every error that it plausibly
//! has, at each of its first fifty times: `strace` makes it so. Whatever fails, no program panics,
//! hangs or gets a wrong byte; and where a server lives on, at most one of its clients has noticed.
//!
//! The whole matrix runs with `FOREBAY_INJECT=all`; otherwise a part of it, drawn by
//! `FOREBAY_SEED`. `FOREBAY_INJECT='echo recvfrom EIO 7'` runs one case.

#![cfg(target_os = "linux")]

mod calls;
mod judge;
mod program;
mod scenes;

use std::collections::BTreeMap;
use std::hash::{BuildHasher, DefaultHasher, Hash, Hasher, RandomState};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::time::{Duration, Instant};
use std::{env, fmt, thread};

use calls::ERRORS;
use forebay_testing::{Child, report, skip, watched_for};
use judge::{Fault, Notes};
use program::Injection;
use scenes::Scene;

const NAME: &str = "what_the_system_refuses_once_harms_nobody_else";
/// Cases of a run that is not told otherwise.
const SAMPLE: usize = 240;
/// Times that a call is made to fail, each in a run of its own.
const TIMES_MAX: usize = 50;
const THREADS: usize = 4;
const PATIENCE: Duration = Duration::from_secs(3600);

/// One run: of a scene, with one failure.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Case {
    scene: Scene,
    injection: Injection,
}

impl fmt::Display for Case {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Injection { call, error, when } = self.injection;
        write!(f, "{} {call} {error} {when}", self.scene)
    }
}

#[test]
fn what_the_system_refuses_once_harms_nobody_else() {
    let can_inject = ["strace", "-D", "-f", "-o", "/dev/null", "-e", "inject=accept4:error=EPERM"];
    if !Child::can_trace(&can_inject) {
        return skip(NAME, "strace is missing, may not trace, or cannot inject");
    }
    watched_for(PATIENCE, || {
        let (cases, how) = match env::var("FOREBAY_INJECT") {
            Ok(all) if all == "all" => (matrix(), all),
            Ok(one) => (named(&one).into_iter().collect(), one),
            Err(_) => sample(matrix()),
        };
        assert!(!cases.is_empty(), "no such case: {how}");
        let tally = run(&cases);
        report(&format!("{} cases ({how}): {tally}", cases.len()));
        assert!(tally.failures.is_empty(), "\n{}\n", tally.failures.join("\n"));
        // The times are those of an undisturbed run; another one may end before.
        let enough = cases.len() < SAMPLE || tally.hits * 2 > cases.len();
        assert!(enough, "hardly anything was made to fail: {tally}");
    });
}

/// All cases: what the scenes call when nothing fails tells how often each call can.
fn matrix() -> Vec<Case> {
    let mut cases = Vec::new();
    for scene in Scene::ALL {
        let made = calls::made_by(scene);
        for (call, errors) in ERRORS {
            for when in made.times_of(call).into_iter().take(TIMES_MAX) {
                let injections = errors.split(' ').map(|error| Injection { call, error, when });
                cases.extend(injections.map(|injection| Case { scene, injection }));
            }
        }
    }
    cases
}

/// Some of them, with a seed that brings the same ones again: each case has its place by itself, so
/// that one more in the matrix changes nothing for the others.
fn sample(mut cases: Vec<Case>) -> (Vec<Case>, String) {
    let seed = env::var("FOREBAY_SEED")
        .map_or_else(|_| RandomState::new().hash_one(NAME), |text| text.parse().unwrap());
    cases.sort_by_cached_key(|case| {
        let mut place = DefaultHasher::new();
        (seed, case.to_string()).hash(&mut place);
        place.finish()
    });
    cases.truncate(SAMPLE);
    (cases, format!("FOREBAY_SEED={seed}"))
}

/// The case that prints like this.
fn named(name: &str) -> Option<Case> {
    let words: Vec<_> = name.split(' ').collect();
    let &[scene, call, error, when] = words.as_slice() else { return None };
    let scene = Scene::ALL.into_iter().find(|known| known.to_string() == scene)?;
    let (call, errors) = ERRORS.iter().find(|(known, _)| *known == call)?;
    let error = errors.split(' ').find(|known| *known == error)?;
    Some(Case { scene, injection: Injection { call, error, when: when.parse().ok()? } })
}

#[derive(Debug, Default)]
struct Tally {
    /// Runs in which the call did fail.
    hits: usize,
    per_scene: BTreeMap<String, usize>,
    notes: Notes,
    longest: Duration,
    longest_case: String,
    took: Duration,
    failures: Vec<String>,
}

impl Tally {
    fn add(&mut self, case: &Case, took: Duration, outcome: Result<Notes, Fault>) {
        *self.per_scene.entry(case.scene.to_string()).or_default() += 1;
        if took > self.longest {
            (self.longest, self.longest_case) = (took, case.to_string());
        }
        match outcome {
            Ok(notes) => {
                self.hits += notes.hits.min(1);
                self.notes.add(&notes);
            }
            Err(fault) => self.failures.push(format!("{case}: {fault}")),
        }
    }
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scenes: Vec<_> = self.per_scene.iter().map(|(name, n)| format!("{name} {n}")).collect();
        write!(
            f,
            "{} ({} hit) in {} s, the longest {} ms ({}); {}; {} failures",
            scenes.join(", "),
            self.hits,
            self.took.as_secs(),
            self.longest.as_millis(),
            self.longest_case,
            self.notes,
            self.failures.len()
        )
    }
}

fn run(cases: &[Case]) -> Tally {
    let (next, tally) = (AtomicUsize::new(0), Mutex::new(Tally::default()));
    let since = Instant::now();
    thread::scope(|threads| {
        for _ in 0..THREADS {
            threads.spawn(|| {
                while let Some(case) = cases.get(next.fetch_add(1, Relaxed)) {
                    let since = Instant::now();
                    let outcome = case.scene.run(Some(case.injection));
                    tally.lock().unwrap().add(case, since.elapsed(), outcome);
                }
            });
        }
    });
    let mut tally = tally.into_inner().unwrap();
    tally.took = since.elapsed();
    tally
}
