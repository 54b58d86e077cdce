//! Resolves the address of a host to those of its sockets.

use std::future::poll_fn;
use std::net::SocketAddr;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use forebay_io::seam::poll_answer;
use forebay_io::{Error, ErrorKind, Result};

use super::address::{Address, HostPart, SocketAddress, ToAddress};
use crate::boxed::boxed;
use crate::names::LookingUp;
use crate::selector::{SelectorManager, Shared};

impl SelectorManager {
    /// Returns the addresses of a host, at least one, each once, in the order of the resolver's preference. The
    /// system's prefers by RFC 6724. For a socket that is to be connected this call is not needed:
    /// [`connect`](crate::TcpBuilder::connect) takes a name, and tries its addresses while others are still
    /// being found.
    ///
    /// An IP address is its own result. A name is looked up by the selector's
    /// [`resolver`](crate::SelectorBuilder::resolver), or by the system on one of 16 threads. Calls that ask for one
    /// name at the same time share its look-up; nothing is kept afterwards. There is no limit on its time:
    /// [`timeout`](Self::timeout) sets one.
    ///
    /// # Errors
    ///
    /// - [`InvalidInput`](crate::ErrorKind::InvalidInput): the address does not parse.
    /// - [`NotFound`](crate::ErrorKind::NotFound): the name does not exist, or has no address.
    /// - [`LookUpFailed`](crate::ErrorKind::LookUpFailed): its name servers failed or did not answer.
    /// - [`Exhausted`](crate::ErrorKind::Exhausted): 1,024 look-ups wait for a thread already.
    /// - [`Closed`](crate::ErrorKind::Closed): the selector is closed.
    /// - Those of the selector's own resolver.
    ///
    /// # Cancel safety
    ///
    /// Releases: returns at once. A call of the system's resolver that has begun runs to its end on its thread, and
    /// the next call for the name joins it.
    ///
    /// # Examples
    ///
    /// ```
    /// forebay::run(async |selector| {
    ///     let addresses = selector.resolve("localhost:80").await?;
    ///     assert!(addresses.iter().all(|address| address.ip().is_loopback() && address.port() == 80));
    ///     forebay::Result::Ok(())
    /// })?;
    /// # forebay::Result::Ok(())
    /// ```
    #[doc(alias = "resolveAddress")]
    #[doc(alias = "lookup_host")]
    pub fn resolve(
        &self,
        address: impl ToAddress,
    ) -> impl Future<Output = Result<Vec<SocketAddr>>> {
        let address = address.to_address();
        boxed(async move { resolve_on(self.shared(), address).await })
    }
}

impl SocketAddress {
    /// Looks up a host on the current thread's selector, and returns its addresses; see
    /// [`SelectorManager::resolve`].
    ///
    /// # Errors
    ///
    /// Those of [`SelectorManager::resolve`].
    ///
    /// # Panics
    ///
    /// Panics on a thread that does not belong to a selector.
    ///
    /// # Cancel safety
    ///
    /// As [`SelectorManager::resolve`].
    ///
    /// # Examples
    ///
    /// ```
    /// use forebay::SocketAddress;
    ///
    /// forebay::run(async |_| {
    ///     let addresses = SocketAddress::resolve("127.0.0.1:80").await?;
    ///     assert_eq!(addresses, [SocketAddress::from(([127, 0, 0, 1], 80))]);
    ///     forebay::Result::Ok(())
    /// })?;
    /// # forebay::Result::Ok(())
    /// ```
    pub fn resolve(address: impl ToAddress) -> impl Future<Output = Result<Vec<Self>>> {
        let address = address.to_address();
        boxed(async move {
            let addresses = resolve_on(&Shared::current("resolve"), address).await?;
            Ok(addresses.into_iter().map(Self::from).collect())
        })
    }
}

/// Resolves an address that the program gives.
pub(crate) async fn resolve_on(
    selector: &Arc<Shared>,
    address: Result<Address>,
) -> Result<Vec<SocketAddr>> {
    // An address that needs no look-up is answered at once, so a loop over such calls would starve other tasks.
    poll_fn(|cx| poll_answer(cx)).await;
    let address = address?;
    selector.check_open("resolve").map_err(|error| error.with_address(&address))?;
    resolve(selector, "resolve", &address).await
}

/// Finds all addresses of a host, at least one, in the order of preference, unless the selector closes first. There
/// is no timeout here. An error that comes behind some addresses is left out.
pub(in crate::net) async fn resolve(
    selector: &Arc<Shared>,
    operation: &'static str,
    address: &Address,
) -> Result<Vec<SocketAddr>> {
    let mut resolving = match Resolving::begin(selector, address) {
        Begun::Literal(inet) => return Ok(vec![inet]),
        Begun::LookUp(resolving) => resolving,
    };
    let mut found = Vec::new();
    let all = poll_fn(|cx| {
        while let Some(part) = ready!(resolving.poll_part(cx)) {
            match part {
                Ok(part) => found.extend(part),
                Err(_) if !found.is_empty() => break,
                Err(error) => return Poll::Ready(Err(error)),
            }
        }
        Poll::Ready(Ok(()))
    });
    selector.closing().until_begun(operation, all).await?;
    Ok(found)
}

/// The look-up of a host's name, with the port that was asked for.
pub(in crate::net) struct Resolving<'a> {
    address: &'a Address,
    looking_up: LookingUp,
    has_found: bool,
}

/// The beginning of resolving an address.
pub(in crate::net) enum Begun<'a> {
    /// An IP address: there is nothing to look up, and no resolver is asked.
    Literal(SocketAddr),
    LookUp(Resolving<'a>),
}

impl<'a> Resolving<'a> {
    pub(in crate::net) fn begin(selector: &Shared, address: &'a Address) -> Begun<'a> {
        match address.host() {
            HostPart::Inet(inet) => Begun::Literal(inet),
            HostPart::Name(name) => {
                let looking_up = selector.look_ups().look_up(name);
                Begun::LookUp(Self { address, looking_up, has_found: false })
            }
        }
    }

    /// Returns the next addresses as soon as there are any; `None` at the end. An end without any address is an
    /// error.
    pub(in crate::net) fn poll_part(
        &mut self,
        cx: &Context<'_>,
    ) -> Poll<Option<Result<Vec<SocketAddr>>>> {
        let part = match ready!(self.looking_up.poll_part(cx)) {
            Some(Ok(part)) => Ok(part),
            Some(Err(error)) => Err(failed(error, self.address)),
            None if self.has_found => return Poll::Ready(None),
            None => Err(Error::new(ErrorKind::NotFound, "resolve")
                .with_detail("the name has no address")
                .with_address(self.address)),
        };
        // Also after an error, which is told once.
        self.has_found = true;
        Poll::Ready(Some(part.map(|mut part| {
            for inet in &mut part {
                inet.set_port(self.address.port());
            }
            part
        })))
    }
}

/// Names the host in the error of its look-up. An error of the program's resolver may have an address of its own,
/// that of a name server for instance.
fn failed(error: Error, address: &Address) -> Error {
    if error.address().is_some() {
        return error.context(format!("resolve {address}"));
    }
    let error = error.with_address(address);
    if error.operation() == "resolve" { error } else { error.context("resolve") }
}
