//! A channel may be used by a destructor that runs while its thread's locals are going: a panic
//! there would abort the process.

use std::cell::RefCell;
use std::sync::mpsc;
use std::thread;

use bytes::Bytes;
use forebay_io::{ByteReadChannel, ByteWriteChannel, pipe, write_line};
use forebay_testing::{KIB, at_once, scrambled};

/// Writes and reads when its thread ends.
struct Farewell {
    input: ByteReadChannel,
    output: ByteWriteChannel,
    said: mpsc::Sender<String>,
}

impl Drop for Farewell {
    fn drop(&mut self) {
        at_once(self.output.write_str("good")).expect("room");
        at_once(write_line!(self.output, "bye {}", 1)).expect("room");
        at_once(self.output.write_bytes(Bytes::from(scrambled(40 * KIB, 0)))).expect("room");
        at_once(self.output.flush()).expect("room");
        let line = at_once(self.input.read_line()).expect("a line").expect("not the end");
        at_once(self.input.read_packet(40 * KIB)).expect("they are there");
        at_once(self.output.finish()).expect("a clean end");
        self.said.send(line).expect("the test waits");
    }
}

thread_local! {
    static FAREWELL: RefCell<Option<Farewell>> = const { RefCell::new(None) };
}

#[test]
fn a_channel_outlives_the_locals_of_its_thread() {
    let (said, is_said) = mpsc::channel();
    let thread = thread::spawn(move || {
        // Made before the library's own locals, so it is dropped after them.
        FAREWELL.with(|farewell| {
            let (input, output) = pipe(64 * KIB);
            *farewell.borrow_mut() = Some(Farewell { input, output, said });
        });
        let (mut input, mut output) = pipe(KIB);
        at_once(write_line!(output, "the locals are made")).expect("room");
        at_once(input.read_line()).expect("a line");
    });
    thread.join().expect("no panic");
    assert_eq!(is_said.recv().expect("it said so"), "goodbye 1");
}
