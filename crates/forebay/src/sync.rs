//! The primitives of what `models/` runs under model checkers: this source is included there, where
//! these names are the checker's.

pub(crate) use std::sync::{Mutex, OnceLock, RwLock, atomic};
pub(crate) use std::thread_local;
