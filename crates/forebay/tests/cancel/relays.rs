//! Relays: each byte is either still in the connection that it comes from or accepted by the other.

use std::future::poll_fn;
use std::pin::Pin;
use std::task::Poll;

use forebay::{Connection, Result, relay};
use forebay_testing::Transport;
use futures_lite::future::zip;

use crate::outgoing::pattern;
use crate::support::{Alarm, Driven, Trial, World, assert_same, turn};
use crate::table::{Row, Scene, Word};

/// Enough for the relay to move it within the kernel.
const BULK_BYTES: usize = 400 * 1024;

pub(crate) fn rows() -> Vec<Row> {
    let mut scenes = Vec::new();
    for (front, back, bytes) in [
        (Transport::Memory, Transport::Memory, 10),
        (Transport::Tcp, Transport::Tcp, 10),
        (Transport::Tcp, Transport::Tcp, BULK_BYTES),
        (Transport::Unix, Transport::Tls, BULK_BYTES),
    ] {
        // Few bytes may go both ways while the relay waits once.
        let waits_min = if bytes == BULK_BYTES { 2 } else { 1 };
        let name = format!("{bytes} bytes, {front} to {back}");
        scenes.push(Scene::new(name, waits_min, move |trial| {
            trial.on_a_selector(async |selector| {
                let (client, near) = front.pair(&selector).await.unwrap();
                let (server, far) = back.pair(&selector).await.unwrap();
                attempt((client, server), (near, far), bytes, trial).await;
            });
        }));
    }
    vec![Row { path: "forebay::relay", words: &[Word::Resumes], scenes }]
}

async fn attempt(
    (mut client, mut server): (Connection, Connection),
    (mut near, mut far): (Connection, Connection),
    bytes: usize,
    trial: &Trial,
) {
    let (up, down) = (pattern(0, bytes), pattern(7, bytes + 1));
    let mut world = Peers::new(async {
        let asks = exchange(&mut client, up, down.len());
        let answers = exchange(&mut server, down, up.len());
        let (received, given) = zip(asks, answers).await;
        assert_same(&received.unwrap(), down, "what the client received");
        assert_same(&given.unwrap(), up, "what the server received");
    });
    let driven = trial.drive(Box::pin(relay(&mut near, &mut far)), &mut world).await;
    match driven {
        Driven::Ready(passed) => {
            assert_eq!(passed.unwrap(), (up.len() as u64, down.len() as u64));
        }
        Driven::Cut => {
            trial.complete(Box::pin(relay(&mut near, &mut far)), &mut world).await.unwrap();
        }
    }
    world.end().await;
}

/// Sends these bytes and the end, and receives as many and the end at the same time.
async fn exchange(connection: &mut Connection, bytes: &[u8], count: usize) -> Result<Vec<u8>> {
    let (input, output) = (&mut connection.input, &mut connection.output);
    let all = async {
        output.write_all(bytes).await?;
        output.finish().await
    };
    let (sent, received) = zip(all, input.read_remaining(count + 1)).await;
    sent?;
    received.map(|packet| packet.as_slice().to_vec())
}

/// The peers, which move on in turns until what is waited for has come.
struct Peers<'a> {
    talk: Option<Pin<Box<dyn Future<Output = ()> + 'a>>>,
}

impl<'a> Peers<'a> {
    fn new(talk: impl Future<Output = ()> + 'a) -> Self {
        Self { talk: Some(Box::pin(talk)) }
    }

    async fn move_on(&mut self) {
        if let Some(talk) = &mut self.talk
            && poll_fn(|cx| Poll::Ready(talk.as_mut().poll(cx))).await.is_ready()
        {
            self.talk = None;
        }
    }

    async fn end(mut self) {
        while self.talk.is_some() {
            self.move_on().await;
            turn().await;
        }
    }
}

impl World for Peers<'_> {
    async fn step(&mut self, alarm: &Alarm) {
        while !alarm.rang() {
            self.move_on().await;
            turn().await;
        }
    }
}
