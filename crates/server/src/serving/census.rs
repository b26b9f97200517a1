//! [`Census`]: how many connections there are, in all and from one address.

use std::{
    collections::HashMap,
    net::{IpAddr, Ipv6Addr},
    sync::{Arc, Mutex, PoisonError},
};

/// Counts connections, and lets in so many.
#[derive(Debug)]
pub(super) struct Census {
    most: usize,
    most_per_address: Option<usize>,
    /// The mutex is held for one look-up.
    counts: Mutex<Counts>,
}

#[derive(Debug, Default)]
struct Counts {
    all: usize,
    by_address: HashMap<IpAddr, usize>,
}

/// The place of a connection, which it gives up when it ends.
#[derive(Debug)]
pub(super) struct Place {
    census: Arc<Census>,
    home: IpAddr,
}

impl Census {
    pub(super) fn new(most: usize, most_per_address: Option<usize>) -> Self {
        Self {
            most,
            most_per_address,
            counts: Mutex::default(),
        }
    }

    /// A place for a connection from somewhere, if there is one left.
    pub(super) fn enter(self: &Arc<Self>, address: IpAddr) -> Option<Place> {
        let home = home_of(address);
        let mut counts = self.counts.lock().unwrap_or_else(PoisonError::into_inner);
        if counts.all >= self.most {
            return None;
        }
        let here = counts.by_address.entry(home).or_default();
        if self.most_per_address.is_some_and(|most| *here >= most) {
            return None;
        }
        *here += 1;
        counts.all += 1;
        Some(Place {
            census: Arc::clone(self),
            home,
        })
    }

    fn leave(&self, home: IpAddr) {
        let mut counts = self.counts.lock().unwrap_or_else(PoisonError::into_inner);
        counts.all -= 1;
        if let Some(here) = counts.by_address.get_mut(&home) {
            *here -= 1;
            if *here == 0 {
                counts.by_address.remove(&home);
            }
        }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.census.leave(self.home);
    }
}

/// Whoever has one address of an IPv6 network has all of them.
fn home_of(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V4(address) => address.into(),
        IpAddr::V6(address) => {
            let network = address.to_bits() & !u128::from(u64::MAX);
            Ipv6Addr::from_bits(network).into()
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn from(address: &str) -> IpAddr {
        address.parse().unwrap()
    }

    #[test]
    fn places_are_limited_and_given_up() {
        let census = Arc::new(Census::new(3, Some(2)));
        let first = census.enter(from("192.0.2.1")).unwrap();
        let _second = census.enter(from("192.0.2.1")).unwrap();
        assert!(census.enter(from("192.0.2.1")).is_none(), "too many from there");
        let _third = census.enter(from("192.0.2.2")).unwrap();
        assert!(census.enter(from("192.0.2.3")).is_none(), "too many in all");
        drop(first);
        let _again = census.enter(from("::ffff:192.0.2.1")).unwrap();
        assert!(census.enter(from("192.0.2.3")).is_none());
    }

    #[test]
    fn of_ipv6_networks_are_counted() {
        let census = Arc::new(Census::new(9, Some(1)));
        let place = census.enter(from("2001:db8:0:1::1")).unwrap();
        assert!(census.enter(from("2001:db8:0:1:ffff::2")).is_none());
        assert!(census.enter(from("2001:db8:0:2::1")).is_some());
        drop(place);
        assert!(census.enter(from("2001:db8:0:1::2")).is_some());
        assert!(census.counts.lock().unwrap().by_address.is_empty());
    }
}
