//! Tables of what reads give.

use super::*;
use crate::rpc::{PageEnd, StartKey};
use breakwater_items::expression::{KeyCondition, RangeCondition};

fn loaded(schema: TableSchema) -> Replica {
    let mut replica = Replica::new(schema);
    for r in 0..10i64 {
        let attributes = [
            ("h", s("x")),
            ("r", n(r)),
            ("a", s(["ab", "abc", "b"][r as usize % 3])),
            ("b", n(-r)),
            ("c", s("c")),
            ("d", s(&"d".repeat(r as usize * 1_000))),
        ];
        replica.write(&put(r as u128 + 1, &attributes)).unwrap();
    }
    for (at, h) in ["w", "y", "x\0", "x\0\u{1}"].into_iter().enumerate() {
        replica.write(&put(100 + at as u128, &[("h", s(h)), ("r", n(1)), ("a", s("ab"))])).unwrap();
    }
    replica
}

fn numbers(page: &Page, attribute: &str) -> Vec<i64> {
    let number = |item: &Item| match item.get(attribute) {
        Some(AttributeValue::N(number)) => number.to_string().parse().unwrap(),
        other => panic!("{other:?}"),
    };
    page.items.iter().map(number).collect()
}

fn with_range(range: RangeCondition) -> QueryRead {
    QueryRead { key_condition: KeyCondition { hash: s("x"), range: Some(range) }, ..query("x") }
}

#[test]
fn range_conditions_choose_their_items_in_both_directions() {
    let replica = loaded(plain());
    let cases = [
        (RangeCondition::Equal(n(3)), vec![3]),
        (RangeCondition::Less(n(3)), vec![0, 1, 2]),
        (RangeCondition::LessOrEqual(n(3)), vec![0, 1, 2, 3]),
        (RangeCondition::Greater(n(7)), vec![8, 9]),
        (RangeCondition::GreaterOrEqual(n(7)), vec![7, 8, 9]),
        (RangeCondition::Between(n(2), n(4)), vec![2, 3, 4]),
        (RangeCondition::Between(n(4), n(2)), vec![]),
        (RangeCondition::Greater(n(99)), vec![]),
    ];
    for (range, expected) in cases {
        let mut read = with_range(range.clone());
        let page = replica.page(PartitionRequest::Query(read.clone())).unwrap();
        assert_eq!(numbers(&page, "r"), expected, "{range:?}");
        assert_eq!(page.last_evaluated, None);
        read.forward = false;
        let page = replica.page(PartitionRequest::Query(read)).unwrap();
        let backward: Vec<i64> = expected.into_iter().rev().collect();
        assert_eq!(numbers(&page, "r"), backward, "{range:?} backward");
    }
}

#[test]
fn an_index_is_read_in_its_own_order() {
    let replica = loaded(indexed());
    let by_b =
        QueryRead { index: Some(1), select: Select::Projected, ..with_range(RangeCondition::LessOrEqual(n(-7))) };
    let page = replica.page(PartitionRequest::Query(by_b)).unwrap();
    assert_eq!(numbers(&page, "b"), [-9, -8, -7]);
    assert_eq!(page.items[0], item(&[("h", s("x")), ("r", n(9)), ("b", n(-9))]));
    for (prefix, expected) in
        [("ab", vec![0, 3, 6, 9, 1, 4, 7]), ("abc", vec![1, 4, 7]), ("b", vec![2, 5, 8]), ("c", vec![])]
    {
        let begins = with_range(RangeCondition::BeginsWith(s(prefix)));
        let page = replica.page(PartitionRequest::Query(QueryRead { index: Some(0), ..begins })).unwrap();
        assert_eq!(numbers(&page, "r"), expected, "{prefix}");
    }
}

#[test]
fn what_an_index_lacks_is_fetched_and_paid_for() {
    let replica = loaded(indexed());
    let of = |index, select, projection| {
        let read =
            QueryRead { index: Some(index), select, projection, ..with_range(RangeCondition::BeginsWith(s("abc"))) };
        replica.page(PartitionRequest::Query(read)).unwrap()
    };
    let entry_bytes = 2 + 3 + 4 + 2;
    // Items 1, 4 and 7 have 1,000, 4,000 and 7,000 bytes and some.
    let page = of(2, Select::All, None);
    assert_eq!((page.fetched_blocks, page.examined_bytes), (1 + 1 + 2, 3 * entry_bytes));
    assert!(page.items.iter().all(|item| item.contains_key("d") && item.contains_key("b")));
    let page = of(2, Select::Specific, Some(projection("r, d")));
    assert_eq!(page.fetched_blocks, 4);
    assert_eq!(page.items[0].len(), 2);
    let page = of(2, Select::Specific, Some(projection("r, c")));
    assert_eq!((page.fetched_blocks, page.items[0].len()), (0, 2));
    let page = of(2, Select::Projected, None);
    assert_eq!((page.fetched_blocks, page.items[0].len()), (0, 4));
    let page = of(0, Select::All, None);
    assert_eq!((page.fetched_blocks, page.items[0].len()), (0, 6));
    let page = of(2, Select::Count, None);
    assert_eq!((page.count, page.scanned_count, page.items.len()), (3, 3, 0));
}

#[test]
fn a_page_ends_at_its_limit_even_if_nothing_follows() {
    let replica = loaded(plain());
    let read = |limit, forward, exclusive_start| {
        let filter = Some(condition("b > :b", &[(":b", n(-5))]));
        let read = QueryRead { limit: Some(limit), forward, exclusive_start, filter, ..query("x") };
        replica.page(PartitionRequest::Query(read)).unwrap()
    };
    let page = read(10, true, None);
    assert_eq!((page.count, page.scanned_count, page.ended_by), (5, 10, Some(PageEnd::Limit)));
    assert_eq!(page.last_evaluated, Some(StartKey { key: key_of("x", 9), index_sort: None }));
    let rest = read(10, true, page.last_evaluated);
    assert_eq!((rest.scanned_count, rest.last_evaluated, rest.ended_by), (0, None, None));
    let page = read(11, true, None);
    assert_eq!((page.scanned_count, page.last_evaluated), (10, None));
    for forward in [true, false] {
        let (mut start, mut seen) = (None, Vec::new());
        loop {
            let page = read(3, forward, start);
            seen.extend(numbers(&page, "r"));
            start = page.last_evaluated;
            if start.is_none() {
                break;
            }
        }
        let mut expected = vec![0, 1, 2, 3, 4];
        if !forward {
            expected.reverse();
        }
        assert_eq!(seen, expected);
    }
}

#[test]
fn a_page_ends_with_the_item_that_reaches_a_megabyte() {
    let mut replica = Replica::new(plain());
    for r in 0..8i64 {
        let large = "d".repeat(300 * 1024);
        replica.write(&put(r as u128 + 1, &[("h", s("x")), ("r", n(r)), ("d", s(&large))])).unwrap();
    }
    let page = replica.page(PartitionRequest::Query(QueryRead { select: Select::Count, ..query("x") })).unwrap();
    assert_eq!((page.count, page.ended_by), (4, Some(PageEnd::Bytes)));
    assert_eq!(page.last_evaluated.map(|start| start.key), Some(key_of("x", 3)));
    let rest = ScanRead { bytes_max: 1_000, ..scan(None) };
    let page = replica.page(PartitionRequest::Scan(rest)).unwrap();
    assert_eq!((page.count, page.ended_by), (1, Some(PageEnd::Bytes)), "what earlier partitions left of the page");
}

#[test]
fn starting_keys_must_fit_the_query() {
    let replica = loaded(indexed());
    let start = |key, index_sort| Some(StartKey { key, index_sort });
    let less = || with_range(RangeCondition::Less(n(5)));
    let cases = [
        (
            less(),
            start(key_of("y", 1), None),
            "The provided starting key is outside query boundaries based on provided conditions",
        ),
        (less(), start(key_of("x", 7), None), "The provided starting key does not match the range key predicate"),
        (less(), start(key_of("x", 1), Some(s("a"))), "The provided starting key is invalid"),
        (less(), start(PrimaryKey { hash: s("x"), range: None }, None), "The provided starting key is invalid"),
        (
            QueryRead { index: Some(0), ..query("x") },
            start(key_of("x", 1), None),
            "The provided starting key is invalid",
        ),
        (
            QueryRead { index: Some(0), ..query("x") },
            start(key_of("x", 1), Some(n(1))),
            "The provided starting key is invalid",
        ),
        (QueryRead { index: Some(9), ..query("x") }, None, "The table does not have the specified index"),
    ];
    for (read, exclusive_start, message) in cases {
        let refused = replica.page(PartitionRequest::Query(QueryRead { exclusive_start, ..read }));
        assert_eq!(refused.unwrap_err(), PartitionError::Validation(message.to_owned()));
    }
}

#[test]
fn segments_of_a_scan_see_every_item_once() {
    let replica = loaded(indexed());
    for index in [None, Some(0), Some(1)] {
        let mut whole = replica.scan_all(index);
        let mut parts = Vec::new();
        let step = u128::MAX / 5;
        for segment in 0..5u128 {
            let first = segment * (step + 1);
            let last = if segment == 4 { u128::MAX } else { first + step };
            let read = ScanRead { hash_range: (first, last), ..scan(index) };
            parts.extend(replica.page(PartitionRequest::Scan(read)).unwrap().items);
        }
        let by_text = |item: &Item| format!("{item:?}");
        whole.sort_by_key(by_text);
        parts.sort_by_key(by_text);
        assert_eq!(parts, whole);
        assert_eq!(whole.len(), if index == Some(1) { 10 } else { 14 });
    }
}

#[test]
fn a_get_keeps_the_requests_order_and_says_what_it_cost() {
    let replica = loaded(plain());
    let keys = vec![key_of("x", 2), key_of("x", 77), key_of("x", 0)];
    let get = GetRead { keys, projection: Some(projection("r, nothing")), consistent: false };
    let PartitionResponse::Get(found) = replica.read(PartitionRequest::Get(get)).unwrap() else { panic!() };
    let sizes: Vec<u32> = found.iter().map(|got| got.size_bytes).collect();
    let small = 2 + 3 + 3 + 2 + 2 + 1;
    assert_eq!(found[0].item, Some(item(&[("r", n(2))])));
    assert_eq!((found[1].item.clone(), found[2].item.clone()), (None, Some(item(&[("r", n(0))]))));
    assert_eq!(sizes[1], 0);
    assert!(sizes[0] > 2_000 && sizes[2] <= small + 2, "{sizes:?}");
}
