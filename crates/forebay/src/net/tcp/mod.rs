//! TCP: listening and connecting.

mod advice;
mod builder;
mod connect;

pub use self::builder::TcpBuilder;
