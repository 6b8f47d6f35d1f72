//! A host as AWS's APIs see it: an instance.

use crate::ids::{NodeName, Region, Zone};

/// `i-` and 17 digits, from the host's name and region: every node knows it without being told.
pub fn instance_id(region: &Region, host: &NodeName) -> String {
    // FNV-1a of 128 bits: the same in every build.
    let mut hash = 0x6c62_272e_07bb_0142_62b8_2175_6295_c58d_u128;
    for byte in region.as_str().bytes().chain([b'/']).chain(host.as_str().bytes()) {
        hash = (hash ^ u128::from(byte)).wrapping_mul(0x0000_0000_0100_0000_0000_0000_0000_013b);
    }
    format!("i-{:017x}", hash >> 60)
}

/// As AWS calls zones: `us-east-1b` for `az-b`. SDKs cut the last letter off to learn the region.
pub fn availability_zone(region: &Region, zone: &Zone) -> String {
    let name = zone.as_str();
    format!("{region}{}", name.strip_prefix("az-").unwrap_or(name))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts_have_ids_of_their_own() {
        let region = Region::new("us-east-1").unwrap();
        let id = |host: &str| instance_id(&region, &NodeName::new(host).unwrap());
        assert_eq!(id("dynamo-node-a1").len(), 19);
        assert!(id("dynamo-node-a1")[2..].bytes().all(|b| b.is_ascii_hexdigit()));
        assert_ne!(id("dynamo-node-a1"), id("dynamo-node-a2"));
        assert_eq!(id("a"), id("a"));
        assert_eq!(availability_zone(&region, &Zone::new("az-b").unwrap()), "us-east-1b");
    }
}
