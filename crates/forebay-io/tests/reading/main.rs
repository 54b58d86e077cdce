//! Reading: lines, exact counts, packets.

#![allow(clippy::cast_possible_truncation)]

mod ahead;
mod exact;
mod generated;
mod line_breaks;
mod line_end;
mod line_endings;
mod line_limit;
mod line_policies;
mod line_rows;
mod line_text;
mod lines_lent;
mod model;
mod packet;
mod until;
