//! Numbers, keys, attribute values as AWS's JSON has them, and items as they are stored.

use breakwater_items::json::{WireItem, WireItemRef};
use breakwater_items::{Item, Number, key, size, stored};

/// Two texts, with a comma between them, and the bytes as an encoded number.
pub(crate) fn number(data: &[u8]) {
    if let Some((number, rest)) = Number::decode_ordered(data) {
        let mut again = Vec::new();
        number.encode_ordered(&mut again);
        assert_eq!(Number::decode_ordered(&again), Some((number, &[][..])), "{} bytes were left", rest.len());
    }
    let Ok(text) = std::str::from_utf8(data) else { return };
    let numbers: Vec<Number> = text.split(',').take(2).filter_map(|text| text.parse().ok()).collect();
    for number in &numbers {
        assert_eq!(number.to_string().parse(), Ok(*number));
        assert!(size::number_size(number) <= 22);
    }
    let [a, b] = numbers[..] else { return };
    let encoded = |number: Number| {
        let mut out = Vec::new();
        number.encode_ordered(&mut out);
        out
    };
    assert_eq!(encoded(a).cmp(&encoded(b)), a.cmp(&b), "{a} and {b}");
    assert_eq!(a.checked_add(b), b.checked_add(a));
    assert_eq!(a.checked_sub(b), a.checked_add(b.negated()));
}

pub(crate) fn key(data: &[u8]) {
    if let Some((value, _)) = key::decode_component(data) {
        let again = key::encode_component(&value);
        assert_eq!(key::decode_component(&again), Some((value, &[][..])));
    }
    if let Some((hash, primary)) = key::decode_item_key(data) {
        assert_eq!(key::decode_item_key(&key::item_key(hash, &primary)), Some((hash, primary)));
    }
    if let Some((hash, primary, range)) = key::decode_index_key(data) {
        let again = key::index_key(hash, &primary, &range);
        assert_eq!(key::decode_index_key(&again), Some((hash, primary, range)));
    }
    if let Some(end) = key::prefix_end(data) {
        assert!(end.as_slice() > data);
    }
}

fn same_when_stored(item: &Item) {
    let read = stored::decode(&stored::encode(7, 9, item)).expect("what was encoded is decoded");
    assert_eq!((read.version, read.hlc, &read.item), (7, 9, item));
    assert_eq!(size::item_size(item), size::item_size(&read.item));
}

pub(crate) fn json(data: &[u8]) {
    let Ok(wire) = serde_json::from_slice::<WireItem>(data) else { return };
    let Ok(item) = wire.into_item() else { return };
    let text = serde_json::to_string(&WireItemRef(&item)).expect("an item can be written");
    let again = serde_json::from_str::<WireItem>(&text).expect("what was written is read").into_item();
    assert_eq!(again.as_ref(), Ok(&item));
    same_when_stored(&item);
}

pub(crate) fn stored(data: &[u8]) {
    if let Ok(read) = stored::decode(data) {
        same_when_stored(&read.item);
    }
    if let Ok(value) = stored::decode_value(data) {
        let mut again = Vec::new();
        stored::encode_value(&value, &mut again);
        assert_eq!(stored::decode_value(&again).ok(), Some(value));
    }
}
