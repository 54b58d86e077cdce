//! What carries a connection, for scenarios that must not depend on it.

use std::io::{self, Write};

use forebay::{Connection, Result, SelectorManager};
use futures_lite::future::zip;

use super::unix::Directory;
use super::{connected, watched};

/// Bytes that wait in memory in each direction: about what a kernel takes.
const CAPACITY: usize = 128 * 1024;

/// What carries a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Transport {
    Tcp,
    Unix,
    Memory,
}

impl Transport {
    pub(crate) const ALL: [Self; 3] = [Self::Tcp, Self::Unix, Self::Memory];

    /// A connected pair on a selector. Whoever listened for it is gone.
    pub(crate) async fn pair(self, selector: &SelectorManager) -> Result<(Connection, Connection)> {
        match self {
            Self::Tcp => {
                let (client, server, _) = connected(selector).await?;
                Ok((client, server))
            }
            Self::Unix => {
                let directory = Directory::new();
                let listener = selector.unix().bind(directory.join("pair")).await?;
                let connecting = selector.unix().connect(listener.local_address());
                let (accepted, client) = zip(listener.accept(), connecting).await;
                Ok((client?.connection()?, accepted?.connection()?))
            }
            Self::Memory => Ok(selector.duplex(CAPACITY)),
        }
    }

    /// Whether `abort` reaches a peer as an error even if everything it sent was read. Unix sockets
    /// know no reset (`unix(7)`): there it sees the end.
    pub(crate) fn knows_resets(self) -> bool {
        self != Self::Unix
    }

    /// Descriptors that a pair takes.
    pub(crate) fn sockets(self) -> usize {
        if self == Self::Memory { 0 } else { 2 }
    }
}

/// Runs a scenario over every transport, each on a selector of its own, watched.
#[track_caller]
pub(crate) fn on_every_transport(
    scenario: impl AsyncFn(SelectorManager, Transport) -> Result<()> + Copy + Send + 'static,
) {
    for transport in Transport::ALL {
        let outcome =
            watched(move || forebay::run(async |selector| scenario(selector, transport).await));
        if let Err(error) = outcome {
            panic!("over {transport:?}: {error}");
        }
    }
}

/// Prints what was measured, also when the test passes. Not by `eprintln!`, which the test runner
/// swallows.
pub(crate) fn report(line: &str) {
    let mut stderr = io::stderr();
    writeln!(stderr, "{line}").unwrap();
}
