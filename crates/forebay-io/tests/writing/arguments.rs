//! The arguments of `write_fmt!` and `write_line!` are evaluated and formatted at once, before the channel
//! is borrowed; the item is written when the future is polled.

use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::thread;

use allocation_counter::measure;
use forebay_io::{ByteReadChannel, ByteWriteChannel, Error, Result, pipe, write_fmt, write_line};
use forebay_testing::{KIB, at_once, channels::Recorder, poll_once};

struct Session {
    input: ByteReadChannel,
    output: ByteWriteChannel,
    names: Vec<String>,
    asked: usize,
}

impl Session {
    fn name(&self) -> Result<&str> {
        Ok(self.names.first().ok_or_else(|| Error::other("no name"))?)
    }

    fn next(&mut self) -> usize {
        self.asked += 1;
        self.asked
    }

    async fn greet(&mut self) -> Result<()> {
        write_line!(self.output, "{}", self.name()?).await?;
        write_line!(self.output, "{} of {}", self.next(), self.output.queued()).await?;
        write_fmt!(self.output, "{:?} {}\n", self.input.read_line().await?, self.name()?).await?;
        let output = &mut self.output;
        write_line!(output, "{}{}", self.names[0], self.input.read_u8().await?).await
    }
}

fn session() -> (Session, ByteWriteChannel, ByteReadChannel) {
    let ((input, to), (from, output)) = (pipe(KIB), pipe(KIB));
    (Session { input, output, names: vec!["Ada".to_owned()], asked: 0 }, to, from)
}

#[test]
fn arguments_may_wait_and_fail_and_use_the_owner_of_the_channel() {
    fn is_send<T: Send>(value: T) -> T {
        value
    }
    let (mut session, mut to, mut from) = session();
    at_once(to.write_str("hello\n\x07")).expect("room");
    at_once(is_send(session.greet())).expect("all is there");
    for expected in ["Ada", "1 of 0", "Some(\"hello\") Ada", "Ada7"] {
        assert_eq!(at_once(from.read_line()).expect("a line").as_deref(), Some(expected));
    }
    session.names.clear();
    let error = at_once(session.greet()).expect_err("there is no name any more");
    assert!(error.to_string().contains("no name"), "{error}");
    assert_eq!(session.output.queued(), 0, "and nothing of the line");
}

/// A write begins behind the wait of its argument: what others write meanwhile comes first.
#[test]
fn an_argument_that_waits_holds_up_nothing() {
    let ((mut input, mut to), (mut from, mut output)) = (pipe(KIB), pipe(KIB));
    {
        let mut waiting = Box::pin(async {
            write_line!(output, "first").await?;
            write_line!(output, "{}", input.read_u8().await?).await
        });
        assert!(poll_once(waiting.as_mut()).is_pending());
        assert_eq!(at_once(from.read_line()).expect("a line").as_deref(), Some("first"));
        at_once(to.write_u8(7)).expect("room");
        at_once(waiting).expect("the argument is there");
    }
    assert_eq!(at_once(from.read_line()).expect("a line").as_deref(), Some("7"));
}

/// The item holds the arguments as they were when the macro was evaluated.
#[test]
fn an_item_survives_others_on_its_thread_and_a_move_to_another() {
    let [(mut from1, mut to1), (mut from2, mut to2), (mut from3, mut to3)] =
        [(); 3].map(|()| pipe(KIB));
    let first = write_line!(to1, "first {}", 1);
    let second = write_line!(to2, "second {}", 2);
    at_once(write_line!(to3, "third {}", 3)).expect("room");
    thread::scope(|scope| {
        scope.spawn(move || {
            at_once(write_line!(to3, "of the other thread")).expect("room");
            at_once(first).expect("room");
        });
    });
    at_once(second).expect("room");
    for (from, expected) in
        [(&mut from1, "first 1"), (&mut from2, "second 2"), (&mut from3, "third 3")]
    {
        assert_eq!(at_once(from.read_line()).expect("a line").as_deref(), Some(expected));
    }
}

#[test]
fn a_future_that_is_never_polled_writes_nothing_and_gives_the_scratch_back() {
    let peer = Recorder::new();
    let (mut output, turns) = peer.channel();
    let mut once = || drop(write_line!(output, "{:>100}", 1));
    once();
    let counted = measure(|| (0..100).for_each(|_| once()));
    assert_eq!(counted.count_total, 0, "{counted:?}");
    assert_eq!(output.queued(), 0);
    at_once(write_line!(output, "written")).expect("room");
    turns.end();
    assert_eq!(peer.sent(), b"written\n");
}

struct Panics;

impl fmt::Display for Panics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("half of i")?;
        panic!("a Display");
    }
}

/// A panic comes before there is a future, and takes nothing with it.
#[test]
fn a_display_that_panics_gives_the_scratch_back() {
    let (mut input, mut output) = pipe(KIB);
    at_once(write_line!(output, "{:>100}", 1)).expect("room");
    at_once(input.read_line_ref()).expect("a line");
    let panicked = catch_unwind(AssertUnwindSafe(|| {
        let _never_polled = write_line!(output, "before {Panics} behind");
    }));
    assert!(panicked.is_err());
    let counted = measure(|| {
        at_once(write_line!(output, "{:>100}", 2)).expect("room");
        at_once(input.read_line_ref()).expect("a line");
    });
    assert_eq!(counted.count_total, 0, "{counted:?}");
}

/// As in the call of a method, a channel that is made in the statement lives as long.
#[test]
fn the_channel_may_be_a_temporary_value() {
    let (mut from, to) = pipe(KIB);
    let mut slot = Some(to);
    at_once(async { write_line!(slot.take().expect("there"), "{}", 1).await }).expect("room");
    assert_eq!(at_once(from.read_line()).expect("a line").as_deref(), Some("1"));
    assert_eq!(at_once(from.read_line()).expect("the end").as_deref(), None);
}
