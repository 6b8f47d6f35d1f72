"""Query, scan, batches, local secondary indexes."""

import pytest
from boto3.dynamodb.conditions import Attr, Key
from botocore.exceptions import ClientError
from calls import error_of, make_table


@pytest.fixture(scope="module")
def filled(dynamodb, resource):
    name = make_table(
        dynamodb,
        range_type="N",
        attributes=[{"AttributeName": "colour", "AttributeType": "S"}],
        LocalSecondaryIndexes=[
            {
                "IndexName": "by-colour",
                "KeySchema": [
                    {"AttributeName": "pk", "KeyType": "HASH"},
                    {"AttributeName": "colour", "KeyType": "RANGE"},
                ],
                "Projection": {"ProjectionType": "KEYS_ONLY"},
            }
        ],
    )
    table = resource.Table(name)
    with table.batch_writer() as batch:
        for pk in ("a", "b"):
            for sk in range(-50, 50):
                item = {"pk": pk, "sk": sk, "text": f"{pk}{sk}"}
                if sk % 2 == 0:
                    item["colour"] = ("red", "green", "blue")[sk % 3]
                batch.put_item(Item=item)
    yield table
    table.delete()


def pages(call, **arguments):
    items = []
    while True:
        page = call(**arguments)
        items += page["Items"]
        if "LastEvaluatedKey" not in page:
            return items
        arguments["ExclusiveStartKey"] = page["LastEvaluatedKey"]


def test_query_in_both_directions_with_pages(filled):
    for forward in (True, False):
        items = pages(
            filled.query,
            KeyConditionExpression=Key("pk").eq("a"),
            ScanIndexForward=forward,
            Limit=7,
            ConsistentRead=True,
        )
        numbers = [int(i["sk"]) for i in items]
        assert numbers == sorted(range(-50, 50), reverse=not forward)


@pytest.mark.parametrize(
    "condition,expected",
    [
        (Key("sk").lt(-45), range(-50, -45)),
        (Key("sk").lte(-45), range(-50, -44)),
        (Key("sk").gt(45), range(46, 50)),
        (Key("sk").gte(45), range(45, 50)),
        (Key("sk").between(-2, 2), range(-2, 3)),
        (Key("sk").eq(7), [7]),
    ],
)


def test_sort_key_conditions(filled, condition, expected):
    got = filled.query(KeyConditionExpression=Key("pk").eq("b") & condition, ConsistentRead=True)
    assert [int(i["sk"]) for i in got["Items"]] == list(expected)


def test_filters_count_what_they_examined(filled):
    got = filled.query(
        KeyConditionExpression=Key("pk").eq("a"), FilterExpression=Attr("text").begins_with("a-1"), ConsistentRead=True
    )
    assert got["ScannedCount"] == 100
    assert got["Count"] == 11


def test_local_index(filled):
    got = filled.query(
        IndexName="by-colour", KeyConditionExpression=Key("pk").eq("a") & Key("colour").eq("red"), ConsistentRead=True
    )
    assert got["Count"] == sum(1 for sk in range(-50, 50) if sk % 2 == 0 and sk % 3 == 0)
    assert set(got["Items"][0]) == {"pk", "sk", "colour"}
    whole = filled.query(
        IndexName="by-colour",
        KeyConditionExpression=Key("pk").eq("a") & Key("colour").eq("red"),
        Select="ALL_ATTRIBUTES",
        ConsistentRead=True,
    )
    assert "text" in whole["Items"][0]


def test_scan_and_parallel_scan(filled):
    assert len(pages(filled.scan, Limit=13, ConsistentRead=True)) == 200
    parallel = []
    for segment in range(4):
        parallel += pages(filled.scan, Segment=segment, TotalSegments=4, ConsistentRead=True)
    assert len(parallel) == 200
    assert len({(i["pk"], i["sk"]) for i in parallel}) == 200
    assert filled.scan(Select="COUNT", ConsistentRead=True)["Count"] == 200


def test_pages_end_at_one_megabyte(dynamodb):
    name = make_table(dynamodb, range_type="N")
    for n in range(12):
        dynamodb.put_item(
            TableName=name, Item={"pk": {"S": "p"}, "sk": {"N": str(n)}, "v": {"S": "x" * (100 * 1024)}}
        )
    page = dynamodb.query(
        TableName=name,
        KeyConditionExpression="pk = :p",
        ExpressionAttributeValues={":p": {"S": "p"}},
        ConsistentRead=True,
    )
    assert page["Count"] == 11
    assert page["LastEvaluatedKey"] == {"pk": {"S": "p"}, "sk": {"N": "10"}}
    dynamodb.delete_table(TableName=name)


def test_batches(dynamodb, range_table):
    requests = [
        {"PutRequest": {"Item": {"pk": {"S": "batch"}, "sk": {"S": f"{n:02}"}}}} for n in range(25)
    ]
    assert dynamodb.batch_write_item(RequestItems={range_table: requests})["UnprocessedItems"] == {}
    keys = [{"pk": {"S": "batch"}, "sk": {"S": f"{n:02}"}} for n in range(30)]
    got = dynamodb.batch_get_item(RequestItems={range_table: {"Keys": keys, "ConsistentRead": True}})
    assert len(got["Responses"][range_table]) == 25
    with pytest.raises(ClientError) as info:
        dynamodb.batch_write_item(RequestItems={range_table: [requests[0], requests[0]]})
    assert error_of(info) == ("ValidationException", "Provided list of item keys contains duplicates")
    with pytest.raises(ClientError) as info:
        dynamodb.batch_write_item(RequestItems={range_table: requests + requests[:1]})
    assert error_of(info)[0] == "ValidationException"


@pytest.mark.parametrize(
    "arguments,message",
    [
        (
            {"KeyConditionExpression": "sk = :v", "ExpressionAttributeValues": {":v": {"S": "x"}}},
            "Query condition missed key schema element: pk",
        ),
        (
            {
                "KeyConditionExpression": "pk = :v",
                "ExpressionAttributeValues": {":v": {"S": "x"}, ":unused": {"S": "x"}},
            },
            "Value provided in ExpressionAttributeValues unused in expressions: keys: {:unused}",
        ),
        (
            {
                "KeyConditionExpression": "pk = :v",
                "FilterExpression": "sk > :v",
                "ExpressionAttributeValues": {":v": {"S": "x"}},
            },
            "Filter Expression can only contain non-primary key attributes: Primary key attribute: sk",
        ),
    ],
)


def test_query_validation(dynamodb, range_table, arguments, message):
    with pytest.raises(ClientError) as info:
        dynamodb.query(TableName=range_table, **arguments)
    assert error_of(info) == ("ValidationException", message)
