"""Valid requests that were changed at random: AWS's errors, and never a fault of ours."""

import copy
import json
import random
import uuid

import pytest
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.httpsession import URLLib3Session
from calls import make_table

S, N = {"S": "k"}, {"N": "1"}
KEY = {"pk": S, "sk": S}
ITEM = {**KEY, "a": N, "l": {"L": [N, S, {"M": {"x": {"NULL": True}}}]}, "ss": {"SS": ["a", "b"]}, "b": {"B": "AAE="}}
NAMES, VALUES = {"#a": "a"}, {":v": N}


def requests(table):
    """An operation's name, and a request that is good for it."""
    return [
        ("PutItem", {"TableName": table, "Item": ITEM, "ConditionExpression": "#a < :v OR attribute_not_exists(#a)",
                     "ExpressionAttributeNames": NAMES, "ExpressionAttributeValues": VALUES, "ReturnValues": "ALL_OLD",
                     "ReturnConsumedCapacity": "INDEXES", "ReturnItemCollectionMetrics": "SIZE"}),
        ("PutItem", {"TableName": table, "Item": ITEM, "Expected": {"zz": {"Exists": False}}}),
        ("GetItem", {"TableName": table, "Key": KEY, "ProjectionExpression": "#a, l[2].x, pk",
                     "ExpressionAttributeNames": NAMES, "ConsistentRead": True, "ReturnConsumedCapacity": "TOTAL"}),
        ("GetItem", {"TableName": table, "Key": KEY, "AttributesToGet": ["a", "l"]}),
        ("UpdateItem", {"TableName": table, "Key": KEY, "ReturnValues": "UPDATED_NEW",
                        "UpdateExpression": "SET #a = if_not_exists(#a, :v) + :v, l[0] = :v REMOVE b DELETE ss :s",
                        "ExpressionAttributeNames": NAMES, "ExpressionAttributeValues": {**VALUES, ":s": {"SS": ["a"]}}}),
        ("UpdateItem", {"TableName": table, "Key": KEY, "AttributeUpdates": {"a": {"Action": "ADD", "Value": N}},
                        "Expected": {"a": {"ComparisonOperator": "GE", "AttributeValueList": [N]}},
                        "ConditionalOperator": "AND"}),
        ("DeleteItem", {"TableName": table, "Key": KEY, "ConditionExpression": "size(pk) > :v",
                        "ExpressionAttributeValues": VALUES, "ReturnValuesOnConditionCheckFailure": "ALL_OLD"}),
        ("Query", {"TableName": table, "KeyConditionExpression": "pk = :p AND begins_with(sk, :p)", "Limit": 3,
                   "FilterExpression": "contains(ss, :p) OR NOT attribute_type(l, :p)", "ScanIndexForward": False,
                   "ExpressionAttributeValues": {":p": S}, "ExclusiveStartKey": KEY, "Select": "ALL_ATTRIBUTES"}),
        ("Query", {"TableName": table, "KeyConditions": {"pk": {"ComparisonOperator": "EQ", "AttributeValueList": [S]}},
                   "QueryFilter": {"a": {"ComparisonOperator": "BETWEEN", "AttributeValueList": [N, N]}}}),
        ("Scan", {"TableName": table, "Segment": 0, "TotalSegments": 4, "Limit": 5, "FilterExpression": "a IN (:v, :v)",
                  "ExpressionAttributeValues": VALUES, "Select": "COUNT", "ConsistentRead": True}),
        ("Scan", {"TableName": table, "ScanFilter": {"a": {"ComparisonOperator": "NOT_NULL"}}}),
        ("BatchGetItem", {"RequestItems": {table: {"Keys": [KEY, {"pk": S, "sk": {"S": "2"}}], "ConsistentRead": True,
                                                   "ProjectionExpression": "a"}}, "ReturnConsumedCapacity": "TOTAL"}),
        ("BatchWriteItem", {"RequestItems": {table: [{"PutRequest": {"Item": ITEM}},
                                                     {"DeleteRequest": {"Key": {"pk": S, "sk": {"S": "2"}}}}]}}),
        ("DescribeTable", {"TableName": table}),
        ("ListTables", {"Limit": 5, "ExclusiveStartTableName": "aaa"}),
        ("UpdateTable", {"TableName": "no-such-table", "BillingMode": "PROVISIONED",
                         "ProvisionedThroughput": {"ReadCapacityUnits": 1, "WriteCapacityUnits": 1}}),
        ("CreateTable", {"TableName": table, "BillingMode": "PAY_PER_REQUEST",
                         "KeySchema": [{"AttributeName": "pk", "KeyType": "HASH"}, {"AttributeName": "sk", "KeyType": "RANGE"}],
                         "AttributeDefinitions": [{"AttributeName": n, "AttributeType": "S"} for n in ("pk", "sk", "ls")],
                         "LocalSecondaryIndexes": [{
                             "IndexName": "by-ls", "Projection": {"ProjectionType": "INCLUDE", "NonKeyAttributes": ["a"]},
                             "KeySchema": [{"AttributeName": "pk", "KeyType": "HASH"},
                                           {"AttributeName": "ls", "KeyType": "RANGE"}]}],
                         "Tags": [{"Key": "k", "Value": "v"}]}),
        ("TagResource", {"ResourceArn": f"arn:aws:dynamodb:us-east-1:000000000000:table/{table}x",
                         "Tags": [{"Key": "k", "Value": "v"}]}),
        ("UntagResource", {"ResourceArn": f"arn:aws:dynamodb:us-east-1:000000000000:table/{table}x", "TagKeys": ["k"]}),
        ("ListTagsOfResource", {"ResourceArn": f"arn:aws:dynamodb:us-east-1:000000000000:table/{table}x"}),
        ("DescribeLimits", {}),
        ("DescribeEndpoints", {}),
    ]


def deep(levels):
    value = {"S": "x"}
    for _ in range(levels):
        value = {"L": [value]}
    return value


STRANGE = [
    None, True, False, 0, -1, 1.5, 1e300, 2**63, -(2**63) - 1, 10**400, "", "x", "x" * 70_000, "\u0000", "\ud83d\ude00", "#a",
    ":v", "a.b[0].c", "a = :v AND", "(" * 300, [], {}, [[]], [None], {"": ""}, {"S": 1}, {"N": "1e999"}, {"N": "NaN"},
    {"N": "0." + "1" * 50}, {"SS": []}, {"SS": ["a", "a"]}, {"NS": ["1", "1.0"]}, {"B": "%%%"}, {"BOOL": "true"}, {"NULL": False},
    {"L": [None]}, {"M": {"a": {}}}, {"S": "a", "N": "1"}, {"X": "a"}, deep(33), deep(90), [{"S": "x"}] * 200,
]  # fmt: skip


def strange(rng):
    return copy.deepcopy(rng.choice(STRANGE))


def places(node, path=()):
    yield path
    inner = node.items() if isinstance(node, dict) else enumerate(node) if isinstance(node, list) else ()
    for name, value in inner:
        yield from places(value, (*path, name))


def changed(rng, request):
    request = copy.deepcopy(request)
    for _ in range(rng.choice([1, 1, 1, 2, 3])):
        path = rng.choice([p for p in places(request) if p] or [()])
        if not path:
            request["Unknown"] = strange(rng)
            continue
        parent = request
        for name in path[:-1]:
            parent = parent[name]
        action = rng.randrange(6)
        if action == 0:
            del parent[path[-1]]
        elif action == 1 and isinstance(parent, dict):
            parent[rng.choice(["Unknown", "", "x" * 300, "TableName", "Key", "Limit"])] = strange(rng)
        elif action == 2 and isinstance(parent, list):
            parent.extend(copy.deepcopy(parent) * rng.choice([1, 30]))
        else:
            parent[path[-1]] = strange(rng)
    return request


def as_text(rng, request):
    text = json.dumps(request, ensure_ascii=rng.random() < 0.5, allow_nan=False).encode("utf-8", "surrogatepass")
    kind = rng.randrange(12)
    if kind == 0:
        return text[: rng.randrange(len(text) + 1)]
    if kind == 1:
        at = rng.randrange(len(text))
        return text[:at] + bytes([rng.randrange(256)]) + text[at + 1 :]
    return text


@pytest.fixture(scope="module")
def table(dynamodb):
    name = make_table(dynamodb, range_type="S")
    yield name
    dynamodb.delete_table(TableName=name)


@pytest.mark.parametrize("seed", range(2))
def test_changed_requests_get_awss_errors(session, dynamodb, table, seed):
    rng = random.Random(seed)
    credentials, url, http = session.get_credentials(), dynamodb.meta.endpoint_url, URLLib3Session(timeout=30)
    codes = {}
    for _ in range(600):
        operation, request = rng.choice(requests(table))
        body = as_text(rng, changed(rng, request))
        headers = {"Content-Type": "application/x-amz-json-1.0", "X-Amz-Target": f"DynamoDB_20120810.{operation}"}
        signed = AWSRequest("POST", url + "/", headers=headers, data=body)
        SigV4Auth(credentials, "dynamodb", dynamodb.meta.region_name).add_auth(signed)
        answer = http.send(signed.prepare())
        assert answer.status_code in (200, 400), (operation, body, answer.status_code, answer.content)
        told = json.loads(answer.content)
        if answer.status_code == 400:
            code = told["__type"].rpartition("#")[2]
            codes[code] = codes.get(code, 0) + 1
            # Not a word of ours where AWS has its own.
            assert not any(word in answer.text for word in ["panicked", "serde", "src/", "line 1 column"]), (body, told)
        elif operation == "CreateTable" and told["TableDescription"]["TableName"] != table:
            # A change that left a good request under another name.
            name = told["TableDescription"]["TableName"]
            dynamodb.get_waiter("table_exists").wait(TableName=name, WaiterConfig={"Delay": 1, "MaxAttempts": 30})
            dynamodb.delete_table(TableName=name)
    assert codes["ValidationException"] > 50 and codes["SerializationException"] > 50, codes
    # The region stands, and does its work.
    key = {"pk": {"S": uuid.uuid4().hex}, "sk": {"S": "1"}}
    dynamodb.put_item(TableName=table, Item=key)
    assert dynamodb.get_item(TableName=table, Key=key, ConsistentRead=True)["Item"] == key
