//! The beginning of a worker's watch on a descriptor, which depends on the system.

#[cfg(unix)]
mod unix;
#[cfg(windows)]
mod windows;
