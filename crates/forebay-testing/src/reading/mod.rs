//! Reads of a channel, compared with an oracle that holds the whole input: whatever the pieces in which it arrives, and
//! at whichever poll a call is dropped and made again.
//!
//! A case is a sequence of bytes: a head that chooses the options, the pieces and the calls, and the input. So a fuzzer
//! and a property test make them, and a file holds one.

mod delimiters;
mod lines;
mod oracle;

use forebay_io::{ByteReadChannel, Result};

pub use self::delimiters::delimiters;
pub use self::lines::lines;
use self::oracle::{Answer, Oracle, broken};
use crate::channels::{Script, Step};
use crate::{Random, cut_after, finish};

/// The bytes at the front of a case, each of them zero if there are no more.
struct Head<'a>(&'a [u8]);

impl Head<'_> {
    fn byte(&mut self) -> u8 {
        let Some((first, rest)) = self.0.split_first() else { return 0 };
        self.0 = rest;
        *first
    }

    /// Returns a number below this one.
    fn below(&mut self, limit: usize) -> usize {
        usize::from(self.byte()) % limit
    }

    fn is_set(&mut self) -> bool {
        self.byte() & 1 == 1
    }
}

/// A channel, the oracle beside it, and what decides about the next call.
struct Run {
    channel: ByteReadChannel,
    oracle: Oracle,
    random: Random,
}

impl Run {
    fn new(mut head: Head<'_>, input: impl FnOnce(Head<'_>) -> Vec<u8>) -> Self {
        let is_broken = head.is_set();
        let seed = u64::from_be_bytes([0; 8].map(|_: u8| head.byte()));
        let mut random = Random::new(seed, 0);
        let input = input(head);
        let (_, channel) = Script::new(steps(&input, is_broken, &mut random));
        Self { channel, oracle: Oracle::new(input, is_broken), random }
    }

    /// Returns at which poll the next call is dropped first, if it is.
    fn polls(&mut self) -> Option<usize> {
        (self.random.below(4) == 0).then(|| self.random.below(5))
    }

    /// Checks that the channel is where the oracle is. The LF behind a CR may not have arrived yet.
    fn assert_same_place(&self) {
        let (counted, at) = (self.channel.counted(), self.oracle.at as u64);
        let lf_is_to_come = counted + 1 == at && self.oracle.input[self.oracle.at - 1] == b'\n';
        assert!(counted == at || lf_is_to_come, "at {counted} instead of {at}");
    }
}

/// The pieces in which the input arrives, with a wait in front of most, and the end or an error behind the last.
fn steps(input: &[u8], is_broken: bool, random: &mut Random) -> Vec<Step> {
    let mut steps = Vec::new();
    let mut rest = input;
    let longest = [1, 2, 5, input.len() + 1][random.below(4)];
    while !rest.is_empty() {
        let (piece, later) = rest.split_at(rest.len().min(1 + random.below(longest)));
        rest = later;
        if random.below(3) > 0 {
            steps.push(Step::Pause);
        }
        steps.push(Step::Bytes(piece.to_vec()));
    }
    steps.push(Step::Pause);
    steps.push(if is_broken { Step::Broken(broken()) } else { Step::End });
    steps
}

fn kinds<T>(answer: Result<T>) -> Answer<T> {
    answer.map_err(|error| error.kind())
}

/// Makes a call, which is first dropped at that poll. What it answers until then is its answer.
macro_rules! answer {
    ($polls:expr, $call:expr) => {{
        let early = match $polls {
            Some(polls) => cut_after(polls, $call),
            None => None,
        };
        kinds(match early {
            Some(early) => early,
            None => finish($call),
        })
    }};
}
use answer;

impl Run {
    /// Makes a call that neither knows lines nor delimiters.
    fn call_for_bytes(&mut self) {
        let polls = self.polls();
        let count = self.random.below(5);
        let Self { channel, oracle, random } = self;
        match random.below(12) {
            0 => {
                let byte = answer!(polls, channel.read_u8());
                assert_eq!(byte.map(|byte| vec![byte]), oracle.exact(1));
            }
            1 => {
                let packet = answer!(polls, channel.read_packet(count));
                assert_eq!(packet.map(|packet| packet.as_slice().to_vec()), oracle.exact(count));
            }
            2 => {
                let mut slice = vec![0; count];
                let filled = answer!(polls, channel.read_exact(&mut slice));
                assert_eq!(filled.map(|()| slice), oracle.exact(count));
            }
            3 => {
                let packet = answer!(polls, channel.read_up_to(count));
                assert_eq!(packet.map(|packet| packet.as_slice().to_vec()), oracle.up_to(count));
            }
            4 | 5 => {
                // What a dropped call has looked at cannot be kept, so it is made twice.
                if let Some(polls) = polls {
                    drop(cut_after(polls, channel.peek(count)));
                }
                let bytes =
                    kinds(finish(channel.peek(count))).map(|bytes| bytes.map(<[u8]>::to_vec));
                assert_eq!(bytes, oracle.peek(count));
            }
            6 => {
                let is_there = answer!(polls, channel.await_content(count));
                assert_eq!(is_there, oracle.peek(count).map(|bytes| bytes.is_some()));
            }
            7 => {
                let is_over = answer!(polls, channel.exhausted());
                assert_eq!(is_over, oracle.peek(1).map(|bytes| bytes.is_none()));
            }
            8 => {
                let discarded = kinds(finish(channel.discard(count as u64)));
                assert_eq!(discarded, oracle.discard(count).map(|count| count as u64));
            }
            9 => {
                let discarded = kinds(finish(channel.discard_exact(count as u64)));
                assert_eq!(discarded, oracle.discard_exact(count));
            }
            10 => {
                let mut expected = oracle.rest()[..count.min(oracle.rest().len())].to_vec();
                if let (Some(last), 0) = (expected.last_mut(), random.below(3)) {
                    *last ^= 1;
                }
                let is_found = answer!(polls, channel.skip_if_found(&expected));
                assert_eq!(is_found, oracle.skip_if_found(&expected));
            }
            _ => {
                let mut slice = vec![0; count];
                let read = kinds(channel.try_read(&mut slice));
                oracle.took_some(read, &slice);
            }
        }
    }

    /// Reads what is left, and checks that it is all.
    fn finish(mut self) {
        let rest = kinds(finish(self.channel.read_remaining(usize::MAX - 1)));
        let rest = rest.map(|packet| packet.as_slice().to_vec());
        assert_eq!(rest, self.oracle.remaining());
    }
}
