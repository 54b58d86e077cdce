//! What to say of dates.

use forebay_io::TlsFault;
use rustls::CertificateError;
use rustls::pki_types::UnixTime;

use super::{Scene, refused};
use crate::notes::Refusal;
use crate::text::utc;
use crate::trust::words::who;

impl Scene<'_> {
    /// The error tells which date it was, because others of the chain may be past, too, and do no
    /// harm.
    pub(super) fn expired(&self, error: &CertificateError) -> Refusal {
        let is_late = |end: i64| match error {
            CertificateError::ExpiredContext { not_after, .. } => end == seconds(*not_after),
            _ => end < seconds(self.presented.now),
        };
        let mut certificates = self.chain.certificates.iter();
        let late = certificates.find(|c| is_late(c.validity().not_after.timestamp()));
        let which = late.map_or_else(
            || "a certificate has expired".to_owned(),
            |c| format!("{} expired on {}", who(c), utc(c.validity().not_after.timestamp())),
        );
        self.dated(TlsFault::Expired, &which, "send a renewed certificate")
    }

    pub(super) fn not_yet_valid(&self, error: &CertificateError) -> Refusal {
        let is_early = |begin: i64| match error {
            CertificateError::NotValidYetContext { not_before, .. } => {
                begin == seconds(*not_before)
            }
            _ => begin > seconds(self.presented.now),
        };
        let mut certificates = self.chain.certificates.iter();
        let early = certificates.find(|c| is_early(c.validity().not_before.timestamp()));
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
