"""Tables: life cycle, paging of the list, tags, limits, errors."""

import pytest
from botocore.exceptions import ClientError
from calls import error_of, make_table


def test_life_of_a_table(dynamodb):
    name = make_table(dynamodb, range_type="N")
    table = dynamodb.describe_table(TableName=name)["Table"]
    assert table["TableStatus"] == "ACTIVE"
    assert table["TableArn"].endswith(f":table/{name}")
    assert table["KeySchema"] == [
        {"AttributeName": "pk", "KeyType": "HASH"},
        {"AttributeName": "sk", "KeyType": "RANGE"},
    ]
    with pytest.raises(ClientError) as info:
        dynamodb.create_table(
            TableName=name,
            KeySchema=[{"AttributeName": "pk", "KeyType": "HASH"}],
            AttributeDefinitions=[{"AttributeName": "pk", "AttributeType": "S"}],
            BillingMode="PAY_PER_REQUEST",
        )
    assert error_of(info)[0] == "ResourceInUseException"
    assert dynamodb.delete_table(TableName=name)["TableDescription"]["TableStatus"] == "DELETING"
    dynamodb.get_waiter("table_not_exists").wait(TableName=name, WaiterConfig={"Delay": 1, "MaxAttempts": 30})
    with pytest.raises(ClientError) as info:
        dynamodb.describe_table(TableName=name)
    assert error_of(info) == (
        "ResourceNotFoundException",
        f"Requested resource not found: Table: {name} not found",
    )


def test_a_recreated_table_is_empty(dynamodb):
    name = make_table(dynamodb)
    dynamodb.put_item(TableName=name, Item={"pk": {"S": "x"}})
    dynamodb.delete_table(TableName=name)
    dynamodb.get_waiter("table_not_exists").wait(TableName=name, WaiterConfig={"Delay": 1, "MaxAttempts": 30})
    dynamodb.create_table(
        TableName=name,
        KeySchema=[{"AttributeName": "pk", "KeyType": "HASH"}],
        AttributeDefinitions=[{"AttributeName": "pk", "AttributeType": "S"}],
        BillingMode="PAY_PER_REQUEST",
    )
    dynamodb.get_waiter("table_exists").wait(TableName=name, WaiterConfig={"Delay": 1, "MaxAttempts": 30})
    assert dynamodb.scan(TableName=name, ConsistentRead=True)["Count"] == 0
    dynamodb.delete_table(TableName=name)


def test_listing_pages(dynamodb):
    names = {make_table(dynamodb) for _ in range(3)}
    listed = []
    for page in dynamodb.get_paginator("list_tables").paginate(PaginationConfig={"PageSize": 2}):
        assert len(page["TableNames"]) <= 2
        listed += page["TableNames"]
    assert names <= set(listed)
    assert listed == sorted(listed)
    for name in names:
        dynamodb.delete_table(TableName=name)


def test_tags(dynamodb):
    name = make_table(dynamodb, Tags=[{"Key": "team", "Value": "harbour"}])
    arn = dynamodb.describe_table(TableName=name)["Table"]["TableArn"]
    dynamodb.tag_resource(ResourceArn=arn, Tags=[{"Key": "stage", "Value": "test"}])
    dynamodb.untag_resource(ResourceArn=arn, TagKeys=["team"])
    assert dynamodb.list_tags_of_resource(ResourceArn=arn)["Tags"] == [{"Key": "stage", "Value": "test"}]
    dynamodb.delete_table(TableName=name)


def test_limits_and_endpoints(dynamodb):
    assert dynamodb.describe_limits()["AccountMaxReadCapacityUnits"] > 0
    assert dynamodb.describe_endpoints()["Endpoints"][0]["CachePeriodInMinutes"] > 0


def test_deletion_protection(dynamodb):
    name = make_table(dynamodb, DeletionProtectionEnabled=True)
    with pytest.raises(ClientError) as info:
        dynamodb.delete_table(TableName=name)
    assert error_of(info)[0] == "ValidationException"
    dynamodb.update_table(TableName=name, DeletionProtectionEnabled=False)
    dynamodb.delete_table(TableName=name)


@pytest.mark.parametrize(
    "name,fragment",
    [
        ("a!b", "Member must satisfy regular expression pattern: [a-zA-Z0-9_.-]+"),
    ],
)


def test_names_are_checked(dynamodb, name, fragment):
    with pytest.raises(ClientError) as info:
        dynamodb.describe_table(TableName=name)
    code, message = error_of(info)
    assert code == "ValidationException"
    assert fragment in message


def test_an_operation_that_we_lack_says_so(dynamodb):
    with pytest.raises(ClientError) as info:
        dynamodb.list_backups()
    assert error_of(info)[0] == "UnknownOperationException"
