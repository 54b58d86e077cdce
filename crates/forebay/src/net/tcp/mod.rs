//! TCP: listening and connecting.

mod advice;
mod attempts;
mod builder;
mod connect;

pub use self::builder::TcpBuilder;
