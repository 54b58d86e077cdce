//! A connection that is closed during its handshake, with something written: the handshake goes on, so
//! that what was written can be sent, and a reader is told of the close when it is over.

use std::pin::Pin;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Wake, Waker};

use forebay::{Error, Result};
use forebay_testing::{lock, run, settle, tls::Configs};
use futures_lite::future::zip;

type Reading = Pin<Box<dyn Future<Output = Result<u8>> + Send>>;

/// Polls its future wherever it is woken, as some executors do: in the middle of what wakes it.
struct AtOnce {
    reading: Mutex<Option<Reading>>,
    outcome: Mutex<Option<Result<u8>>>,
    /// Wakes that were not answered by a poll yet: one may come in the middle of a poll.
    wakes: AtomicUsize,
}

impl AtOnce {
    fn of(reading: Reading) -> Arc<Self> {
        let (reading, wakes) = (Mutex::new(Some(reading)), AtomicUsize::new(0));
        Arc::new(Self { reading, outcome: Mutex::default(), wakes })
    }

    fn poll(self: &Arc<Self>) {
        if self.wakes.fetch_add(1, SeqCst) > 0 {
            // The call that is polling polls again.
            return;
        }
        loop {
            let answered = self.wakes.load(SeqCst);
            self.poll_once();
            if self.wakes.fetch_sub(answered, SeqCst) == answered {
                return;
            }
        }
    }

    fn poll_once(self: &Arc<Self>) {
        let mut reading = lock(&self.reading);
        let waker = Waker::from(Arc::clone(self));
        if let Some(future) = &mut *reading
            && let Poll::Ready(outcome) = future.as_mut().poll(&mut Context::from_waker(&waker))
        {
            *reading = None;
            *lock(&self.outcome) = Some(outcome);
        }
    }
}

impl Wake for AtOnce {
    fn wake(self: Arc<Self>) {
        self.poll();
    }
}

#[test]
fn a_reader_that_is_as_quick_as_the_handshake_is_told_of_the_close() {
    run(async |selector| {
        let configs = Configs::new();
        let server = selector.tcp().bind("127.0.0.1:0").await?.tls(&configs.server)?;
        let plain = selector.tcp().connect(server.local_address()).await?;
        let socket = server.accept().await?;
        let mut input = socket.open_read_channel()?;
        let mut output = socket.open_write_channel()?;
        output.write_str("said before the handshake\n").await?;
        let reading: Reading = Box::pin(async move { input.read_u8().await });
        let reader = AtOnce::of(reading);
        reader.poll();
        assert!(lock(&reader.outcome).is_none(), "the handshake has not begun");
        let client = async {
            // The close begins first.
            settle().await;
            let client = plain.tls(&configs.client).await?;
            let line = client.open_read_channel()?.read_line().await?;
            client.close().await?;
            Result::Ok(line)
        };
        let (closed, line) = zip(socket.close(), client).await;
        closed?;
        assert_eq!(line?.as_deref(), Some("said before the handshake"));
        settle().await;
        let outcome: Option<Result<u8>> = lock(&reader.outcome).take();
        let error: Error = outcome.expect("it is told").expect_err("the socket is closed");
        assert!(error.is_closed(), "{error}");
        Ok(())
    });
}
