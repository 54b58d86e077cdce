//! Time: the clock, timers, and the futures that wait for them.

mod alarm;
mod backoff;
mod clock;
mod interval;
mod patience;
mod queue;
mod sleep;
mod timeout;
mod timers;

pub(crate) use self::alarm::Alarm;
pub(crate) use self::backoff::Backoff;
pub use self::clock::Clock;
pub(crate) use self::clock::{ManualTime, WakeUp, system_now};
pub use self::interval::Interval;
pub(crate) use self::patience::{Limits, Look, Over, Patience};
pub use self::sleep::Sleep;
pub(crate) use self::timeout::{is_last_poll, timeout, within};
pub(crate) use self::timers::Timers;
