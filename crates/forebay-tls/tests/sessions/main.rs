//! Two sessions, and what passes between them.

mod cuts;
mod interleaved;
mod key_updates;
mod segments;
mod threads;
mod user_code;
mod wire;
