//! Holdings and how long they last: memory, blocks, descriptors and futures.

#![allow(clippy::unwrap_used)]

mod blocks_handed_over;
mod bounded_memory;
mod closed_in_transfer;
mod datagrams;
mod drop_orders;
mod echo_with_drops;
mod forgotten_futures;
mod futures;
mod idle_connection;
mod many_selectors;
mod nothing_is_left;
mod of_a_peak;
mod one_to_many;
mod reused_numbers;
mod settled_blocks;
mod shutdown_under_load;
mod tls_bounded_memory;
mod tls_drop_orders;
mod witness_itself;
mod write_and_return;

forebay_testing::count_allocations!();
