//! Leaders are spread evenly over zones, whoever was quickest to be elected.

mod region;

use region::Region;
use serde_json::json;

const PARTITIONS: u32 = 9;

#[tokio::test(flavor = "multi_thread")]
async fn each_zone_comes_to_lead_as_many_partitions() -> anyhow::Result<()> {
    let region = Region::start(PARTITIONS).await?;
    region
        .create(json!({
            "TableName": "spread",
            "AttributeDefinitions": [{"AttributeName": "pk", "AttributeType": "S"}],
            "KeySchema": [{"AttributeName": "pk", "KeyType": "HASH"}],
            "BillingMode": "PAY_PER_REQUEST",
        }))
        .await;
    region.until_led(&[3, 3, 3]).await;
    for n in 0..50 {
        region.done("PutItem", json!({"TableName": "spread", "Item": {"pk": {"S": format!("{n}")}}})).await;
    }
    let scan = json!({"TableName": "spread", "Select": "COUNT", "ConsistentRead": true});
    assert_eq!(region.done("Scan", scan).await["Count"], 50);
    region.stop().await;
    Ok(())
}
