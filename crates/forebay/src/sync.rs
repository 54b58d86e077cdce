//! The synchronisation primitives of the sources that `models/` runs under model checkers. There these
//! names are the checker's.

pub(crate) use std::sync::{Mutex, OnceLock, RwLock, RwLockReadGuard, RwLockWriteGuard, atomic};
pub(crate) use std::thread_local;
