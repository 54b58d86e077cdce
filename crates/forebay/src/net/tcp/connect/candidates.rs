//! The addresses that a race has not tried yet, in the order in which it will.

use std::collections::{HashSet, VecDeque};
use std::net::{IpAddr, SocketAddr};

/// Addresses of a host, interleaved by family (RFC 8305, section 4): one of the preferred family first, then one of
/// the other, and so on, each family in the resolver's order.
#[derive(Debug, Default)]
pub(super) struct Candidates {
    v6: VecDeque<SocketAddr>,
    v4: VecDeque<SocketAddr>,
    /// The family of the next one, if it has any left; `None` before the first address is known.
    next: Option<Family>,
    has_begun: bool,
    seen: HashSet<(IpAddr, u32)>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Family {
    V6,
    V4,
}

impl Family {
    /// Returns the family by which a socket reaches the address. A mapped address is one of IPv4.
    fn of(address: SocketAddr) -> Self {
        if address.ip().to_canonical().is_ipv4() { Self::V4 } else { Self::V6 }
    }

    fn other(self) -> Self {
        match self {
            Self::V6 => Self::V4,
            Self::V4 => Self::V6,
        }
    }
}

impl Candidates {
    /// Adds a part of a resolver's answer. The family of its first address is preferred. A later part of IPv6
    /// changes that as long as no attempt has begun, because an answer in parts has no order between its
    /// families.
    pub(super) fn add(&mut self, part: impl IntoIterator<Item = SocketAddr>) {
        let known = self.next;
        for address in part {
            let family = Family::of(address);
            if !self.seen.insert((address.ip().to_canonical(), scope_of(address))) {
                continue;
            }
            self.list(family).push_back(address);
            let first = *self.next.get_or_insert(family);
            if known.is_some() && !self.has_begun && first == Family::V4 {
                self.next = Some(family);
            }
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.v6.is_empty() && self.v4.is_empty()
    }

    /// Returns `true` if addresses of IPv6 may still come first.
    pub(super) fn lacks_v6(&self) -> bool {
        self.v6.is_empty() && !self.has_begun
    }

    /// Takes the next address.
    pub(super) fn take(&mut self) -> Option<SocketAddr> {
        let wanted = self.next?;
        let family = if self.list(wanted).is_empty() { wanted.other() } else { wanted };
        let address = self.list(family).pop_front()?;
        self.next = Some(family.other());
        self.has_begun = true;
        Some(address)
    }

    /// Puts an address back that could not be tried.
    pub(super) fn put_back(&mut self, address: SocketAddr) {
        let family = Family::of(address);
        self.list(family).push_front(address);
        self.next = Some(family);
    }

    fn list(&mut self, family: Family) -> &mut VecDeque<SocketAddr> {
        match family {
            Family::V6 => &mut self.v6,
            Family::V4 => &mut self.v4,
        }
    }
}

fn scope_of(address: SocketAddr) -> u32 {
    match address {
        SocketAddr::V6(address) => address.scope_id(),
        SocketAddr::V4(_) => 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn addresses<const N: usize>(hosts: [&str; N]) -> [SocketAddr; N] {
        hosts.map(|host| (host.parse::<IpAddr>().expect("an address"), 80).into())
    }

    fn order(candidates: &mut Candidates) -> Vec<String> {
        std::iter::from_fn(|| candidates.take()).map(|it| it.ip().to_string()).collect()
    }

    #[test]
    fn families_take_turns_each_in_the_resolvers_order() {
        let mut candidates = Candidates::default();
        candidates.add(addresses(["::1", "::2", "::3", "192.0.2.1", "192.0.2.2"]));
        assert_eq!(order(&mut candidates), ["::1", "192.0.2.1", "::2", "192.0.2.2", "::3"]);
        let mut candidates = Candidates::default();
        candidates.add(addresses(["192.0.2.1", "::1", "192.0.2.2"]));
        assert_eq!(order(&mut candidates), ["192.0.2.1", "::1", "192.0.2.2"]);
    }

    #[test]
    fn a_later_part_of_ipv6_comes_first_until_an_attempt_has_begun() {
        let mut candidates = Candidates::default();
        candidates.add(addresses(["192.0.2.1", "192.0.2.2"]));
        assert!(candidates.lacks_v6());
        candidates.add(addresses(["::1", "::2"]));
        assert!(!candidates.lacks_v6());
        assert_eq!(order(&mut candidates), ["::1", "192.0.2.1", "::2", "192.0.2.2"]);

        let mut candidates = Candidates::default();
        candidates.add(addresses(["192.0.2.1", "192.0.2.2", "192.0.2.3"]));
        assert_eq!(candidates.take(), Some(addresses(["192.0.2.1"])[0]));
        candidates.add(addresses(["::1"]));
        assert_eq!(order(&mut candidates), ["::1", "192.0.2.2", "192.0.2.3"]);
    }

    #[test]
    fn an_address_is_tried_once_in_whatever_form_it_comes() {
        let mut candidates = Candidates::default();
        candidates.add(addresses(["192.0.2.1", "::ffff:192.0.2.1", "192.0.2.1"]));
        candidates.add(addresses(["192.0.2.1", "::1"]));
        assert_eq!(order(&mut candidates), ["::1", "192.0.2.1"]);
    }

    #[test]
    fn an_address_that_is_put_back_is_the_next() {
        let mut candidates = Candidates::default();
        candidates.add(addresses(["::1", "192.0.2.1"]));
        let first = candidates.take().expect("an address");
        candidates.put_back(first);
        assert_eq!(order(&mut candidates), ["::1", "192.0.2.1"]);
    }
}
