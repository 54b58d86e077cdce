//! Lines of a key log, on request.

use std::fmt::{self, Write as _};
use std::sync::Arc;

use rustls::KeyLog;

/// A user's closure that is given lines in the format of NSS (RFC 9850, section 2).
#[derive(Clone)]
pub(super) struct KeyLogger(Arc<dyn Fn(&str) + Send + Sync>);

impl KeyLogger {
    pub(super) fn new(log: impl Fn(&str) + Send + Sync + 'static) -> Self {
        Self(Arc::new(log))
    }
}

impl KeyLog for KeyLogger {
    fn log(&self, label: &str, client_random: &[u8], secret: &[u8]) {
        let mut line =
            String::with_capacity(label.len() + 2 + 2 * (client_random.len() + secret.len()));
        line.push_str(label);
        for bytes in [client_random, secret] {
            line.push(' ');
            for byte in bytes {
                write!(line, "{byte:02x}").expect("a string takes everything");
            }
        }
        (self.0)(&line);
    }
}

impl fmt::Debug for KeyLogger {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("on")
    }
}
