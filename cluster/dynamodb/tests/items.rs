//! Items through a whole region: operations → router → transport → Raft → store, and back.

mod region;

use region::Region;
use serde_json::{Value, json};
use std::collections::BTreeSet;

const TABLE: &str = "things";

fn table(name: &str) -> Value {
    json!({
        "TableName": name,
        "AttributeDefinitions": [
            {"AttributeName": "pk", "AttributeType": "S"},
            {"AttributeName": "sk", "AttributeType": "N"},
            {"AttributeName": "at", "AttributeType": "S"},
        ],
        "KeySchema": [{"AttributeName": "pk", "KeyType": "HASH"}, {"AttributeName": "sk", "KeyType": "RANGE"}],
        "LocalSecondaryIndexes": [{
            "IndexName": "by-at",
            "KeySchema": [{"AttributeName": "pk", "KeyType": "HASH"}, {"AttributeName": "at", "KeyType": "RANGE"}],
            "Projection": {"ProjectionType": "KEYS_ONLY"},
        }],
        "BillingMode": "PAY_PER_REQUEST",
    })
}

fn key(pk: &str, sk: i64) -> Value {
    json!({"pk": {"S": pk}, "sk": {"N": sk.to_string()}})
}

fn with(mut item: Value, more: Value) -> Value {
    for (name, value) in more.as_object().into_iter().flatten() {
        item[name] = value.clone();
    }
    item
}

async fn got(region: &Region, pk: &str, sk: i64) -> Value {
    region.done("GetItem", json!({"TableName": TABLE, "Key": key(pk, sk), "ConsistentRead": true})).await["Item"]
        .clone()
}

/// The answer of an eventually consistent read once it is as wanted: a replica hears of the last commit with the next
/// message at the latest. After ten seconds, whatever it is.
async fn eventually(region: &Region, operation: &str, body: Value, wanted: impl Fn(&Value) -> bool) -> Value {
    let began = std::time::Instant::now();
    loop {
        let answer = region.done(operation, body.clone()).await;
        if wanted(&answer) || began.elapsed().as_secs() >= 10 {
            return answer;
        }
        tokio::time::sleep(std::time::Duration::from_millis(5)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn one_items_life() -> anyhow::Result<()> {
    let region = Region::start(3).await?;
    region.create(table(TABLE)).await;

    let everything = json!({
        "s": {"S": "ü"}, "n": {"N": "-1.5"}, "b": {"B": "AAH/"}, "t": {"BOOL": true}, "z": {"NULL": true},
        "ss": {"SS": ["a", "b"]}, "ns": {"NS": ["1", "2"]}, "bs": {"BS": ["AA==", "AQ=="]},
        "l": {"L": [{"N": "1"}, {"S": "x"}]}, "m": {"M": {"k": {"L": []}}},
    });
    let item = with(key("a", 1), everything);
    let done = region
        .done(
            "PutItem",
            json!({"TableName": TABLE, "Item": item, "ReturnConsumedCapacity": "INDEXES", "ReturnValues": "ALL_OLD"}),
        )
        .await;
    assert_eq!(done["ConsumedCapacity"]["CapacityUnits"], 1.0);
    assert!(done.get("Attributes").is_none(), "{done}");
    assert_eq!(got(&region, "a", 1).await, item);

    // The old one comes back, whole.
    let done = region
        .done(
            "PutItem",
            json!({"TableName": TABLE, "Item": with(key("a", 1), json!({"v": {"N": "1"}})), "ReturnValues": "ALL_OLD"}),
        )
        .await;
    assert_eq!(done["Attributes"], item);

    let condition = json!({"TableName": TABLE, "Item": key("a", 1), "ConditionExpression": "attribute_not_exists(pk)",
                           "ReturnValuesOnConditionCheckFailure": "ALL_OLD"});
    let refused = region.ask("PutItem", condition).await.unwrap_err();
    assert_eq!(
        (&*refused.code, &*refused.message),
        ("ConditionalCheckFailedException", "The conditional request failed")
    );
    assert_eq!(refused.extra.unwrap()["Item"], with(key("a", 1), json!({"v": {"N": "1"}})));

    for (wanted, expected) in [
        ("ALL_NEW", with(key("a", 1), json!({"v": {"N": "2"}}))),
        ("UPDATED_NEW", json!({"v": {"N": "3"}})),
        ("UPDATED_OLD", json!({"v": {"N": "3"}})),
        ("ALL_OLD", with(key("a", 1), json!({"v": {"N": "4"}}))),
        ("NONE", Value::Null),
    ] {
        let done = region
            .done(
                "UpdateItem",
                json!({"TableName": TABLE, "Key": key("a", 1), "UpdateExpression": "SET v = v + :one",
                       "ExpressionAttributeValues": {":one": {"N": "1"}}, "ReturnValues": wanted}),
            )
            .await;
        assert_eq!(done["Attributes"], expected, "{wanted}");
    }
    let done =
        region.done("DeleteItem", json!({"TableName": TABLE, "Key": key("a", 1), "ReturnValues": "ALL_OLD"})).await;
    assert_eq!(done["Attributes"]["v"], json!({"N": "6"}));
    assert_eq!(got(&region, "a", 1).await, Value::Null);
    // A table by its ARN.
    let arn = "arn:aws:dynamodb:us-east-1:111122223333:table/things";
    region.done("PutItem", json!({"TableName": arn, "Item": key("arn", 1)})).await;
    assert_eq!(got(&region, "arn", 1).await, key("arn", 1));
    region.stop().await;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn batches_pages_and_segments_see_every_item_once() -> anyhow::Result<()> {
    let region = Region::start(4).await?;
    region.create(table(TABLE)).await;
    let names: Vec<String> = (0..10).map(|n| format!("p{n}")).collect();
    let mut all = BTreeSet::new();
    for name in &names {
        let puts: Vec<Value> = (0..25)
            .map(|sk| {
                all.insert((name.clone(), sk));
                let at = format!("{:02}", 24 - sk);
                json!({"PutRequest": {"Item": with(key(name, sk), json!({"at": {"S": at}, "even": {"BOOL": sk % 2 == 0}}))}})
            })
            .collect();
        let done = region
            .done("BatchWriteItem", json!({"RequestItems": {TABLE: puts}, "ReturnConsumedCapacity": "TOTAL"}))
            .await;
        assert_eq!(done["UnprocessedItems"], json!({}));
        // One for the item, one for its index entry.
        assert_eq!(done["ConsumedCapacity"][0]["CapacityUnits"], 50.0);
    }
    let place = |item: &Value| {
        (item["pk"]["S"].as_str().unwrap().to_owned(), item["sk"]["N"].as_str().unwrap().parse::<i64>().unwrap())
    };

    // A whole query, forward and back, over the table and over the index.
    for (index, forward) in [(None, true), (None, false), (Some("by-at"), true), (Some("by-at"), false)] {
        let mut found = Vec::new();
        let mut start = Value::Null;
        loop {
            let mut body = json!({"TableName": TABLE, "KeyConditionExpression": "pk = :p", "ConsistentRead": true,
                "ExpressionAttributeValues": {":p": {"S": "p3"}}, "Limit": 7, "ScanIndexForward": forward});
            if let Some(index) = index {
                body["IndexName"] = index.into();
            }
            if !start.is_null() {
                body["ExclusiveStartKey"] = start;
            }
            let page = region.done("Query", body).await;
            found.extend(page["Items"].as_array().unwrap().iter().map(|item| place(item).1));
            match page.get("LastEvaluatedKey") {
                Some(key) => start = key.clone(),
                None => break,
            }
        }
        let mut expected: Vec<i64> = (0..25).collect();
        if forward != index.is_none() {
            expected.reverse();
        }
        assert_eq!(found, expected, "{index:?} {forward}");
    }

    let query = json!({"TableName": TABLE, "KeyConditionExpression": "pk = :p AND sk BETWEEN :a AND :b",
        "FilterExpression": "even = :t", "ProjectionExpression": "sk", "ReturnConsumedCapacity": "TOTAL",
        "ExpressionAttributeValues": {":p": {"S": "p3"}, ":a": {"N": "3"}, ":b": {"N": "6"}, ":t": {"BOOL": true}}});
    let page = eventually(&region, "Query", query, |page| page["ScannedCount"] == 4).await;
    assert_eq!((&page["Count"], &page["ScannedCount"]), (&json!(2), &json!(4)));
    assert_eq!(page["Items"], json!([{"sk": {"N": "4"}}, {"sk": {"N": "6"}}]));
    assert_eq!(page["ConsumedCapacity"]["CapacityUnits"], 0.5);

    // A scan in pages, alone and in segments.
    for segments in [1, 3] {
        let mut found = Vec::new();
        for segment in 0..segments {
            let mut start = Value::Null;
            loop {
                let mut body = json!({"TableName": TABLE, "Limit": 33, "ConsistentRead": true});
                if segments > 1 {
                    body["Segment"] = segment.into();
                    body["TotalSegments"] = segments.into();
                }
                if !start.is_null() {
                    body["ExclusiveStartKey"] = start;
                }
                let page = region.done("Scan", body).await;
                assert!(page["Count"].as_u64() <= Some(33));
                found.extend(page["Items"].as_array().unwrap().iter().map(place));
                match page.get("LastEvaluatedKey") {
                    Some(key) => start = key.clone(),
                    None => break,
                }
            }
        }
        assert_eq!(found.len(), all.len(), "{segments} segments");
        assert_eq!(found.into_iter().collect::<BTreeSet<_>>(), all, "{segments} segments");
    }
    let counted = region.done("Scan", json!({"TableName": TABLE, "Select": "COUNT", "ConsistentRead": true})).await;
    assert_eq!((&counted["Count"], counted.get("Items")), (&json!(250), None));

    let keys: Vec<Value> = names.iter().map(|name| key(name, 7)).chain([key("none", 1)]).collect();
    let done = region
        .done(
            "BatchGetItem",
            json!({"RequestItems": {TABLE: {"Keys": keys, "ConsistentRead": true, "ProjectionExpression": "pk, sk"}},
                                     "ReturnConsumedCapacity": "TOTAL"}),
        )
        .await;
    let found: BTreeSet<_> = done["Responses"][TABLE].as_array().unwrap().iter().map(place).collect();
    assert_eq!(found, names.iter().map(|name| (name.clone(), 7)).collect());
    assert_eq!(done["UnprocessedKeys"], json!({}));
    assert_eq!(done["ConsumedCapacity"][0]["CapacityUnits"], 11.0);
    region.stop().await;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn capacity_is_rounded_as_awss_is() -> anyhow::Result<()> {
    let region = Region::start(1).await?;
    region.create(table(TABLE)).await;
    // Names and values: pk 2 + 1, sk 2 + 2, at 2 + 1, b 1 + n.
    let sized = |bytes: usize, at: bool| {
        let mut item = key("c", 1);
        let mut fixed = 2 + 1 + 2 + 2 + 1;
        if at {
            item["at"] = json!({"S": "x"});
            fixed += 3;
        }
        item["b"] = json!({"S": "x".repeat(bytes - fixed)});
        item
    };
    for (item, table_units, index_units) in [
        (sized(1_024, false), 1.0, None),
        (sized(1_025, false), 2.0, None),
        // The larger of old and new.
        (sized(100, false), 2.0, None),
        (sized(4_096, true), 4.0, Some(1.0)),
        // What the index holds doesn't change.
        (sized(4_097, true), 5.0, None),
        (sized(4_097, false), 5.0, Some(1.0)),
    ] {
        let done = region
            .done("PutItem", json!({"TableName": TABLE, "Item": item, "ReturnConsumedCapacity": "INDEXES"}))
            .await;
        let consumed = &done["ConsumedCapacity"];
        assert_eq!(consumed["Table"]["CapacityUnits"], table_units, "{consumed}");
        let of_index = &consumed["LocalSecondaryIndexes"]["by-at"]["CapacityUnits"];
        assert_eq!(of_index.as_f64().filter(|units| *units > 0.0), index_units, "{consumed}");
        assert_eq!(consumed["CapacityUnits"], table_units + index_units.unwrap_or(0.0), "{consumed}");
    }
    for (consistent, units) in [(true, 2.0), (false, 1.0)] {
        let get = json!({"TableName": TABLE, "Key": key("c", 1), "ConsistentRead": consistent, "ReturnConsumedCapacity": "TOTAL"});
        let wanted = json!({"TableName": TABLE, "CapacityUnits": units});
        let done = eventually(&region, "GetItem", get, |done| consistent || done["ConsumedCapacity"] == wanted).await;
        assert_eq!(done["ConsumedCapacity"], wanted);
    }
    let none = json!({"TableName": TABLE, "Key": key("none", 1), "ReturnConsumedCapacity": "TOTAL"});
    assert_eq!(region.done("GetItem", none).await["ConsumedCapacity"]["CapacityUnits"], 0.5);
    // A collection's size comes with a table that has local indexes.
    let done = region
        .done("PutItem", json!({"TableName": TABLE, "Item": key("c", 2), "ReturnItemCollectionMetrics": "SIZE"}))
        .await;
    assert_eq!(
        done["ItemCollectionMetrics"],
        json!({"ItemCollectionKey": {"pk": {"S": "c"}}, "SizeEstimateRangeGB": [0.0, 1.0]})
    );
    region.stop().await;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_page_ends_at_a_megabyte_over_all_partitions() -> anyhow::Result<()> {
    let region = Region::start(5).await?;
    region.create(table(TABLE)).await;
    let body = "x".repeat(100_000);
    for n in 0..30 {
        let item = with(key(&format!("big{n}"), n), json!({"b": {"S": body}}));
        region.done("PutItem", json!({"TableName": TABLE, "Item": item})).await;
    }
    let mut pages = Vec::new();
    let mut start = Value::Null;
    loop {
        let mut ask = json!({"TableName": TABLE, "ConsistentRead": true, "ReturnConsumedCapacity": "TOTAL", "ProjectionExpression": "sk"});
        if !start.is_null() {
            ask["ExclusiveStartKey"] = start;
        }
        let page = region.done("Scan", ask).await;
        pages.push(page["Count"].as_u64().unwrap_or(0));
        if pages.len() == 1 {
            // Eleven items are the first to reach 1 MB: 1,100,3xx bytes of 4 KB blocks.
            assert_eq!(page["ConsumedCapacity"]["CapacityUnits"], 269.0);
        }
        match page.get("LastEvaluatedKey") {
            Some(key) => start = key.clone(),
            None => break,
        }
    }
    assert_eq!(pages, [11, 11, 8]);
    region.stop().await;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn parameters_from_before_expressions_still_work() -> anyhow::Result<()> {
    let region = Region::start(2).await?;
    region.create(table(TABLE)).await;
    for sk in 0..6 {
        let item = with(key("l", sk), json!({"colour": {"S": if sk % 2 == 0 { "red" } else { "blue" }}}));
        let absent = json!({"pk": {"Exists": false}});
        region.done("PutItem", json!({"TableName": TABLE, "Item": item, "Expected": absent})).await;
        let again = region.refused("PutItem", json!({"TableName": TABLE, "Item": item, "Expected": absent})).await;
        assert_eq!(again.0, "ConditionalCheckFailedException");
    }
    let found = |page: &Value| {
        let sorts =
            page["Items"].as_array().into_iter().flatten().map(|item| item["sk"]["N"].as_str().map(str::to_owned));
        sorts.collect::<Option<Vec<_>>>().expect("sort keys")
    };
    let page = region
        .done(
            "Query",
            json!({"TableName": TABLE, "AttributesToGet": ["sk"], "ScanIndexForward": false, "ConsistentRead": true,
            "KeyConditions": {
                "pk": {"ComparisonOperator": "EQ", "AttributeValueList": [{"S": "l"}]},
                "sk": {"ComparisonOperator": "GE", "AttributeValueList": [{"N": "2"}]}},
            "QueryFilter": {"colour": {"ComparisonOperator": "NE", "AttributeValueList": [{"S": "blue"}]}}}),
        )
        .await;
    assert_eq!(found(&page), ["4", "2"]);
    assert_eq!(page["Items"][0], json!({"sk": {"N": "4"}}));
    let filter = json!({"colour": {"ComparisonOperator": "EQ", "AttributeValueList": [{"S": "blue"}]},
                        "sk": {"ComparisonOperator": "EQ", "AttributeValueList": [{"N": "0"}]}});
    for (operator, count) in [("AND", 0), ("OR", 4)] {
        let page = region
            .done("Scan", json!({"TableName": TABLE, "ScanFilter": filter, "ConditionalOperator": operator, "ConsistentRead": true}))
            .await;
        assert_eq!(page["Count"], count, "{operator}");
    }
    let done = region
        .done(
            "UpdateItem",
            json!({"TableName": TABLE, "Key": key("l", 0), "ReturnValues": "ALL_NEW",
            "Expected": {"colour": {"Value": {"S": "red"}}},
            "AttributeUpdates": {"colour": {"Action": "DELETE"}, "seen": {"Action": "ADD", "Value": {"N": "2"}},
                                 "name": {"Value": {"S": "zero"}}}}),
        )
        .await;
    assert_eq!(done["Attributes"], with(key("l", 0), json!({"seen": {"N": "2"}, "name": {"S": "zero"}})));
    let refused = region
        .refused(
            "UpdateItem",
            json!({"TableName": TABLE, "Key": key("l", 0), "AttributeUpdates": {"sk": {"Value": {"N": "2"}}}}),
        )
        .await;
    assert_eq!(
        refused.1,
        "One or more parameter values were invalid: Cannot update attribute sk. This attribute is part of the key"
    );
    region.stop().await;
    Ok(())
}
