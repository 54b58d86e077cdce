//! Spans of connections and events of reports, as a subscriber of `tracing` gets them.

#![allow(clippy::unwrap_used)]

mod connections;
mod recorder;
mod reports;
