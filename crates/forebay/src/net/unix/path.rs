//! The path of a listening socket: its permissions, its removal, and the replacement of a stale one.

use std::fs;
use std::io;
use std::os::unix::fs::{FileTypeExt, MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::Mutex;

use forebay_io::{Error, ErrorKind, Result};
use rustix::fs::{FlockOperation, Mode, fchmod, flock};
use rustix::io::Errno;
use socket2::{SockAddr, Socket};

use crate::interrupted::uninterrupted;
use crate::lock::lock;

/// A path that a listener has made, and that is removed with it.
#[derive(Debug)]
pub(in crate::net) struct OwnPath {
    path: PathBuf,
    /// `None` after the removal. A file system may give the inode number of a removed file to a new one, so
    /// a second removal could mistake another file for this one.
    identity: Mutex<Option<FileIdentity>>,
}

/// Identifies a file, whatever its name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct FileIdentity {
    device: u64,
    inode: u64,
}

impl FileIdentity {
    fn of(metadata: &fs::Metadata) -> Self {
        Self { device: metadata.dev(), inode: metadata.ino() }
    }
}

impl OwnPath {
    /// Takes over the path that was bound just now. From here on it is removed on drop.
    pub(super) fn of(path: &Path) -> io::Result<Self> {
        let identity = Mutex::new(Some(FileIdentity::of(&fs::symlink_metadata(path)?)));
        // The process may change its directory before the listener is dropped.
        Ok(Self { path: std::path::absolute(path)?, identity })
    }

    /// The permissions of the path; `None` once it is removed, or replaced.
    pub(in crate::net) fn mode(&self) -> Option<u32> {
        let known = (*lock(&self.identity))?;
        let metadata = fs::symlink_metadata(&self.path).ok()?;
        (FileIdentity::of(&metadata) == known).then_some(metadata.mode() & 0o7777)
    }

    /// Removes the path, once, and only if it is still the same file. A path that cannot be removed stays,
    /// as after a crash. Must be called while the socket is open: the open socket keeps the inode number
    /// from being given to another file.
    pub(in crate::net) fn remove(&self) {
        let mut known = lock(&self.identity);
        let Some(identity) = known.take() else { return };
        let same = fs::symlink_metadata(&self.path)
            .is_ok_and(|metadata| FileIdentity::of(&metadata) == identity);
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

/// Sets the mode that the path will be made with. Linux takes it from the socket, less the umask; on other
/// systems this has no effect, and [`set_mode`] does everything.
pub(super) fn set_mode_before(socket: &Socket, mode: u32) {
    fchmod(socket, Mode::from_raw_mode(raw(mode))).ok();
}

/// Sets the mode of the path, unless it is that already.
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

/// Keeps other servers of forebay from replacing paths in this directory, until the result is dropped.
/// `None` if another server or another program holds the lock.
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

/// Removes a socket of this user at which no process listens. Anything else stays, and is an error that
/// tells what it is.
pub(super) fn remove_stale(
    path: &Path,
    address: &SockAddr,
    make: impl FnOnce() -> io::Result<Socket>,
) -> Result<()> {
    let failed = |error| Error::from_io("replace_stale", error);
    let found = match fs::symlink_metadata(path) {
        Ok(found) => found,
        // Its owner has removed it in the meantime.
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(failed(error)),
    };
    if !found.file_type().is_socket() {
        return Err(in_use("the path is no socket; nothing was replaced"));
    }
    if found.uid() != nix::unistd::geteuid().as_raw() {
        return Err(in_use("the socket belongs to another user; nothing was replaced"));
    }
    let probe = make().map_err(failed)?;
    match uninterrupted(|| probe.connect(address)) {
        Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => {}
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        // A socket of the other type is open there, or one of datagrams that has a peer.
        Err(error) if is_one_of(&error, &[Errno::PROTOTYPE, Errno::PERM]) => {
            return Err(in_use(
                "a socket of another kind is open there; replace_stale has replaced nothing",
            ));
        }
        Err(error) if error.kind() != io::ErrorKind::WouldBlock => return Err(failed(error)),
        // `WouldBlock` means that a server with a full backlog listens.
        Ok(()) | Err(_) => return Err(in_use("a server listens there; nothing was replaced")),
    }
    let still = fs::symlink_metadata(path)
        .is_ok_and(|metadata| FileIdentity::of(&metadata) == FileIdentity::of(&found));
    if still { fs::remove_file(path).map_err(failed) } else { Ok(()) }
}

fn is_one_of(error: &io::Error, errnos: &[Errno]) -> bool {
    errnos.iter().any(|errno| error.raw_os_error() == Some(errno.raw_os_error()))
}

fn in_use(detail: &'static str) -> Error {
    Error::new(ErrorKind::AddressInUse, "bind").with_detail(detail)
}
