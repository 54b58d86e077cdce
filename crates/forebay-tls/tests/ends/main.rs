//! The ends of sessions: in order, by errors, and before they have begun.

mod aborted;
mod ahead;
mod discarded;
mod dropped;
mod garbage;
mod half_close;
mod in_the_way;
mod raced;
mod refused;
