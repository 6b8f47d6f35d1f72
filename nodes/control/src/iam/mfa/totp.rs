//! Time-based one-time passwords, RFC 6238, as authenticator apps make them: HMAC-SHA1, 30 seconds, six digits.

use totp_rs::{Algorithm, Builder, Totp};

const STEP_S: i64 = 30;

/// The step that a moment is in.
pub fn step(unix_s: i64) -> i64 {
    unix_s.div_euclid(STEP_S)
}

/// What makes a seed's codes; none for a seed that is shorter than the RFC allows. Its time is counted in steps, and it has
/// no window: [`super::seed::Seed`] has one, and knows which codes were used.
pub fn generator(seed: &[u8]) -> Option<Totp> {
    let builder = Builder::new().with_algorithm(Algorithm::SHA1).with_digits(6).with_step_duration(1).with_skew(0);
    builder.with_secret(seed).build().ok()
}

/// Whether this is the seed's code at a step; compared in constant time.
pub fn is_code(seed: &[u8], step: i64, code: u32) -> bool {
    let (Ok(step), Some(totp)) = (u64::try_from(step), generator(seed)) else { return false };
    totp.check(&format!("{code:06}"), step).is_some()
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
            let steps = (-1..=1).map(|off| is_code(seed, step(unix_s) + off, wanted));
            assert_eq!(steps.collect::<Vec<_>>(), [false, true, false], "{unix_s}");
        }
    }

    #[test]
    fn nothing_is_a_code_before_1970_or_of_a_short_seed() {
        assert!(!is_code(b"12345678901234567890", -1, 0));
        assert!((0..1_000).all(|code| !is_code(b"short", 1, code)));
    }

    #[test]
    fn only_six_digits_are_a_code() {
        assert_eq!(parse("000042"), Some(42));
        for bad in ["", "1", "1234567", "12345a", "+12345", "１２３４５６", " 12345"] {
            assert_eq!(parse(bad), None, "{bad:?}");
        }
    }
}
