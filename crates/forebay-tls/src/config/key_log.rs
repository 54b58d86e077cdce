//! Writes the lines of a key log, on request.

use std::fmt;
use std::sync::Arc;

use rustls::KeyLog;

const DIGITS: &[u8; 16] = b"0123456789abcdef";

/// A user's closure that receives lines in the format of NSS (RFC 9850, section 2).
#[derive(Clone)]
pub(super) struct KeyLogger(Arc<dyn Fn(&str) + Send + Sync>);

impl KeyLogger {
    pub(super) fn new(log: impl Fn(&str) + Send + Sync + 'static) -> Self {
        Self(Arc::new(log))
    }
}

impl KeyLog for KeyLogger {
    fn log(&self, label: &str, client_random: &[u8], secret: &[u8]) {
        let secrets_bytes = client_random.len() + secret.len();
        let mut line = String::with_capacity(label.len() + 2 + 2 * secrets_bytes);
        line.push_str(label);
        for bytes in [client_random, secret] {
            line.push(' ');
            let digits = bytes.iter().flat_map(|byte| [byte >> 4, byte & 0xf]);
            line.extend(digits.map(|digit| char::from(DIGITS[usize::from(digit)])));
        }
        (self.0)(&line);
    }
}

impl fmt::Debug for KeyLogger {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("on")
    }
}
