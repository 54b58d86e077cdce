//! Explanations of dates.

use forebay_io::TlsFault;
use rustls::CertificateError;
use rustls::pki_types::UnixTime;

use super::{Scene, refused};
use crate::callback_facts::Refusal;
use crate::text::utc;
use crate::trust::words::who;
use crate::x509::Certificate;

impl Scene<'_> {
    /// Explains an expired certificate. The error tells which date it was: other certificates of the chain
    /// may have expired, too, without doing harm.
    pub(super) fn expired(&self, error: &CertificateError) -> Refusal {
        let is_late = |end: i64| match error {
            CertificateError::ExpiredContext { not_after, .. } => end == seconds(*not_after),
            _ => end < seconds(self.presented.now),
        };
        let mut certificates = self.chain.certificates.iter();
        let late = certificates.find_map(|c| Some((c, c.not_after.filter(|end| is_late(*end))?)));
        let which = late.map_or_else(
            || "a certificate has expired".to_owned(),
            |(c, end)| format!("{} expired on {}", who(c), utc(end)),
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
        let early =
            certificates.find_map(|c| Some((c, c.not_before.filter(|begin| is_early(*begin))?)));
        let which = early.map_or_else(
            || "a certificate is not valid yet".to_owned(),
            |(c, begin)| format!("{} is valid from {} on", who(c), utc(begin)),
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
        let is_backward =
            |c: &Certificate<'_>| c.not_after.is_some_and(|end| c.not_before > Some(end));
        let backward = self.path.iter().find(|c| is_backward(c));
        self.invalid(format!(
            "{} expires before it becomes valid",
            backward.map_or_else(|| "one".to_owned(), |certificate| who(certificate))
        ))
    }
}

fn seconds(time: UnixTime) -> i64 {
    i64::try_from(time.as_secs()).unwrap_or(i64::MAX)
}
