//! How many calls that need no signature one address may make: a bucket for each, in bounded memory, on each process.
//! Anybody can send them, and each costs a verification and leaves an event.

use parking_lot::Mutex;
use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};
use tokio::time::Instant;

/// Calls at once, and how fast there is room for further ones.
const CALLS_MAX: f64 = 200.0;
const CALLS_PER_S: f64 = 50.0;
const ADDRESSES_MAX: usize = 10_000;

#[derive(Clone, Copy)]
struct Made {
    calls: f64,
    as_of: Instant,
}

impl Made {
    fn now(self, now: Instant) -> f64 {
        let over = now.saturating_duration_since(self.as_of).as_secs_f64() * CALLS_PER_S;
        (self.calls - over).max(0.0)
    }
}

#[derive(Default)]
pub struct UnsignedCalls(Mutex<HashMap<IpAddr, Made>>);

/// Whoever has an IPv6 address has a /64 of them.
fn place(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V4(address) => IpAddr::V4(address),
        IpAddr::V6(address) => IpAddr::V6(Ipv6Addr::from_bits(address.to_bits() >> 64 << 64)),
    }
}

impl UnsignedCalls {
    /// Whether there is room for one from this address, which is taken then.
    pub fn take(&self, address: IpAddr, now: Instant) -> bool {
        let mut all = self.0.lock();
        let address = place(address);
        if !all.contains_key(&address) && all.len() >= ADDRESSES_MAX {
            all.retain(|_, made| made.now(now) > 0.0);
            let oldest = all.iter().min_by_key(|(_, made)| made.as_of).map(|(address, _)| *address);
            if let (true, Some(oldest)) = (all.len() >= ADDRESSES_MAX, oldest) {
                all.remove(&oldest);
            }
        }
        let made = all.get(&address).map_or(0.0, |made| made.now(now));
        let room = made + 1.0 <= CALLS_MAX;
        all.insert(address, Made { calls: if room { made + 1.0 } else { made }, as_of: now });
        room
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn an_address_that_calls_too_often_waits_and_others_dont() {
        let (all, now) = (UnsignedCalls::default(), Instant::now());
        let (one, other): (IpAddr, IpAddr) = ("2001:db8::1".parse().unwrap(), "192.0.2.1".parse().unwrap());
        assert!((0..200).all(|_| all.take(one, now)));
        assert!(!all.take(one, now) && all.take(other, now));
        assert!(!all.take("2001:db8::2".parse().unwrap(), now), "it is in the same network");
        assert!(all.take(one, now + Duration::from_secs(1)));
        for n in 0..20_000 {
            all.take(IpAddr::V4(n.into()), now + Duration::from_micros(n.into()));
        }
        assert!(all.0.lock().len() <= ADDRESSES_MAX);
    }
}
