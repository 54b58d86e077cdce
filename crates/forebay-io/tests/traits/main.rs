//! The traits of other crates on the channels, polled by hand: what each poll does, which task it wakes,
//! and what a call that is not repeated leaves behind.

#![allow(clippy::unwrap_used, clippy::similar_names)]

mod family;
mod foreign;
mod reading;
mod sink;
mod writing;
