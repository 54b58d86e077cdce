//! Paths for Unix sockets, and users that try to get in.

use std::fs;
use std::io::ErrorKind;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::thread;

use forebay::{Connection, Result, SelectorManager, UnixAddress};

use crate::wait_for;

/// The user `nobody`, which owns nothing.
pub const NOBODY: u32 = 65_534;

/// A directory of a test's own that all users may enter, with a short name.
pub struct Directory(PathBuf);

impl Directory {
    pub fn new() -> Self {
        static MADE: AtomicUsize = AtomicUsize::new(0);
        let path = loop {
            let name = format!("forebay-{}-{}", std::process::id(), MADE.fetch_add(1, Relaxed));
            let path = std::env::temp_dir().join(name);
            match fs::create_dir(&path) {
                Ok(()) => break path,
                // Of a process that was killed, and had the same number.
                Err(error) if error.kind() == ErrorKind::AlreadyExists => {}
                Err(error) => panic!("{}: {error}", path.display()),
            }
        };
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
        Self(path)
    }

    pub fn path(&self) -> &Path {
        &self.0
    }

    pub fn join(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }

    /// Returns the names in it.
    pub fn names(&self) -> Vec<String> {
        let entries = fs::read_dir(&self.0).unwrap();
        entries.map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned()).collect()
    }
}

impl Drop for Directory {
    fn drop(&mut self) {
        fs::remove_dir_all(&self.0).ok();
    }
}

/// Returns an abstract name that no other test has.
pub fn abstract_name(test: &str) -> UnixAddress {
    UnixAddress::Abstract(format!("forebay-{}-{test}", std::process::id()).into_bytes())
}

/// Makes a path at which no process listens any more, as left behind by a server that had no time to clean
/// up.
pub fn leave_stale(path: &Path) {
    drop(UnixListener::bind(path).unwrap());
    // A process that another test starts at this moment has the listener too, until it becomes its program.
    wait_for(|| UnixStream::connect(path).is_err());
}

/// Returns the identity of the file at a path.
pub fn identity(path: &Path) -> (u64, u64) {
    let metadata = fs::symlink_metadata(path).unwrap();
    (metadata.dev(), metadata.ino())
}

/// Returns the permissions of a path.
pub fn mode(path: &Path) -> u32 {
    fs::symlink_metadata(path).unwrap().mode() & 0o7777
}

pub fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}

/// Runs something on a thread of another user: on Linux a thread has a user of its own (`credentials(7)`),
/// and the rest of the process keeps its rights.
#[cfg(target_os = "linux")]
pub fn as_nobody<T: Send + 'static>(
    body: impl FnOnce() -> T + Send + 'static,
) -> thread::JoinHandle<T> {
    thread::spawn(move || {
        use rustix::process::{Gid, Uid};

        let (user, group) = (Uid::from_raw(NOBODY), Gid::from_raw(NOBODY));
        rustix::thread::set_thread_groups(&[]).unwrap();
        rustix::thread::set_thread_res_gid(group, group, group).unwrap();
        rustix::thread::set_thread_res_uid(user, user, user).unwrap();
        body()
    })
}

/// Returns a connection over a Unix socket, and the peer's end of it, which only the test drives.
pub async fn pair_with_std(selector: &SelectorManager) -> Result<(Connection, UnixStream)> {
    let directory = Directory::new();
    let path = directory.join("pair");
    let server = selector.unix().bind(&path).await?;
    let peer = UnixStream::connect(&path).unwrap();
    Ok((server.accept().await?.connection()?, peer))
}
