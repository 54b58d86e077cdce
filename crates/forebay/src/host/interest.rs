//! The conditions of a descriptor of any kind that can be waited for, and whether they hold.

use std::fmt;
use std::io;
use std::ops::BitOr;
use std::os::fd::BorrowedFd;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::{FileType, fstat};
use rustix::io::Errno;

use crate::interrupted::uninterrupted;

/// One or more conditions of a descriptor: to be waited for by
/// [`SelectorManager::ready`](crate::SelectorManager::ready), which returns those that hold.
///
/// # Examples
///
/// ```
/// use forebay::Interest;
///
/// let both = Interest::READABLE | Interest::WRITABLE;
/// assert!(both.is_readable() && both.is_writable());
/// assert_eq!(format!("{both:?}"), "READABLE | WRITABLE");
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Interest(u8);

impl Interest {
    /// Input can be taken without waiting (`POLLIN`): data, an event, a connection, or the end.
    pub const READABLE: Self = Self(1);

    /// Output is accepted without waiting (`POLLOUT`).
    pub const WRITABLE: Self = Self(1 << 1);

    /// There is something out of the ordinary (`POLLPRI`, `poll(2)`): urgent data, or a changed attribute of
    /// `/sys`.
    ///
    /// # Platform
    ///
    /// Linux.
    #[cfg(any(target_os = "linux", target_os = "android"))]
    pub const PRIORITY: Self = Self(1 << 2);

    /// Returns `true` if this includes [`READABLE`](Self::READABLE).
    pub const fn is_readable(self) -> bool {
        self.0 & Self::READABLE.0 != 0
    }

    /// Returns `true` if this includes [`WRITABLE`](Self::WRITABLE).
    pub const fn is_writable(self) -> bool {
        self.0 & Self::WRITABLE.0 != 0
    }

    /// Returns `true` if this includes [`PRIORITY`](Self::PRIORITY).
    ///
    /// # Platform
    ///
    /// Linux.
    #[cfg(any(target_os = "linux", target_os = "android"))]
    pub const fn is_priority(self) -> bool {
        self.0 & Self::PRIORITY.0 != 0
    }

    /// Returns the conditions that hold now; `None` if none of them does.
    pub(crate) fn look(self, fd: BorrowedFd<'_>) -> io::Result<Option<Self>> {
        let mut asked = [PollFd::from_borrowed_fd(fd, self.flags())];
        uninterrupted(|| Ok(poll(&mut asked, Some(&Timespec::default()))?))?;
        let [answer] = &asked;
        let flags = answer.revents();
        if flags.contains(PollFlags::NVAL) {
            return Err(Errno::BADF.into());
        }
        // After a hang-up or an error no call waits; its result tells what has happened.
        if flags.intersects(PollFlags::HUP | PollFlags::ERR) {
            return Ok(Some(self));
        }
        let found = self.parts().filter(|(_, flag, _)| flags.contains(*flag));
        Ok(found.map(|(interest, ..)| *interest).reduce(Self::bitor))
    }

    fn flags(self) -> PollFlags {
        self.parts().fold(PollFlags::empty(), |flags, (_, flag, _)| flags | *flag)
    }

    fn parts(self) -> impl Iterator<Item = &'static (Self, PollFlags, &'static str)> {
        Self::ALL.iter().filter(move |(interest, ..)| self.0 & interest.0 != 0)
    }

    const ALL: &[(Self, PollFlags, &str)] = &[
        (Self::READABLE, PollFlags::IN, "READABLE"),
        (Self::WRITABLE, PollFlags::OUT, "WRITABLE"),
        #[cfg(any(target_os = "linux", target_os = "android"))]
        (Self::PRIORITY, PollFlags::PRI, "PRIORITY"),
    ];
}

impl BitOr for Interest {
    type Output = Self;

    fn bitor(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }
}

impl fmt::Debug for Interest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<_> = self.parts().map(|(.., name)| *name).collect();
        f.write_str(&names.join(" | "))
    }
}

/// Returns `true` if `poll(2)` would call the descriptor ready without knowing: calls on a regular file, a
/// directory or a disk wait for the device, and the system has no event for that. (Of the files of `/proc`
/// and `/sys` some have one; Linux's epoll distinguishes them.)
pub(crate) fn seems_always_ready(fd: BorrowedFd<'_>) -> io::Result<bool> {
    let kind = FileType::from_raw_mode(fstat(fd)?.st_mode);
    Ok(matches!(kind, FileType::RegularFile | FileType::Directory | FileType::BlockDevice))
}
