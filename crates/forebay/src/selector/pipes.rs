//! Pipes of the kernel, through which bytes pass from one socket to another without being copied (`splice(2)`).
//!
//! A pipe is two descriptors. It is taken for one transfer and is empty before it; after that it waits here for the
//! next. One that still holds bytes is closed with them. Their number has a limit, so that slow
//! peers cannot hold all descriptors of the process; beyond it, bytes are copied.

use std::sync::{Arc, Mutex, OnceLock};
use std::{fs, io};

use forebay_io::seam::KernelBytes;
use rustix::fd::{BorrowedFd, OwnedFd};
use rustix::io::{Errno, read};
use rustix::pipe::{PipeFlags, SpliceFlags, fcntl_setpipe_size, pipe_with, splice};
use rustix::process::{Resource, getrlimit};

use crate::interrupted::uninterrupted;
use crate::lock::lock;

/// The size that is asked for, as much as a connection moves in a turn. The kernel may refuse it to a user with many
/// pipes (`pipe(7)`, `pipe-user-pages-soft`); then they keep theirs.
const PIPE_BYTES: usize = 256 * 1024;

/// One part in this many of the descriptors that the process may have is used for pipes, two for each.
const PART_OF_DESCRIPTORS: u64 = 8;

/// The number of pipes at most, whatever the process may have.
const PIPES_MAX: u64 = 1024;

/// The number of empty pipes that wait for the next transfer.
const IDLE_MAX: usize = 16;

const FLAGS: SpliceFlags = SpliceFlags::NONBLOCK.union(SpliceFlags::MOVE);

/// The pipes of a selector.
#[derive(Debug, Default)]
pub(crate) struct Pipes {
    state: Mutex<PipesState>,
    /// The number of pipes at most; found at the first use.
    most: OnceLock<usize>,
    is_allowed: OnceLock<bool>,
}

#[derive(Debug, Default)]
struct PipesState {
    idle: Vec<PipeEnds>,
    /// The number of open pipes, with those that are in use.
    open: usize,
    is_closed: bool,
}

#[derive(Debug)]
struct PipeEnds {
    reader: OwnedFd,
    writer: OwnedFd,
}

/// A pipe in use, and the number of bytes in it.
#[derive(Debug)]
pub(crate) struct KernelPipe {
    /// `None` only while it is dropped.
    ends: Option<PipeEnds>,
    held: usize,
    pipes: Arc<Pipes>,
}

impl Pipes {
    /// Returns `true` if the kernel may be told to send by itself.
    ///
    /// Such a send to a peer that has gone raises `SIGPIPE`, and no flag of the call prevents it, unlike that of
    /// `send(2)`. The standard library ignores the signal from the start of `main`, but a program may have set it
    /// back. So the process is asked, once; and again if there was no descriptor to ask with.
    pub(crate) fn are_allowed(&self) -> bool {
        if let Some(is_allowed) = self.is_allowed.get() {
            return *is_allowed;
        }
        let is_allowed = match is_broken_pipe_harmless() {
            Err(error) if is_out_of_descriptors(&error) => return false,
            answer => answer.unwrap_or(false),
        };
        *self.is_allowed.get_or_init(|| is_allowed)
    }

    /// Takes an empty pipe; `None` if there are too many, or the process has no descriptors left for one.
    pub(crate) fn take(self: &Arc<Self>) -> Option<KernelPipe> {
        let most = *self.most.get_or_init(most_pipes);
        let mut state = lock(&self.state);
        let idle = state.idle.pop();
        if idle.is_none() {
            if state.open >= most || state.is_closed {
                return None;
            }
            state.open += 1;
        }
        drop(state);
        // From here on, dropping the value counts it as closed.
        let mut pipe = KernelPipe { ends: idle, held: 0, pipes: Arc::clone(self) };
        if pipe.ends.is_none() {
            pipe.ends = Some(open()?);
        }
        Some(pipe)
    }

    /// Closes the pipes that are not in use. Returns `true` if there was one.
    pub(crate) fn close_idle(&self) -> bool {
        let mut state = lock(&self.state);
        let idle = std::mem::take(&mut state.idle);
        state.open -= idle.len();
        drop(state);
        !idle.is_empty()
    }

    /// Closes the pipes that are not in use, and each other one after its use.
    pub(super) fn close(&self) {
        lock(&self.state).is_closed = true;
        self.close_idle();
    }

    fn put(&self, ends: Option<PipeEnds>) {
        let mut state = lock(&self.state);
        match ends {
            Some(ends) if !state.is_closed && state.idle.len() < IDLE_MAX => state.idle.push(ends),
            closed => {
                state.open -= 1;
                drop(state);
                drop(closed);
            }
        }
    }
}

impl KernelPipe {
    /// Moves up to `most` bytes from a socket into the pipe, which must be empty: otherwise `EAGAIN` would also mean
    /// that it is full.
    pub(crate) fn fill(&mut self, from: BorrowedFd<'_>, most: usize) -> rustix::io::Result<usize> {
        let Some(ends) = &self.ends else { return Ok(0) };
        let count = splice(from, None, &ends.writer, None, most, FLAGS)?;
        self.held += count;
        Ok(count)
    }

    /// Moves up to `most` bytes from the pipe to a socket.
    pub(crate) fn send(&mut self, to: BorrowedFd<'_>, most: usize) -> rustix::io::Result<usize> {
        let Some(ends) = &self.ends else { return Ok(0) };
        let count = splice(&ends.reader, None, to, None, most.min(self.held), FLAGS)?;
        self.held -= count;
        Ok(count)
    }
}

impl KernelBytes for KernelPipe {
    fn read(&mut self, space: &mut [u8]) -> io::Result<usize> {
        let Some(ends) = &self.ends else { return Ok(0) };
        let count = uninterrupted(|| Ok(read(&ends.reader, &mut *space)?))?;
        self.held -= count.min(self.held);
        Ok(count)
    }
}

impl Drop for KernelPipe {
    fn drop(&mut self) {
        let ends = self.ends.take();
        self.pipes.put(ends.filter(|_| self.held == 0));
    }
}

fn open() -> Option<PipeEnds> {
    let (reader, writer) = pipe_with(PipeFlags::CLOEXEC | PipeFlags::NONBLOCK).ok()?;
    // A pipe of the usual size serves as well.
    fcntl_setpipe_size(&writer, PIPE_BYTES).ok();
    Some(PipeEnds { reader, writer })
}

fn most_pipes() -> usize {
    let descriptors = getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX);
    let pipes = descriptors / PART_OF_DESCRIPTORS / 2;
    usize::try_from(pipes.clamp(1, PIPES_MAX)).unwrap_or(1)
}

/// Returns `true` if `SIGPIPE` is ignored or handled in this process. No safe call asks for a signal's disposition, so
/// this reads `proc_pid_status(5)`.
fn is_broken_pipe_harmless() -> io::Result<bool> {
    fs::read_to_string("/proc/self/status").map(|status| is_harmless_in(&status))
}

fn is_out_of_descriptors(error: &io::Error) -> bool {
    matches!(Errno::from_io_error(error), Some(Errno::MFILE | Errno::NFILE))
}

fn is_harmless_in(status: &str) -> bool {
    const SIGPIPE: u32 = 13;
    status.lines().any(|line| {
        let mask = line.strip_prefix("SigIgn:").or_else(|| line.strip_prefix("SigCgt:"));
        let mask = mask.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok());
        mask.is_some_and(|mask| mask & (1 << (SIGPIPE - 1)) != 0)
    })
}

#[cfg(test)]
mod tests {
    use super::is_harmless_in;

    #[test]
    fn a_process_tells_what_sigpipe_does() {
        let status = |ignored, caught| {
            format!("Name:\tx\nSigBlk:\tffffffffffffffff\nSigIgn:\t{ignored}\nSigCgt:\t{caught}\n")
        };
        assert!(is_harmless_in(&status("0000000000001000", "0000000000000000")));
        assert!(is_harmless_in(&status("0000000000000000", "0000000000001000")));
        assert!(!is_harmless_in(&status("fffffffffffeefff", "0000000000000000")));
        assert!(!is_harmless_in("SigIgn:\n"));
    }
}
