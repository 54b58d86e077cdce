//! Addresses: of sockets, and of the hosts that a program asks for.

mod numbers;
mod parse;
#[cfg(test)]
mod tests;
mod unix;

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV4, SocketAddrV6};
use std::str::FromStr;

use forebay_io::{Error, ErrorKind, Result};
use socket2::SockAddr;

pub use self::unix::{ToUnixAddress, UnixAddress};

/// The address of one end of a socket.
///
/// It is always a concrete address, never a name: a name is an [`Address`] until it is resolved. The text
/// that `Display` writes parses back to an equal value, except that the flow information of an IPv6 address
/// has no textual form. More kinds of addresses may be added.
///
/// # Examples
///
/// ```
/// use forebay::SocketAddress;
///
/// let address: SocketAddress = "[::1]:80".parse()?;
/// assert_eq!(address.port(), Some(80));
/// assert_eq!(address.to_string(), "[::1]:80");
/// assert_eq!(SocketAddress::from(([127, 0, 0, 1], 80)).to_string(), "127.0.0.1:80");
/// # Ok::<(), forebay::Error>(())
/// ```
#[doc(alias = "InetSocketAddress")]
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum SocketAddress {
    /// An IP address and a port, of TCP or UDP.
    Inet(SocketAddr),
    /// The address of a Unix socket.
    Unix(UnixAddress),
}

impl SocketAddress {
    /// Returns the IP address; `None` for a Unix address.
    #[doc(alias = "resolveAddress")]
    pub fn ip(&self) -> Option<IpAddr> {
        self.as_inet().map(|inet| inet.ip())
    }

    /// Returns the port; `None` for a Unix address.
    pub fn port(&self) -> Option<u16> {
        self.as_inet().map(|inet| inet.port())
    }

    /// Returns the address as the type of the standard library; `None` for a Unix address.
    pub fn as_inet(&self) -> Option<SocketAddr> {
        match self {
            Self::Inet(inet) => Some(*inet),
            Self::Unix(_) => None,
        }
    }

    /// Returns the address of a Unix socket; `None` for any other.
    pub fn as_unix(&self) -> Option<&UnixAddress> {
        match self {
            Self::Unix(unix) => Some(unix),
            Self::Inet(_) => None,
        }
    }

    /// Returns the address with an IPv4-mapped one, `::ffff:192.0.2.1` (RFC 4291, section 2.5.5.2), as the IPv4 address
    /// that it stands for, and any other as it is. The addresses of sockets are canonical already; this is for one that
    /// was written by hand, and is to be compared with theirs.
    ///
    /// # Examples
    ///
    /// ```
    /// use forebay::SocketAddress;
    ///
    /// let allowed: SocketAddress = "[::ffff:192.0.2.1]:80".parse()?;
    /// assert_eq!(allowed.to_canonical(), SocketAddress::from(([192, 0, 2, 1], 80)));
    /// # Ok::<(), forebay::Error>(())
    /// ```
    #[must_use]
    pub fn to_canonical(&self) -> Self {
        match self {
            Self::Inet(inet) => Self::shown(*inet),
            Self::Unix(_) => self.clone(),
        }
    }

    /// Returns an address of a socket as it is shown. A socket of IPv6 writes an IPv4 address in a mapped
    /// form, `::ffff:192.0.2.1` (RFC 4291, section 2.5.5.2): there it is shown as the IPv4 address, which
    /// logs, access lists and comparisons expect.
    pub(super) fn shown(inet: SocketAddr) -> Self {
        Self::Inet(match inet.ip().to_canonical() {
            IpAddr::V4(ip) => (ip, inet.port()).into(),
            // As it was: with its scope and flow information.
            IpAddr::V6(_) => inet,
        })
    }

    /// Converts an address of the system; `None` for a family that is neither IP nor Unix.
    pub(super) fn from_system(address: &SockAddr) -> Option<Self> {
        match address.as_socket() {
            Some(inet) => Some(Self::shown(inet)),
            None => UnixAddress::from_system(address).map(Self::Unix),
        }
    }
}

impl fmt::Display for SocketAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Inet(inet) => inet.fmt(f),
            Self::Unix(unix) => unix.fmt(f),
        }
    }
}

/// Parses an IP address with a port, as strictly as [`ToAddress`] does, or `unix:` followed by a path or
/// name as [`UnixAddress`] describes it.
///
/// # Errors
///
/// Those of [`ToAddress::to_address`], and `InvalidInput` for a host name: a name becomes an address only
/// by a look-up.
impl FromStr for SocketAddress {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        match text.strip_prefix(unix::PREFIX) {
            Some(name) => UnixAddress::parse(name).map(Self::Unix),
            None => parse::socket_address(text).map(Self::Inet),
        }
    }
}

impl From<SocketAddr> for SocketAddress {
    fn from(inet: SocketAddr) -> Self {
        Self::Inet(inet)
    }
}

impl From<UnixAddress> for SocketAddress {
    fn from(unix: UnixAddress) -> Self {
        Self::Unix(unix)
    }
}

impl From<SocketAddrV4> for SocketAddress {
    fn from(inet: SocketAddrV4) -> Self {
        Self::Inet(inet.into())
    }
}

impl From<SocketAddrV6> for SocketAddress {
    fn from(inet: SocketAddrV6) -> Self {
        Self::Inet(inet.into())
    }
}

/// An IP address, or its bytes in network order, and a port.
impl<I: Into<IpAddr>> From<(I, u16)> for SocketAddress {
    fn from(pair: (I, u16)) -> Self {
        Self::Inet(pair.into())
    }
}

/// A host and a port, as requested: an IP address, or a name that is still to be resolved.
///
/// It is made by [`ToAddress`] or by parsing, so a value of this type is always well-formed. The text that
/// `Display` writes parses back, as for [`SocketAddress`]. Names are compared as they were written.
///
/// # Examples
///
/// ```
/// use forebay::Address;
///
/// let address: Address = "example.com:443".parse()?;
/// assert_eq!(address.port(), 443);
/// # Ok::<(), forebay::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Address(Target);

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
enum Target {
    Literal(SocketAddr),
    Name(Box<str>, u16),
}

/// The host of an [`Address`]: an IP address, or a name that is still to be resolved.
///
/// `Display` writes it without the port and without brackets, as in `::1` or `fe80::1%2`. With a port it is an address
/// again: `(host.to_string(), port)`.
///
/// # Examples
///
/// ```
/// use forebay::{Address, HostPart};
///
/// let address: Address = "example.com:443".parse()?;
/// assert_eq!(address.host(), HostPart::Name("example.com"));
/// let address: Address = "[::1]:443".parse()?;
/// assert_eq!(address.host().to_string(), "::1");
/// # Ok::<(), forebay::Error>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum HostPart<'a> {
    /// An IP address, as a whole socket address: with port, zone and flow information.
    Inet(SocketAddr),
    /// A checked name, as it was written: case and trailing dot are kept.
    Name(&'a str),
}

impl fmt::Display for HostPart<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Name(name) => f.write_str(name),
            Self::Inet(SocketAddr::V6(inet)) if inet.scope_id() != 0 => {
                write!(f, "{}%{}", inet.ip(), inet.scope_id())
            }
            Self::Inet(inet) => inet.ip().fmt(f),
        }
    }
}

impl Address {
    /// Returns the port. For a listener, 0 means any free port.
    pub fn port(&self) -> u16 {
        match self.0 {
            Target::Literal(inet) => inet.port(),
            Target::Name(_, port) => port,
        }
    }

    /// The name of the host, which TLS checks; `None` for an IP address.
    pub(crate) fn host_name(&self) -> Option<&str> {
        match &self.0 {
            Target::Literal(_) => None,
            Target::Name(name, _) => Some(name),
        }
    }

    /// Returns the host.
    pub fn host(&self) -> HostPart<'_> {
        match &self.0 {
            Target::Literal(inet) => HostPart::Inet(*inet),
            Target::Name(name, _) => HostPart::Name(name),
        }
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Target::Literal(inet) => inet.fmt(f),
            Target::Name(name, port) => write!(f, "{name}:{port}"),
        }
    }
}

/// Parses `"host:port"` as [`ToAddress`] does.
impl FromStr for Address {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        parse::address(text)
    }
}

impl From<SocketAddr> for Address {
    fn from(inet: SocketAddr) -> Self {
        Self(Target::Literal(inet))
    }
}

/// A value that names a host and a port.
///
/// The text forms are `"example.com:80"`, `"192.0.2.1:80"`, `"[2001:db8::1]:80"` and, with the zone of RFC
/// 4007 section 11 as a number or as the name of an interface, `"[fe80::1%eth0]:80"`. In a pair the host
/// has no port behind it, and brackets are optional: `("::1", 80)`. Port 0 means any free port.
///
/// Parsing is strict, so that no two programs read different hosts in the same text. A name has at most 253
/// bytes, in labels of 1 to 63 bytes, of ASCII letters, digits, `-` and `_`. One trailing dot is allowed;
/// it keeps the resolver from trying its search list. Names in other scripts must be passed in punycode.
/// IPv4 addresses have four decimal parts: `"1"`, `"127.1"`, `"0x7f.1"` and `"0177.0.0.1"`, which the
/// system's resolver would accept as addresses, are refused.
///
/// This trait is sealed: it cannot be implemented outside this crate.
///
/// # Examples
///
/// ```
/// use forebay::ToAddress;
///
/// assert_eq!(("localhost", 80).to_address()?.to_string(), "localhost:80");
/// assert_eq!("[::1]:80".to_address()?, ("::1", 80).to_address()?);
/// let error = "::1:80".to_address().unwrap_err();
/// assert!(error.to_string().ends_with("an IPv6 address stands in brackets, as in [::1]:80"));
/// let error = "127.0.0.256:80".to_address().unwrap_err();
/// assert_eq!(error.position(), Some("127.0.0.25".len()));
/// # Ok::<(), forebay::Error>(())
/// ```
pub trait ToAddress: sealed::Sealed {
    /// Returns host and port, checked. A name is not looked up yet.
    ///
    /// # Errors
    ///
    /// - [`ErrorKind::InvalidInput`](crate::ErrorKind::InvalidInput): the text is not an address. The error
    ///   quotes the text, and tells at which character it is wrong and what was expected there:
    ///   [`Error::position`](crate::Error::position), [`Error::expected`](crate::Error::expected). Of a pair it is the
    ///   place in the host.
    /// - [`ErrorKind::NotFound`](crate::ErrorKind::NotFound): there is no network interface with the name
    ///   after `%`.
    ///
    /// # Platform
    ///
    /// Names of interfaces work on Unix. On other systems the zone must be a number, and a name is refused
    /// with [`ErrorKind::Unsupported`](crate::ErrorKind::Unsupported).
    fn to_address(&self) -> Result<Address>;
}

mod sealed {
    pub trait Sealed {}

    impl<T: Sealed + ?Sized> Sealed for &T {}
}

/// A reference converts like the value it refers to.
impl<T: ToAddress + ?Sized> ToAddress for &T {
    fn to_address(&self) -> Result<Address> {
        (**self).to_address()
    }
}

/// Implements the seal and the trait for each line: `type: name => expression that converts it`.
macro_rules! to_address {
    ($($type:ty: $this:ident => $address:expr;)+) => {$(
        impl sealed::Sealed for $type {}

        impl ToAddress for $type {
            fn to_address(&self) -> Result<Address> {
                let $this = self;
                $address
            }
        }
    )+};
}

to_address! {
    str: text => parse::address(text);
    String: text => parse::address(text);
    (&str, u16): pair => parse::host_and_port(pair.0, pair.1);
    (String, u16): pair => parse::host_and_port(&pair.0, pair.1);
    (&String, u16): pair => parse::host_and_port(pair.0, pair.1);
    (IpAddr, u16): pair => Ok(SocketAddr::from(*pair).into());
    (Ipv4Addr, u16): pair => Ok(SocketAddr::from(*pair).into());
    (Ipv6Addr, u16): pair => Ok(SocketAddr::from(*pair).into());
    SocketAddr: inet => Ok((*inet).into());
    SocketAddrV4: inet => Ok(SocketAddr::from(*inet).into());
    SocketAddrV6: inet => Ok(SocketAddr::from(*inet).into());
    SocketAddress: address => match address {
        SocketAddress::Inet(inet) => Ok((*inet).into()),
        SocketAddress::Unix(_) => Err(Error::new(ErrorKind::InvalidInput, "address")
            .with_address(address)
            .with_detail("this is the address of a Unix socket; here a host and a port are needed")),
    };
    Address: address => Ok(address.clone());
}
