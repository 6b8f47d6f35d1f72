//! What lies on a node's disk of groups that no table has is removed, and of no others.

mod region;

use breakwater_types::GroupId;
use region::Region;
use serde_json::json;

#[tokio::test(flavor = "multi_thread")]
async fn groups_that_no_table_has_are_removed_from_the_disk() -> anyhow::Result<()> {
    // As of a table that was deleted while the node was down; numbers are never used again.
    let region = Region::start_with_leftovers(2, &[GroupId(7_001), GroupId(7_002)]).await?;
    region.until_stored(&[]).await;
    for name in ["one", "two"] {
        region
            .create(json!({
                "TableName": name,
                "AttributeDefinitions": [{"AttributeName": "pk", "AttributeType": "S"}],
                "KeySchema": [{"AttributeName": "pk", "KeyType": "HASH"}],
                "BillingMode": "PAY_PER_REQUEST",
            }))
            .await;
    }
    region.until_stored(&[1_000, 1_001, 1_002, 1_003]).await;
    region.done("DeleteTable", json!({"TableName": "one"})).await;
    region.until_gone("one").await;
    region.until_stored(&[1_002, 1_003]).await;
    region.done("PutItem", json!({"TableName": "two", "Item": {"pk": {"S": "a"}}})).await;
    // What routers and front doors had learnt of it is gone too.
    region.until_forgotten(&[1_002, 1_003]).await;
    region.stop().await;
    Ok(())
}
