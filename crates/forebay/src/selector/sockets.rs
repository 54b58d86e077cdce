//! The state that all sockets of a selector share.

use forebay_io::seam::{ReadLimits, WriteLimits};

use super::bounded::Bounded;
use super::freed::Freed;
use super::settings::Settings;
use super::stats::Counters;

/// Shared by all sockets of a selector.
#[derive(Debug)]
pub(crate) struct Sockets {
    pub(crate) counters: Counters,
    pub(crate) freed: Freed,
    /// Connections that close without an owner.
    pub(crate) background_closes: Bounded,
    #[cfg(any(target_os = "linux", target_os = "android"))]
    pub(crate) pipes: std::sync::Arc<super::pipes::Pipes>,
    /// The limits of the channels of this selector.
    pub(crate) read_limits: ReadLimits,
    pub(crate) write_limits: WriteLimits,
    /// TLS handshakes that peers have begun.
    #[cfg(feature = "tls")]
    pub(crate) handshakes: Bounded,
    /// TLS handshakes whose peers have sent nothing yet. Only descriptors limit their number.
    #[cfg(feature = "tls")]
    pub(crate) silent: Bounded,
    /// The roots and the sessions of TLS connections.
    #[cfg(feature = "tls")]
    pub(crate) tls: std::sync::Arc<forebay_tls::seam::Store>,
}

impl Sockets {
    pub(super) fn new(settings: &Settings) -> Self {
        Self {
            counters: Counters::default(),
            freed: Freed::default(),
            background_closes: Bounded::new(settings.background_closes_max),
            #[cfg(any(target_os = "linux", target_os = "android"))]
            pipes: std::sync::Arc::default(),
            read_limits: settings.read_limits,
            write_limits: settings.write_limits,
            #[cfg(feature = "tls")]
            handshakes: Bounded::new(settings.handshakes_max),
            #[cfg(feature = "tls")]
            silent: Bounded::new(usize::MAX),
            #[cfg(feature = "tls")]
            tls: std::sync::Arc::default(),
        }
    }

    /// Closes pipes that are not in use. If there are none, makes the connection that would be missed least release its
    /// descriptor: the oldest that is being closed without an owner; if there is none, the oldest whose peer has sent
    /// nothing; otherwise the oldest whose handshake is not complete. Returns `false` if there is none.
    pub(crate) fn end_one(&self) -> bool {
        let lists = [
            &self.background_closes,
            #[cfg(feature = "tls")]
            &self.silent,
            #[cfg(feature = "tls")]
            &self.handshakes,
        ];
        self.close_idle_pipes() || lists.into_iter().any(Bounded::end_for_descriptor)
    }

    /// Closes the pipes that are not in use. Returns `true` if there was one.
    #[cfg(any(target_os = "linux", target_os = "android"))]
    fn close_idle_pipes(&self) -> bool {
        self.pipes.close_idle()
    }

    /// There are none.
    #[cfg(not(any(target_os = "linux", target_os = "android")))]
    fn close_idle_pipes(&self) -> bool {
        false
    }

    /// Lets no pipe wait for another use.
    pub(super) fn close(&self) {
        #[cfg(any(target_os = "linux", target_os = "android"))]
        self.pipes.close();
    }
}
