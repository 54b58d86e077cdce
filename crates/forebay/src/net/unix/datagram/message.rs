//! A received datagram.

use bytes::Bytes;

use crate::net::address::UnixAddress;

/// A datagram that was received by a Unix socket.
///
/// # Examples
///
/// ```
/// # let name = |end: &str| format!("forebay-doc-message-{end}-{}", std::process::id());
/// use forebay::UnixAddress;
///
/// # if cfg!(target_os = "linux") {
/// forebay::run(async |selector| {
///     let server = UnixAddress::Abstract(name("server").into_bytes());
///     let server = selector.unix().datagram().bind(server).await?;
///     let client = selector.unix().datagram().connect(server.local_address()).await?;
///     client.send("hello").await?;
///     let datagram = server.receive().await?;
///     assert_eq!(&datagram.payload[..], b"hello");
///     assert_eq!(datagram.address, UnixAddress::Unnamed);
///     forebay::Result::Ok(())
/// })?;
/// # }
/// # forebay::Result::Ok(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct UnixDatagram {
    /// The content. It may be empty: a datagram without content is a datagram.
    pub payload: Bytes,
    /// The address of the sender, as it was bound. A sender that was not bound has none
    /// ([`Unnamed`](UnixAddress::Unnamed)), and cannot be answered.
    pub address: UnixAddress,
    /// The datagram was longer than [`max_datagram`](crate::UnixDatagramBuilder::max_datagram), and the rest of it is
    /// discarded.
    pub truncated: bool,
}
