//! ISO 8601's basic format, which signatures carry, and the dates that HTTP has.

use time::format_description::well_known::Rfc2822;
use time::{Date, Month, OffsetDateTime, PrimitiveDateTime, Time, UtcOffset};

/// `20261123T150000Z` as seconds since 1970.
pub fn parse_basic(text: &str) -> Option<i64> {
    let b = text.as_bytes();
    if b.len() != 16 || b[8] != b'T' || b[15] != b'Z' {
        return None;
    }
    let number = |range: std::ops::Range<usize>| -> Option<u16> {
        b[range].iter().try_fold(0u16, |n, d| d.is_ascii_digit().then(|| n * 10 + u16::from(d - b'0')))
    };
    let small = |range| number(range).and_then(|n| u8::try_from(n).ok());
    let month = Month::try_from(small(4..6)?).ok()?;
    let date = Date::from_calendar_date(i32::from(number(0..4)?), month, small(6..8)?).ok()?;
    let time = Time::from_hms(small(9..11)?, small(11..13)?, small(13..15)?).ok()?;
    Some(PrimitiveDateTime::new(date, time).assume_utc().unix_timestamp())
}

/// Seconds since 1970 as `20261123T150000Z`.
pub fn format_basic(unix_s: i64) -> String {
    let t = OffsetDateTime::from_unix_timestamp(unix_s).unwrap_or(OffsetDateTime::UNIX_EPOCH);
    format!(
        "{:04}{:02}{:02}T{:02}{:02}{:02}Z",
        t.year(),
        u8::from(t.month()),
        t.day(),
        t.hour(),
        t.minute(),
        t.second()
    )
}

/// A `Date` header: HTTP's own form, or the basic one.
pub fn parse_date_header(text: &str) -> Option<i64> {
    parse_basic(text).or_else(|| {
        let t = OffsetDateTime::parse(text, &Rfc2822).ok()?;
        Some(t.to_offset(UtcOffset::UTC).unix_timestamp())
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn dates_of_every_form() {
        assert_eq!(parse_basic("20150830T123600Z"), Some(1_440_938_160));
        assert_eq!(parse_date_header("Sun, 30 Aug 2015 12:36:00 GMT"), Some(1_440_938_160));
        for bad in [
            "",
            "201",
            "20150830T123600",
            "20151330T123600Z",
            "20150230T123600Z",
            "20150830T246000Z",
            "2015083éT12360Z",
        ] {
            assert_eq!(parse_basic(bad), None, "{bad}");
        }
    }

    proptest! {
        #[test]
        fn what_is_written_reads_back(s in 0i64..253_402_300_799) {
            prop_assert_eq!(parse_basic(&format_basic(s)), Some(s));
        }
        #[test]
        fn no_text_panics(s in "\\PC{0,24}") {
            let _ = parse_date_header(&s);
        }
    }
}
