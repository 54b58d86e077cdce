//! Requests on many connections, of which each has one answer under way.

use std::io;
use std::net::TcpStream;
use std::os::fd::OwnedFd;
use std::time::{Duration, Instant};

use hdrhistogram::Histogram;
use rustix::buffer::spare_capacity;
use rustix::event::epoll::{self, CreateFlags, EventData, EventFlags};
use rustix::net::{RecvFlags, SendFlags, recv, send};

use super::{SPACE, open, timed};
use crate::server::{Latency, Round, Server};

/// So many connections are looked at between two looks at the clock, at most.
const BATCH: usize = 256;
/// A minute, in nanoseconds.
const LATENCY_MAX: u64 = 60_000_000_000;

pub(super) struct Exchange<'a> {
    request: &'a [u8],
    /// The length of an answer.
    answer: usize,
    epoll: OwnedFd,
    peers: Vec<Peer>,
    /// In nanoseconds.
    latencies: Histogram<u64>,
}

struct Peer {
    stream: TcpStream,
    /// The bytes of its answer that have not come.
    missing: usize,
    asked: Instant,
}

impl<'a> Exchange<'a> {
    /// Opens the connections, and sends a request on each.
    pub(super) fn open(
        connections: usize,
        server: &Server,
        request: &'a [u8],
        answer: usize,
    ) -> io::Result<Self> {
        let epoll = epoll::create(CreateFlags::CLOEXEC)?;
        let latencies = Histogram::new_with_max(LATENCY_MAX, 3).map_err(io::Error::other)?;
        let mut exchange = Self { request, answer, epoll, peers: Vec::new(), latencies };
        for index in 0..connections {
            let stream = open(index, server.port())?;
            epoll::add(&exchange.epoll, &stream, EventData::new_u64(index as u64), EventFlags::IN)?;
            exchange.peers.push(Peer { stream, missing: answer, asked: Instant::now() });
        }
        for peer in &mut exchange.peers {
            peer.ask(request, Instant::now())?;
        }
        Ok(exchange)
    }

    /// Measures a slice of time, behind one that is not measured. A request has so many units.
    pub(super) fn run(
        &mut self,
        server: &Server,
        slice: Duration,
        units: u64,
    ) -> io::Result<Round> {
        self.go_on(Instant::now() + slice / 8)?;
        self.latencies.reset();
        let round = timed(server, slice, |until| Ok(self.go_on(until)? * units))?;
        let at = |quantile| Duration::from_nanos(self.latencies.value_at_quantile(quantile));
        Ok(Round { latency: Some(Latency { median: at(0.5), high: at(0.99) }), ..round })
    }

    /// Sends a request for each answer, until the time is over. Returns how many answers have come.
    fn go_on(&mut self, until: Instant) -> io::Result<u64> {
        let mut events = Vec::with_capacity(BATCH);
        let mut space = vec![0; SPACE];
        let mut answers = 0;
        loop {
            events.clear();
            epoll::wait(&self.epoll, spare_capacity(&mut events), None)?;
            let now = Instant::now();
            if now >= until {
                return Ok(answers);
            }
            for event in &events {
                let Some(peer) = self.peers.get_mut(event.data.u64() as usize) else { continue };
                let (count, _) = recv(&peer.stream, &mut *space, RecvFlags::empty())?;
                match peer.missing.checked_sub(count) {
                    _ if count == 0 => return Err(io::Error::other("the server has ended")),
                    None => return Err(io::Error::other("an answer is too long")),
                    Some(0) => {
                        answers += 1;
                        self.latencies.saturating_record((now - peer.asked).as_nanos() as u64);
                        peer.missing = self.answer;
                        peer.ask(self.request, now)?;
                    }
                    Some(missing) => peer.missing = missing,
                }
            }
        }
    }
}

impl Peer {
    /// Sends a request whole: the system has room for it, because there is none before it.
    fn ask(&mut self, request: &[u8], now: Instant) -> io::Result<()> {
        self.asked = now;
        let sent = send(&self.stream, request, SendFlags::NOSIGNAL)?;
        if sent < request.len() {
            return Err(io::Error::other("half a request was sent"));
        }
        Ok(())
    }
}
