//! What AWS refuses, in AWS's words. Sources: paritysuite/dynamodb-conformance and moto's aws_verified tests (measured at
//! AWS in 2026), dynalite 4.

mod region;

use region::Region;
use serde_json::{Value, json};

fn one(text: &str) -> String {
    format!("1 validation error detected: {text}")
}

fn key(text: &str) -> Value {
    json!({"pk": {"S": text}})
}

const REGEX: &str = "Member must satisfy regular expression pattern: [a-zA-Z0-9_.-]+";
const NOT_NULL: &str = "Member must not be null";
const ENUM_CONSUMED: &str = "Value 'BOGUS' at 'returnConsumedCapacity' failed to satisfy constraint: Member must satisfy enum value set: [INDEXES, TOTAL, NONE]";
const MISMATCH: &str = "The provided key element does not match the schema";
const DUPLICATES: &str = "Provided list of item keys contains duplicates";

fn request_shapes() -> Vec<(&'static str, Value, String)> {
    let long = "a".repeat(256);
    vec![
        ("PutItem", json!({"Item": key("a")}), one(&format!("Value null at 'tableName' failed to satisfy constraint: {NOT_NULL}"))),
        (
            "PutItem",
            json!({}),
            format!(
                "2 validation errors detected: Value null at 'tableName' failed to satisfy constraint: {NOT_NULL}; Value null at 'item' failed to satisfy constraint: {NOT_NULL}"
            ),
        ),
        (
            "PutItem",
            json!({"TableName": "bad table!@#", "Item": key("a")}),
            one(&format!("Value 'bad table!@#' at 'tableName' failed to satisfy constraint: {REGEX}")),
        ),
        (
            "PutItem",
            json!({"TableName": long, "Item": key("a")}),
            one(&format!(
                "Value '{long}' at 'tableName' failed to satisfy constraint: Member must have length less than or equal to 255"
            )),
        ),
        (
            "PutItem",
            json!({"TableName": "table", "Item": key("a"), "ReturnConsumedCapacity": "BOGUS"}),
            one(ENUM_CONSUMED),
        ),
        (
            "PutItem",
            json!({"TableName": "table", "Item": key("a"), "ReturnValues": "x"}),
            one("Value 'x' at 'returnValues' failed to satisfy constraint: Member must satisfy enum value set: [ALL_NEW, UPDATED_OLD, ALL_OLD, NONE, UPDATED_NEW]"),
        ),
        (
            "PutItem",
            json!({"TableName": "table", "Item": key("a"), "ReturnValues": "ALL_NEW"}),
            one("ReturnValues can only be ALL_OLD or NONE"),
        ),
        (
            "DeleteItem",
            json!({"TableName": "table", "Key": key("a"), "ReturnValues": "UPDATED_NEW"}),
            one("ReturnValues can only be ALL_OLD or NONE"),
        ),
        (
            "PutItem",
            json!({"TableName": "table", "Item": key("a"), "ExpressionAttributeValues": {":v": {"S": "x"}}}),
            one("ExpressionAttributeValues can only be specified when using expressions"),
        ),
        (
            "DeleteItem",
            json!({"TableName": "table", "Key": key("a"), "ExpressionAttributeNames": {"#a": "a"}}),
            one("ExpressionAttributeNames can only be specified when using expressions"),
        ),
        (
            "PutItem",
            json!({"TableName": "table", "Item": key("a"), "ConditionExpression": ""}),
            one("Invalid ConditionExpression: The expression can not be empty;"),
        ),
        (
            "DeleteItem",
            json!({"TableName": "table", "Key": key("a"), "ConditionExpression": "attribute_exists(a)", "ExpressionAttributeValues": {}}),
            one("ExpressionAttributeValues must not be empty"),
        ),
        (
            "PutItem",
            json!({"TableName": "table", "Item": {"pk": {"S": "a"}, "n": {"N": "abc"}}}),
            one("The parameter cannot be converted to a numeric value: abc"),
        ),
        (
            "PutItem",
            json!({"TableName": "table", "Item": {"pk": {"S": "a"}, "n": {"NS": ["1", "1e126"]}}}),
            one("Number overflow. Attempting to store a number with magnitude larger than supported range"),
        ),
        (
            "PutItem",
            json!({"TableName": "table", "Item": {"pk": {"S": "a"}, "n": {"SS": ["b", "a", "b"]}}}),
            one("One or more parameter values were invalid: Input collection [\"a\", \"b\", \"b\"] contains duplicates."),
        ),
        (
            "PutItem",
            json!({"TableName": "table", "Item": {"pk": {"S": "a"}, "n": {"NULL": false}}}),
            one("One or more parameter values were invalid: Null attribute value types must have the value of true"),
        ),
        (
            "GetItem",
            json!({"TableName": "table", "Key": {"pk": {"N": "1e-131"}}}),
            "Number underflow. Attempting to store a number with magnitude smaller than supported range".to_owned(),
        ),
        (
            "UpdateItem",
            json!({"TableName": "table", "Key": key("a"), "UpdateExpression": "SET b = :w", "ConditionExpression": "a = :v",
                   "ExpressionAttributeValues": {":w": {"S": "x"}}}),
            one("Invalid ConditionExpression: An expression attribute value used in expression is not defined; attribute value: :v"),
        ),
        (
            "UpdateItem",
            json!({"TableName": "table", "Key": key("a"), "UpdateExpression": "INVALID SYNTAX HERE"}),
            one("Invalid UpdateExpression: Syntax error; token: \"INVALID\", near: \"INVALID SYNTAX\""),
        ),
        (
            "DeleteItem",
            json!({"TableName": "table", "Key": key("a"), "Expected": {"a": {"Exists": true}}}),
            one("One or more parameter values were invalid: Value must be provided when Exists is true for Attribute: a"),
        ),
        (
            "PutItem",
            json!({"TableName": "table", "Item": key("a"), "Expected": {"n": {"Value": {"N": ""}}}}),
            one("The parameter cannot be converted to a numeric value: "),
        ),
        (
            "PutItem",
            json!({"TableName": "table", "Item": key("a"), "Expected": {"n": {"ComparisonOperator": "eq"}}}),
            one("Value 'eq' at 'expected.n.member.comparisonOperator' failed to satisfy constraint: Member must satisfy enum value set: [IN, NULL, BETWEEN, LT, NOT_CONTAINS, EQ, GT, NOT_NULL, NE, LE, BEGINS_WITH, GE, CONTAINS]"),
        ),
        (
            "DeleteItem",
            json!({"TableName": "table", "Key": key("a"), "Expected": {"pk": {"Exists": false}}, "ConditionExpression": "attribute_not_exists(pk)"}),
            one("Can not use both expression and non-expression parameters in the same request: Non-expression parameters: {Expected} Expression parameters: {ConditionExpression}"),
        ),
        (
            "GetItem",
            json!({"TableName": "table", "Key": key("a"), "AttributesToGet": ["a", "a"]}),
            "One or more parameter values were invalid: Duplicate value in attribute name: a".to_owned(),
        ),
        (
            "GetItem",
            json!({"TableName": "table", "Key": key("a"), "AttributesToGet": []}),
            one("Value '[]' at 'attributesToGet' failed to satisfy constraint: Member must have length greater than or equal to 1"),
        ),
        (
            "Query",
            json!({"TableName": "table", "KeyConditions": {}}),
            "Conditions can be of length 1 or 2 only".to_owned(),
        ),
        (
            "Query",
            json!({"TableName": "table", "ConditionalOperator": "OR", "KeyConditions": {"pk": {"ComparisonOperator": "EQ", "AttributeValueList": [{"S": "a"}]}}}),
            "ConditionalOperator cannot be used without Filter or Expected".to_owned(),
        ),
        (
            "Query",
            json!({"TableName": "table", "Limit": 0}),
            one("Value at 'Limit' failed to satisfy constraint: Member must have value greater than or equal to 1"),
        ),
        (
            "Query",
            json!({"TableName": "table", "Select": "count"}),
            one("Value 'count' at 'select' failed to satisfy constraint: Member must satisfy enum value set: [SPECIFIC_ATTRIBUTES, COUNT, ALL_ATTRIBUTES, ALL_PROJECTED_ATTRIBUTES]"),
        ),
        (
            "Query",
            json!({"TableName": "table"}),
            "Either the KeyConditions or KeyConditionExpression parameter must be specified in the request.".to_owned(),
        ),
        (
            "Query",
            json!({"TableName": "table", "KeyConditionExpression": "", "ExpressionAttributeValues": {":v": {"S": "a"}}}),
            "Invalid KeyConditionExpression: The expression can not be empty;".to_owned(),
        ),
        (
            "Scan",
            json!({"TableName": "table", "TotalSegments": 4}),
            "The Segment parameter is required but was not present in the request when parameter TotalSegments is present".to_owned(),
        ),
        (
            "Scan",
            json!({"TableName": "table", "Segment": 4, "TotalSegments": 4}),
            "The Segment parameter is zero-based and must be less than parameter TotalSegments: Segment: 4 is not less than TotalSegments: 4".to_owned(),
        ),
        (
            "Scan",
            json!({"TableName": "table", "FilterExpression": "a = :v", "ExpressionAttributeValues": {":v": {"N": "x"}}}),
            "ExpressionAttributeValues contains invalid value: The parameter cannot be converted to a numeric value: x for key :v".to_owned(),
        ),
        (
            "BatchGetItem",
            json!({"RequestItems": {}}),
            one("Value at 'RequestItems' failed to satisfy constraint: Member must have length greater than or equal to 1"),
        ),
        (
            "BatchGetItem",
            json!({"RequestItems": {"table": {"Keys": []}}}),
            one("Value at 'RequestItems.table.member.Keys' failed to satisfy constraint: Member must have length greater than or equal to 1"),
        ),
        (
            "BatchGetItem",
            json!({"RequestItems": {"table": {"Keys": (0..101).map(|n| key(&n.to_string())).collect::<Vec<_>>()}}}),
            one("Value at 'RequestItems.table.member.Keys' failed to satisfy constraint: Member must have length less than or equal to 100"),
        ),
        (
            "BatchWriteItem",
            json!({"RequestItems": {"table": []}}),
            one("Value '{table=[]}' at 'requestItems' failed to satisfy constraint: Map value must satisfy constraint: [Member must have length less than or equal to 25, Member must have length greater than or equal to 1]"),
        ),
        (
            "BatchWriteItem",
            json!({"RequestItems": {"bad!name": [{"PutRequest": {"Item": key("a")}}]}, "ReturnConsumedCapacity": "BOGUS"}),
            one(ENUM_CONSUMED),
        ),
        (
            "BatchWriteItem",
            json!({"RequestItems": {"table": [{"PutRequest": {"Item": {"pk": {"S": "a"}, "n": {"SS": ["b", "a", "b"]}}}}]}}),
            "One or more parameter values were invalid: Input collection [b, a, b] contains duplicates.".to_owned(),
        ),
        (
            "DescribeTable",
            json!({"TableName": ""}),
            format!(
                "2 validation errors detected: Value '' at 'tableName' failed to satisfy constraint: Member must have length greater than or equal to 3; Value '' at 'tableName' failed to satisfy constraint: {REGEX}"
            ),
        ),
        (
            "ListTables",
            json!({"ExclusiveStartTableName": ""}),
            format!(
                "2 validation errors detected: Value '' at 'exclusiveStartTableName' failed to satisfy constraint: {REGEX}; Value '' at 'exclusiveStartTableName' failed to satisfy constraint: Member must have length greater than or equal to 3"
            ),
        ),
        (
            "ListTables",
            json!({"Limit": 0}),
            one("Value '0' at 'limit' failed to satisfy constraint: Member must have value greater than or equal to 1"),
        ),
        (
            "ListTables",
            json!({"Limit": 101}),
            one("Value '101' at 'limit' failed to satisfy constraint: Member must have value less than or equal to 100"),
        ),
        (
            "UpdateTable",
            json!({"TableName": "table"}),
            "At least one of ProvisionedThroughput, BillingMode, UpdateStreamEnabled, GlobalSecondaryIndexUpdates or SSESpecification or ReplicaUpdates is required".to_owned(),
        ),
    ]
}

fn create(change: impl FnOnce(&mut Value)) -> Value {
    let mut body = json!({
        "TableName": "made",
        "AttributeDefinitions": [{"AttributeName": "pk", "AttributeType": "S"}],
        "KeySchema": [{"AttributeName": "pk", "KeyType": "HASH"}],
        "BillingMode": "PAY_PER_REQUEST",
    });
    change(&mut body);
    body
}

fn create_table_shapes() -> Vec<(Value, String)> {
    const INVALID: &str = "One or more parameter values were invalid: ";
    let local = |name: &str, hash: &str| {
        json!([{"IndexName": name, "Projection": {"ProjectionType": "ALL"}, "KeySchema": [
            {"AttributeName": hash, "KeyType": "HASH"}, {"AttributeName": "lk", "KeyType": "RANGE"}]}])
    };
    let three = json!([{"AttributeName": "pk", "AttributeType": "S"}, {"AttributeName": "sk", "AttributeType": "S"},
                       {"AttributeName": "lk", "AttributeType": "S"}]);
    let both = json!([{"AttributeName": "pk", "KeyType": "HASH"}, {"AttributeName": "sk", "KeyType": "RANGE"}]);
    vec![
        (
            create(|b| b["BillingMode"] = "INVALID_MODE".into()),
            one(
                "Value 'INVALID_MODE' at 'billingMode' failed to satisfy constraint: Member must satisfy enum value set: [PROVISIONED, PAY_PER_REQUEST]",
            ),
        ),
        (
            create(|b| b["KeySchema"] = json!([])),
            one(
                "Value '[]' at 'keySchema' failed to satisfy constraint: Member must have length greater than or equal to 1",
            ),
        ),
        (
            create(|b| b["BillingMode"] = "PROVISIONED".into()),
            format!(
                "{INVALID}ReadCapacityUnits and WriteCapacityUnits must both be specified when BillingMode is PROVISIONED"
            ),
        ),
        (
            create(|b| b["ProvisionedThroughput"] = json!({"ReadCapacityUnits": 1, "WriteCapacityUnits": 1})),
            format!(
                "{INVALID}Neither ReadCapacityUnits nor WriteCapacityUnits can be specified when BillingMode is PAY_PER_REQUEST"
            ),
        ),
        (
            create(|b| {
                b["BillingMode"] = "PROVISIONED".into();
                b["ProvisionedThroughput"] =
                    json!({"ReadCapacityUnits": 1_000_000_000_001_i64, "WriteCapacityUnits": 1});
            }),
            "Given value 1000000000001 for ReadCapacityUnits is out of bounds".to_owned(),
        ),
        (
            create(|b| {
                b["KeySchema"] =
                    json!([{"AttributeName": "pk", "KeyType": "HASH"}, {"AttributeName": "pk", "KeyType": "RANGE"}]);
            }),
            "Invalid KeySchema: Some index key attribute have no definition".to_owned(),
        ),
        (
            create(|b| b["KeySchema"] = json!([{"AttributeName": "other", "KeyType": "HASH"}])),
            format!(
                "{INVALID}Some index key attributes are not defined in AttributeDefinitions. Keys: [other], AttributeDefinitions: [pk]"
            ),
        ),
        (
            create(|b| b["KeySchema"] = json!([{"AttributeName": "pk", "KeyType": "RANGE"}])),
            "Invalid KeySchema: The first KeySchemaElement is not a HASH key type".to_owned(),
        ),
        (
            create(|b| b["AttributeDefinitions"] = three.clone()),
            format!(
                "{INVALID}Number of attributes in KeySchema does not exactly match number of attributes defined in AttributeDefinitions"
            ),
        ),
        (
            create(|b| b["LocalSecondaryIndexes"] = local("index", "pk")),
            format!(
                "{INVALID}Table KeySchema does not have a range key, which is required when specifying a LocalSecondaryIndex"
            ),
        ),
        (
            create(|b| {
                b["AttributeDefinitions"] = three.clone();
                b["KeySchema"] = both.clone();
                b["LocalSecondaryIndexes"] = local("index", "sk");
            }),
            format!(
                "{INVALID}Index KeySchema does not have the same leading hash key as table KeySchema for index: index. index hash key: sk, table hash key: pk"
            ),
        ),
        (
            create(|b| {
                b["AttributeDefinitions"] = three.clone();
                b["KeySchema"] = both.clone();
                b["LocalSecondaryIndexes"] = local("ix", "pk");
            }),
            one(
                "Value 'ix' at 'localSecondaryIndexes.1.member.indexName' failed to satisfy constraint: Member must have length greater than or equal to 3",
            ),
        ),
        (
            create(|b| b["StreamSpecification"] = json!({"StreamEnabled": true, "StreamViewType": "KEYS_ONLY"})),
            format!("{INVALID}StreamSpecification is not supported by this region yet"),
        ),
    ]
}

/// Those that need the table: its key schema, or its absence.
fn of_a_table() -> Vec<(&'static str, Value, &'static str, String)> {
    let validation = "ValidationException";
    let write = |item: Value| json!({"RequestItems": {"table": [{"PutRequest": {"Item": item}}]}});
    vec![
        ("GetItem", json!({"TableName": "absent", "Key": key("a")}), "ResourceNotFoundException", "Requested resource not found".to_owned()),
        ("DescribeTable", json!({"TableName": "absent"}), "ResourceNotFoundException", "Requested resource not found: Table: absent not found".to_owned()),
        ("DeleteTable", json!({"TableName": "absent"}), "ResourceNotFoundException", "Requested resource not found: Table: absent not found".to_owned()),
        ("CreateTable", create(|b| b["TableName"] = "table".into()), "ResourceInUseException", "Table already exists: table".to_owned()),
        ("PutItem", json!({"TableName": "table", "Item": {"other": {"S": "a"}}}), validation, "One or more parameter values were invalid: Missing the key pk in the item".to_owned()),
        ("PutItem", json!({"TableName": "table", "Item": {"pk": {"N": "1"}}}), validation, "One or more parameter values were invalid: Type mismatch for key pk expected: S actual: N".to_owned()),
        ("PutItem", json!({"TableName": "table", "Item": key("")}), validation, "One or more parameter values are not valid. The AttributeValue for a key attribute cannot contain an empty string value. Key: pk".to_owned()),
        ("PutItem", json!({"TableName": "table", "Item": key(&"k".repeat(2_049))}), validation, "One or more parameter values were invalid: Size of hashkey has exceeded the maximum size limit of2048 bytes".to_owned()),
        ("PutItem", json!({"TableName": "table", "Item": {"pk": {"S": "a"}, "b": {"S": "x".repeat(409_600)}}}), validation, "Item size has exceeded the maximum allowed size".to_owned()),
        ("GetItem", json!({"TableName": "table", "Key": {"other": {"S": "a"}}}), validation, MISMATCH.to_owned()),
        ("DeleteItem", json!({"TableName": "table", "Key": {"pk": {"S": "a"}, "more": {"S": "a"}}}), validation, MISMATCH.to_owned()),
        ("UpdateItem", json!({"TableName": "table", "Key": key("a"), "UpdateExpression": "SET pk = :v", "ExpressionAttributeValues": {":v": {"S": "b"}}}), validation, "One or more parameter values were invalid: Cannot update attribute pk. This attribute is part of the key".to_owned()),
        ("BatchWriteItem", write(json!({"pk": {"N": "5"}})), validation, MISMATCH.to_owned()),
        ("BatchWriteItem", write(json!({"other": {"S": "x"}})), validation, MISMATCH.to_owned()),
        ("BatchWriteItem", json!({"RequestItems": {"table": [{"PutRequest": {"Item": key("d")}}, {"DeleteRequest": {"Key": key("d")}}]}}), validation, DUPLICATES.to_owned()),
        ("BatchGetItem", json!({"RequestItems": {"table": {"Keys": [key("d"), key("d")]}}}), validation, DUPLICATES.to_owned()),
        ("BatchGetItem", json!({"RequestItems": {"absent": {"Keys": [key("d")]}}}), "ResourceNotFoundException", "Requested resource not found".to_owned()),
        ("Query", json!({"TableName": "table", "KeyConditionExpression": "a = :v", "ExpressionAttributeValues": {":v": {"S": "a"}}}), validation, "Query condition missed key schema element: pk".to_owned()),
        ("Query", json!({"TableName": "table", "IndexName": "index", "KeyConditionExpression": "pk = :v", "ExpressionAttributeValues": {":v": {"S": "a"}}}), validation, "The table does not have the specified index: index".to_owned()),
        ("Query", json!({"TableName": "table", "KeyConditionExpression": "pk = :v", "ExpressionAttributeValues": {":v": {"S": "a"}}, "Select": "SPECIFIC_ATTRIBUTES"}), validation, one("Must specify the AttributesToGet or ProjectionExpression when choosing to get SPECIFIC_ATTRIBUTES")),
        ("Query", json!({"TableName": "table", "KeyConditionExpression": "pk = :v", "ExpressionAttributeValues": {":v": {"S": "a"}}, "Select": "COUNT", "ProjectionExpression": "b"}), validation, one("Cannot specify the ProjectionExpression when choosing to get only the Count")),
        ("Query", json!({"TableName": "table", "KeyConditionExpression": "pk = :v", "ExpressionAttributeValues": {":v": {"S": "a"}}, "ExclusiveStartKey": {"bad": {"S": "p"}}}), validation, "The provided starting key is invalid".to_owned()),
        ("Scan", json!({"TableName": "table", "Select": "ALL_PROJECTED_ATTRIBUTES"}), validation, "ALL_PROJECTED_ATTRIBUTES can be used only when Querying using an IndexName".to_owned()),
        ("Scan", json!({"TableName": "table", "ExclusiveStartKey": {"bad": {"S": "p"}}}), validation, format!("The provided starting key is invalid: {MISMATCH}")),
        ("TagResource", json!({"ResourceArn": "arn:aws:dynamodb:us-east-1:111122223333:table/table", "Tags": []}), validation, "Atleast one Tag needs to be provided as Input.".to_owned()),
        ("TagResource", json!({"ResourceArn": "arn:aws:dynamodb:us-east-1:111122223333:table/absent", "Tags": [{"Key": "a", "Value": "b"}]}), "ResourceNotFoundException", "Requested resource not found: ResourcArn: arn:aws:dynamodb:us-east-1:111122223333:table/absent not found".to_owned()),
        ("UpdateTable", json!({"TableName": "table", "BillingMode": "PROVISIONED"}), validation, "One or more parameter values were invalid: ProvisionedThroughput must be specified when BillingMode is PROVISIONED".to_owned()),
    ]
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_refused_is_refused_in_awss_words() -> anyhow::Result<()> {
    let region = Region::start(1).await?;
    region.create(create(|b| b["TableName"] = "table".into())).await;
    let mut wrong = Vec::new();
    let plain = request_shapes().into_iter().map(|(op, body, message)| (op, body, "ValidationException", message));
    let created =
        create_table_shapes().into_iter().map(|(body, message)| ("CreateTable", body, "ValidationException", message));
    for (operation, body, code, message) in plain.chain(created).chain(of_a_table()) {
        let got = match region.ask(operation, body.clone()).await {
            Ok(answer) => ("done".to_owned(), answer.to_string()),
            Err(e) => (e.code.into_owned(), e.message.into_owned()),
        };
        if got != (code.to_owned(), message.clone()) {
            let body: String = body.to_string().chars().take(200).collect();
            wrong.push(format!("{operation} {body}\n  want {code}: {message}\n  got  {}: {}", got.0, got.1));
        }
    }
    assert!(wrong.is_empty(), "{} answers differ:\n{}", wrong.len(), wrong.join("\n"));
    region.stop().await;
    Ok(())
}

/// Nothing that a client sends ends in a panic, or in anything but one of AWS's errors.
#[tokio::test(flavor = "multi_thread")]
async fn hostile_bodies_are_answered() -> anyhow::Result<()> {
    let region = Region::start(1).await?;
    region.create(create(|b| b["TableName"] = "table".into())).await;
    let nested = |levels: usize| format!("{}{{\"S\":\"x\"}}{}", "{\"L\":[".repeat(levels), "]}".repeat(levels));
    let bodies = [
        String::new(),
        "{".to_owned(),
        "null".to_owned(),
        "[]".to_owned(),
        "\"x\"".to_owned(),
        "{\"TableName\":{}}".to_owned(),
        "{\"TableName\":\"table\",\"Item\":[]}".to_owned(),
        "{\"TableName\":\"table\",\"Item\":{\"pk\":{}}}".to_owned(),
        "{\"TableName\":\"table\",\"Item\":{\"pk\":{\"S\":\"a\",\"N\":\"1\"}}}".to_owned(),
        "{\"TableName\":\"table\",\"Item\":{\"pk\":{\"Q\":\"a\"}}}".to_owned(),
        format!("{{\"TableName\":\"table\",\"Item\":{{\"pk\":{{\"S\":\"a\"}},\"x\":{}}}}}", nested(40)),
        format!("{{\"TableName\":\"table\",\"Item\":{{\"pk\":{{\"S\":\"a\"}},\"x\":{}}}}}", nested(20_000)),
        format!("{{\"TableName\":\"table\",\"Item\":{}", "[".repeat(1_000_000)),
        format!(
            "{{\"TableName\":\"table\",\"Item\":{{\"pk\":{{\"S\":\"a\"}}}},\"ConditionExpression\":\"{}\"}}",
            "(".repeat(1_000_000)
        ),
        format!(
            "{{\"TableName\":\"table\",\"Item\":{{\"pk\":{{\"S\":\"a\"}},\"l\":{{\"L\":[{}]}}}}}}",
            vec!["{\"NULL\":true}"; 500_000].join(",")
        ),
    ];
    for entry in breakwater_dynamodb::SERVICE.operations {
        for body in &bodies {
            let harmless = matches!(entry.name, "ListTables" | "DescribeEndpoints" | "DescribeLimits");
            let shown: String = body.chars().take(80).collect();
            match region.raw(entry.name, body.clone()).await {
                Ok(answer) => {
                    let reads = matches!(entry.name, "Scan" | "DescribeTable" | "DeleteTable");
                    assert!(harmless || reads, "{} {shown}: {answer}", entry.name);
                    if entry.name == "DeleteTable" {
                        region.until_gone("table").await;
                        region.create(create(|b| b["TableName"] = "table".into())).await;
                    }
                }
                Err(e) => assert!(e.status < 500, "{} {shown}: {e} {:?}", entry.name, e.cause),
            }
        }
    }
    region.done("PutItem", json!({"TableName": "table", "Item": key("still here")})).await;
    region.stop().await;
    Ok(())
}
