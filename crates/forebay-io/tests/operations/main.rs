//! Operations on whole streams and items: copies, writes that do not wait, shared channels.

mod copies;
mod gauges;
mod shared;
mod shared_threads;
mod tries;
