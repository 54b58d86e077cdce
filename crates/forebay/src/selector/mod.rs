//! The selector: the value that owns workers, tasks and sockets, and closes them.

mod bounded;
mod builder;
mod channel_tasks;
mod closing;
mod flush_schedule;
mod freed;
mod group;
mod manager;
#[cfg(any(target_os = "linux", target_os = "android"))]
mod pipes;
#[cfg(unix)]
mod ready;
mod remaining;
mod settings;
mod shared;
#[cfg(all(feature = "signal", unix))]
mod signal_calls;
#[cfg(all(feature = "signal", unix))]
mod signals;
mod sockets;
mod stats;
mod traffic;
mod users;

#[cfg(feature = "tls")]
pub(crate) use self::bounded::Bounded;
pub(crate) use self::bounded::Member;
pub use self::builder::SelectorBuilder;
#[cfg(feature = "tls")]
pub(crate) use self::closing::closed;
pub(crate) use self::closing::{Waits, given_up};
pub use self::group::{TaskGroup, TaskPlace};
pub use self::manager::SelectorManager;
#[cfg(any(target_os = "linux", target_os = "android"))]
pub(crate) use self::pipes::KernelPipe;
pub(crate) use self::remaining::Remains;
pub(crate) use self::shared::Shared;
#[cfg(all(feature = "signal", unix))]
pub use self::signals::{SignalKind, Signals};
pub use self::stats::Stats;
