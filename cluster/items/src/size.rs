//! Sizes of values and items, to the byte.
//!
//! Sources: "DynamoDB item sizes and formats" in the developer guide, and for numbers, where the guide only
//! approximates, the measurements against AWS in paritysuite/dynamodb-conformance (src/item-size.ts).

use crate::number::Number;
use crate::value::{AttributeValue, Item};

/// 400 KB: exactly so many bytes are accepted.
pub const ITEM_BYTES_MAX: usize = 400 * 1024;

#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SizeError {
    #[error("Item size has exceeded the maximum allowed size")]
    Item,
    #[error("Item size to update has exceeded the maximum allowed size")]
    ItemToUpdate,
}

/// A byte, one for each pair of digits, one more for a negative number. The pairs are those of base 100, so
/// digits on both sides of the point never share one: 1.5 costs more than 15.
pub fn number_size(number: &Number) -> usize {
    if number.is_zero() {
        return 1;
    }
    let top = number.leading_exponent();
    let bottom = top + 1 - number.digits() as i32;
    let pairs = top.div_euclid(2) - bottom.div_euclid(2) + 1;
    1 + pairs as usize + usize::from(number.is_negative())
}

pub fn value_size(value: &AttributeValue) -> usize {
    match value {
        AttributeValue::S(text) => text.len(),
        AttributeValue::N(number) => number_size(number),
        AttributeValue::B(bytes) => bytes.len(),
        AttributeValue::SS(set) => set.iter().map(String::len).sum(),
        AttributeValue::NS(set) => set.iter().map(number_size).sum(),
        AttributeValue::BS(set) => set.iter().map(bytes::Bytes::len).sum(),
        // Three bytes for the document, one for each element.
        AttributeValue::M(map) => 3 + map.iter().map(|(name, v)| name.len() + value_size(v) + 1).sum::<usize>(),
        AttributeValue::L(list) => 3 + list.iter().map(|v| value_size(v) + 1).sum::<usize>(),
        AttributeValue::Bool(_) | AttributeValue::Null => 1,
    }
}

/// Names and values.
pub fn item_size(item: &Item) -> usize {
    item.iter().map(|(name, value)| name.len() + value_size(value)).sum()
}

/// The size of an item that is put, if it may be stored.
pub fn check_item_size(item: &Item) -> Result<usize, SizeError> {
    let size = item_size(item);
    if size > ITEM_BYTES_MAX { Err(SizeError::Item) } else { Ok(size) }
}

/// The size of an item as an update leaves it, if it may be stored.
pub fn check_updated_item_size(item: &Item) -> Result<usize, SizeError> {
    check_item_size(item).map_err(|_| SizeError::ItemToUpdate)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Measured against AWS, either side of the 400 KB limit (dynamodb-conformance, CAPTURED_NUMBER_BYTES).
    #[test]
    fn numbers_cost_what_aws_charges() {
        for (text, bytes) in [
            ("0", 1),
            ("1", 2),
            ("12", 2),
            ("123", 3),
            ("1234", 3),
            ("12345678901234567890123456789012345678", 20),
            ("0042", 2),
            ("100", 2),
            ("1010", 3),
            ("0.0000001", 2),
            ("1E125", 2),
            ("1E-100", 2),
            ("1.5", 3),
            ("15", 2),
            ("1.2", 3),
            ("1.200", 3),
            ("1.234", 4),
            ("3.14159", 5),
            ("123456", 4),
            ("100.5", 4),
            ("0.15", 2),
            ("-42", 3),
            ("-0", 1),
        ] {
            assert_eq!(number_size(&text.parse().unwrap()), bytes, "{text}");
        }
    }

    #[test]
    fn items_are_names_and_values() {
        let mut item = Item::new();
        assert_eq!(item_size(&item), 0);
        item.insert("naïve".into(), "ü".into());
        assert_eq!(item_size(&item), 6 + 2);
        item.insert("m".into(), AttributeValue::M([("a".to_owned(), AttributeValue::Null)].into()));
        item.insert("l".into(), AttributeValue::L(vec![true.into(), "abc".into()]));
        assert_eq!(item_size(&item), 8 + (1 + 3 + 1 + 1 + 1) + (1 + 3 + 2 + 4));
    }

    #[test]
    fn the_limit_is_inclusive() {
        let item = |len: usize| Item::from([("p".to_owned(), AttributeValue::S("x".repeat(len)))]);
        assert_eq!(check_item_size(&item(ITEM_BYTES_MAX - 1)), Ok(ITEM_BYTES_MAX));
        assert_eq!(check_item_size(&item(ITEM_BYTES_MAX)), Err(SizeError::Item));
        assert_eq!(check_updated_item_size(&item(ITEM_BYTES_MAX)), Err(SizeError::ItemToUpdate));
    }
}
