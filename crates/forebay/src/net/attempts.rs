//! The errors of several addresses, combined into one.

use std::net::SocketAddr;
use std::time::Duration;

use forebay_io::{Attempt, Error, ErrorKind, Fault};

use crate::net::address::Address;

/// The line of an error lists this many of the first errors, and the last one. [`Error::attempts`] has all.
const TOLD: usize = 4;

/// The failed attempts of a call, in the order in which they ended.
#[derive(Debug, Default)]
pub(super) struct Attempts(Vec<Failed>);

#[derive(Debug)]
struct Failed {
    address: SocketAddr,
    began: Duration,
    took: Duration,
    error: Error,
}

impl Attempts {
    /// Adds an attempt that took no time worth mentioning.
    pub(super) fn failed(&mut self, error: Error, address: SocketAddr) {
        self.failed_after(error, address, Duration::ZERO, Duration::ZERO);
    }

    /// Adds an attempt that began this long after the call, and took so long.
    pub(super) fn failed_after(
        &mut self,
        error: Error,
        address: SocketAddr,
        began: Duration,
        took: Duration,
    ) {
        self.0.push(Failed { address, began, took, error });
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Returns the error of the call: that of the attempt that came furthest, with the host that was asked for and the
    /// advice on it. If several addresses were tried, its line lists the attempts.
    pub(super) fn into_error(
        self,
        operation: &'static str,
        host: &Address,
        advice_on: impl Fn(&Error, SocketAddr) -> Option<&'static str>,
    ) -> Error {
        let Some(furthest) = self.furthest() else {
            return Error::new(ErrorKind::NotFound, operation).with_address(host);
        };
        let error = furthest.error.clone();
        // An option that could not be set has its own name, and nothing to do with the address.
        let is_of_address = error.operation() == operation;
        let advice = if is_of_address { advice_on(&error, furthest.address) } else { None };
        let error = if self.0.len() == 1 {
            let error = match host.host_name() {
                Some(_) => error.with_address(format_args!("{host} ({})", furthest.address)),
                None => error.with_address(furthest.address),
            };
            match advice {
                Some(advice) => error.or_detail(advice),
                None => error,
            }
        } else {
            let told = self.told().chain(advice.map(str::to_owned)).collect::<Vec<_>>().join("; ");
            error.with_address(host).with_detail(told)
        };
        error.with_attempts(self.into_records())
    }

    /// Completes the error of a call whose time was up.
    pub(super) fn into_late_error(self, late: Error, host: &Address) -> Error {
        let late = match &*self.0 {
            [] => late.with_address(host),
            [only] if host.host_name().is_some() => {
                late.with_address(format_args!("{host} ({})", only.address))
            }
            [only] => late.with_address(only.address),
            _ => late.with_address(host).and_detail(&self.told().collect::<Vec<_>>().join("; ")),
        };
        late.with_attempts(self.into_records())
    }

    /// Returns the last attempt that an answer, or the lack of one, has ended, and otherwise the last of all: that a
    /// peer refuses says more than that this machine has no IPv6.
    fn furthest(&self) -> Option<&Failed> {
        let by_peer = |it: &&Failed| it.error.kind().fault() == Fault::Peer;
        self.0.iter().rfind(by_peer).or(self.0.last())
    }

    /// Returns the number of attempts with the first one, some of the others, and the last one.
    fn told(&self) -> impl Iterator<Item = String> {
        let count = self.0.len();
        let skipped = count.saturating_sub(TOLD + 1);
        let text = |it: &Failed| it.error.clone().with_address(it.address).to_string();
        self.0.iter().enumerate().filter_map(move |(index, failed)| match index {
            0 => Some(format!("{count} addresses failed: {}", text(failed))),
            _ if index < TOLD || index + 1 == count => Some(text(failed)),
            TOLD => Some(format!("{skipped} more")),
            _ => None,
        })
    }

    fn into_records(self) -> Vec<Attempt> {
        let record = |it: Failed| Attempt::new(it.address.to_string(), it.began, it.took, it.error);
        self.0.into_iter().map(record).collect()
    }
}
