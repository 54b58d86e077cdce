//! The descriptors and threads of this process, as `/proc/self` lists them.

use std::fs;
#[cfg(target_os = "linux")]
use std::fs::File;
#[cfg(target_os = "linux")]
use std::os::fd::OwnedFd;

#[cfg(target_os = "linux")]
use rustix::process::{
    PidfdFlags, PidfdGetfdFlags, Resource, Rlimit, getpid, getrlimit, pidfd_getfd, pidfd_open,
    setrlimit,
};

use crate::wait::await_that;

/// Returns the descriptors of this process.
pub fn descriptors() -> Vec<(String, String)> {
    let mut found: Vec<_> = fs::read_dir("/proc/self/fd")
        .unwrap()
        .filter_map(|entry| {
            let path = entry.unwrap().path();
            // The descriptor that read the directory is closed by now.
            let target = fs::read_link(&path).ok()?;
            let number = path.file_name()?.to_string_lossy().into_owned();
            Some((number, target.to_string_lossy().into_owned()))
        })
        .filter(|(_, target)| !target.contains("/fd"))
        .collect();
    found.sort();
    found
}

/// Returns the sockets among them.
pub fn socket_descriptors() -> Vec<(String, String)> {
    let mut found = descriptors();
    found.retain(|(_, target)| target.starts_with("socket:"));
    found
}

/// Returns another handle of the descriptor that [`descriptors`] lists by this number; `None` if it is closed by now.
#[cfg(target_os = "linux")]
pub fn other_handle(number: &str) -> Option<OwnedFd> {
    let this = pidfd_open(getpid(), PidfdFlags::empty()).unwrap();
    pidfd_getfd(&this, number.parse().unwrap(), PidfdGetfdFlags::empty()).ok()
}

/// Returns other handles of the sockets of this process that are not among `before`.
#[cfg(target_os = "linux")]
pub fn other_handles_of_new_sockets(before: &[(String, String)]) -> Vec<OwnedFd> {
    let now = socket_descriptors();
    let new = now.iter().filter(|it| !before.contains(it));
    new.map(|(number, _)| other_handle(number).unwrap()).collect()
}

/// This process has no descriptors left, until this is dropped. For a test in a process of its own.
#[cfg(target_os = "linux")]
#[derive(Debug)]
pub struct NoDescriptors {
    limits: Rlimit,
    files: Vec<File>,
}

#[cfg(target_os = "linux")]
impl NoDescriptors {
    /// Leaves so many, below the highest that is in use.
    pub fn but(left: usize) -> Self {
        let limits = getrlimit(Resource::Nofile);
        let highest = descriptors().iter().map(|(number, _)| number.parse::<u64>().unwrap()).max();
        let current = highest.map(|number| number + 1);
        let mut files: Vec<File> = (0..left).map(|_| File::open("/dev/null").unwrap()).collect();
        setrlimit(Resource::Nofile, Rlimit { current, maximum: limits.maximum }).unwrap();
        while let Ok(file) = File::open("/dev/null") {
            files.push(file);
        }
        files.drain(..left);
        Self { limits, files }
    }
}

#[cfg(target_os = "linux")]
impl Drop for NoDescriptors {
    fn drop(&mut self) {
        setrlimit(Resource::Nofile, self.limits).unwrap();
        self.files.clear();
    }
}

/// Returns the names of this process's threads.
pub fn threads() -> Vec<String> {
    fs::read_dir("/proc/self/task")
        .unwrap()
        .filter_map(|entry| fs::read_to_string(entry.unwrap().path().join("comm")).ok())
        .map(|name| name.trim().to_owned())
        .collect()
}

/// Returns how many of them are workers' threads.
pub fn worker_threads() -> usize {
    threads().iter().filter(|name| name.starts_with("forebay-worker")).count()
}

/// Waits until no thread of a worker is left, and only so many descriptors. The two together: a thread that has
/// just begun has no name yet, and its worker holds descriptors.
#[track_caller]
pub fn await_no_worker(descriptors_count: usize) {
    await_that("the threads and descriptors of the workers are gone", || {
        worker_threads() == 0 && descriptors().len() <= descriptors_count
    });
}
