"""Answers that are bounded by bytes rather than by number, from one partition."""

import pytest
from calls import make_table, until

ITEMS, BYTES = 50, 390_000


@pytest.fixture(scope="module")
def large(dynamodb):
    name = make_table(
        dynamodb,
        range_type="N",
        attributes=[{"AttributeName": "at", "AttributeType": "N"}],
        LocalSecondaryIndexes=[{
            "IndexName": "by-at", "Projection": {"ProjectionType": "KEYS_ONLY"},
            "KeySchema": [{"AttributeName": "pk", "KeyType": "HASH"}, {"AttributeName": "at", "KeyType": "RANGE"}]}])
    for n in range(ITEMS):
        dynamodb.put_item(TableName=name, Item={
            "pk": {"S": "k"}, "sk": {"N": str(n)}, "at": {"N": str(n)}, "text": {"S": "x" * BYTES}})
    last = {"TableName": name, "Key": {"pk": {"S": "k"}, "sk": {"N": str(ITEMS - 1)}}}
    for _ in range(12):
        # On every replica, whichever of the front doors in the three zones is asked.
        until(lambda: dynamodb.get_item(**last), lambda answer: "Item" in answer)
    yield name
    dynamodb.delete_table(TableName=name)


@pytest.mark.parametrize("consistent", [True, False])
def test_a_batch_of_more_than_16_mb_leaves_keys_unprocessed(dynamodb, large, consistent):
    keys = [{"pk": {"S": "k"}, "sk": {"N": str(n)}} for n in range(ITEMS)]
    left, rounds, found = {large: {"Keys": keys, "ConsistentRead": consistent}}, 0, []
    while left:
        answer = dynamodb.batch_get_item(RequestItems=left)
        items = answer["Responses"][large]
        assert items and sum(len(item["text"]["S"]) for item in items) <= 16 << 20
        found += [int(item["sk"]["N"]) for item in items]
        left, rounds = answer["UnprocessedKeys"], rounds + 1
    assert rounds == 2 and sorted(found) == list(range(ITEMS))


@pytest.mark.parametrize("more", [{"Select": "ALL_ATTRIBUTES"}, {"ProjectionExpression": "sk, #t", "ExpressionAttributeNames": {"#t": "text"}}])
def test_a_page_of_an_index_that_fetches_whole_items_is_bounded(dynamodb, large, more):
    found, start, pages = [], {}, 0
    while True:
        page = dynamodb.query(
            TableName=large, IndexName="by-at", KeyConditionExpression="pk = :k", ConsistentRead=True,
            ExpressionAttributeValues={":k": {"S": "k"}}, **more, **start)
        assert sum(len(item["text"]["S"]) for item in page["Items"]) <= (1 << 20) + BYTES
        found += [int(item["sk"]["N"]) for item in page["Items"]]
        pages += 1
        if "LastEvaluatedKey" not in page:
            break
        start = {"ExclusiveStartKey": page["LastEvaluatedKey"]}
    assert found == list(range(ITEMS)) and pages > ITEMS // 4
