"""What calls end in, and what they are waited for with."""

import time
import uuid

from botocore.exceptions import ClientError


def outcome(call, **arguments):
    """`OK`, or the error's code."""
    try:
        call(**arguments)
        return "OK"
    except ClientError as e:
        return e.response["Error"]["Code"]


def make_table(dynamodb, hash_type="S", range_type=None, **more):
    name = "t-" + uuid.uuid4().hex[:12]
    keys = [{"AttributeName": "pk", "KeyType": "HASH"}]
    attributes = [{"AttributeName": "pk", "AttributeType": hash_type}]
    if range_type:
        keys.append({"AttributeName": "sk", "KeyType": "RANGE"})
        attributes.append({"AttributeName": "sk", "AttributeType": range_type})
    attributes += more.pop("attributes", [])
    more.setdefault("BillingMode", "PAY_PER_REQUEST")
    dynamodb.create_table(TableName=name, KeySchema=keys, AttributeDefinitions=attributes, **more)
    dynamodb.get_waiter("table_exists").wait(TableName=name, WaiterConfig={"Delay": 1, "MaxAttempts": 30})
    return name


def until(read, there, seconds=10):
    """What an eventually consistent read answers when it has what was written."""
    end = time.monotonic() + seconds
    while True:
        answer = read()
        if there(answer):
            return answer
        assert time.monotonic() < end, f"still not there after {seconds} s: {str(answer)[:200]}"
        time.sleep(0.02)


def error_of(info):
    return info.value.response["Error"]["Code"], info.value.response["Error"]["Message"]
