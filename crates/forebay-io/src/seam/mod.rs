//! The interfaces at which a channel's bytes come in and go out.
//!
//! Sockets, TLS and pipes are each a [`Source`] and a [`Drain`]; half-close, limits, errors and cancel
//! safety are implemented once, above them. These traits are for the crates of forebay: `forebay` does not
//! re-export them, and they may change in any release before 1.0.

mod drain;
mod inlet;
mod source;
mod wake_list;

pub use self::drain::Drain;
pub use self::inlet::Inlet;
pub use self::source::{Filled, Source};
pub use self::wake_list::WakeList;
pub use crate::block::{BLOCK_BYTES, BlockLedger, WorkerPool, raise_pool};
pub use crate::cause::Cause;
pub use crate::host_name::{HOST_NAME_MAX, HostNameFault, LABEL_MAX, host_name_fault};
pub use crate::kernel::{FileBytes, KernelBytes, KernelSegment};
pub use crate::lane::Lane;
pub use crate::lock::{lock, unpoisoned};
pub use crate::outbox::{Below, FlushSchedule, Outbox, Parcel, Until, WorkerStage, end_poll};
pub use crate::pipe::{PipeEnding, PipeSource, ends as pipe_ends};
pub use crate::queue::SendQueue;
pub use crate::read::{Inbox, ReadLimits};
pub use crate::text::printable;
pub use crate::turn::{Answers, Share, ThreadTurns, giving_way, poll_answer, turn, wake_next_turn};
pub use crate::unwinding::{torn_down, unwinding};
pub use crate::waiters::{WaiterKey, Waiters, wait_in};
pub use crate::write::WriteLimits;
