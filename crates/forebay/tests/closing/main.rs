//! The ends of connections: closes that lose nothing, resets, limits, and what goes on behind them.

#![allow(clippy::unwrap_used)]

mod background_closes;
mod close_loses_nothing;
mod close_meets_close;
mod close_within;
mod closed;
mod closing;
mod data_and_end_in_one_event;
mod drain_timeout;
mod read_beside_close;
mod reset;
mod reset_in_mid_write;
mod selector;
mod urgent_data;
