//! A table's life: made, described, listed, tagged, changed, deleted, made again.

mod region;

use region::Region;
use serde_json::{Value, json};

fn simple(name: &str) -> Value {
    json!({
        "TableName": name,
        "AttributeDefinitions": [{"AttributeName": "pk", "AttributeType": "S"}],
        "KeySchema": [{"AttributeName": "pk", "KeyType": "HASH"}],
        "BillingMode": "PAY_PER_REQUEST",
    })
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tables_life() -> anyhow::Result<()> {
    let region = Region::start(1).await?;
    let mut provisioned = simple("cars");
    provisioned["BillingMode"] = "PROVISIONED".into();
    provisioned["ProvisionedThroughput"] = json!({"ReadCapacityUnits": 3_000, "WriteCapacityUnits": 1_500});
    provisioned["Tags"] = json!([{"Key": "owner", "Value": "ann"}]);
    provisioned["DeletionProtectionEnabled"] = true.into();
    let made = region.done("CreateTable", provisioned).await["TableDescription"].clone();
    assert_eq!(made["TableStatus"], "CREATING");
    assert_eq!(made["TableArn"], "arn:aws:dynamodb:us-east-1:111122223333:table/cars");
    region.until_active("cars").await;
    let described = region.done("DescribeTable", json!({"TableName": "cars"})).await["Table"].clone();
    assert_eq!(described["TableId"], made["TableId"]);
    assert_eq!(described["ProvisionedThroughput"]["ReadCapacityUnits"], 3_000);
    assert_eq!(described["DeletionProtectionEnabled"], true);
    // 3000/3000 + 1500/1000, rounded up.
    let record = region.context.known_table(&region.context.settings.scope, "cars").expect("in the mirror");
    assert_eq!(record.partitions.len(), 3);
    for partition in &record.partitions {
        let zones: std::collections::BTreeSet<_> = partition.replicas.iter().map(|r| r.zone.clone()).collect();
        assert_eq!(zones.len(), 3);
    }

    let arn = made["TableArn"].clone();
    region.done("TagResource", json!({"ResourceArn": arn, "Tags": [{"Key": "stage", "Value": "test"}]})).await;
    region.done("UntagResource", json!({"ResourceArn": arn, "TagKeys": ["owner"]})).await;
    let tags = region.done("ListTagsOfResource", json!({"ResourceArn": arn})).await;
    assert_eq!(tags["Tags"], json!([{"Key": "stage", "Value": "test"}]));

    let protected = region.refused("DeleteTable", json!({"TableName": "cars"})).await;
    assert_eq!(protected.0, "ValidationException");
    assert!(protected.1.contains("protected against deletion"), "{}", protected.1);
    let same = json!({"TableName": "cars", "ProvisionedThroughput": {"ReadCapacityUnits": 3_000, "WriteCapacityUnits": 1_500}});
    assert!(
        region
            .refused("UpdateTable", same)
            .await
            .1
            .starts_with("The provisioned throughput for the table will not change.")
    );
    let changed = region
        .done(
            "UpdateTable",
            json!({"TableName": "cars", "BillingMode": "PAY_PER_REQUEST", "DeletionProtectionEnabled": false,
                                    "TableClass": "STANDARD_INFREQUENT_ACCESS"}),
        )
        .await["TableDescription"]
        .clone();
    assert_eq!(changed["BillingModeSummary"]["BillingMode"], "PAY_PER_REQUEST");
    assert_eq!(changed["ProvisionedThroughput"]["ReadCapacityUnits"], 0);
    assert_eq!(changed["TableClassSummary"]["TableClass"], "STANDARD_INFREQUENT_ACCESS");

    // A recreated table never sees its forerunner's items.
    let item = json!({"pk": {"S": "old"}});
    region.done("PutItem", json!({"TableName": "cars", "Item": item})).await;
    let deleting = region.done("DeleteTable", json!({"TableName": "cars"})).await;
    assert_eq!(deleting["TableDescription"]["TableStatus"], "DELETING");
    region.until_gone("cars").await;
    region.create(simple("cars")).await;
    let again = region.done("DescribeTable", json!({"TableName": "cars"})).await["Table"].clone();
    assert_ne!(again["TableId"], made["TableId"]);
    let read = region.done("GetItem", json!({"TableName": "cars", "Key": item, "ConsistentRead": true})).await;
    assert_eq!(read.get("Item"), None);
    region.stop().await;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn tables_are_listed_in_pages() -> anyhow::Result<()> {
    let region = Region::start(1).await?;
    for name in ["ant", "bee", "cat"] {
        region.create(simple(name)).await;
    }
    let first = region.done("ListTables", json!({"Limit": 2})).await;
    assert_eq!(first, json!({"TableNames": ["ant", "bee"], "LastEvaluatedTableName": "bee"}));
    let rest = region.done("ListTables", json!({"Limit": 2, "ExclusiveStartTableName": "bee"})).await;
    assert_eq!(rest, json!({"TableNames": ["cat"]}));
    assert_eq!(region.done("ListTables", json!({})).await["TableNames"], json!(["ant", "bee", "cat"]));
    region.stop().await;
    Ok(())
}
