//! How many attempts one address has: a bucket for each, in bounded memory, on each process.

use parking_lot::Mutex;
use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};
use tokio::time::Instant;

const ADDRESSES_MAX: usize = 10_000;

#[derive(Clone, Copy, Debug)]
struct Made {
    count: f64,
    as_of: Instant,
}

/// Attempts by address. A small office may stand behind one: bounds leave room for that.
#[derive(Debug)]
pub struct Addresses {
    at_once: f64,
    forgotten_per_s: f64,
    made: Mutex<HashMap<IpAddr, Made>>,
}

/// Whoever has an IPv6 address has a /64 of them.
fn place(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V4(address) => IpAddr::V4(address),
        IpAddr::V6(address) => IpAddr::V6(Ipv6Addr::from_bits(address.to_bits() >> 64 << 64)),
    }
}

impl Addresses {
    /// So many attempts at once, of which so many are forgotten each second.
    pub fn new(at_once: u32, forgotten_per_s: f64) -> Self {
        Addresses { at_once: at_once.into(), forgotten_per_s, made: Mutex::default() }
    }

    fn standing(&self, made: Made, now: Instant) -> f64 {
        let forgotten = now.saturating_duration_since(made.as_of).as_secs_f64() * self.forgotten_per_s;
        (made.count - forgotten).max(0.0)
    }

    /// Whether an attempt may be made, which is counted then: attempts at once are no way around the bound.
    pub fn take(&self, address: IpAddr, now: Instant) -> bool {
        let mut all = self.made.lock();
        let address = place(address);
        if !all.contains_key(&address) && all.len() >= ADDRESSES_MAX {
            all.retain(|_, made| self.standing(*made, now) > 0.0);
            // Who came last the longest ago is the least busy.
            let oldest = all.iter().min_by_key(|(_, made)| made.as_of).map(|(address, _)| *address);
            if let (true, Some(oldest)) = (all.len() >= ADDRESSES_MAX, oldest) {
                all.remove(&oldest);
            }
        }
        let count = all.get(&address).map_or(0.0, |made| self.standing(*made, now));
        let room = count + 1.0 <= self.at_once;
        all.insert(address, Made { count: if room { count + 1.0 } else { count }, as_of: now });
        room
    }

    /// It was one that doesn't count.
    pub fn give_back(&self, address: IpAddr) {
        if let Some(made) = self.made.lock().get_mut(&place(address)) {
            made.count = (made.count - 1.0).max(0.0);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn an_address_that_tries_too_often_waits_and_others_dont() {
        let (all, now) = (Addresses::new(30, 0.2), Instant::now());
        let (one, other): (IpAddr, IpAddr) = ("2001:db8::1".parse().unwrap(), "192.0.2.1".parse().unwrap());
        assert!((0..30).all(|_| all.take(one, now)));
        assert!(!all.take(one, now) && all.take(other, now));
        assert!(!all.take("2001:db8::2".parse().unwrap(), now), "it is in the same network");
        let at = |s| now + Duration::from_secs(s);
        assert!(!all.take(one, at(4)) && all.take(one, at(5)) && !all.take(one, at(5)), "one more each five seconds");
        all.give_back(one);
        assert!(all.take(one, at(5)) && !all.take(one, at(5)));
        all.take("::ffff:192.0.2.1".parse().unwrap(), now);
        assert_eq!(all.made.lock().len(), 2);
    }

    #[test]
    fn memory_is_bounded() {
        let (all, now) = (Addresses::new(30, 0.2), Instant::now());
        for n in 0..u32::try_from(ADDRESSES_MAX).unwrap() + 50 {
            all.take(IpAddr::V4(n.into()), now + Duration::from_micros(n.into()));
        }
        assert_eq!(all.made.lock().len(), ADDRESSES_MAX);
    }
}
