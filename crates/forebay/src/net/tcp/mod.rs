//! TCP: listening and connecting.

mod advice;
mod builder;
mod connect;
mod opening;

pub use self::builder::TcpBuilder;
