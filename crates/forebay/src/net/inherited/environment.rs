//! The descriptors that the service manager has opened for this process (`sd_listen_fds(3)`).

use std::os::fd::{AsFd, IntoRawFd, OwnedFd};
use std::sync::Mutex;

use forebay_io::seam::printable;
use forebay_io::{Error, ErrorKind, Result};

use super::NotTaken;
use super::kind::SocketKind;
use crate::lock::lock;

/// The name of a descriptor for which there is none (`sd_listen_fds_with_names(3)`).
const NAMELESS: &str = "unknown";

/// The characters of a name that an error shows.
pub(super) const SHOWN_MAX: usize = 64;

const OPERATION: &str = "from_env";

/// Those that are not taken; `None` until the first call.
///
/// They are the process's, as the variables are that tell of them, so a selector cannot own them: another one would
/// make an owner of the same numbers once more.
static LEFT: Mutex<Option<Vec<Named>>> = Mutex::new(None);

struct Named {
    name: String,
    fd: OwnedFd,
}

/// Takes the next descriptor of this name over. One of another kind stays, and one that cannot be taken over is put
/// back: what is wrong may be over at the next call, and the service manager gives it only once.
pub(super) fn take_over<T>(
    name: &str,
    kind: SocketKind,
    take_over: impl FnOnce(OwnedFd) -> std::result::Result<T, NotTaken>,
) -> Result<T> {
    let (at, fd) = take(name, kind)?;
    take_over(fd).map_err(|NotTaken { fd, error }| {
        let mut left = lock(&LEFT);
        let known = left.get_or_insert_default();
        known.insert(at.min(known.len()), Named { name: name.to_owned(), fd });
        error
    })
}

/// Takes the next descriptor of this name, made ready for use, and its place.
fn take(name: &str, kind: SocketKind) -> Result<(usize, OwnedFd)> {
    let mut left = lock(&LEFT);
    if left.is_none() {
        *left = Some(find()?);
    }
    let known = left.get_or_insert_default();
    let Some(at) = known.iter().position(|it| it.name == name) else {
        return Err(Error::new(ErrorKind::NotFound, OPERATION).with_detail(rest(known)));
    };
    kind.prepare(OPERATION, known[at].fd.as_fd())?;
    Ok((at, known.remove(at).fd))
}

fn find() -> Result<Vec<Named>> {
    let all = sd_listen_fds::get().map_err(|error| {
        Error::new(ErrorKind::InvalidInput, OPERATION)
            .with_cause(error)
            .with_detail("LISTEN_PID and LISTEN_FDS are decimal numbers")
    })?;
    let mut found = Vec::with_capacity(all.len());
    for (name, fd) in all {
        let (name, fd) = (name.unwrap_or_else(|| NAMELESS.to_owned()), fd.into_std());
        if rustix::fs::fstat(&fd).is_ok() {
            found.push(Named { name, fd });
        } else {
            // The environment names a descriptor that is not open. Nothing may close this number, which may come to
            // be another descriptor's.
            let _number = fd.into_raw_fd();
        }
    }
    Ok(found)
}

/// The names that could be taken instead, for an error.
fn rest(known: &[Named]) -> String {
    if known.is_empty() {
        return "no socket is left for this process (LISTEN_PID, LISTEN_FDS)".to_owned();
    }
    let names: Vec<_> = known.iter().map(|it| printable(&it.name, SHOWN_MAX)).collect();
    format!("the sockets that are left have the names: {}", names.join(", "))
}
