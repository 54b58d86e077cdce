//! Operations on whole streams and items: copies, writes that do not wait, shared channels.

mod copies;
mod copies_to_both;
mod corpora;
mod frame_model;
mod frames;
mod gauges;
mod limits;
mod names;
mod operation_model;
mod shared;
mod shared_files;
mod shared_threads;
mod tries;
