//! Expressions: compiled, and applied to an item.

use breakwater_items::expression::{ExpressionKind, Substitutions, compile};
use breakwater_items::json::WireItem;
use breakwater_items::{Item, KeyAttribute, KeySchema, KeyType, size};
use std::collections::BTreeMap;
use std::sync::OnceLock;

const ITEM: &str = r#"{"pk":{"S":"p"},"sk":{"N":"7"},"a":{"N":"1.5"},"s":{"S":"text"},"b":{"B":"AAH/"},
    "l":{"L":[{"N":"1"},{"S":"x"},{"L":[{"BOOL":true}]}]},"m":{"M":{"k":{"N":"3"},"m":{"M":{"k":{"NULL":true}}}}},
    "ss":{"SS":["a","b"]},"ns":{"NS":["1","2"]},"bs":{"BS":["AA=="]},"x.y":{"S":"dotted"}}"#;
const VALUES: &str = r#"{":n":{"N":"2"},":m":{"N":"-1e125"},":s":{"S":"te"},":b":{"B":"AAE="},":l":{"L":[{"N":"9"}]},
    ":o":{"M":{"k":{"S":"v"}}},":ss":{"SS":["b","c"]},":ns":{"NS":["2","3"]},":t":{"BOOL":true},":z":{"NULL":true}}"#;

fn read(text: &str) -> Item {
    serde_json::from_str::<WireItem>(text).expect("JSON").into_item().expect("an item")
}

struct Fixture {
    item: Item,
    values: Item,
    names: BTreeMap<String, String>,
    key: KeySchema,
}

fn fixture() -> &'static Fixture {
    static FIXTURE: OnceLock<Fixture> = OnceLock::new();
    FIXTURE.get_or_init(|| {
        let attribute = |name: &str, key_type| KeyAttribute { name: name.to_owned(), key_type };
        let names = [("#a", "a"), ("#l", "l"), ("#m", "m"), ("#d", "x.y"), ("#r", "size")];
        Fixture {
            item: read(ITEM),
            values: read(VALUES),
            names: names.map(|(sign, name)| (sign.to_owned(), name.to_owned())).into(),
            key: KeySchema { hash: attribute("pk", KeyType::S), range: Some(attribute("sk", KeyType::N)) },
        }
    })
}

/// The first byte says of which kind the rest is: `c`ondition, `f`ilter, `p`rojection, `u`pdate, `k`ey condition.
pub(crate) fn run(data: &[u8]) {
    let Some((kind, text)) = data.split_first() else { return };
    let Ok(text) = std::str::from_utf8(text) else { return };
    let Fixture { item, values, names, key } = fixture();
    let values = values.iter().map(|(sign, value)| (sign.clone(), value.clone())).collect();
    let mut given = Substitutions::new(Some(names.clone()), Some(values)).expect("the substitutions are good");
    match kind {
        b'c' | b'f' => {
            let kind = if *kind == b'c' { ExpressionKind::Condition } else { ExpressionKind::Filter };
            let Ok(condition) = compile::condition(text, kind, &mut given) else { return };
            // An error is an answer too.
            let _ = condition.evaluate(Some(item));
            let _ = condition.evaluate(None);
            let _ = condition.check_filter_keys("FilterExpression", &["pk", "sk"]);
        }
        b'p' => {
            let Ok(projection) = compile::projection(text, &mut given) else { return };
            let projected = projection.project(item);
            assert!(size::item_size(&projected) <= size::item_size(item));
        }
        b'u' => {
            let Ok(update) = compile::update(text, &mut given) else { return };
            if update.check_keys(key).is_err() {
                return;
            }
            for existing in [Some(item), None] {
                let mut new = existing.cloned().unwrap_or_default();
                if update.apply(&mut new, existing.is_some()).is_ok() && existing.is_some() {
                    assert_eq!((new.get("pk"), new.get("sk")), (item.get("pk"), item.get("sk")));
                }
            }
        }
        b'k' => {
            let Ok(conditions) = compile::key_condition(text, &mut given) else { return };
            if let Ok(bound) = conditions.bind(key)
                && let Some(range) = &bound.range
            {
                let (from, to) = range.bounds();
                assert!(!matches!((from, to), (std::ops::Bound::Unbounded, std::ops::Bound::Unbounded)));
                let _ = range.matches(&item["sk"]);
            }
        }
        _ => {}
    }
    let _ = given.finish();
}
