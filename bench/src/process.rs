//! Processes and processors, for the programs that measure one server beside another.

use std::fs;
use std::io;
use std::process::Child;
use std::time::Duration;

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use rustix::thread::{CpuSet, sched_setaffinity};

/// Thousands of connections need more descriptors than a process has by default.
const DESCRIPTORS_MAX: u64 = 20_000;

/// Lets this process, and those that it starts, have up to 20,000 descriptors.
pub fn allow_descriptors() -> io::Result<()> {
    let maximum = getrlimit(Resource::Nofile).maximum;
    let current = maximum.unwrap_or(DESCRIPTORS_MAX).min(DESCRIPTORS_MAX);
    Ok(setrlimit(Resource::Nofile, Rlimit { current: Some(current), maximum })?)
}

/// Keeps this thread, and the processes that it starts until the next call, on one processor. Where that may not be
/// chosen, or there is only one, nothing happens.
pub fn pin(processor: usize) {
    let mut set = CpuSet::new();
    set.set(processor);
    sched_setaffinity(None, &set).ok();
}

/// Returns the processor time that the threads of a process have used (`proc_pid_schedstat`).
pub fn processor_time(process: &Child) -> io::Result<Duration> {
    let mut nanoseconds = 0;
    for task in fs::read_dir(format!("/proc/{}/task", process.id()))? {
        let stat = fs::read_to_string(task?.path().join("schedstat"))?;
        nanoseconds += stat.split(' ').next().and_then(|n| n.parse().ok()).unwrap_or(0);
    }
    Ok(Duration::from_nanos(nanoseconds))
}

pub fn median(values: impl Iterator<Item = f64>) -> f64 {
    let mut values: Vec<f64> = values.collect();
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
}
