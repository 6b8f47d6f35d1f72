//! Time-based one-time passwords, RFC 6238, as authenticator apps make them: HMAC-SHA1, 30 seconds, six digits.

use hmac::{Hmac, KeyInit, Mac};
use sha1::Sha1;

const STEP_S: i64 = 30;

/// The step that a moment is in.
pub fn step(unix_s: i64) -> i64 {
    unix_s.div_euclid(STEP_S)
}

/// The code of a step; none for a seed that no HMAC takes.
pub fn code(seed: &[u8], step: i64) -> Option<u32> {
    let mut mac = Hmac::<Sha1>::new_from_slice(seed).ok()?;
    mac.update(&step.to_be_bytes());
    let tag = mac.finalize().into_bytes();
    let at = usize::from(tag[19] & 0xf);
    let number = u32::from_be_bytes([tag[at], tag[at + 1], tag[at + 2], tag[at + 3]]) & 0x7fff_ffff;
    Some(number % 1_000_000)
}

/// Six digits.
pub fn parse(code: &str) -> Option<u32> {
    (code.len() == 6 && code.bytes().all(|b| b.is_ascii_digit())).then(|| code.parse().ok()).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// RFC 6238, appendix B, SHA-1; the last six of its eight digits.
    #[test]
    fn codes_are_the_rfcs() {
        let seed = b"12345678901234567890";
        for (unix_s, wanted) in [
            (59, 287_082),
            (1_111_111_109, 81_804),
            (1_111_111_111, 50_471),
            (1_234_567_890, 5_924),
            (2_000_000_000, 279_037),
            (20_000_000_000, 353_130),
        ] {
            assert_eq!(code(seed, step(unix_s)), Some(wanted), "{unix_s}");
        }
    }

    #[test]
    fn only_six_digits_are_a_code() {
        assert_eq!(parse("000042"), Some(42));
        for bad in ["", "1", "1234567", "12345a", "+12345", "１２３４５６", " 12345"] {
            assert_eq!(parse(bad), None, "{bad:?}");
        }
    }
}
