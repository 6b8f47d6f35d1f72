//! What names, buckets, prefixes and tags must be like.

use super::errors;
use crate::iam::check::Tag;
use breakwater_audit::trails::{SPELLS_MAX, Trail};
use breakwater_aws::AwsError;
use breakwater_meta::records::to_stored;
use std::collections::BTreeMap;

const NAME_MIN: usize = 3;
const NAME_MAX: usize = 128;
const PREFIX_MAX: usize = 200;
pub const TAGS_MAX: usize = 50;

/// Of a trail as it is stored: what it wants, and what it wanted before. A record may have 1 MiB.
const TRAIL_BYTES_MAX: usize = 960 << 10;

/// Whether what a trail has to remember, until its events of before are delivered, is little enough.
pub fn spells(trail: &Trail) -> Result<(), AwsError> {
    let bytes = to_stored(trail).map_err(AwsError::internal)?.len();
    match trail.spells.len() <= SPELLS_MAX && bytes <= TRAIL_BYTES_MAX {
        true => Ok(()),
        false => Err(errors::throttled("The trail was changed too often in the last minutes. Try again later.")),
    }
}

fn is_address(text: &str) -> bool {
    text.parse::<std::net::Ipv4Addr>().is_ok()
}

/// A trail's name, as AWS has it.
pub fn name(name: &str) -> Result<(), AwsError> {
    let length = name.chars().count();
    if length < NAME_MIN {
        return Err(errors::trail_name(format!(
            "Trail name too short. Minimum allowed length: {NAME_MIN} characters. Specified name length: {length} characters."
        )));
    }
    if length > NAME_MAX {
        return Err(errors::trail_name(format!(
            "Trail name too long. Maximum allowed length: {NAME_MAX} characters. Specified name length: {length} characters."
        )));
    }
    let inner = |c: char| "._-".contains(c);
    if !name.chars().all(|c| c.is_ascii_alphanumeric() || inner(c)) {
        return Err(errors::trail_name(
            "Trail name or ARN can only contain uppercase letters, lowercase letters, numbers, periods (.), hyphens (-), \
             and underscores (_).",
        ));
    }
    if name.starts_with(inner) {
        return Err(errors::trail_name("Trail name must starts with a letter or number."));
    }
    if name.ends_with(inner) {
        return Err(errors::trail_name("Trail name must ends with a letter or number."));
    }
    if name.as_bytes().windows(2).any(|two| two.iter().all(|b| inner(char::from(*b)))) {
        return Err(errors::trail_name("Trail name can not have adjacent periods, underscores, or hyphens."));
    }
    if is_address(name) {
        return Err(errors::trail_name("Trail name can not be an IP address."));
    }
    Ok(())
}

/// A bucket's name, as S3 has it.
pub fn bucket(name: &str) -> Result<(), AwsError> {
    let length = name.chars().count();
    if length < 3 {
        return Err(errors::bucket_name(format!(
            "Bucket name too short. Minimum allowed length: 3 characters. Specified name length: {length} characters."
        )));
    }
    if length > 63 {
        return Err(errors::bucket_name(format!(
            "Bucket name too long. Maximum allowed length: 63 characters. Specified name length: {length} characters."
        )));
    }
    if name.chars().any(|c| c.is_ascii_uppercase()) {
        return Err(errors::bucket_name("Bucket name must not contain uppercase characters."));
    }
    let is_outer = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit();
    let fits = name.chars().all(|c| is_outer(c) || c == '.' || c == '-')
        && name.starts_with(is_outer)
        && name.ends_with(is_outer)
        && !name.contains("..")
        && !is_address(name);
    if fits { Ok(()) } else { Err(errors::bucket_name(format!("Bucket name {name} is not valid."))) }
}

/// A key's prefix; none where it is empty.
pub fn prefix(prefix: Option<&str>) -> Result<Option<String>, AwsError> {
    let Some(prefix) = prefix.filter(|p| !p.is_empty()) else { return Ok(None) };
    if prefix.chars().count() > PREFIX_MAX {
        return Err(errors::prefix(format!("S3 prefix is longer than maximum length of {PREFIX_MAX} characters.")));
    }
    let is_sign = |c: char| c.is_ascii_alphanumeric() || "!-_.*'()/@+=,:&$;".contains(c);
    // It becomes a part of paths where files are copied.
    let parts = prefix.strip_suffix('/').unwrap_or(prefix);
    let fits = prefix.chars().all(is_sign) && parts.split('/').all(|part| !["", ".", ".."].contains(&part));
    if fits { Ok(Some(parts.to_owned())) } else { Err(errors::prefix(format!("S3 prefix {prefix} is not valid."))) }
}

fn is_tag(text: &str) -> bool {
    text.chars().all(|c| c.is_alphanumeric() || " _.:/=+-@".contains(c))
}

/// Each is one that may be, and not more than may be.
pub fn tags(tags: &[Tag]) -> Result<(), AwsError> {
    // First: all else takes time for each.
    if tags.len() > TAGS_MAX {
        return Err(errors::too_many_tags(TAGS_MAX));
    }
    for (at, tag) in tags.iter().enumerate() {
        let fits = (1..=128).contains(&tag.key.chars().count())
            && tag.value.chars().count() <= 256
            && is_tag(&tag.key)
            && is_tag(&tag.value);
        if !fits {
            return Err(errors::tag("Tag name or values are not valid."));
        }
        if tag.key.to_lowercase().starts_with("aws:") {
            return Err(errors::tag("Tag keys must not begin with aws:."));
        }
        if tags[..at].iter().any(|before| before.key == tag.key) {
            return Err(errors::tag(format!("Duplicate tag key {} is not allowed.", tag.key)));
        }
    }
    Ok(())
}

/// Adds tags to those that are there.
pub fn add_tags(known: &mut BTreeMap<String, String>, more: &[Tag]) -> Result<(), AwsError> {
    tags(more)?;
    known.extend(more.iter().map(|tag| (tag.key.clone(), tag.value.clone())));
    if known.len() > TAGS_MAX { Err(errors::too_many_tags(TAGS_MAX)) } else { Ok(()) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use breakwater_types::AccountId;

    #[test]
    fn what_is_not_settled_bounds_how_often_a_trail_is_started() {
        let mut trail = Trail::new(1, AccountId::new("111122223333").unwrap(), "music", 0);
        let mut restart = |settled| {
            trail.forget(settled);
            trail.stop(1);
            trail.start(2);
            spells(&trail).map_err(|e| e.code)
        };
        assert!((0..SPELLS_MAX).all(|_| restart(0).is_ok()));
        assert_eq!(restart(0).unwrap_err(), "ThrottlingException");
        assert_eq!(restart(10), Ok(()));
    }

    #[test]
    fn names_buckets_and_prefixes() {
        for good in ["abc", "a.b-c_d9", &"a".repeat(128)] {
            assert!(name(good).is_ok(), "{good}");
        }
        for bad in ["ab", &"a".repeat(129), "-abc", "abc-", "a--b", "a._b", "a b", "é2x", "192.168.5.4"] {
            assert!(name(bad).is_err(), "{bad}");
        }
        for good in ["abc", "a.b-c", "1bucket"] {
            assert!(bucket(good).is_ok(), "{good}");
        }
        for bad in ["ab", "Abc", "a_b", "a..b", "-ab", "1.2.3.4", &"a".repeat(64)] {
            assert!(bucket(bad).is_err(), "{bad}");
        }
        assert_eq!(prefix(None).unwrap(), None);
        assert_eq!(prefix(Some("")).unwrap(), None);
        assert_eq!(prefix(Some("a/b")).unwrap().as_deref(), Some("a/b"));
        for bad in ["../x", "a/../b", "/a", "a//b", "a\0b", &"a".repeat(201)] {
            assert!(prefix(Some(bad)).is_err(), "{bad}");
        }
    }

    #[test]
    fn tags_are_bounded_and_not_given_twice() {
        let one = |key: &str| Tag { key: key.to_owned(), value: "v".to_owned() };
        let mut known = BTreeMap::new();
        add_tags(&mut known, &[one("a"), one("b")]).unwrap();
        assert!(add_tags(&mut known, &[one("x"), one("x")]).is_err());
        assert!(add_tags(&mut known, &[one("aws:x")]).is_err());
        let many: Vec<Tag> = (0..49).map(|n| one(&n.to_string())).collect();
        assert!(add_tags(&mut known, &many).is_err());
    }
}
