//! The state of a TCP connection, as the system sees it.

use std::fmt;
use std::time::Duration;

use forebay_io::{Error, ErrorKind, Result};

use super::Socket;
use super::link::Link;
use crate::net::descriptor::unanswered;
use crate::net::protocol::Protocol;
use crate::net::system::{self, TCP_INFO_WORDS};

/// The state of a TCP connection, as the system saw it at one moment (`TCP_INFO`, `tcp(7)`).
///
/// What a kernel does not tell yet is `None`. On a connection of multipath TCP all of it concerns the first path.
#[derive(Clone)]
pub struct TcpInfo {
    words: [u32; TCP_INFO_WORDS],
    /// The number of words that the system has.
    known: usize,
}

impl TcpInfo {
    /// Returns the smoothed time from a segment to its acknowledgement (RFC 6298). Zero: none was measured yet.
    #[doc(alias = "round_trip_time")]
    pub fn rtt(&self) -> Duration {
        Duration::from_micros(self.words[17].into())
    }

    /// Returns how much that time varies (RFC 6298).
    pub fn rtt_variance(&self) -> Duration {
        Duration::from_micros(self.words[18].into())
    }

    /// Returns the shortest such time of the last minutes. Since Linux 4.6.
    pub fn rtt_min(&self) -> Option<Duration> {
        self.word(37)
            .filter(|micros| *micros != u32::MAX)
            .map(|it| Duration::from_micros(it.into()))
    }

    /// Returns how long a segment may stay unacknowledged before it is sent again (RFC 6298).
    pub fn retransmission_timeout(&self) -> Duration {
        Duration::from_micros(self.words[2].into())
    }

    /// Returns how many segments were sent again since the beginning.
    pub fn retransmits(&self) -> u32 {
        self.words[25]
    }

    /// Returns how many segments were sent and are not acknowledged; the end mark counts as one.
    pub fn unacknowledged(&self) -> u32 {
        self.words[6]
    }

    /// Returns how many of them the system takes for lost.
    pub fn lost(&self) -> u32 {
        self.words[8]
    }

    /// Returns how many segments may be on their way at a time (RFC 5681).
    pub fn congestion_window(&self) -> u32 {
        self.words[20]
    }

    /// Returns the most bytes that a segment to the peer carries.
    #[doc(alias = "mss")]
    pub fn segment_size(&self) -> u32 {
        self.words[4]
    }

    /// Returns the most bytes that a packet to the peer has, with its headers.
    pub fn path_mtu(&self) -> u32 {
        self.words[15]
    }

    /// Returns how many bytes the peer has acknowledged since the beginning; SYN and end mark may count as one each.
    /// Since Linux 4.1.
    pub fn bytes_acknowledged(&self) -> Option<u64> {
        self.double(30)
    }

    /// Returns how many bytes were received since the beginning; the end mark counts as one. Since Linux 4.1.
    pub fn bytes_received(&self) -> Option<u64> {
        self.double(32)
    }

    /// Returns how many bytes wait in the system and were not sent. Since Linux 4.6.
    pub fn unsent_bytes(&self) -> Option<u32> {
        self.word(36)
    }

    /// Returns the bytes in a second that the peer has acknowledged lately. Since Linux 4.9.
    pub fn delivery_rate(&self) -> Option<u64> {
        self.double(40)
    }

    /// Returns how many bytes were sent since the beginning, those that were sent again included. Since Linux 4.19.
    pub fn bytes_sent(&self) -> Option<u64> {
        self.double(50)
    }

    /// Returns how many bytes were sent again. Since Linux 4.19.
    pub fn bytes_retransmitted(&self) -> Option<u64> {
        self.double(52)
    }

    /// Returns `true` if bytes have travelled with the SYN and were taken
    /// ([`fast_open`](crate::TcpBuilder::fast_open)).
    pub fn is_fast_open(&self) -> bool {
        /// `TCPI_OPT_SYN_DATA`.
        const SYN_DATA: u8 = 32;
        // The sixth of the bytes that begin the struct.
        self.words[1].to_ne_bytes()[1] & SYN_DATA != 0
    }

    fn word(&self, at: usize) -> Option<u32> {
        self.words[..self.known].get(at).copied()
    }

    fn double(&self, at: usize) -> Option<u64> {
        Some(system::joined([self.word(at)?, self.word(at + 1)?]))
    }
}

impl fmt::Debug for TcpInfo {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TcpInfo")
            .field("rtt", &self.rtt())
            .field("rtt_variance", &self.rtt_variance())
            .field("retransmits", &self.retransmits())
            .field("unacknowledged", &self.unacknowledged())
            .field("congestion_window", &self.congestion_window())
            .field("unsent_bytes", &self.unsent_bytes())
            .finish_non_exhaustive()
    }
}

impl Socket {
    /// Returns the state of the connection as the system sees it: round-trip time, losses, what is on its way.
    ///
    /// # Errors
    ///
    /// [`Unsupported`](ErrorKind::Unsupported): this is no TCP connection, or the system does not tell;
    /// [`Closed`](ErrorKind::Closed): it was closed on this side, or its selector was.
    ///
    /// # Platform
    ///
    /// Linux and Android.
    ///
    /// # Examples
    ///
    /// ```
    /// # #[cfg(target_os = "linux")]
    /// forebay::run(async |selector| {
    ///     let server = selector.tcp().bind("127.0.0.1:0").await?;
    ///     let socket = selector.tcp().connect(server.local_address()).await?;
    ///     let info = socket.tcp_info()?;
    ///     println!("{:?} there and back, {} segments sent again", info.rtt(), info.retransmits());
    ///     assert!(info.congestion_window() > 0);
    ///     forebay::Result::Ok(())
    /// })?;
    /// # forebay::Result::Ok(())
    /// ```
    #[doc(alias = "TCP_INFO")]
    pub fn tcp_info(&self) -> Result<TcpInfo> {
        let core = self.0.core();
        let asked = match core.link() {
            Link::Kernel(stream) if stream.protocol == Protocol::Tcp => {
                stream.io.call(system::tcp_info)
            }
            _ => {
                let error = Error::new(ErrorKind::Unsupported, "tcp_info");
                return Err(core.named(error.with_detail("only a TCP connection has it")));
            }
        };
        let named = |error| core.named(unanswered("tcp_info", error));
        asked.map(|(words, known)| TcpInfo { words, known }).map_err(named)
    }
}
