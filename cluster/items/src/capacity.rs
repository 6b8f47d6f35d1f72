//! Capacity units (developer guide, "DynamoDB read and write operations").

const READ_BLOCK: u64 = 4 * 1024;
const WRITE_BLOCK: u64 = 1024;

/// Units of a read of so many bytes: of one item, or of all the items that a Query or Scan looked at, summed before
/// rounding. A read that finds nothing costs as much as the smallest item.
pub fn read_units(bytes: u64, consistent: bool) -> f64 {
    let blocks = bytes.div_ceil(READ_BLOCK).max(1) as f64;
    if consistent { blocks } else { blocks / 2.0 }
}

/// Units of one item's part in a transactional read.
pub fn transactional_read_units(bytes: u64) -> f64 {
    read_units(bytes, true) * 2.0
}

/// Units of a write of an item of so many bytes (the larger of before and after).
pub fn write_units(bytes: u64) -> f64 {
    bytes.div_ceil(WRITE_BLOCK).max(1) as f64
}

/// Units of one item's part in a transactional write.
pub fn transactional_write_units(bytes: u64) -> f64 {
    write_units(bytes) * 2.0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn units_are_rounded_up() {
        assert_eq!(read_units(0, true), 1.0);
        assert_eq!(read_units(4_096, true), 1.0);
        assert_eq!(read_units(4_097, true), 2.0);
        assert_eq!(read_units(4_097, false), 1.0);
        assert_eq!(read_units(1, false), 0.5);
        assert_eq!(transactional_read_units(4_097), 4.0);
        assert_eq!(write_units(0), 1.0);
        assert_eq!(write_units(1_024), 1.0);
        assert_eq!(write_units(1_025), 2.0);
        assert_eq!(transactional_write_units(1_025), 4.0);
    }
}
