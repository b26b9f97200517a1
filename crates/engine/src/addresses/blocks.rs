//! [`Blocks`]: what is held against addresses and networks.

use std::{collections::HashMap, fmt, net::IpAddr, time::Duration};

use ipnet::{IpNet, Ipv6Net};
use muster_protocol::Timestamp;
use muster_store::AddressMark;
use parking_lot::RwLock;

/// An address, or all addresses of a network.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Place {
    Address(IpAddr),
    Network(IpNet),
}

impl Place {
    /// Reads an address, or a network with the length of its prefix or its netmask. `None` for anything else, like a
    /// network whose address has bits beyond the prefix: it is not clear what was meant.
    pub(super) fn read(text: &str) -> Option<Self> {
        let Some((address, mask)) = text.split_once('/') else {
            return text
                .parse()
                .ok()
                .map(|address: IpAddr| Self::Address(address.to_canonical()));
        };
        let address: IpAddr = address.parse().ok()?;
        let network = match mask.parse::<IpAddr>() {
            Ok(mask) => IpNet::with_netmask(address, mask).ok()?,
            // `parse` would take "+8", too.
            Err(_) if mask.bytes().all(|digit| digit.is_ascii_digit()) => {
                IpNet::new(address, mask.parse().ok()?).ok()?
            }
            Err(_) => return None,
        };
        (network.trunc() == network).then_some(Self::Network(network))
    }

    /// Where somebody is at home: of IPv6 the network, for whoever has one address of it has all.
    pub(super) fn home_of(address: IpAddr) -> Self {
        match home_network(address) {
            IpNet::V4(only) => Self::Address(only.addr().into()),
            network @ IpNet::V6(_) => Self::Network(network),
        }
    }
}

/// Where somebody is at home, as it is written down.
pub(crate) fn home_of(address: IpAddr) -> String {
    Place::home_of(address).to_string()
}

/// The network of one customer, who has all of its addresses: of IPv4 a single one, of IPv6 the first 64 bits.
pub fn home_network(address: IpAddr) -> IpNet {
    const PREFIX: u8 = 64;
    match address.to_canonical() {
        IpAddr::V4(address) => IpNet::from(IpAddr::V4(address)),
        IpAddr::V6(address) => Ipv6Net::new_assert(address, PREFIX).trunc().into(),
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Address(address) => address.fmt(f),
            Self::Network(network) => network.fmt(f),
        }
    }
}

/// Addresses and networks that are blocked, and until when. Looked at with every pop and every request.
#[derive(Debug, Default)]
pub(crate) struct Blocks(RwLock<Known>);

#[derive(Debug, Default)]
struct Known {
    addresses: HashMap<IpAddr, Timestamp>,
    networks: HashMap<IpNet, Timestamp>,
    /// How often something has changed here.
    changes: u64,
}

impl Blocks {
    /// How often something has changed here.
    pub(super) fn changes(&self) -> u64 {
        self.0.read().changes
    }

    /// Takes over everything that is known, unless something has changed here since [`changes`](Self::changes) were
    /// counted: then it may be missing.
    pub(super) fn replace(&self, marks: &[AddressMark], changes: u64) {
        let mut fresh = Known::default();
        for mark in marks {
            fresh.learn(mark);
        }
        fresh.changes = changes;
        let mut known = self.0.write();
        if known.changes == changes {
            *known = fresh;
        }
    }

    /// Takes over what has changed about one address or network.
    pub(super) fn learn(&self, mark: &AddressMark) {
        self.0.write().learn(mark);
    }

    pub(super) fn forget(&self, place: Place) {
        let mut known = self.0.write();
        known.changes += 1;
        match place {
            Place::Address(address) => known.addresses.remove(&address),
            Place::Network(network) => known.networks.remove(&network),
        };
    }

    /// For how long an address is still blocked, by itself or with its network.
    pub(super) fn remaining(&self, address: IpAddr, now: Timestamp) -> Option<Duration> {
        let known = self.0.read();
        let own = known.addresses.get(&address).filter(|until| now < **until);
        let until = own.or_else(|| {
            let around = known
                .networks
                .iter()
                .filter(|(network, _)| network.contains(&address));
            around.map(|(_, until)| until).max().filter(|until| now < **until)
        });
        until.map(|until| until.since(now))
    }

    /// The networks that are blocked, in their order, and for how long.
    pub(crate) fn networks(&self, now: Timestamp) -> Vec<(IpNet, Duration)> {
        let known = self.0.read();
        let blocked = known.networks.iter().filter(|(_, until)| now < **until);
        let mut networks: Vec<_> = blocked
            .map(|(network, until)| (*network, until.since(now)))
            .collect();
        networks.sort_unstable();
        networks
    }

    /// For how long an address is blocked by itself.
    pub(super) fn own(&self, address: IpAddr, now: Timestamp) -> Option<Duration> {
        let until = self.0.read().addresses.get(&address).copied();
        until.filter(|until| now < *until).map(|until| until.since(now))
    }
}

impl Known {
    fn learn(&mut self, mark: &AddressMark) {
        self.changes += 1;
        let Some(place) = Place::read(&mark.address) else {
            tracing::error!(address = mark.address, "a block is of no address and left out");
            return;
        };
        let Some(until) = mark.blocked_until else { return };
        match place {
            Place::Address(address) => self.addresses.insert(address, until),
            Place::Network(network) => self.networks.insert(network, until),
        };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_millis(seconds * 1000)
    }

    fn mark(address: &str, until: i64) -> AddressMark {
        AddressMark {
            address: address.to_owned(),
            blocked_until: Some(at(until)),
            suspicion: None,
        }
    }

    #[test]
    fn places_are_read_strictly() {
        for (text, expected) in [
            ("192.0.2.7", Some("192.0.2.7")),
            ("::ffff:192.0.2.7", Some("192.0.2.7")),
            ("2001:DB8::7", Some("2001:db8::7")),
            ("10.0.0.0/8", Some("10.0.0.0/8")),
            ("10.0.0.0/255.0.0.0", Some("10.0.0.0/8")),
            ("2001:db8::/32", Some("2001:db8::/32")),
            ("192.0.2.7/32", Some("192.0.2.7/32")),
            ("10.0.0.1/8", None),
            ("10.0.0.0/255.0.255.0", None),
            ("10.0.0.0/33", None),
            ("10.0.0.0/+8", None),
            ("10.0.0.0/", None),
            ("10.0.0.0/8/8", None),
            ("192.0.2.07", None),
            ("example.org", None),
            ("", None),
        ] {
            let read = Place::read(text).map(|place| place.to_string());
            assert_eq!(read.as_deref(), expected, "{text}");
        }
        let home = |address: &str| Place::home_of(address.parse().unwrap()).to_string();
        assert_eq!(home("192.0.2.7"), "192.0.2.7");
        assert_eq!(home("2001:db8:1:2:3::4"), "2001:db8:1:2::/64");
    }

    #[test]
    fn blocks_of_addresses_and_networks_end() {
        let blocks = Blocks::default();
        let marks = [
            mark("192.0.2.7", 10),
            mark("192.0.2.0/24", 100),
            mark("192.0.0.0/16", 50),
            mark("nonsense", 50),
        ];
        blocks.replace(&marks, blocks.changes());
        let remaining = |address: &str, now| {
            let left = blocks.remaining(address.parse().unwrap(), at(now));
            left.map(|left| left.as_secs())
        };
        assert_eq!(remaining("192.0.2.7", 0), Some(10), "its own block counts first");
        assert_eq!(remaining("192.0.2.7", 10), Some(90));
        assert_eq!(remaining("192.0.3.1", 0), Some(50));
        assert_eq!(remaining("192.0.3.1", 50), None);
        assert_eq!(remaining("198.51.100.1", 0), None);
        assert_eq!(remaining("2001:db8::1", 0), None);
        blocks.forget(Place::read("192.0.2.0/24").unwrap());
        assert_eq!(remaining("192.0.2.7", 10), Some(40));
        assert_eq!(blocks.networks(at(0)).len(), 1);
        blocks.learn(&mark("192.0.2.7", 20));
        assert_eq!(
            blocks.own("192.0.2.7".parse().unwrap(), at(0)),
            Some(Duration::from_secs(20))
        );
    }

    #[test]
    fn what_was_read_before_a_change_does_not_undo_it() {
        let blocks = Blocks::default();
        let before = blocks.changes();
        blocks.learn(&mark("192.0.2.7", 10));
        blocks.replace(&[], before);
        let address = "192.0.2.7".parse().unwrap();
        assert!(blocks.own(address, at(0)).is_some());
        blocks.replace(&[], blocks.changes());
        assert!(blocks.own(address, at(0)).is_none());
    }
}
