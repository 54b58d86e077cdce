//! Asking the transport for more ciphertext.

use std::task::{Context, Poll};

use forebay_io::seam::{Filled, Inbox, WakeList};
use forebay_io::{Error, ErrorKind, Result, TlsFault};

use super::Session;
use super::state::{ARRIVED_BYTES_MAX, State, TransportEnd};

/// The inbox while the transport fills it. It is taken out of the session, and put back when this is
/// dropped.
///
/// Asking a transport may wake any task and may end the writer of this very session: a socket reports a
/// reset to it, and a pipe lets a task that waited for room go on at once. So the transport is not asked
/// under the session's lock. Meanwhile nothing can be decrypted or encrypted, because the message that
/// rustls has begun lies in the inbox. A task that needs it waits until it is back.
struct Out<'a> {
    session: &'a Session,
    inbox: Option<Inbox>,
}

impl Drop for Out<'_> {
    fn drop(&mut self) {
        let Some(inbox) = self.inbox.take() else { return };
        let mut after = WakeList::new();
        let mut state = self.session.locked();
        state.inbox = Some(inbox);
        let awaited = std::mem::take(&mut state.awaited);
        if awaited.by_writer {
            self.session.wakes().opening(&mut after);
        }
        if awaited.by_reader {
            self.session.wakes().input(&mut after);
        }
        drop(state);
        after.run();
    }
}

/// The call that asks the transport.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum For {
    /// That of the reader, or of the driver of the handshake, whose waker is stored.
    Reader,
    /// One that looks ahead of them.
    Looker,
}

impl Session {
    /// Waits for more ciphertext, with the session's own waker. One thread asks at a time: while another
    /// one does, this waits until that has its answer. Must not be called under the session's lock.
    pub(super) fn poll_arrival(&self) -> Poll<Result<Filled>> {
        self.poll_with(For::Reader, Inbox::poll_more).unwrap_or(Poll::Pending)
    }

    /// Asks ahead of the reader: `Pending` means that nothing has arrived. Returns `None` while another
    /// thread asks the transport.
    pub(super) fn poll_ahead(&self) -> Option<Poll<Result<Filled>>> {
        self.poll_with(For::Looker, Inbox::poll_ahead)
    }

    /// As [`poll_ahead`](Self::poll_ahead), for the reader: while another thread asks, this waits until
    /// that has its answer.
    pub(super) fn poll_ahead_for_reader(&self) -> Option<Poll<Result<Filled>>> {
        self.poll_with(For::Reader, Inbox::poll_ahead)
    }

    fn poll_with(
        &self,
        who: For,
        poll: impl FnOnce(&mut Inbox, &mut Context<'_>, usize) -> Poll<Result<Filled>>,
    ) -> Option<Poll<Result<Filled>>> {
        let mut out = match self.enter().and_then(|mut state| state.take_inbox(who)) {
            Ok(inbox) => Out { session: self, inbox },
            Err(error) => return Some(Poll::Ready(Err(error))),
        };
        // Taken out by another thread, which asks the transport right now.
        let inbox = out.inbox.as_mut()?;
        let mut cx = Context::from_waker(&self.own_waker);
        Some(poll(inbox, &mut cx, ARRIVED_BYTES_MAX))
    }
}

impl State {
    /// Takes the inbox; `None` if another thread has it, which then wakes a reader when it is back.
    fn take_inbox(&mut self, who: For) -> Result<Option<Inbox>> {
        let arrived = self.inbox.as_ref().map_or(0, Inbox::len);
        if arrived >= ARRIVED_BYTES_MAX {
            let error = Error::new(ErrorKind::Tls(TlsFault::Misbehaved), "tls").with_detail(format!(
                "the peer has sent {arrived} bytes of one message in records so short that it is not \
                 complete"
            ));
            let error = self.named(&error);
            self.fail(error.clone(), TransportEnd::InOrder);
            return Err(error);
        }
        let inbox = self.inbox.take();
        self.awaited.by_reader |= inbox.is_none() && who == For::Reader;
        Ok(inbox)
    }
}
