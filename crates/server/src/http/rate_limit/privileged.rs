//! [`PrivilegedAddresses`]: who may ask more often.

use std::{
    collections::{HashMap, HashSet},
    net::IpAddr,
    sync::{Mutex, PoisonError},
    time::Duration,
};

use muster_protocol::Timestamp;

/// Addresses with raised limits: those the operator lists, and those from which a trusted account has
/// lately sent requests that passed validation. The latter are known to this process only.
#[derive(Debug, Default)]
pub struct PrivilegedAddresses {
    listed: HashSet<IpAddr>,
    /// The mutex is held for one look-up.
    admitted: Mutex<Admitted>,
}

#[derive(Debug, Default)]
struct Admitted {
    /// Until when each address is privileged.
    until: HashMap<IpAddr, Timestamp>,
    /// When a full table may be searched for expired addresses again.
    next_sweep: Timestamp,
}

impl PrivilegedAddresses {
    /// How long an address stays privileged after it was admitted.
    pub const STAY: Duration = Duration::from_hours(24);
    /// How many admitted addresses are kept; beyond that, expired ones are dropped, once a minute at
    /// most, and further ones turned away as long as that frees no place.
    pub const CAPACITY: usize = 10_000;
    const SWEEP_INTERVAL: Duration = Duration::from_mins(1);

    /// The addresses that are always privileged.
    pub fn new(listed: impl IntoIterator<Item = IpAddr>) -> Self {
        Self {
            listed: listed.into_iter().map(|address| address.to_canonical()).collect(),
            admitted: Mutex::default(),
        }
    }

    /// Makes `address` privileged for [`Self::STAY`].
    pub fn admit(&self, address: IpAddr, now: Timestamp) {
        let mut admitted = self.admitted.lock().unwrap_or_else(PoisonError::into_inner);
        if admitted.until.len() >= Self::CAPACITY && now >= admitted.next_sweep {
            admitted.next_sweep = now + Self::SWEEP_INTERVAL;
            admitted.until.retain(|_, until| now < *until);
        }
        if admitted.until.len() < Self::CAPACITY || admitted.until.contains_key(&address) {
            admitted.until.insert(address, now + Self::STAY);
        }
    }

    /// Whether `address` is privileged.
    pub fn contains(&self, address: IpAddr, now: Timestamp) -> bool {
        self.listed.contains(&address)
            || self
                .admitted
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .until
                .get(&address)
                .is_some_and(|until| now < *until)
    }
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use super::*;

    #[test]
    fn admission_ends_after_a_day_and_a_listing_never() {
        let address = |number: u32| IpAddr::from(Ipv4Addr::from(number));
        let start = Timestamp::from_millis(0);
        let addresses = PrivilegedAddresses::new([address(1)]);
        assert!(addresses.contains(address(1), start));
        assert!(!addresses.contains(address(2), start));
        addresses.admit(address(2), start);
        assert!(addresses.contains(address(2), start + Duration::from_hours(23)));
        assert!(!addresses.contains(address(2), start + Duration::from_hours(24)));
    }

    #[test]
    fn memory_is_bounded() {
        let addresses = PrivilegedAddresses::default();
        let start = Timestamp::from_millis(0);
        for number in 0..20_000_u32 {
            addresses.admit(Ipv4Addr::from(number).into(), start);
        }
        let last = IpAddr::from(Ipv4Addr::from(19_999));
        assert!(!addresses.contains(last, start));
        let later = start + PrivilegedAddresses::STAY;
        addresses.admit(last, later);
        assert!(addresses.contains(last, later));
    }
}
