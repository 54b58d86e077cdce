//! The traits of other crates on the channels, each behind a feature. Their methods are polls of the inherent
//! calls; `docs/traits.md` compares the two.

#[cfg(feature = "futures-io")]
mod futures_io;
#[cfg(feature = "futures-sink")]
mod futures_sink;
#[cfg(feature = "tokio-io")]
mod tokio_io;
