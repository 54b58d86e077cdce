//! Unix stream sockets: listening and connecting, and the path of a listener.

mod advice;
mod builder;
mod path;

pub use self::builder::UnixBuilder;
pub(in crate::net) use self::path::OwnPath;
