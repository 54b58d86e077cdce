//! The path of a listening socket: its permissions, what was left behind there, and its removal.

use std::fs;
use std::io;
use std::os::unix::fs::{FileTypeExt, MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::Mutex;

use forebay_io::{Error, ErrorKind, Result};
use rustix::fs::{FlockOperation, Mode, fchmod, flock};
use socket2::{SockAddr, Socket};

use crate::interrupted::uninterrupted;
use crate::lock::lock;
use crate::net::system;

/// A path that a listener has made, removed with it.
#[derive(Debug)]
pub(super) struct OwnPath {
    path: PathBuf,
    /// Until it was removed. A file system gives the number of a file that is gone to the next one,
    /// so a second look could take a successor for it.
    identity: Mutex<Option<Identity>>,
}

/// Which file it is, whatever its name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Identity {
    device: u64,
    inode: u64,
}

impl Identity {
    fn of(metadata: &fs::Metadata) -> Self {
        Self { device: metadata.dev(), inode: metadata.ino() }
    }
}

impl OwnPath {
    /// The path that was bound just now. From here on it is removed on drop.
    pub(super) fn of(path: &Path) -> io::Result<Self> {
        let identity = Mutex::new(Some(Identity::of(&fs::symlink_metadata(path)?)));
        // The process may go elsewhere before the listener is dropped.
        Ok(Self { path: std::path::absolute(path)?, identity })
    }

    /// Removes it, if it is still the same, and the first time. What cannot be removed stays, as
    /// after a crash. To be called while the socket is open: it keeps its file's number from being
    /// given to another.
    pub(super) fn remove(&self) {
        let mut known = lock(&self.identity);
        let Some(identity) = known.take() else { return };
        let same = fs::symlink_metadata(&self.path)
            .is_ok_and(|metadata| Identity::of(&metadata) == identity);
        if same {
            fs::remove_file(&self.path).ok();
        }
    }
}

impl Drop for OwnPath {
    fn drop(&mut self) {
        self.remove();
    }
}

/// Sets the mode that the path will have when it is made. Linux takes it from the socket, less the
/// umask; elsewhere this does nothing, and [`set_mode`] does it all.
pub(super) fn set_mode_before(socket: &Socket, mode: u32) {
    fchmod(socket, Mode::from_raw_mode(raw(mode))).ok();
}

/// Sets the mode of the path, where it is not that already.
pub(super) fn set_mode(path: &Path, mode: u32) -> Result<()> {
    let failed = |error| Error::from_io("mode", error).context("setting the mode of a Unix socket");
    let metadata = fs::symlink_metadata(path).map_err(failed)?;
    if metadata.mode() & 0o7777 == mode {
        return Ok(());
    }
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).map_err(failed)
}

#[allow(clippy::unnecessary_cast, clippy::cast_possible_truncation, reason = "its size differs")]
fn raw(mode: u32) -> rustix::fs::RawMode {
    (mode & 0o7777) as rustix::fs::RawMode
}

/// Keeps other servers of forebay from replacing in this directory, until it is dropped. `None` where
/// another one, or another program, has locked it.
pub(super) fn lock_directory(path: &Path) -> Result<Option<fs::File>> {
    let directory = match path.parent() {
        Some(parent) if parent != Path::new("") => parent,
        _ => Path::new("."),
    };
    let failed = |error| Error::from_io("bind", error).context("locking the directory");
    let file = fs::File::open(directory).map_err(failed)?;
    match uninterrupted(|| Ok(flock(&file, FlockOperation::NonBlockingLockExclusive)?)) {
        Ok(()) => Ok(Some(file)),
        Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(None),
        Err(error) => Err(failed(error)),
    }
}

/// Removes a socket of this user's at which nobody listens; anything else stays, and is an error
/// that says what it is.
pub(super) fn remove_stale(path: &Path, address: &SockAddr) -> Result<()> {
    let failed = |error| Error::from_io("replace_stale", error);
    let found = match fs::symlink_metadata(path) {
        Ok(found) => found,
        // Its owner was faster.
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(failed(error)),
    };
    if !found.file_type().is_socket() {
        return Err(in_use("the path is no socket; nothing was replaced"));
    }
    if found.uid() != nix::unistd::geteuid().as_raw() {
        return Err(in_use("the socket belongs to another user; nothing was replaced"));
    }
    let probe = system::unix_stream_socket().map_err(failed)?;
    match uninterrupted(|| probe.connect(address)) {
        Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => {}
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) if error.kind() != io::ErrorKind::WouldBlock => return Err(failed(error)),
        // `WouldBlock` is a server with a full backlog.
        Ok(()) | Err(_) => return Err(in_use("a server listens there; nothing was replaced")),
    }
    let still = fs::symlink_metadata(path)
        .is_ok_and(|metadata| Identity::of(&metadata) == Identity::of(&found));
    if still { fs::remove_file(path).map_err(failed) } else { Ok(()) }
}

fn in_use(detail: &'static str) -> Error {
    Error::new(ErrorKind::AddressInUse, "bind").with_detail(detail)
}
