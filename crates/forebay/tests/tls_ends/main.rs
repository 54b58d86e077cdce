//! The ends of secure connections.

#![allow(clippy::unwrap_used)]

mod abruptly;
mod bulk;
mod cut_lines;
mod end_marks;
mod ends;
mod half_close;
mod losses;
mod refused_at_close;
mod reset;
mod reset_while_reading;
mod unread_tickets;
