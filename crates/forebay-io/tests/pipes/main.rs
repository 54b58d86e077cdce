//! Channels in memory, between threads and with user code in between.

mod capacity;
mod causes;
mod names;
mod reentrancy;
mod rows;
mod static_promises;
mod thread_end;
mod threads;
