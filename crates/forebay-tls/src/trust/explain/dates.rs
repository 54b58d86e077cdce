//! What to say of dates.

use forebay_io::TlsFault;
use rustls::pki_types::UnixTime;

use super::{Scene, refused};
use crate::notes::Refusal;
use crate::text::utc;
use crate::trust::words::who;

impl Scene<'_> {
    pub(super) fn expired(&self) -> Refusal {
        let now = seconds(self.presented.now);
        let late =
            self.chain.certificates.iter().find(|c| c.validity().not_after.timestamp() < now);
        let which = late.map_or_else(
            || "a certificate has expired".to_owned(),
            |c| format!("{} expired on {}", who(c), utc(c.validity().not_after.timestamp())),
        );
        self.dated(TlsFault::Expired, &which, "send a renewed certificate")
    }

    pub(super) fn not_yet_valid(&self) -> Refusal {
        let now = seconds(self.presented.now);
        let early =
            self.chain.certificates.iter().find(|c| c.validity().not_before.timestamp() > now);
        let which = early.map_or_else(
            || "a certificate is not valid yet".to_owned(),
            |c| format!("{} is valid from {} on", who(c), utc(c.validity().not_before.timestamp())),
        );
        self.dated(TlsFault::NotYetValid, &which, "send one that is valid already")
    }

    fn dated(&self, fault: TlsFault, which: &str, remedy: &str) -> Refusal {
        refused(
            fault,
            format!(
                "certificates that are valid at {} (this clock)",
                utc(seconds(self.presented.now))
            ),
            which,
            format!("have the {} {remedy}, or set this clock if it is wrong", self.role()),
        )
    }

    pub(super) fn backward_dates(&self) -> Refusal {
        let backward = self.path.iter().find(|c| c.validity().not_before > c.validity().not_after);
        self.invalid(format!(
            "{} expires before it becomes valid",
            backward.map_or_else(|| "one".to_owned(), |certificate| who(certificate))
        ))
    }
}

fn seconds(time: UnixTime) -> i64 {
    i64::try_from(time.as_secs()).unwrap_or(i64::MAX)
}
