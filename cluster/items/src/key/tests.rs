use std::cmp::Ordering;

use proptest::prelude::*;

use super::*;
use crate::number::tests::numbers;
use crate::schema::KeyType;

fn components() -> impl Strategy<Value = AttributeValue> {
    prop_oneof![strings(), numbers().prop_map(AttributeValue::N), blobs()]
}

// Texts that are prefixes of one another, and bytes that the escapes use.
fn strings() -> impl Strategy<Value = AttributeValue> {
    let character = prop_oneof![Just('\0'), Just('\u{1}'), Just('a'), any::<char>()];
    prop::collection::vec(character, 0..6).prop_map(|chars| AttributeValue::S(chars.into_iter().collect()))
}

fn blobs() -> impl Strategy<Value = AttributeValue> {
    let byte = prop_oneof![Just(0u8), Just(1), Just(255), any::<u8>()];
    prop::collection::vec(byte, 0..6).prop_map(|bytes| AttributeValue::B(bytes.into()))
}

fn pairs() -> impl Strategy<Value = (AttributeValue, AttributeValue)> {
    prop_oneof![
        (strings(), strings()),
        (numbers().prop_map(AttributeValue::N), numbers().prop_map(AttributeValue::N)),
        (blobs(), blobs()),
    ]
}

fn order(a: &AttributeValue, b: &AttributeValue) -> Ordering {
    a.compare(b).expect("values of one type")
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1000))]

    #[test]
    fn bytes_are_ordered_as_values((a, b) in pairs()) {
        prop_assert_eq!(encode_component(&a).cmp(&encode_component(&b)), order(&a, &b));
    }

    #[test]
    fn keys_are_ordered_by_hash_key_then_range(hashes in pairs(), ranges in pairs(), place: u128) {
        let (a, b) = (
            PrimaryKey { hash: hashes.0, range: Some(ranges.0) },
            PrimaryKey { hash: hashes.1, range: Some(ranges.1) },
        );
        let by_value = |a: &PrimaryKey, b: &PrimaryKey| {
            order(&a.hash, &b.hash).then_with(|| order(a.range.as_ref().unwrap(), b.range.as_ref().unwrap()))
        };
        prop_assert_eq!(item_key(place, &a).cmp(&item_key(place, &b)), by_value(&a, &b));
        let one_hash = PrimaryKey { hash: a.hash.clone(), ..b.clone() };
        prop_assert_eq!(item_key(place, &a).cmp(&item_key(place, &one_hash)), by_value(&a, &one_hash));
    }

    #[test]
    fn index_keys_are_ordered_by_index_range_then_range(hash in components(), index in pairs(), ranges in pairs(), place: u128) {
        let key = |range: &AttributeValue| PrimaryKey { hash: hash.clone(), range: Some(range.clone()) };
        let (a, b) = (index_key(place, &key(&ranges.0), &index.0), index_key(place, &key(&ranges.1), &index.1));
        prop_assert_eq!(a.cmp(&b), order(&index.0, &index.1).then(order(&ranges.0, &ranges.1)));
    }

    #[test]
    fn keys_read_back(hash in components(), range in prop::option::of(components()), index in components(), place: u128) {
        let key = PrimaryKey { hash, range };
        prop_assert_eq!(decode_item_key(&item_key(place, &key)), Some((place, key.clone())));
        prop_assert_eq!(decode_index_key(&index_key(place, &key, &index)), Some((place, key, index)));
    }

    #[test]
    fn noise_is_refused_or_canonical(noise in prop::collection::vec(prop_oneof![0u8..4, any::<u8>()], 0..64)) {
        if let Some((place, key)) = decode_item_key(&noise) {
            prop_assert_eq!(item_key(place, &key), noise.clone());
        }
        if let Some((place, key, index)) = decode_index_key(&noise) {
            prop_assert_eq!(index_key(place, &key, &index), noise);
        }
    }

    #[test]
    fn prefixes_hold_what_begins_with_them((a, b) in prop_oneof![(strings(), strings()), (blobs(), blobs())]) {
        let begins = match (&a, &b) {
            (AttributeValue::S(a), AttributeValue::S(b)) => b.starts_with(a),
            (AttributeValue::B(a), AttributeValue::B(b)) => b.starts_with(a),
            _ => unreachable!(),
        };
        let mut prefix = Vec::new();
        put_prefix(&a, &mut prefix);
        let component = encode_component(&b);
        prop_assert_eq!(component.starts_with(&prefix), begins);
        let end = prefix_end(&prefix).unwrap();
        prop_assert_eq!(component >= prefix && component < end, begins);
    }
}

#[test]
fn prefixes_end() {
    assert_eq!(prefix_end(&[1, 2]), Some(vec![1, 3]));
    assert_eq!(prefix_end(&[1, 0xff, 0xff]), Some(vec![2]));
    assert_eq!(prefix_end(&[0xff]), None);
    assert_eq!(prefix_end(&[]), None);
}

#[test]
fn hashes_are_keyed_and_spread() {
    let mut quarters = [0; 4];
    for i in 0..4000 {
        quarters[(partition_hash(&[7; 16], &AttributeValue::from(i)) >> 126) as usize] += 1;
    }
    assert!(quarters.iter().all(|count| (850..1150).contains(count)), "{quarters:?}");
    let value = AttributeValue::from("a");
    assert_ne!(partition_hash(&[0; 16], &value), partition_hash(&[1; 16], &value));
    assert_ne!(partition_hash(&[0; 16], &value), partition_hash(&[0; 16], &AttributeValue::B(Bytes::from("a"))));
    // Stored data lies by this hash: it must never change.
    assert_eq!(partition_hash(&[0; 16], &value), PINNED_HASH);
}

/// First 16 bytes of SHA-256 over sixteen zero bytes and `01 61 00 01`, by coreutils' sha256sum.
const PINNED_HASH: u128 = 0x8df752e527edb2a1fa7bb7d579ad83e9;

fn schema() -> KeySchema {
    KeySchema {
        hash: KeyAttribute { name: "h".into(), key_type: KeyType::S },
        range: Some(KeyAttribute { name: "r".into(), key_type: KeyType::B }),
    }
}

fn item(h: impl Into<AttributeValue>, r: &'static [u8]) -> Item {
    [("h".to_owned(), h.into()), ("r".to_owned(), AttributeValue::B(Bytes::from_static(r)))].into()
}

fn message<T: std::fmt::Debug>(result: Result<T, KeyError>) -> String {
    result.unwrap_err().to_string()
}

#[test]
fn keys_of_items_are_checked() {
    let mut good = item("a", b"b");
    good.insert("more".into(), AttributeValue::Null);
    let key = PrimaryKey::from_item(&schema(), &good).unwrap();
    assert_eq!(key.to_item(&schema()), item("a", b"b"));

    let mut missing = good.clone();
    missing.remove("r");
    assert_eq!(
        message(PrimaryKey::from_item(&schema(), &missing)),
        "One or more parameter values were invalid: Missing the key r in the item"
    );
    assert_eq!(
        message(PrimaryKey::from_item(&schema(), &item(1, b"b"))),
        "One or more parameter values were invalid: Type mismatch for key h expected: S actual: N"
    );
    let empty =
        "One or more parameter values are not valid. The AttributeValue for a key attribute cannot contain an empty";
    assert_eq!(message(PrimaryKey::from_item(&schema(), &item("", b"b"))), format!("{empty} string value. Key: h"));
    assert_eq!(message(PrimaryKey::from_item(&schema(), &item("a", b""))), format!("{empty} binary value. Key: r"));
}

#[test]
fn keys_of_requests_are_checked() {
    assert!(PrimaryKey::from_key(&schema(), &item("a", b"b")).is_ok());
    let mismatch = "The provided key element does not match the schema";
    assert_eq!(message(PrimaryKey::from_key(&schema(), &item(1, b"b"))), mismatch);
    let mut more = item("a", b"b");
    more.insert("more".into(), AttributeValue::Null);
    assert_eq!(message(PrimaryKey::from_key(&schema(), &more)), mismatch);
    let mut other = item("a", b"b");
    other.remove("r");
    assert_eq!(message(PrimaryKey::from_key(&schema(), &other)), mismatch);
    other.insert("x".into(), AttributeValue::Null);
    assert_eq!(message(PrimaryKey::from_key(&schema(), &other)), mismatch);
}

#[test]
fn lengths_are_limited() {
    assert!(PrimaryKey::from_item(&schema(), &item("x".repeat(2048), &[7; 1024])).is_ok());
    assert_eq!(
        message(PrimaryKey::from_item(&schema(), &item("x".repeat(2049), b"b"))),
        "One or more parameter values were invalid: Size of hashkey has exceeded the maximum size limit of2048 bytes"
    );
    assert_eq!(
        message(PrimaryKey::from_key(&schema(), &item("x", &[7; 1025]))),
        "One or more parameter values were invalid: Aggregated size of all range keys has exceeded the size limit of \
         1024 bytes"
    );
}
