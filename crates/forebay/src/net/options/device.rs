//! The interface that a socket is bound to.

use std::io;

use socket2::SockRef;

/// The error of an interface that does not exist.
#[cfg(any(target_os = "linux", target_os = "android", target_vendor = "apple"))]
fn absent(interface: &str) -> io::Error {
    forebay_io::Error::new(forebay_io::ErrorKind::NotFound, "bind_device")
        .with_detail(format!("no interface here is called {interface:?}"))
        .into()
}

#[cfg(any(target_os = "linux", target_os = "android"))]
pub(super) fn set(socket: &SockRef<'_>, interface: Option<String>) -> io::Result<()> {
    // An empty name would lift the binding.
    let Some(name) = interface.filter(|name| !name.is_empty()) else {
        return Err(absent(""));
    };
    socket.bind_device(Some(name.as_bytes())).map_err(|error| match error.raw_os_error() {
        Some(raw) if raw == rustix::io::Errno::NODEV.raw_os_error() => absent(&name),
        _ => error,
    })
}

#[cfg(any(target_os = "linux", target_os = "android"))]
pub(super) fn read(socket: &SockRef<'_>) -> io::Result<Option<String>> {
    let name = socket.device()?;
    // The kernel's answer ends with its zero byte.
    let text = |name: Vec<u8>| String::from_utf8_lossy(&name).trim_end_matches('\0').to_owned();
    Ok(name.map(text))
}

#[cfg(target_vendor = "apple")]
pub(super) fn set(socket: &SockRef<'_>, interface: Option<String>) -> io::Result<()> {
    let name = interface.unwrap_or_default();
    let index = nix::net::if_::if_nametoindex(name.as_str()).map_err(|_| absent(&name))?;
    let index = std::num::NonZero::new(index);
    if super::packets::is_ipv6(socket)? {
        socket.bind_device_by_index_v6(index)
    } else {
        socket.bind_device_by_index_v4(index)
    }
}

#[cfg(target_vendor = "apple")]
pub(super) fn read(socket: &SockRef<'_>) -> io::Result<Option<String>> {
    let is_ipv6 = super::packets::is_ipv6(socket)?;
    let index = if is_ipv6 { socket.device_index_v6() } else { socket.device_index_v4() }?;
    let name = |index: std::num::NonZero<u32>| nix::net::if_::if_indextoname(index.get());
    let name = index.map(name).transpose()?;
    Ok(name.map(|name| name.to_string_lossy().into_owned()))
}

#[cfg(not(any(target_os = "linux", target_os = "android", target_vendor = "apple")))]
pub(super) fn set(_: &SockRef<'_>, _: Option<String>) -> io::Result<()> {
    Err(io::ErrorKind::Unsupported.into())
}

#[cfg(not(any(target_os = "linux", target_os = "android", target_vendor = "apple")))]
pub(super) fn read(_: &SockRef<'_>) -> io::Result<Option<String>> {
    Err(io::ErrorKind::Unsupported.into())
}
