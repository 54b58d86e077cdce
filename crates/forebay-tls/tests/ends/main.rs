//! How sessions end: in order, in disorder, and never begun.

mod aborted;
mod discarded;
mod dropped;
mod garbage;
mod half_close;
mod refused;
