//! A transport in which another thread does something while a session asks it.

use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};

use forebay_io::seam::{Filled, Inbox, Inlet, PipeSource, Source, pipe_ends};
use forebay_io::{ByteReadChannel, ByteWriteChannel, Error, Result};
use forebay_testing::sessions::{Conn, Puppet, Raw, Side, Version, client, handshake, over};
use futures_lite::future::zip;

/// An event while the session asks. It returns the transport's answer; for `None` the pipe is asked.
type Meanwhile = Box<dyn FnOnce() -> Option<Poll<Result<Filled>>> + Send>;

/// The event of the next time that the session asks.
#[derive(Clone, Default)]
pub(crate) struct Next(Arc<Mutex<Option<Meanwhile>>>);

impl Next {
    pub(crate) fn is(
        &self,
        meanwhile: impl FnOnce() -> Option<Poll<Result<Filled>>> + Send + 'static,
    ) {
        *self.0.lock().expect("no panic") = Some(Box::new(meanwhile));
    }

    fn take(&self) -> Option<Meanwhile> {
        self.0.lock().expect("no panic").take()
    }
}

struct Raced {
    pipe: PipeSource,
    next: Next,
}

impl Source for Raced {
    fn poll_fill(&mut self, cx: &mut Context<'_>, inlet: &mut Inlet<'_>) -> Poll<Result<Filled>> {
        let answer = self.next.take().and_then(|meanwhile| meanwhile());
        answer.unwrap_or_else(|| self.pipe.poll_fill(cx, inlet))
    }

    fn abort(&mut self, cause: &Error) {
        self.pipe.abort(cause);
    }

    fn cause(&self) -> Option<Error> {
        self.pipe.cause()
    }
}

/// Makes a client over such a transport, and its puppet server, with a complete handshake.
pub(crate) async fn led_and_raced(version: Version) -> (Side, Raw, Puppet, Next) {
    let ((there, forth), (here, back)) = (pipe_ends(1 << 20), pipe_ends(1 << 20));
    let next = Next::default();
    let raced = Raced { pipe: here, next: next.clone() };
    let side = over(Inbox::new(Box::new(raced)), forth);
    let input = ByteReadChannel::from_source(Box::new(there));
    let mut raw = Raw { input, output: ByteWriteChannel::new(back, None) };
    let client = client(version);
    let (puppet, made) =
        zip(Puppet::over(&mut raw, Conn::server(version)), handshake(&side, &client)).await;
    made.expect("a handshake");
    (side, raw, puppet, next)
}
