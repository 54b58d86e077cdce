//! The vocabulary of the models.
//!
//! They run the shipped source of `forebay-io`, whose `sync.rs` takes its primitives from the checker that
//! a flag of the compiler selects:
//!
//! - `--cfg loom`: every order in which the threads of a small scenario can interleave, up to a number of
//!   preemptions, and every value that a relaxed load may return.
//! - `--cfg shuttle`: the same scenarios and larger ones, in orders drawn at random.
//!
//! ```text
//!   writer ─┐                     ┌─► Transport: takes bytes as the scenario gives it room
//!   socket ─┼─► Outbox (shipped) ─┤
//!   closer ─┘                     └─► FlushSchedule: flushes in the call, or when the scenario says so
//! ```
//!
//! The wait for a descriptor's readiness belongs to `forebay`, and knows neither sockets nor a poll. Its
//! sources are included here, so that their `sync` is the checker's: see [`readiness`].
//!
//! ```text
//!   reader ──► Registration (shipped) ──► Slot (shipped)
//!   closer ──────────┘                       ▲
//!   kernel (the scenario) ───────────────────┘
//! ```
//!
//! The same holds for the live tasks of a worker, and the close that waits for them: see [`tasks`].
//!
//! ```text
//!   spawner ──► Tasks (shipped) ──► Listing, Control (shipped) ──► a task: the scenario
//!   closer ───────┘
//! ```
//!
//! And for the seat of the thread that drives a worker: see [`seat`].
//!
//! ```text
//!   driver ──► Seat (shipped) ◄── a thread that pushes
//! ```
//!
//! And for the look-up of a name, and the calls that share it: see [`look_ups`].
//!
//! ```text
//!   caller ─┐                       ┌─► the work of a resolver: the scenario
//!   caller ─┴─► LookUp (shipped) ───┴─► a thread of the system's: the scenario
//! ```
//!
//! An outbox can be placed over another one, with a [`Layer`] between them that makes records, as TLS does.
//!
//! A wait that never ends is a deadlock, which both checkers report. So is a waker or a value that is
//! touched under the outbox's lock, because those of [`block_on`] look at the outbox.

#![forbid(unsafe_code)]

#[cfg(not(any(loom, shuttle)))]
compile_error!(
    "a model needs its checker: RUSTFLAGS=\"--cfg loom\" or RUSTFLAGS=\"--cfg shuttle\""
);

#[cfg(any(loom, shuttle))]
mod checker;
#[cfg(any(loom, shuttle))]
#[path = "../../crates/forebay/src/interrupted.rs"]
mod interrupted;
#[cfg(any(loom, shuttle))]
mod layer;
#[cfg(any(loom, shuttle))]
#[path = "../../crates/forebay/src/lock.rs"]
mod lock;
#[cfg(any(loom, shuttle))]
pub mod look_ups;
#[cfg(any(loom, shuttle))]
pub mod readiness;
#[cfg(any(loom, shuttle))]
mod schedule;
#[cfg(any(loom, shuttle))]
pub mod seat;
#[cfg(any(loom, shuttle))]
mod sync;
#[cfg(any(loom, shuttle))]
mod task;
#[cfg(any(loom, shuttle))]
pub mod tasks;
#[cfg(any(loom, shuttle))]
mod transport;

#[cfg(shuttle)]
pub use self::checker::{explore_widely, random};
#[cfg(any(loom, shuttle))]
pub use self::{
    checker::{atomic, explore, mpsc, spawn},
    layer::Layer,
    schedule::{TestSchedule, When},
    task::{block_on, poll_once, work_on},
    transport::Transport,
};
