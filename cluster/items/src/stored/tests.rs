use proptest::prelude::*;

use super::*;
use crate::number::tests::numbers;

fn blobs() -> impl Strategy<Value = Bytes> {
    prop::collection::vec(any::<u8>(), 0..20).prop_map(Bytes::from)
}

/// Every kind of value, a few levels deep.
pub(crate) fn values() -> impl Strategy<Value = AttributeValue> {
    let leaf = prop_oneof![
        ".{0,12}".prop_map(AttributeValue::S),
        numbers().prop_map(AttributeValue::N),
        blobs().prop_map(AttributeValue::B),
        prop::collection::btree_set(".{0,4}", 1..5).prop_map(AttributeValue::SS),
        prop::collection::btree_set(numbers(), 1..5).prop_map(AttributeValue::NS),
        prop::collection::btree_set(blobs(), 1..5).prop_map(AttributeValue::BS),
        any::<bool>().prop_map(AttributeValue::Bool),
        Just(AttributeValue::Null),
    ];
    leaf.prop_recursive(4, 24, 5, |inner| {
        prop_oneof![
            prop::collection::btree_map(".{0,4}", inner.clone(), 0..5).prop_map(AttributeValue::M),
            prop::collection::vec(inner, 0..5).prop_map(AttributeValue::L),
        ]
    })
}

pub(crate) fn items() -> impl Strategy<Value = Item> {
    prop::collection::btree_map(".{0,6}", values(), 0..6)
}

fn nested(levels: usize) -> AttributeValue {
    (1..levels).fold(AttributeValue::Null, |value, _| AttributeValue::L(vec![value]))
}

proptest! {
    #[test]
    fn items_read_back(version: u64, hlc: u64, item in items()) {
        let bytes = encode(version, hlc, &item);
        prop_assert_eq!(decode_header(&bytes), Ok((version, hlc)));
        prop_assert_eq!(decode(&bytes), Ok(StoredItem { version, hlc, item }));
    }

    #[test]
    fn internal_messages_read_back(value in values()) {
        let bytes = postcard::to_stdvec(&value).unwrap();
        prop_assert_eq!(postcard::from_bytes::<AttributeValue>(&bytes).unwrap(), value);
    }

    #[test]
    fn every_cut_is_refused(item in items()) {
        let bytes = encode(1, 2, &item);
        for end in 0..bytes.len() {
            prop_assert!(decode(&bytes[..end]).is_err());
        }
    }

    /// Whatever a damaged item still decodes to has exactly these bytes: no second encoding is accepted.
    #[test]
    fn damage_is_refused_or_canonical(item in items(), at: prop::sample::Index, byte: u8) {
        let mut bytes = encode(1, 2, &item);
        let at = at.index(bytes.len());
        bytes[at] = byte;
        if let Ok(read) = decode(&bytes) {
            prop_assert_eq!(encode(read.version, read.hlc, &read.item), bytes);
        }
    }

    #[test]
    fn noise_is_refused_or_canonical(noise in prop::collection::vec(prop_oneof![0u8..16, any::<u8>()], 0..200)) {
        if let Ok(value) = decode_value(&noise) {
            let mut again = Vec::new();
            encode_value(&value, &mut again);
            prop_assert_eq!(again, noise);
        }
    }
}

#[test]
fn small_items_are_small() {
    let item = Item::from([("id".to_owned(), 5.into()), ("ok".to_owned(), true.into())]);
    assert_eq!(encode(0, 0, &item).len(), HEADER_LEN + 1 + (3 + 3) + (3 + 1));
}

#[test]
fn nesting_is_bounded() {
    let mut bytes = Vec::new();
    encode_value(&nested(NESTING_MAX), &mut bytes);
    assert_eq!(decode_value(&bytes), Ok(nested(NESTING_MAX)));
    bytes.clear();
    encode_value(&nested(NESTING_MAX + 1), &mut bytes);
    assert_eq!(decode_value(&bytes), Err(StoredError::TooDeep));
    // A list of a list of ..., ten million levels of it.
    let deep = [TAG_L, 1].repeat(10_000_000);
    assert_eq!(decode_value(&deep), Err(StoredError::TooDeep));
}

#[test]
fn lies_about_lengths_are_refused() {
    let huge = [0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01];
    for tag in [TAG_S, TAG_B, TAG_SS, TAG_NS, TAG_BS, TAG_M, TAG_L] {
        assert!(decode_value(&[&[tag], &huge[..]].concat()).is_err());
        assert!(decode_value(&[&[tag], &[0xff; 40][..]].concat()).is_err());
        assert!(decode_value(&[tag, 0x80, 0x00]).is_err());
    }
    assert_eq!(decode_value(&[TAG_SS, 0]), Err(StoredError::EmptySet));
    assert_eq!(decode_value(&[TAG_SS, 2, 1, b'b', 1, b'a']), Err(StoredError::Order));
    assert_eq!(decode_value(&[TAG_SS, 2, 1, b'a', 1, b'a']), Err(StoredError::Order));
    assert_eq!(decode_value(&[TAG_S, 1, 0xff]), Err(StoredError::NotUtf8));
    assert_eq!(decode_value(&[TAG_NULL, 0]), Err(StoredError::TrailingBytes));
    assert_eq!(decode_value(&[99]), Err(StoredError::UnknownType(99)));
    assert_eq!(decode(&[9]), Err(StoredError::UnknownFormat(9)));
}
