//! [`Census`]: how many connections there are, in all and from one address.

use std::{
    collections::HashMap,
    net::IpAddr,
    sync::{Arc, Mutex, PoisonError},
};

use ipnet::IpNet;
use muster_engine::home_network;

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
    by_home: HashMap<IpNet, usize>,
}

/// The place of a connection, which it gives up when it ends.
#[derive(Debug)]
pub(super) struct Place {
    census: Arc<Census>,
    home: IpNet,
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
        let home = home_network(address);
        let mut counts = self.counts.lock().unwrap_or_else(PoisonError::into_inner);
        if counts.all >= self.most {
            return None;
        }
        let here = counts.by_home.entry(home).or_default();
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

    fn leave(&self, home: IpNet) {
        let mut counts = self.counts.lock().unwrap_or_else(PoisonError::into_inner);
        counts.all -= 1;
        if let Some(here) = counts.by_home.get_mut(&home) {
            *here -= 1;
            if *here == 0 {
                counts.by_home.remove(&home);
            }
        }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.census.leave(self.home);
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
        assert!(census.counts.lock().unwrap().by_home.is_empty());
    }
}
