//! TCP: listening and connecting.

mod attempts;
mod builder;
mod connect;

pub use self::builder::TcpBuilder;
