//! The errors of several addresses, combined into one.

use std::net::SocketAddr;

use forebay_io::{Error, ErrorKind};

use crate::net::address::Address;

/// An error lists this many of the first errors, and the last one.
const TOLD: usize = 4;

/// The errors of the addresses that one name stands for.
#[derive(Debug, Default)]
pub(super) struct Attempts {
    /// The first few, each with its address.
    first: Vec<(SocketAddr, Error)>,
    /// The latest one, after the first ones.
    last: Option<(SocketAddr, Error)>,
    count: usize,
}

impl Attempts {
    pub(super) fn failed(&mut self, error: Error, address: SocketAddr) {
        self.count += 1;
        if self.first.len() < TOLD {
            self.first.push((address, error));
        } else {
            self.last = Some((address, error));
        }
    }

    /// Returns the last error, with the host that was asked for and the advice on it. If several addresses
    /// were tried, its message lists the attempts.
    pub(super) fn into_error(
        self,
        operation: &'static str,
        host: &Address,
        advice_on: impl Fn(&Error, SocketAddr) -> Option<&'static str>,
    ) -> Error {
        let Self { mut first, last, count } = self;
        let skipped = count - first.len() - usize::from(last.is_some());
        first.extend(last);
        let Some((address, newest)) = first.last().cloned() else {
            return Error::new(ErrorKind::NotFound, operation).with_address(host);
        };
        // An option that could not be set has its own name, and nothing to do with the address.
        let advice =
            if newest.operation() == operation { advice_on(&newest, address) } else { None };
        if count == 1 {
            let newest = match host.host_name() {
                Some(_) => newest.with_address(format_args!("{host} ({address})")),
                None => newest.with_address(address),
            };
            return match advice {
                Some(advice) => newest.or_detail(advice),
                None => newest,
            };
        }
        let told = |(address, error): (SocketAddr, Error)| error.with_address(address).to_string();
        let mut told: Vec<_> = first.into_iter().map(told).collect();
        if skipped > 0 {
            told.insert(TOLD, format!("{skipped} more"));
        }
        told.extend(advice.map(str::to_owned));
        let detail = format!("{count} addresses failed: {}", told.join("; "));
        newest.with_address(host).with_detail(detail)
    }
}
