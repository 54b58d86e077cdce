//! Bytes that travel with the SYN (RFC 7413).

use std::io;

use socket2::SockRef;

use super::role::SocketRole;

/// The setting of a listening or a connecting socket, which are two options of the system.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum FastOpen {
    /// The connections that may be incomplete at a time.
    Waiting(u32),
    Connect(bool),
}

impl FastOpen {
    pub(super) fn of(waiting: u32, role: SocketRole) -> Self {
        match role {
            SocketRole::Listening => Self::Waiting(waiting),
            _ => Self::Connect(waiting > 0),
        }
    }

    pub(super) fn number(self) -> u32 {
        match self {
            Self::Waiting(waiting) => waiting,
            Self::Connect(on) => on.into(),
        }
    }
}

#[cfg(any(target_os = "linux", target_os = "android"))]
mod system {
    use nix::libc;
    use nix::sys::socket::sockopt::{GetUsize, SetUsize};

    /// The connections of a listener that may be incomplete.
    #[derive(Debug, Clone, Copy)]
    pub(super) struct TcpFastOpen;

    nix::setsockopt_impl!(TcpFastOpen, libc::IPPROTO_TCP, libc::TCP_FASTOPEN, usize, SetUsize);
    nix::getsockopt_impl!(TcpFastOpen, libc::IPPROTO_TCP, libc::TCP_FASTOPEN, usize, GetUsize);
}

#[cfg(any(target_os = "linux", target_os = "android"))]
impl FastOpen {
    pub(super) fn set(self, socket: &SockRef<'_>) -> io::Result<()> {
        use nix::sys::socket::{setsockopt, sockopt::TcpFastOpenConnect};

        match self {
            Self::Waiting(waiting) => {
                let number = i32::try_from(waiting).unwrap_or(i32::MAX);
                let number = usize::try_from(number).unwrap_or_default();
                if number > 0 {
                    check_listening()?;
                }
                Ok(setsockopt(&**socket, system::TcpFastOpen, &number)?)
            }
            Self::Connect(on) => Ok(setsockopt(&**socket, TcpFastOpenConnect, &on)?),
        }
    }

    pub(super) fn read(socket: &SockRef<'_>) -> io::Result<Self> {
        use nix::sys::socket::{getsockopt, sockopt::TcpFastOpenConnect};

        if socket.is_listener()? {
            let waiting = getsockopt(&**socket, system::TcpFastOpen)?;
            return Ok(Self::Waiting(u32::try_from(waiting).unwrap_or(u32::MAX)));
        }
        Ok(Self::Connect(getsockopt(&**socket, TcpFastOpenConnect)?))
    }
}

/// The kernel takes the option of a listener, and does nothing, where the machine's setting does not let
/// listeners answer a SYN with bytes (`ip-sysctl`, `tcp_fastopen`). Connecting sockets are refused the option.
#[cfg(any(target_os = "linux", target_os = "android"))]
fn check_listening() -> io::Result<()> {
    /// The bit for listeners.
    const LISTENERS: u32 = 0x2;
    // Where the file cannot be read, nothing is known against it.
    let Ok(setting) = std::fs::read_to_string("/proc/sys/net/ipv4/tcp_fastopen") else {
        return Ok(());
    };
    match setting.trim().parse::<u32>() {
        Ok(bits) if bits & LISTENERS == 0 => Err(io::Error::new(
            io::ErrorKind::Unsupported,
            format!("net.ipv4.tcp_fastopen is {bits} here; listeners need 2, or 3 for both sides"),
        )),
        _ => Ok(()),
    }
}

#[cfg(not(any(target_os = "linux", target_os = "android")))]
impl FastOpen {
    pub(super) fn set(self, _: &SockRef<'_>) -> io::Result<()> {
        Err(io::ErrorKind::Unsupported.into())
    }

    pub(super) fn read(_: &SockRef<'_>) -> io::Result<Self> {
        Err(io::ErrorKind::Unsupported.into())
    }
}
