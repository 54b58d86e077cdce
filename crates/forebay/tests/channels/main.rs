//! Properties of a connection's channels that hold over every transport.

#![allow(clippy::unwrap_used)]

mod batches;
mod channel_tasks;
mod duplex;
mod errors_name_the_peer;
mod every_transport;
mod every_transport_ends;
mod fairness;
mod files;
mod gives_way;
mod lines_from_peers;
mod no_call_in_vain;
mod one_send_per_turn;
mod one_to_many;
mod peer_end_in_sight;
mod peer_that_sleeps;
mod read_limits;
mod relay;
mod shared;
mod shared_files;
mod steps;
mod user_code;
mod wakers;
mod write_limits;

forebay_testing::count_allocations!();
