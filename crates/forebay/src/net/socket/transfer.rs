//! Receiving into a pipe, and sending from a pipe or a file, without a copy through the memory of this process
//! (`splice(2)`, `sendfile(2)`). Whatever speaks against it, the bytes are copied.

use std::io;
use std::sync::atomic::Ordering;

use forebay_io::seam::{SendQueue, WakeList};
use rustix::fd::BorrowedFd;
use rustix::net::{SendFlags, send};

use self::calls::pass_on;
use super::link::{Link, Stream, noted};
use super::note::Note;

impl Link {
    /// Returns `true` if segments of the kernel are sent as they are.
    pub(super) fn sends_segments(&self) -> bool {
        self.stream().is_some_and(Stream::may_transfer)
    }
}

impl Stream {
    /// Makes this socket copy from now on. For one whose descriptor other programs have too, and may make blocking: the calls
    /// that move bytes within the kernel have no flag of their own against that, as `send(2)` has.
    pub(super) fn copy_always(&self) {
        // Relaxed: the descriptor is handed out behind this, and whatever hands it on orders the two.
        self.copies.store(true, Ordering::Relaxed);
    }

    /// Sends from the segment at the front of the queue.
    #[cold]
    pub(super) fn send_segment(
        &self,
        fd: BorrowedFd<'_>,
        queue: &mut SendQueue,
        flags: SendFlags,
        after: &mut WakeList,
        note: impl Note,
    ) -> io::Result<usize> {
        if self.may_transfer()
            && let Some((bytes, most)) = queue.front_segment()
            && let Some(sent) = pass_on(fd, bytes, most)
        {
            return match sent {
                Ok(0) => Err(queue.cut_short().into()),
                sent => noted(note, sent),
            };
        }
        queue.load_segment(after)?;
        noted(note, send(fd, queue.first(), flags))
    }
}

#[cfg(any(target_os = "linux", target_os = "android"))]
mod calls {
    use std::any::Any;
    use std::io;
    use std::sync::atomic::Ordering;

    use forebay_io::seam::{FileBytes, Inlet, KernelBytes, KernelSegment};
    use rustix::fd::BorrowedFd;
    use rustix::fs::sendfile;
    use rustix::io::Errno;

    use super::super::link::{Stream, noted};
    use super::super::note::Note;
    use crate::selector::KernelPipe;

    /// The answers of a kernel that does not know the call for this kind of descriptor, or is told to refuse it.
    const REFUSALS: [Errno; 5] =
        [Errno::INVAL, Errno::NOSYS, Errno::OPNOTSUPP, Errno::PERM, Errno::ACCESS];

    impl Stream {
        pub(super) fn may_transfer(&self) -> bool {
            !self.copies.load(Ordering::Relaxed) && self.io.selector().sockets().pipes.are_allowed()
        }

        /// Receives into a pipe, which becomes a segment of the inlet. `None`: the bytes must be received into
        /// memory.
        #[inline]
        pub(in super::super) fn receive_segment(
            &self,
            fd: BorrowedFd<'_>,
            inlet: &mut Inlet<'_>,
            note: impl Note,
        ) -> Option<io::Result<usize>> {
            let most = inlet.segment_max()?;
            self.fill_segment(fd, most, inlet, note)
        }

        #[cold]
        fn fill_segment(
            &self,
            fd: BorrowedFd<'_>,
            most: usize,
            inlet: &mut Inlet<'_>,
            note: impl Note,
        ) -> Option<io::Result<usize>> {
            if !self.may_transfer() {
                return None;
            }
            let mut pipe = self.io.selector().sockets().pipes.take()?;
            match pipe.fill(fd, most) {
                // The end; or a byte marked as urgent, in front of which the kernel stops: only a receive can tell.
                Ok(0) => None,
                Ok(count) => {
                    inlet.put(KernelSegment::new(Box::new(pipe), count));
                    Some(Ok(count))
                }
                Err(errno) if REFUSALS.contains(&errno) => {
                    self.copy_always();
                    None
                }
                failed => Some(noted(note, failed)),
            }
        }
    }

    /// Sends bytes as they are. `None`: they must be read into memory.
    pub(super) fn pass_on(
        to: BorrowedFd<'_>,
        bytes: &mut dyn KernelBytes,
        most: usize,
    ) -> Option<rustix::io::Result<usize>> {
        let bytes: &mut dyn Any = bytes;
        let sent = if let Some(pipe) = bytes.downcast_mut::<KernelPipe>() {
            pipe.send(to, most)
        } else {
            let FileBytes { file, offset } = bytes.downcast_mut()?;
            sendfile(to, file, Some(offset), most)
        };
        match sent {
            Err(errno) if REFUSALS.contains(&errno) => None,
            sent => Some(sent),
        }
    }
}

/// Other systems have no such calls, or others, which are not used.
#[cfg(not(any(target_os = "linux", target_os = "android")))]
mod calls {
    use std::io;

    use forebay_io::seam::{Inlet, KernelBytes};
    use rustix::fd::BorrowedFd;

    use super::super::link::Stream;
    use super::super::note::Note;

    impl Stream {
        #[allow(clippy::unused_self, reason = "as on Linux")]
        pub(super) fn may_transfer(&self) -> bool {
            false
        }

        pub(in super::super) fn receive_segment(
            &self,
            _: BorrowedFd<'_>,
            _: &mut Inlet<'_>,
            _: impl Note,
        ) -> Option<io::Result<usize>> {
            None
        }
    }

    pub(super) fn pass_on(
        _: BorrowedFd<'_>,
        _: &mut dyn KernelBytes,
        _: usize,
    ) -> Option<rustix::io::Result<usize>> {
        None
    }
}
