//! How many sign-ins may fail from one address before it has to wait: a bucket for each, in bounded memory, on each node.
//!
//! The address is the client's own: the edge passes it on. A small office may stand behind one, so the bound leaves room for
//! its slips; guessing at one user is bounded more tightly, by who she is, for the whole region.

use parking_lot::Mutex;
use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};
use std::time::Instant;

/// Failures at once, and how fast they are forgotten.
const FAILURES_MAX: f64 = 30.0;
const FORGOTTEN_PER_S: f64 = 0.2;
const ADDRESSES_MAX: usize = 10_000;

#[derive(Clone, Copy)]
struct Failures {
    count: f64,
    as_of: Instant,
}

impl Failures {
    fn now(self, now: Instant) -> f64 {
        let forgotten = now.saturating_duration_since(self.as_of).as_secs_f64() * FORGOTTEN_PER_S;
        (self.count - forgotten).max(0.0)
    }
}

#[derive(Default)]
pub struct Addresses(Mutex<HashMap<IpAddr, Failures>>);

/// Whoever has an IPv6 address has a /64 of them.
fn place(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V4(address) => IpAddr::V4(address),
        IpAddr::V6(address) => IpAddr::V6(Ipv6Addr::from_bits(address.to_bits() >> 64 << 64)),
    }
}

impl Addresses {
    pub fn is_shut(&self, address: IpAddr, now: Instant) -> bool {
        self.0.lock().get(&place(address)).is_some_and(|failures| failures.now(now) >= FAILURES_MAX)
    }

    pub fn failed(&self, address: IpAddr, now: Instant) {
        let mut all = self.0.lock();
        let address = place(address);
        if !all.contains_key(&address) && all.len() >= ADDRESSES_MAX {
            all.retain(|_, failures| failures.now(now) > 0.0);
            // Who failed longest ago is the least busy.
            let oldest = all.iter().min_by_key(|(_, failures)| failures.as_of).map(|(address, _)| *address);
            if let (true, Some(oldest)) = (all.len() >= ADDRESSES_MAX, oldest) {
                all.remove(&oldest);
            }
        }
        let before = all.get(&address).map_or(0.0, |failures| failures.now(now));
        all.insert(address, Failures { count: before + 1.0, as_of: now });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn an_address_that_fails_often_waits_and_others_dont() {
        let (all, now) = (Addresses::default(), Instant::now());
        let (one, other): (IpAddr, IpAddr) = ("2001:db8::1".parse().unwrap(), "192.0.2.1".parse().unwrap());
        for _ in 0..30 {
            assert!(!all.is_shut(one, now));
            all.failed(one, now);
        }
        assert!(all.is_shut(one, now) && !all.is_shut(other, now));
        assert!(all.is_shut("2001:db8::2".parse().unwrap(), now), "it is in the same network");
        let at = |s| now + Duration::from_secs(s);
        assert!(all.is_shut(one, at(0)) && !all.is_shut(one, at(5)), "one more each five seconds");
        all.failed(one, at(5));
        assert!(all.is_shut(one, at(5)));
        all.failed("::ffff:192.0.2.1".parse().unwrap(), now);
        assert_eq!(all.0.lock().len(), 2);
    }

    #[test]
    fn memory_is_bounded() {
        let (all, now) = (Addresses::default(), Instant::now());
        for n in 0..ADDRESSES_MAX + 50 {
            let n = u32::try_from(n).unwrap();
            all.failed(IpAddr::V4(n.into()), now + Duration::from_micros(n.into()));
        }
        assert_eq!(all.0.lock().len(), ADDRESSES_MAX);
    }
}
