//! Framings against a naive oracle, which sees the whole stream at once.

use forebay_io::{
    ByteReadChannel, DelimiterFraming, ErrorKind, Framing, LengthFraming, LineFraming,
};

use super::decoder::Decoder;
use crate::channels::{Script, Step, hiccup};
use crate::{at_once, cut_after, finish};

/// A framing, a stream, and the way in which it arrives and is read.
#[derive(Debug, Clone)]
pub struct FrameCase {
    pub kind: FramingKind,
    pub limit: usize,
    pub parts: Vec<FramePart>,
    /// The sizes of the pieces in which the stream arrives, to be used cyclically.
    pub splits: Vec<usize>,
    /// The polls after which a call is dropped.
    pub polls: usize,
}

#[derive(Debug, Clone)]
pub enum FramingKind {
    Length { width: usize, little: bool },
    Varint,
    Mark { mark: Vec<u8>, rest: bool },
    Line { crlf: bool },
}

/// One piece of a stream: a frame that the framing writes, or noise.
#[derive(Debug, Clone)]
pub enum FramePart {
    Body(Vec<Vec<u8>>),
    Noise(Vec<u8>),
}

impl FrameCase {
    /// Makes a case of any bytes.
    pub fn from_bytes(bytes: &[u8]) -> Self {
        let mut bytes = Decoder::new(bytes);
        let kind = match bytes.below(4) {
            0 => {
                let width = [1, 2, 4][bytes.below(3)];
                FramingKind::Length { width, little: bytes.below(2) == 1 }
            }
            1 => FramingKind::Varint,
            2 => {
                let mark = bytes.piece(1, 4);
                FramingKind::Mark { mark, rest: bytes.below(2) == 1 }
            }
            _ => FramingKind::Line { crlf: bytes.below(2) == 1 },
        };
        let limit = bytes.below(70);
        let polls = 1 + bytes.below(3);
        let splits = (0..=bytes.below(4)).map(|_| 1 + bytes.below(20)).collect();
        let mut parts = Vec::new();
        while parts.len() < 10 && !bytes.is_empty() {
            parts.push(match bytes.below(4) {
                0 => FramePart::Noise(bytes.piece(0, 40)),
                pieces => FramePart::Body((1..pieces).map(|_| bytes.piece(0, 40)).collect()),
            });
        }
        Self { kind, limit, parts, splits, polls }
    }

    /// Reads all frames of the stream, and holds each answer against the oracle.
    #[track_caller]
    pub fn check(&self) {
        check(&self.kind, self.limit, &self.parts, &self.splits, self.polls);
    }
}

/// Makes the framing that is put to the test.
fn ours(kind: &FramingKind, limit: usize) -> Box<dyn Framing> {
    match kind {
        FramingKind::Length { width, little } => {
            let framing = match width {
                1 => LengthFraming::u8(),
                2 => LengthFraming::u16(),
                _ => LengthFraming::u32(),
            };
            let framing = if *little { framing.little_endian() } else { framing };
            Box::new(framing.limit(limit))
        }
        FramingKind::Varint => Box::new(LengthFraming::varint().limit(limit)),
        FramingKind::Mark { mark, rest } => {
            let framing = DelimiterFraming::new(mark).limit(limit);
            Box::new(if *rest { framing.rest_at_end() } else { framing })
        }
        FramingKind::Line { crlf } => {
            let framing = LineFraming::new().limit(limit);
            Box::new(if *crlf { framing.crlf() } else { framing })
        }
    }
}

/// The oracle's answer to what stands at the front of a stream that has ended.
#[derive(Debug, PartialEq, Eq)]
enum FrameTruth {
    Frame { content: Vec<u8>, consumed: usize },
    End,
    Short,
    TooLarge,
}

fn frame(content: &[u8], consumed: usize) -> FrameTruth {
    FrameTruth::Frame { content: content.to_vec(), consumed }
}

/// The largest content that a length of so many bytes can tell.
fn narrowed(limit: usize, width: usize) -> usize {
    match width {
        1 => limit.min(0xff),
        2 => limit.min(0xffff),
        _ => limit,
    }
}

fn truth(kind: &FramingKind, limit: usize, stream: &[u8]) -> FrameTruth {
    if stream.is_empty() {
        return FrameTruth::End;
    }
    match kind {
        FramingKind::Length { width, little } => {
            let Some(header) = stream.get(..*width) else { return FrameTruth::Short };
            let mut header = header.to_vec();
            if *little {
                header.reverse();
            }
            let length = header.iter().fold(0_u128, |sum, byte| sum * 256 + u128::from(*byte));
            by_length(length, *width, narrowed(limit, *width), stream)
        }
        FramingKind::Varint => {
            let Some(last) = stream.iter().take(10).position(|byte| byte & 0x80 == 0) else {
                return if stream.len() < 10 { FrameTruth::Short } else { FrameTruth::TooLarge };
            };
            let bits = stream[..=last].iter().rev();
            let length = bits.fold(0_u128, |sum, byte| sum * 128 + u128::from(byte & 0x7f));
            by_length(length, last + 1, limit, stream)
        }
        FramingKind::Mark { mark, rest } => {
            let at = (0..stream.len()).find(|at| stream[*at..].starts_with(mark));
            match at {
                Some(at) if at <= limit => frame(&stream[..at], at + mark.len()),
                None if !rest && stream.len() < limit + mark.len() => FrameTruth::Short,
                None if *rest && stream.len() <= limit => frame(stream, stream.len()),
                _ => FrameTruth::TooLarge,
            }
        }
        FramingKind::Line { .. } => {
            let end = stream.iter().position(|byte| *byte == b'\n');
            let (content, consumed) = match end {
                Some(at) => (stream[..at].strip_suffix(b"\r").unwrap_or(&stream[..at]), at + 1),
                None => (stream, stream.len()),
            };
            if content.len() <= limit { frame(content, consumed) } else { FrameTruth::TooLarge }
        }
    }
}

fn by_length(length: u128, header: usize, limit: usize, stream: &[u8]) -> FrameTruth {
    let Some(length) = usize::try_from(length).ok().filter(|length| *length <= limit) else {
        return FrameTruth::TooLarge;
    };
    match stream.get(header..header + length) {
        Some(content) => frame(content, header + length),
        None => FrameTruth::Short,
    }
}

/// Builds the stream by `write_frame`, and holds what it refuses against the oracle.
fn stream_of(kind: &FramingKind, limit: usize, parts: &[FramePart]) -> Vec<u8> {
    let mut stream = Vec::new();
    let framing = ours(kind, limit);
    for part in parts {
        match part {
            FramePart::Noise(noise) => stream.extend(noise),
            FramePart::Body(pieces) => {
                let (mut input, mut output) = forebay_io::pipe(1 << 16);
                let pieces: Vec<_> = pieces.iter().map(Vec::as_slice).collect();
                let written = at_once(output.write_frame(&*framing, &pieces));
                drop(output);
                let bytes = finish(input.read_remaining(1 << 16)).expect("a clean end");
                let body = pieces.concat();
                let read_back = truth(kind, limit, bytes.as_slice());
                match written {
                    Ok(()) => {
                        assert_eq!(read_back, frame(&body, bytes.len()), "it reads otherwise");
                    }
                    Err(error) => {
                        assert!(bytes.is_empty(), "a part of it was written");
                        assert_refused(kind, limit, &body, error.kind());
                    }
                }
                stream.extend(bytes.as_slice());
            }
        }
    }
    stream
}

/// A body that cannot be written is above the limit, or would be read otherwise.
fn assert_refused(kind: &FramingKind, limit: usize, body: &[u8], refusal: ErrorKind) {
    let limit =
        if let FramingKind::Length { width, .. } = kind { narrowed(limit, *width) } else { limit };
    if body.len() > limit {
        return assert_eq!(refusal, ErrorKind::LimitExceeded { limit: limit as u64 });
    }
    assert_eq!(refusal, ErrorKind::InvalidInput);
    let mut written = body.to_vec();
    match kind {
        FramingKind::Mark { mark, .. } => written.extend(mark),
        FramingKind::Line { crlf } => written.extend(if *crlf { &b"\r\n"[..] } else { b"\n" }),
        FramingKind::Length { .. } | FramingKind::Varint => panic!("a length holds any body"),
    }
    assert_ne!(truth(kind, limit, &written), frame(body, written.len()), "it could be written");
}

/// The stream in pieces, each after a wait, with an error that passes in the middle.
fn in_pieces(stream: &[u8], splits: &[usize]) -> ByteReadChannel {
    let mut steps = Vec::new();
    let mut rest = stream;
    for (number, split) in splits.iter().cycle().enumerate() {
        let (piece, later) = rest.split_at(rest.len().min(*split));
        if number == 1 {
            steps.push(Step::Fail(hiccup()));
        }
        steps.extend([Step::Idle, Step::Bytes(piece.to_vec())]);
        rest = later;
        if rest.is_empty() {
            break;
        }
    }
    steps.push(Step::End);
    steps.retain(|step| !matches!(step, Step::Bytes(bytes) if bytes.is_empty()));
    Script::new(steps).1
}

/// Reads all frames of the stream, and holds each answer against the oracle.
fn check(kind: &FramingKind, limit: usize, parts: &[FramePart], splits: &[usize], polls: usize) {
    let stream = stream_of(kind, limit, parts);
    let mut rest = &stream[..];
    let framing = ours(kind, limit);
    let mut input = in_pieces(&stream, splits);
    loop {
        let answer = loop {
            match cut_after(polls, input.read_frame(&*framing)) {
                Some(Err(error)) if error.is_timeout() => {}
                Some(answer) => break answer,
                // Dropped: what was found so far stays.
                None => {}
            }
        };
        match (truth(kind, limit, rest), answer) {
            (FrameTruth::Frame { content, consumed }, Ok(Some(frame))) => {
                assert_eq!(frame.as_slice(), content);
                rest = &rest[consumed..];
            }
            (FrameTruth::End, Ok(None)) => return,
            (FrameTruth::Short, Err(error)) => {
                assert!(error.is_end(), "{error}");
                assert!(error.kind().to_string().contains(&format!("after {} of", rest.len())));
                break;
            }
            (FrameTruth::TooLarge, Err(error)) => {
                let limit = match kind {
                    FramingKind::Length { width, .. } => narrowed(limit, *width),
                    _ => limit,
                };
                assert_eq!(error.kind(), ErrorKind::LimitExceeded { limit: limit as u64 });
                break;
            }
            (expected, answer) => panic!("{expected:?}, and not {answer:?}"),
        }
    }
    // After an error everything is still there, and the error is the same again.
    finish(input.read_frame(&*framing)).expect_err("the same again");
    let left = loop {
        match finish(input.read_remaining(stream.len())) {
            Ok(left) => break left,
            Err(error) => assert!(error.is_timeout(), "{error}"),
        }
    };
    assert_eq!(left.as_slice(), rest);
}
