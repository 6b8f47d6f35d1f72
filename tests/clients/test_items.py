"""Single items: types, conditions, updates, return values, consumed capacity."""

from decimal import Decimal

import pytest
from botocore.exceptions import ClientError
from calls import error_of, until

ALL_TYPES = {
    "s": {"S": "text"},
    "n": {"N": "-12.5"},
    "b": {"B": b"\x00\xff"},
    "ss": {"SS": ["a", "b"]},
    "ns": {"NS": ["1", "2"]},
    "bs": {"BS": [b"a", b"b"]},
    "m": {"M": {"x": {"S": "y"}, "deep": {"M": {"l": {"L": [{"N": "1"}]}}}}},
    "l": {"L": [{"S": "a"}, {"NULL": True}, {"BOOL": False}]},
    "null": {"NULL": True},
    "bool": {"BOOL": True},
    "empty": {"S": ""},
}


def normal(item):
    """Sets have no order."""
    return {
        k: {t: sorted(v) if t in ("SS", "NS", "BS") else v for t, v in value.items()} for k, value in item.items()
    }


def test_all_types_come_back(dynamodb, hash_table, key):
    item = {"pk": {"S": key}, **ALL_TYPES}
    dynamodb.put_item(TableName=hash_table, Item=item)
    got = dynamodb.get_item(TableName=hash_table, Key={"pk": {"S": key}}, ConsistentRead=True)["Item"]
    assert normal(got) == normal(item)


def test_missing_item_has_no_item_member(dynamodb, hash_table, key):
    assert "Item" not in dynamodb.get_item(TableName=hash_table, Key={"pk": {"S": key}}, ConsistentRead=True)


@pytest.mark.parametrize(
    "given,stored",
    [
        ("1.0", "1"),
        ("-0", "0"),
        ("0001.500", "1.5"),
        ("1e2", "100"),
        ("12345678901234567890123456789012345678", "12345678901234567890123456789012345678"),
        ("1E-130", "0." + "0" * 129 + "1"),
    ],
)


def test_numbers_are_normalised(dynamodb, hash_table, key, given, stored):
    dynamodb.put_item(TableName=hash_table, Item={"pk": {"S": key}, "n": {"N": given}})
    got = dynamodb.get_item(TableName=hash_table, Key={"pk": {"S": key}}, ConsistentRead=True)["Item"]
    assert Decimal(got["n"]["N"]) == Decimal(stored)


@pytest.mark.parametrize(
    "number,message",
    [
        ("abc", "The parameter cannot be converted to a numeric value"),
        ("1" * 39, "Attempting to store more than 38 significant digits in a Number"),
        ("1e126", "Number overflow"),
        ("1e-131", "Number underflow"),
    ],
)


def test_numbers_out_of_range_are_refused(dynamodb, hash_table, key, number, message):
    with pytest.raises(ClientError) as info:
        dynamodb.put_item(TableName=hash_table, Item={"pk": {"S": key}, "n": {"N": number}})
    code, text = error_of(info)
    assert code == "ValidationException"
    # AWS puts an envelope around value errors of writes.
    assert text.removeprefix("1 validation error detected: ").startswith(message)


def test_condition_failed_returns_the_item_when_asked(dynamodb, hash_table, key):
    dynamodb.put_item(TableName=hash_table, Item={"pk": {"S": key}, "v": {"N": "1"}})
    with pytest.raises(ClientError) as info:
        dynamodb.put_item(
            TableName=hash_table,
            Item={"pk": {"S": key}},
            ConditionExpression="attribute_not_exists(pk)",
            ReturnValuesOnConditionCheckFailure="ALL_OLD",
        )
    assert error_of(info) == ("ConditionalCheckFailedException", "The conditional request failed")
    assert info.value.response["Item"] == {"pk": {"S": key}, "v": {"N": "1"}}


def test_update_expressions(dynamodb, hash_table, key):
    got = dynamodb.update_item(
        TableName=hash_table,
        Key={"pk": {"S": key}},
        UpdateExpression="SET #c = if_not_exists(#c, :zero) + :one, l = list_append(:l, :l) ADD tags :t",
        ExpressionAttributeNames={"#c": "count"},
        ExpressionAttributeValues={
            ":zero": {"N": "0"},
            ":one": {"N": "1"},
            ":l": {"L": [{"S": "x"}]},
            ":t": {"SS": ["red"]},
        },
        ReturnValues="ALL_NEW",
    )["Attributes"]
    assert got == {
        "pk": {"S": key},
        "count": {"N": "1"},
        "l": {"L": [{"S": "x"}, {"S": "x"}]},
        "tags": {"SS": ["red"]},
    }
    got = dynamodb.update_item(
        TableName=hash_table,
        Key={"pk": {"S": key}},
        UpdateExpression="REMOVE l[0] DELETE tags :t SET m = :m",
        ExpressionAttributeValues={":t": {"SS": ["red"]}, ":m": {"M": {"a": {"N": "1"}}}},
        ReturnValues="UPDATED_OLD",
    )["Attributes"]
    assert got["tags"] == {"SS": ["red"]}
    got = dynamodb.update_item(
        TableName=hash_table,
        Key={"pk": {"S": key}},
        UpdateExpression="SET m.b = m.a",
        ReturnValues="UPDATED_NEW",
    )["Attributes"]
    assert got == {"m": {"M": {"b": {"N": "1"}}}}


def test_return_values_of_put_and_delete(dynamodb, hash_table, key):
    item = {"pk": {"S": key}, "v": {"S": "old"}}
    assert "Attributes" not in dynamodb.put_item(TableName=hash_table, Item=item, ReturnValues="ALL_OLD")
    assert dynamodb.put_item(TableName=hash_table, Item={"pk": {"S": key}}, ReturnValues="ALL_OLD")["Attributes"] == item
    old = dynamodb.delete_item(TableName=hash_table, Key={"pk": {"S": key}}, ReturnValues="ALL_OLD")
    assert old["Attributes"] == {"pk": {"S": key}}


def test_consumed_capacity_is_rounded_as_aws_does(dynamodb, hash_table, key):
    item = {"pk": {"S": key}, "v": {"S": "x" * 5000}}
    put = dynamodb.put_item(TableName=hash_table, Item=item, ReturnConsumedCapacity="TOTAL")
    assert put["ConsumedCapacity"]["CapacityUnits"] == 5.0
    keys = {"TableName": hash_table, "Key": {"pk": {"S": key}}, "ReturnConsumedCapacity": "TOTAL"}
    # Before the item has reached the replica that is asked, the read is of nothing, at half a unit.
    eventual = until(lambda: dynamodb.get_item(**keys), lambda answer: "Item" in answer)
    assert eventual["ConsumedCapacity"]["CapacityUnits"] == 1.0
    assert dynamodb.get_item(**keys, ConsistentRead=True)["ConsumedCapacity"]["CapacityUnits"] == 2.0


def test_an_item_over_400_kb_is_refused(dynamodb, hash_table, key):
    with pytest.raises(ClientError) as info:
        dynamodb.put_item(TableName=hash_table, Item={"pk": {"S": key}, "v": {"S": "x" * (400 * 1024)}})
    assert error_of(info) == ("ValidationException", "Item size has exceeded the maximum allowed size")


def test_legacy_parameters(dynamodb, hash_table, key):
    dynamodb.put_item(
        TableName=hash_table, Item={"pk": {"S": key}, "v": {"N": "1"}}, Expected={"pk": {"Exists": False}}
    )
    dynamodb.update_item(
        TableName=hash_table,
        Key={"pk": {"S": key}},
        AttributeUpdates={"v": {"Action": "ADD", "Value": {"N": "2"}}},
        Expected={"v": {"ComparisonOperator": "EQ", "AttributeValueList": [{"N": "1"}]}},
    )
    got = dynamodb.get_item(
        TableName=hash_table, Key={"pk": {"S": key}}, AttributesToGet=["v"], ConsistentRead=True
    )
    assert got["Item"] == {"v": {"N": "3"}}
    with pytest.raises(ClientError) as info:
        dynamodb.delete_item(TableName=hash_table, Key={"pk": {"S": key}}, Expected={"v": {"Value": {"N": "9"}}})
    assert error_of(info)[0] == "ConditionalCheckFailedException"


@pytest.mark.parametrize(
    "arguments,message",
    [
        ({"Key": {}}, "The provided key element does not match the schema"),
        ({"Key": {"pk": {"N": "1"}}}, "The provided key element does not match the schema"),
        (
            {"Key": {"pk": {"S": ""}}},
            "One or more parameter values are not valid. The AttributeValue for a key attribute cannot contain an "
            "empty string value. Key: pk",
        ),
        (
            {"Key": {"pk": {"S": "x"}}, "ProjectionExpression": "a.b.a, a.b"},
            "Invalid ProjectionExpression: Two document paths overlap with each other; must remove or rewrite one of "
            "these paths; path one: [a, b, a], path two: [a, b]",
        ),
        (
            {"Key": {"pk": {"S": "x"}}, "ProjectionExpression": "size"},
            "Invalid ProjectionExpression: Attribute name is a reserved keyword; reserved keyword: size",
        ),
    ],
)


def test_validation_messages(dynamodb, hash_table, arguments, message):
    with pytest.raises(ClientError) as info:
        dynamodb.get_item(TableName=hash_table, **arguments)
    assert error_of(info) == ("ValidationException", message)


def test_unknown_table(dynamodb):
    with pytest.raises(ClientError) as info:
        dynamodb.get_item(TableName="no-such-table", Key={"pk": {"S": "x"}})
    assert error_of(info) == ("ResourceNotFoundException", "Requested resource not found")
