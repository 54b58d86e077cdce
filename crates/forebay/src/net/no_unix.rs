//! No Unix sockets: what is compiled where this library does not use them.

/// A path that belongs to a listener; there is none.
#[derive(Debug)]
pub(super) enum NoPath {}

impl NoPath {
    pub(super) fn remove(&self) {
        match *self {}
    }

    pub(super) fn mode(&self) -> Option<u32> {
        match *self {}
    }
}
