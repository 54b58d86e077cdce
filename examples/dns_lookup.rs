//! Shows a small DNS client (RFC 1035): it asks over UDP, and again over TCP if the answer did not fit.
//!
//! Run it with `cargo run -p forebay-examples --example dns_lookup NAME [SERVER:PORT]` (default 127.0.0.53:53, the
//! resolver of systemd).

use std::fmt::Write as _;
use std::io::{Write, stdout};
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use forebay::{Error, SelectorManager};

/// The types of records that are asked for.
const TYPES: [(&str, u16); 2] = [("A", 1), ("AAAA", 28)];
/// A datagram may be lost, so the resolver is asked as often.
const ATTEMPTS: usize = 3;
/// The wait for each answer.
const PATIENCE: Duration = Duration::from_secs(2);

fn main() -> forebay::Result<()> {
    let mut arguments = std::env::args().skip(1);
    let Some(name) = arguments.next() else {
        return Err(Error::other("usage: dns_lookup NAME [SERVER:PORT]"));
    };
    let server = arguments.next().unwrap_or_else(|| "127.0.0.53:53".to_owned());
    let server: SocketAddr = server.parse().map_err(Error::other)?;
    forebay::run(async |selector: SelectorManager| {
        for (label, kind) in TYPES {
            let query = Query::new(&name, kind)?;
            let answer = ask(&selector, server, &query).await?;
            for address in query.addresses(&answer)? {
                writeln!(stdout(), "{name} {label} {address}")?;
            }
        }
        Ok(())
    })
}

/// Asks over UDP, and over TCP if the answer says that it was cut.
async fn ask(
    selector: &SelectorManager,
    server: SocketAddr,
    query: &Query,
) -> forebay::Result<Vec<u8>> {
    // Connected: an answer of another peer is not taken, and that nothing listens there is told at once.
    let socket = selector.udp().connect(server).await?;
    for _ in 0..ATTEMPTS {
        socket.send(&query.message).await?;
        let answer = forebay::within(PATIENCE, async {
            loop {
                let datagram = socket.receive().await?;
                if query.is_answered_by(&datagram.payload) {
                    return forebay::Result::Ok(datagram.payload.to_vec());
                }
            }
        });
        match answer.await {
            None => {}
            Some(Ok(answer)) if is_cut(&answer) => {
                return ask_over_tcp(selector, server, query).await;
            }
            Some(answered) => return answered,
        }
    }
    Err(Error::other(format!("{server} does not answer")))
}

/// Over TCP each message has its length in front (RFC 1035, section 4.2.2).
async fn ask_over_tcp(
    selector: &SelectorManager,
    server: SocketAddr,
    query: &Query,
) -> forebay::Result<Vec<u8>> {
    let mut connection = selector.tcp().connect(server).await?.connection()?;
    let length = u16::try_from(query.message.len()).map_err(Error::other)?;
    connection.output.write_u16(length).await?;
    connection.output.write_all(&query.message).await?;
    let length = connection.input.read_u16().await?;
    let mut answer = vec![0; length.into()];
    connection.input.read_exact(&mut answer).await?;
    if query.is_answered_by(&answer) {
        Ok(answer)
    } else {
        Err(Error::other("this is the answer to another question"))
    }
}

/// A question, as it is sent.
struct Query {
    message: Vec<u8>,
    kind: u16,
}

impl Query {
    fn new(name: &str, kind: u16) -> forebay::Result<Self> {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).map_err(Error::other)?;
        // Any number will do here; a resolver that others may attack takes one that cannot be guessed.
        let id = (now.subsec_nanos() & 0xffff) as u16;
        // Recursion is desired; one question, and nothing else.
        let mut message = [&id.to_be_bytes()[..], &[1, 0, 0, 1, 0, 0, 0, 0, 0, 0]].concat();
        for label in name.trim_end_matches('.').split('.') {
            match u8::try_from(label.len()) {
                Ok(length @ 1..=63) => message.push(length),
                _ => return Err(Error::other(format!("{name}: a label has 1 to 63 bytes"))),
            }
            message.extend_from_slice(label.as_bytes());
        }
        message.push(0);
        message.extend_from_slice(&kind.to_be_bytes());
        // The class of the Internet.
        message.extend_from_slice(&[0, 1]);
        Ok(Self { message, kind })
    }

    /// It has our number, is an answer, and repeats the question.
    fn is_answered_by(&self, answer: &[u8]) -> bool {
        let question = &self.message[HEADER_BYTES..];
        answer.get(..2) == Some(&self.message[..2])
            && answer.get(2).is_some_and(|flags| flags & 0x80 != 0)
            && answer.get(HEADER_BYTES..HEADER_BYTES + question.len()) == Some(question)
    }

    /// The addresses in an answer.
    fn addresses(&self, answer: &[u8]) -> forebay::Result<Vec<String>> {
        let malformed = || Error::other("the answer is malformed");
        match answer[3] & 0xf {
            0 => {}
            3 => return Err(Error::other("there is no such name")),
            code => return Err(Error::other(format!("the resolver fails with code {code}"))),
        }
        let count = u16::from_be_bytes([answer[6], answer[7]]);
        let mut rest = answer.get(self.message.len()..).ok_or_else(malformed)?;
        let mut addresses = Vec::new();
        for _ in 0..count {
            let record = Record::parse(&mut rest).ok_or_else(malformed)?;
            if record.kind == self.kind {
                addresses.push(record.address().ok_or_else(malformed)?);
            }
        }
        Ok(addresses)
    }
}

const HEADER_BYTES: usize = 12;

/// The bit TC of the header.
fn is_cut(answer: &[u8]) -> bool {
    answer[2] & 2 != 0
}

struct Record<'a> {
    kind: u16,
    data: &'a [u8],
}

impl<'a> Record<'a> {
    /// Takes the next record from the front.
    fn parse(rest: &mut &'a [u8]) -> Option<Self> {
        // The name: labels, up to an empty one or a reference to an earlier name.
        loop {
            let (&length, behind) = rest.split_first()?;
            *rest = behind;
            match length {
                0 => break,
                0xc0.. => {
                    *rest = rest.get(1..)?;
                    break;
                }
                _ => *rest = rest.get(length.into()..)?,
            }
        }
        let (fields, behind) = rest.split_first_chunk::<10>()?;
        let length = u16::from_be_bytes([fields[8], fields[9]]);
        let (data, behind) = behind.split_at_checked(length.into())?;
        *rest = behind;
        Some(Self { kind: u16::from_be_bytes([fields[0], fields[1]]), data })
    }

    fn address(&self) -> Option<String> {
        let mut text = String::new();
        match self.data.len() {
            4 => write!(text, "{}", Ipv4Addr::from(<[u8; 4]>::try_from(self.data).ok()?)).ok()?,
            16 => write!(text, "{}", Ipv6Addr::from(<[u8; 16]>::try_from(self.data).ok()?)).ok()?,
            _ => return None,
        }
        Some(text)
    }
}
