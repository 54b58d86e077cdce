//! TLS over any pair of byte channels.
//!
//! Users get this from the crate `forebay`, which puts it over sockets. Here it knows channels only: a
//! session reads its records from one channel and writes them to another, and provides a channel of each
//! kind itself.

#![forbid(unsafe_code)]

mod callback_facts;
#[cfg(feature = "certificates")]
pub mod certificates;
mod config;
mod fault;
mod identity;
mod info;
mod pem;
mod provider;
#[cfg(test)]
mod samples;
mod session;
mod text;
mod trust;
mod x509;

pub use config::{ClientAuth, EndWithoutNotify, TlsClientBuilder, TlsConfig, TlsServerBuilder};
pub use identity::Identity;
pub use info::{PeerCertificate, TlsInfo, TlsVersion};
pub use trust::{PeerChain, ToPin, Trust};

/// The interface for the socket crate; not part of the public API.
#[doc(hidden)]
pub mod seam {
    pub use crate::config::Store;
    pub use crate::session::{Acknowledged, Peer, Session};
}
