//! The writing half of a session: encrypts.

use std::sync::Arc;
use std::task::{Context, Poll, ready};

use forebay_io::seam::{Below, Drain, Outbox, Parcel, SendQueue, WaiterKey, WakeList};
use forebay_io::{Error, ErrorKind, Result};
use rustls::unbuffered::EncryptError;

use super::Session;
use super::engine::{Engine, Seal, Step};
use super::loss::LookInto;
use super::state::{End, Loss, SessionPhase, State, TransportEnd};
use crate::callback_facts;

/// The longest plaintext of one record (RFC 8446, section 5.1).
const RECORD_BYTES: usize = 16 * 1024;
/// An upper bound for the rest of a record: RFC 5246, section 6.2.3, allows 2 KiB, but no suite offered
/// here adds more than 29 bytes. The remainder leaves room for a message that rustls sends in front of the
/// record.
const OVERHEAD_BYTES: usize = 512;
/// The amount encrypted before it is sent: as much as one turn can have written, so that it is one system
/// call.
const SEALED_BYTES_MAX: usize = 96 * 1024;

impl Session {
    /// Makes the outbox that the session's writer writes into. Called once.
    pub fn make_outbox(self: &Arc<Self>) -> Arc<Outbox> {
        let drain = Box::new(TlsDrain::new(Arc::clone(self), Arc::clone(&self.below)));
        let upper = Outbox::over(drain, self.cause.clone(), Arc::clone(&self.below));
        self.upper.get_or_init(|| Arc::downgrade(&upper));
        upper
    }
}

/// The writing end of a session.
pub(super) struct TlsDrain {
    session: Arc<Session>,
    below: Below,
    /// The upper outbox's entry among those that wait for the handshake.
    key: Option<WaiterKey>,
    /// `close_notify` has been queued.
    notified: bool,
}

impl TlsDrain {
    pub(super) fn new(session: Arc<Session>, below: Arc<Outbox>) -> Self {
        Self { session, below: Below::new(below), key: None, notified: false }
    }

    /// Waits until data can be sent, then calls `work` under the session's lock.
    fn poll_open(
        &mut self,
        cx: &mut Context<'_>,
        after: &mut WakeList,
        work: impl FnOnce(&mut State, &Below, &mut WakeList) -> Result<()>,
    ) -> Poll<Result<()>> {
        let mut state = self.session.enter()?;
        match (state.phase, &state.loss, &state.end) {
            // The upper outbox gets the error once everything that had arrived before the loss is read.
            (SessionPhase::Failed, Loss::Met(_), _) => Poll::Pending,
            (SessionPhase::Failed, Loss::Told(error), _)
            | (SessionPhase::Failed, _, Some(End::Failed(error))) => {
                Poll::Ready(Err(error.clone()))
            }
            (SessionPhase::Failed, ..) => Poll::Ready(Err(state.named(&closed()))),
            (SessionPhase::Open, ..) if state.inbox.is_some() => {
                work(&mut state, &self.below, after)?;
                self.session.after_writing(&state, after);
                Poll::Ready(Ok(()))
            }
            (SessionPhase::Open | SessionPhase::Handshaking, ..) => {
                state.awaited.by_writer |= state.phase == SessionPhase::Open;
                // The waker is the upper outbox's own and no foreign code, so it may be cloned and dropped
                // under a lock.
                self.session.wakes().set_opening(&mut self.key, cx.waker().clone());
                Poll::Pending
            }
        }
    }
}

impl TlsDrain {
    /// Handles a transport that accepts nothing any more. First everything that had arrived is read, but
    /// not under the locks that are held here.
    fn poll_lost(&self, error: &Error, after: &mut WakeList) -> Poll<Result<()>> {
        let mut state = self.session.enter()?;
        self.session.record_loss(&mut state, error);
        match &state.loss {
            Loss::Met(_) => {
                LookInto::later(&self.session, after);
                Poll::Pending
            }
            Loss::Harmless => Poll::Ready(Ok(())),
            Loss::Told(cause) => Poll::Ready(Err(cause.clone())),
            Loss::None => Poll::Ready(Err(error.clone())),
        }
    }

    fn is_harmless(&self) -> Result<bool> {
        Ok(matches!(self.session.enter()?.loss, Loss::Harmless))
    }
}

impl Drain for TlsDrain {
    fn poll_send(
        &mut self,
        cx: &mut Context<'_>,
        queue: &mut SendQueue,
        after: &mut WakeList,
    ) -> Poll<Result<()>> {
        if queue.is_empty() && self.is_harmless()? {
            return Poll::Ready(Ok(()));
        }
        ready!(self.poll_open(cx, after, |_, _, _| Ok(())))?;
        loop {
            // Records are made only when they can be sent: until then the queue can still be dropped, and
            // takes no extra memory.
            if let Err(error) = ready!(self.below.poll_empty(cx, after)) {
                return self.poll_lost(&error, after);
            }
            if queue.is_empty() {
                return Poll::Ready(Ok(()));
            }
            ready!(
                self.poll_open(cx, after, |state, below, after| state.seal(queue, below, after))
            )?;
        }
    }

    fn poll_end(&mut self, cx: &mut Context<'_>, after: &mut WakeList) -> Poll<Result<()>> {
        if self.is_harmless()? {
            return Poll::Ready(Ok(()));
        }
        if !self.notified {
            ready!(self.poll_open(cx, after, |state, below, _| state.notify(below)))?;
            self.notified = true;
        }
        match ready!(self.below.poll_end(cx, after)) {
            Ok(()) => Poll::Ready(Ok(())),
            Err(error) => self.poll_lost(&error, after),
        }
    }

    fn abort(&mut self, cause: &Error, after: &mut WakeList) {
        let leave = match self.session.enter() {
            Ok(mut state) => {
                // The reader of a lost transport still gets everything that had arrived.
                if matches!(state.loss, Loss::None) {
                    state.fail(cause.clone(), TransportEnd::Reset);
                }
                state.leave
            }
            Err(_) => TransportEnd::Reset,
        };
        self.session.wake_all(after);
        self.session.leave_below(leave, cause, after);
    }

    fn peer(&self) -> Option<String> {
        self.session.peer_address()
    }
}

impl Session {
    /// Wakes the reader for what the writer's call has found.
    fn after_writing(&self, state: &State, after: &mut WakeList) {
        if !state.kept.is_empty() || state.end.is_some() {
            self.wake_input(after);
        }
    }
}

impl State {
    /// Encrypts the front of the queue into as few records as possible.
    fn seal(&mut self, queue: &mut SendQueue, below: &Below, after: &mut WakeList) -> Result<()> {
        let mut sealed = 0;
        while !queue.is_empty() && sealed < SEALED_BYTES_MAX {
            let mut parcel = Parcel::new(queue.len().saturating_add(OVERHEAD_BYTES));
            let outcome = self.with_traffic(below, &mut |traffic| {
                // Room for a record with at least one byte of plaintext.
                while parcel.space().len() > OVERHEAD_BYTES && !queue.is_empty() {
                    let count = seal_some(traffic, queue, &mut parcel, after)?;
                    if count == 0 {
                        break;
                    }
                    sealed += count;
                }
                Ok(())
            });
            let is_empty = parcel.is_empty();
            // This includes what was encrypted before a failure, which has left the queue already.
            self.push_parcel(below, parcel);
            self.sealed_data = self.sealed;
            outcome?;
            if is_empty {
                // rustls has closed the connection by itself: too much was encrypted with these keys.
                return Err(self.named(&closed()));
            }
        }
        Ok(())
    }

    /// Queues the `close_notify`.
    fn notify(&mut self, below: &Below) -> Result<()> {
        let mut parcel = Parcel::new(OVERHEAD_BYTES);
        self.with_traffic(below, &mut |traffic| {
            let count = traffic.notify(parcel.space())?;
            parcel.fill(count);
            Ok(())
        })?;
        self.push_parcel(below, parcel);
        if let Some(engine) = &mut self.engine {
            engine.set_notified();
        }
        Ok(())
    }

    /// Processes what has arrived until data can be sent, and calls `sealing` then.
    fn with_traffic(
        &mut self,
        below: &Below,
        sealing: &mut dyn FnMut(&mut dyn Seal) -> std::result::Result<(), EncryptError>,
    ) -> Result<()> {
        let Self { inbox: Some(inbox), kept, engine: Some(engine), .. } = self else {
            // `poll_open` has checked both.
            return Err(self.named(&closed()));
        };
        let outcome = loop {
            match engine.work(inbox, &mut |plaintext| kept.push(plaintext), sealing) {
                Ok(Step::Plaintext) => {}
                Ok(Step::Handshaking | Step::Traffic | Step::Closed) => break Ok(()),
                Err(failure) => break Err(failure),
            }
        };
        let own = engine.take_own();
        self.push(below, &own);
        outcome.map_err(|failure| self.failed("write", failure, callback_facts::take()))?;
        if self.engine.as_ref().is_some_and(Engine::has_peer_closed) {
            self.end.get_or_insert(End::Clean);
        }
        Ok(())
    }
}

/// Encrypts one piece of the queue: whole records, or everything.
fn seal_some(
    traffic: &mut dyn Seal,
    queue: &mut SendQueue,
    parcel: &mut Parcel,
    after: &mut WakeList,
) -> std::result::Result<usize, EncryptError> {
    let space = parcel.space();
    let first = queue.first();
    // As many full records as fit; each takes up to OVERHEAD_BYTES more than its plaintext.
    let whole = (space.len() / (RECORD_BYTES + OVERHEAD_BYTES)) * RECORD_BYTES;
    let most = if whole > 0 { whole } else { space.len().saturating_sub(OVERHEAD_BYTES) };
    if whole == 0 && queue.len() > most {
        // The rest of this block does not hold a whole record; the next block does.
        return Ok(0);
    }
    // Encrypted straight from the queue, without joining pieces first.
    if first.len() >= RECORD_BYTES || queue.is_one_piece() {
        let count = if first.len() > most || !queue.is_one_piece() {
            (first.len().min(most) / RECORD_BYTES) * RECORD_BYTES
        } else {
            first.len()
        };
        let sealed = traffic.seal(&first[..count], space)?;
        parcel.fill(sealed);
        queue.sent(count, after);
        return Ok(count);
    }
    // Several pieces shorter than a record are joined into one.
    let mut gathered = Vec::with_capacity(queue.len().min(RECORD_BYTES));
    let (slices, count) = queue.slices();
    for slice in &slices[..count] {
        let room = RECORD_BYTES.min(most) - gathered.len();
        gathered.extend_from_slice(&slice[..slice.len().min(room)]);
    }
    let sealed = traffic.seal(&gathered, space)?;
    parcel.fill(sealed);
    queue.sent(gathered.len(), after);
    Ok(gathered.len())
}

fn closed() -> Error {
    Error::new(ErrorKind::Closed, "write").with_detail("the session is over")
}
