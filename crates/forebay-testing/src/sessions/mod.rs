//! The vocabulary of the tests of TLS sessions: two sides over pipes, a middle between them, a peer of
//! rustls that the test controls, and records as they are on the wire.
//!
//! Nothing here knows sockets, and both sides are polled by one thread.

mod middle;
mod puppet;
mod records;
mod sides;

pub use self::middle::{Middle, opened_with_middle, soon, with_middle};
pub use self::puppet::{Conn, Puppet, led, provider};
pub use self::records::{ALERT, DATA, HANDSHAKE, alert, plain_record, records};
pub use self::sides::{
    BOTH, Raw, Side, Version, client, client_of, fault, handshake, identity_pem, opened,
    opened_over, over, pair, server, server_of, side, side_and_raw, side_and_raw_over,
};
