//! A stand-in for TLS: an outbox over an outbox, with a drain that makes records.

use std::sync::Arc;
use std::task::{Context, Poll, Waker, ready};

use forebay_io::seam::{Below, Cause, Drain, Outbox, Parcel, SendQueue, WakeList};
use forebay_io::{Error, Result};

use crate::checker::{Mutex, lock};

/// A layer between two outboxes, with one lock of its own, like a session. A record is its length, in one
/// byte, and its bytes; a record of length zero is the layer's own end mark.
pub struct Layer(Mutex<State>);

struct State {
    open: bool,
    failed: bool,
    /// The upper outbox, which waits until the layer is open.
    waker: Option<Waker>,
}

impl Layer {
    /// Makes a layer that is not open yet.
    pub fn new() -> Arc<Self> {
        Arc::new(Self(Mutex::new(State { open: false, failed: false, waker: None })))
    }

    /// Makes the outbox above, which writes through this layer into the one below.
    pub fn outbox(self: &Arc<Self>, below: &Arc<Outbox>) -> Arc<Outbox> {
        let drain = LayerDrain {
            layer: Arc::clone(self),
            below: Below::new(Arc::clone(below)),
            is_told: false,
        };
        Outbox::over(Box::new(drain), Cause::default(), Arc::clone(below))
    }

    /// Completes the handshake.
    pub fn open(&self) {
        let mut state = lock(&self.0);
        state.open = true;
        let waker = state.waker.take();
        drop(state);
        if let Some(waker) = waker {
            waker.wake();
        }
    }

    /// Returns the bytes in whole records, and whether the end mark came after them.
    pub fn read(mut records: &[u8]) -> (Vec<u8>, bool) {
        let mut bytes = Vec::new();
        while let Some((length, rest)) = records.split_first() {
            if *length == 0 {
                assert!(rest.is_empty(), "something came behind the layer's end mark");
                return (bytes, true);
            }
            let (record, rest) = rest.split_at(usize::from(*length).min(rest.len()));
            bytes.extend_from_slice(record);
            records = rest;
        }
        (bytes, false)
    }
}

struct LayerDrain {
    layer: Arc<Layer>,
    below: Below,
    is_told: bool,
}

impl LayerDrain {
    fn poll_open(&self, cx: &Context<'_>) -> Poll<Result<()>> {
        let mut state = lock(&self.layer.0);
        assert!(!state.failed, "used after it was given up");
        if state.open {
            return Poll::Ready(Ok(()));
        }
        state.waker = Some(cx.waker().clone());
        Poll::Pending
    }

    fn push(&self, bytes: &[u8]) {
        let _session = lock(&self.layer.0);
        let mut parcel = Parcel::new(1 + bytes.len());
        parcel.space()[0] = u8::try_from(bytes.len()).expect("a short record");
        parcel.space()[1..=bytes.len()].copy_from_slice(bytes);
        parcel.fill(1 + bytes.len());
        self.below.push(parcel);
    }
}

impl Drain for LayerDrain {
    fn poll_send(
        &mut self,
        cx: &mut Context<'_>,
        queue: &mut SendQueue,
        after: &mut WakeList,
    ) -> Poll<Result<()>> {
        ready!(self.poll_open(cx))?;
        loop {
            ready!(self.below.poll_empty(cx, after))?;
            if queue.is_empty() {
                return Poll::Ready(Ok(()));
            }
            let count = queue.first().len().min(2);
            self.push(&queue.first()[..count]);
            queue.sent(count, after);
        }
    }

    fn poll_end(&mut self, cx: &mut Context<'_>, after: &mut WakeList) -> Poll<Result<()>> {
        ready!(self.poll_open(cx))?;
        if !self.is_told {
            self.is_told = true;
            self.push(&[]);
        }
        self.below.poll_end(cx, after)
    }

    fn abort(&mut self, cause: &Error, after: &mut WakeList) {
        lock(&self.layer.0).failed = true;
        self.below.abort(cause, after);
    }
}
