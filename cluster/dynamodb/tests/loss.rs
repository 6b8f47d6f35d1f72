//! A zone's replicas go in the middle of it: clients see no error, and nothing acknowledged is lost.

mod region;

use region::Region;
use serde_json::json;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

const CLIENTS: usize = 6;
const WRITES: usize = 40;

#[tokio::test(flavor = "multi_thread")]
async fn a_lost_zone_costs_clients_no_error() -> anyhow::Result<()> {
    let region = Arc::new(Region::start(3).await?);
    region
        .create(json!({
            "TableName": "kept",
            "AttributeDefinitions": [{"AttributeName": "pk", "AttributeType": "S"}],
            "KeySchema": [{"AttributeName": "pk", "KeyType": "HASH"}],
            "BillingMode": "PAY_PER_REQUEST",
        }))
        .await;
    let written = Arc::new(AtomicUsize::new(0));
    let clients: Vec<_> = (0..CLIENTS)
        .map(|client| {
            let (region, written) = (region.clone(), written.clone());
            tokio::spawn(async move {
                for n in 0..WRITES {
                    let key = json!({"pk": {"S": format!("{client}-{n}")}});
                    // A write that is repeated inside is done once: a second time would fail the condition.
                    let put =
                        json!({"TableName": "kept", "Item": key, "ConditionExpression": "attribute_not_exists(pk)"});
                    region.done("PutItem", put).await;
                    let count = json!({"TableName": "kept", "Key": {"pk": {"S": format!("count-{client}")}},
                        "UpdateExpression": "ADD n :one", "ExpressionAttributeValues": {":one": {"N": "1"}}});
                    region.done("UpdateItem", count).await;
                    let get = json!({"TableName": "kept", "Key": key, "ConsistentRead": true});
                    assert_eq!(region.done("GetItem", get).await["Item"], key);
                    written.fetch_add(1, Ordering::Relaxed);
                }
            })
        })
        .collect();
    while written.load(Ordering::Relaxed) < CLIENTS * WRITES / 4 {
        tokio::time::sleep(std::time::Duration::from_millis(1)).await;
    }
    assert!(region.lose_leader().await > 0);
    for client in clients {
        client.await?;
    }
    let scan = json!({"TableName": "kept", "Select": "COUNT", "ConsistentRead": true});
    assert_eq!(region.done("Scan", scan).await["Count"], CLIENTS * WRITES + CLIENTS);
    for client in 0..CLIENTS {
        let get = json!({"TableName": "kept", "Key": {"pk": {"S": format!("count-{client}")}}, "ConsistentRead": true});
        assert_eq!(region.done("GetItem", get).await["Item"]["n"]["N"], WRITES.to_string());
    }
    // Reads that may be stale go on too.
    let get = json!({"TableName": "kept", "Key": {"pk": {"S": "0-0"}}});
    assert!(region.done("GetItem", get).await.get("Item").is_some());
    if let Ok(region) = Arc::try_unwrap(region) {
        region.stop().await;
    }
    Ok(())
}
