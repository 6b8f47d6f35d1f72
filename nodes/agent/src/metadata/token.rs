//! Session tokens: sealed ends of life, so that none has to be remembered. They die with the agent.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE;
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;
use std::time::Instant;

const TAG_BYTES: usize = 32;
/// When it ends, in milliseconds after the agent's start, and what makes two of the same moment differ.
const BODY_BYTES: usize = 8 + 8;

pub struct Tokens {
    key: [u8; 32],
    started: Instant,
}

impl Tokens {
    pub fn new() -> Self {
        Tokens { key: rand::random(), started: Instant::now() }
    }

    fn mac(&self, body: &[u8]) -> Option<Hmac<Sha256>> {
        Some(Hmac::<Sha256>::new_from_slice(&self.key).ok()?.chain_update(body))
    }

    /// On a clock that nobody sets: a token's life is time that passes.
    fn now_ms(&self) -> u64 {
        u64::try_from(self.started.elapsed().as_millis()).unwrap_or(u64::MAX)
    }

    pub fn issue(&self, lasts_s: u32) -> Option<String> {
        let ends = self.now_ms().saturating_add(u64::from(lasts_s) * 1_000);
        let body = [ends.to_be_bytes(), rand::random()].concat();
        let tag = self.mac(&body)?.finalize().into_bytes();
        Some(URL_SAFE.encode([&body[..], &tag].concat()))
    }

    pub fn is_good(&self, token: &[u8]) -> bool {
        self.ends_ms(token).is_some_and(|ends| ends > self.now_ms())
    }

    fn ends_ms(&self, token: &[u8]) -> Option<u64> {
        // Longer ones aren't even decoded.
        if token.len() > (BODY_BYTES + TAG_BYTES) * 2 {
            return None;
        }
        let bytes = URL_SAFE.decode(token).ok()?;
        let (body, tag) = bytes.split_at_checked(BODY_BYTES)?;
        self.mac(body)?.verify_slice(tag).ok()?;
        Some(u64::from_be_bytes(*body.first_chunk()?))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_are_good_until_they_end_and_nobody_elses_are() {
        let (ours, others) = (Tokens::new(), Tokens::new());
        let token = ours.issue(60).unwrap();
        assert!(ours.is_good(token.as_bytes()) && !others.is_good(token.as_bytes()));
        assert!(!ours.is_good(ours.issue(0).unwrap().as_bytes()));
        for bad in ["", "x", "AAAA", &"A".repeat(10_000), &token[1..], &token[..token.len() - 4]] {
            assert!(!ours.is_good(bad.as_bytes()), "{bad}");
        }
        let mut bytes = URL_SAFE.decode(&token).unwrap();
        for at in 0..bytes.len() {
            bytes[at] ^= 1;
            assert!(!ours.is_good(URL_SAFE.encode(&bytes).as_bytes()), "byte {at}");
            bytes[at] ^= 1;
        }
    }
}
