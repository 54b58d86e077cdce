//! A resolver of the program's.

use std::fmt;
use std::future::poll_fn;
use std::net::{IpAddr, Ipv6Addr, SocketAddr, SocketAddrV6};
use std::sync::{Arc, Weak};

use forebay_io::Result;

use super::look_up::{LookUp, LookUpWork};
use super::system::SystemLookUps;

/// Finds the addresses of names, in place of the system; see
/// [`SelectorBuilder::resolver`](crate::SelectorBuilder::resolver).
///
/// It is asked for names alone, as they were written, with their case and trailing dot: an IP address never
/// reaches it, and neither does a text that is no name of a host. What it finds is neither sorted nor kept. Calls
/// that ask for one name at the same time share one look-up.
///
/// # Examples
///
/// Names of the program's own, and the system's for all others:
///
/// ```
/// use std::collections::HashMap;
/// use std::net::IpAddr;
///
/// use forebay::{FoundAddresses, Resolver, Result, SelectorManager};
///
/// struct WithOwnNames(HashMap<String, IpAddr>);
///
/// impl Resolver for WithOwnNames {
///     async fn resolve(&self, name: &str, found: &FoundAddresses) -> Result<()> {
///         match self.0.get(name) {
///             Some(ip) => found.add([*ip]),
///             None => found.ask_system().await?,
///         }
///         Ok(())
///     }
/// }
///
/// let own = HashMap::from([("database.internal".to_owned(), [127, 0, 0, 1].into())]);
/// SelectorManager::builder().resolver(WithOwnNames(own)).run(async |selector| {
///     let server = selector.tcp().bind("127.0.0.1:0").await?;
///     let socket = selector.tcp().connect(("database.internal", server.port())).await?;
///     assert_eq!(socket.remote_address(), server.local_address());
///     socket.close().await
/// })?;
/// # forebay::Result::Ok(())
/// ```
pub trait Resolver: Send + Sync + 'static {
    /// Looks up a name: gives its addresses to `found`, in the order of preference, and returns when it has all of
    /// them. It may add them in parts, as answers arrive: a connect begins with the first part (RFC 8305, section
    /// 3). A name without an address is a return without any.
    ///
    /// The future is polled by a task that waits for the name, wherever that runs, and may be polled by another one
    /// the next time. It must not block, because it would hold up that task: a blocking call goes through
    /// [`SelectorManager::spawn_blocking`](crate::SelectorManager::spawn_blocking). A look-up has no limit of its
    /// own besides that of the call (`connect_timeout`). When the last task that waits for the name has given up,
    /// the future is dropped. A resolver that itself connects to a server by name needs another selector for
    /// that, or [`ask_system`](FoundAddresses::ask_system): it would wait for itself.
    ///
    /// # Errors
    ///
    /// Those of the resolver. The call that wanted the name returns the error with its kind, if no address was
    /// found before it, or if none of them could be connected to and all attempts had failed. A panic is an error
    /// of the kind [`Panicked`](crate::ErrorKind::Panicked).
    fn resolve(
        &self,
        name: &str,
        found: &FoundAddresses,
    ) -> impl Future<Output = Result<()>> + Send;
}

/// The same resolver, for several selectors. Each of them has look-ups of its own.
impl<R: Resolver> Resolver for Arc<R> {
    fn resolve(
        &self,
        name: &str,
        found: &FoundAddresses,
    ) -> impl Future<Output = Result<()>> + Send {
        (**self).resolve(name, found)
    }
}

/// Takes the addresses that a [`Resolver`] finds.
///
/// A clone belongs to the same look-up, for answers that arrive on other tasks or threads. What comes after the end of
/// the look-up is ignored.
#[derive(Clone)]
pub struct FoundAddresses {
    look_up: Weak<LookUp>,
    system: SystemLookUps,
}

impl FoundAddresses {
    pub(super) fn new(look_up: &Weak<LookUp>, system: SystemLookUps) -> Self {
        Self { look_up: Weak::clone(look_up), system }
    }

    /// Adds addresses, behind those that were added before; one that is there already is ignored. A name has at most
    /// 4,096 addresses, further ones are ignored.
    pub fn add<A: Into<IpAddr>>(&self, part: impl IntoIterator<Item = A>) {
        self.add_all(part.into_iter().map(|ip| SocketAddr::new(ip.into(), 0)));
    }

    /// Adds IPv6 addresses that are valid on one link alone, each with the zone of its link: the index of an
    /// interface (RFC 4007, section 11).
    pub fn add_zoned(&self, part: impl IntoIterator<Item = (Ipv6Addr, u32)>) {
        let zoned = |(ip, zone)| SocketAddrV6::new(ip, 0, 0, zone).into();
        self.add_all(part.into_iter().map(zoned));
    }

    /// Looks the name up as the system does, and adds what that finds.
    ///
    /// # Errors
    ///
    /// [`NotFound`](crate::ErrorKind::NotFound), [`LookUpFailed`](crate::ErrorKind::LookUpFailed) and others, as for
    /// [`TcpBuilder::connect`](crate::TcpBuilder::connect).
    ///
    /// # Cancel safety
    ///
    /// Releases: a call of the system's resolver that has begun runs to its end, on a thread.
    pub async fn ask_system(&self) -> Result<()> {
        let Some(look_up) = self.look_up.upgrade() else { return Ok(()) };
        let mut asking = self.system.look_up(look_up.name());
        drop(look_up);
        while let Some(part) = poll_fn(|cx| asking.poll_part(cx)).await {
            self.add_all(part?);
        }
        Ok(())
    }

    fn add_all(&self, part: impl IntoIterator<Item = SocketAddr>) {
        if let Some(look_up) = self.look_up.upgrade() {
            look_up.add(part);
        }
    }
}

impl fmt::Debug for FoundAddresses {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FoundAddresses").finish_non_exhaustive()
    }
}

/// Any [`Resolver`].
pub(crate) trait AnyResolver: Send + Sync {
    /// Returns the future of a look-up. The program's code runs when that is polled.
    fn resolve_name(self: Arc<Self>, name: Box<str>, found: FoundAddresses) -> LookUpWork;
}

impl<R: Resolver> AnyResolver for R {
    fn resolve_name(self: Arc<Self>, name: Box<str>, found: FoundAddresses) -> LookUpWork {
        Box::pin(async move { self.resolve(&name, &found).await })
    }
}
