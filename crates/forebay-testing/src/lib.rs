//! The vocabulary of the tests of this workspace, with one definition of each word.
//!
//! Watchdogs, waiting, repeatable random numbers, and bytes that tell their position are for all tests.
//! [`channels`] is about channels without sockets, `sessions` (feature `tls`) about TLS without sockets,
//! and the rest (feature `sockets`) about selectors, sockets, peers, processes and the kernel. Never
//! published.

#![forbid(unsafe_code)]
#![allow(
    missing_docs,
    missing_debug_implementations,
    async_fn_in_trait,
    clippy::unwrap_used,
    clippy::missing_errors_doc,
    clippy::missing_panics_doc,
    clippy::new_without_default,
    clippy::return_self_not_must_use,
    clippy::should_implement_trait,
    reason = "tests alone use it: a panic is how they fail"
)]

mod bytes;
pub mod channels;
mod files;
pub mod oracle;
mod output;
mod poll;
#[cfg(feature = "property")]
mod property;
mod random;
pub mod reading;
#[cfg(feature = "tls")]
pub mod sessions;
mod sync;
mod wait;
mod watch;

pub use self::bytes::{KIB, MIB, pattern, scrambled};
pub use self::files::nameless_file;
pub use self::output::{report, skip};
pub use self::poll::{Wakes, at_once, counted_waker, cut_after, finish, poll_once, poll_with};
#[cfg(feature = "property")]
pub use self::property::{property, sizes, splits};
pub use self::random::{Random, from_environment, seed, size};
pub use self::sync::{OnDrop, Signal, lock, panic_text};
pub use self::wait::{await_that, until, until_that, wait_for};
pub use self::watch::{PATIENCE, watched, watched_for, watched_future};

#[cfg(feature = "sockets")]
mod alone;
#[cfg(feature = "sockets")]
mod child;
#[cfg(feature = "sockets")]
pub mod drop_orders;
#[cfg(feature = "sockets")]
pub mod ends;
#[cfg(feature = "sockets")]
mod example;
#[cfg(feature = "sockets")]
pub mod foreign;
#[cfg(feature = "sockets")]
mod host;
#[cfg(feature = "sockets")]
mod kernel;
#[cfg(feature = "sockets")]
mod known;
#[cfg(all(feature = "sockets", target_os = "linux"))]
mod netns;
#[cfg(feature = "sockets")]
mod process;
#[cfg(feature = "sockets")]
mod resolvers;
#[cfg(feature = "sockets")]
mod silent;
#[cfg(feature = "sockets")]
mod sockets;
#[cfg(feature = "sockets")]
pub mod tls;
#[cfg(feature = "sockets")]
mod transports;
#[cfg(feature = "sockets")]
pub mod unix;
#[cfg(feature = "sockets")]
pub mod witness;

#[cfg(all(feature = "sockets", target_os = "linux"))]
pub use self::netns::{Cable, End, PLUG, on_a_cable};
#[cfg(all(feature = "sockets", target_os = "linux"))]
pub use self::process::{NoDescriptors, other_handle, other_handles_of_new_sockets};
#[cfg(feature = "sockets")]
pub use self::{
    alone::{Ended, alone, child, counted_alone},
    child::{Child, Log, role, say},
    example::{Server, example, lines_of},
    host::{Host, settle},
    kernel::{
        TcpRow, TcpState, are_gone, connecting_to, connection, connection_between, is_gone,
        memory_of, other_end, processor_time_here, processor_time_of, sleeps, unacknowledged_from,
    },
    known::Known,
    process::{await_no_worker, descriptors, socket_descriptors, threads, worker_threads},
    resolvers::{ByHand, Names},
    silent::{Silent, on_one_port},
    sockets::{
        connect_to_std, connected, connection_and_peer, dial, drain, end_and_arrive, flood,
        in_host, listener, pair, read_lines_beside_urgent_bytes, read_to_end, refusing, reset, run,
        run_on_a_worker, run_on_one_worker, send_lines_with_urgent_bytes, until_at_rest,
    },
    transports::{
        DRAIN_TIMEOUT, MOMENT, Transport, assert_reset, just_before, just_before_silence, on_each,
        on_every_transport, on_every_transport_on_one_worker, on_every_transport_with_clock,
        on_every_transport_with_clock_on_a_worker, on_transports, past_silence, until_given_up,
        with_clock, with_clock_on_a_worker,
    },
};
