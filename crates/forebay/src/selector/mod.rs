//! The selector: the value that owns the worker, the tasks and the clock.

mod beside;
mod bounded;
mod builder;
mod channel_tasks;
mod closing;
mod current;
mod freed;
mod manager;
mod remaining;
mod shared;
mod spin;
mod stats;
mod worker;

#[cfg(feature = "tls")]
pub(crate) use self::bounded::Bounded;
pub(crate) use self::bounded::Member;
pub use self::builder::SelectorBuilder;
pub(crate) use self::current::selector as current_selector;
pub use self::manager::SelectorManager;
pub(crate) use self::remaining::Remains;
pub(crate) use self::shared::{SelectorTurns, Shared, closed, given_up};
pub use self::stats::Stats;
