"""Fixtures of the client tests: they talk to a running region through the profile that scripts/up wrote."""

import os
import time
import uuid

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError

PROFILE = os.environ.get("AWS_PROFILE", "breakwater")


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item, call):
    report = yield
    # For fixtures that keep what a failed test leaves.
    item.passed = report.passed and (report.when == "setup" or getattr(item, "passed", False))
    return report


@pytest.fixture(scope="session")
def session():
    return boto3.Session(profile_name=PROFILE)


@pytest.fixture(scope="session")
def dynamodb(session):
    # One attempt: what AWS would hide by repeating must not be hidden here.
    return session.client("dynamodb", config=Config(retries={"total_max_attempts": 1}, read_timeout=20))


@pytest.fixture(scope="session")
def resource(session):
    return session.resource("dynamodb")


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


@pytest.fixture(scope="module")
def hash_table(dynamodb):
    name = make_table(dynamodb)
    yield name
    dynamodb.delete_table(TableName=name)


@pytest.fixture(scope="module")
def range_table(dynamodb):
    name = make_table(dynamodb, range_type="S")
    yield name
    dynamodb.delete_table(TableName=name)


@pytest.fixture(scope="module")
def number_table(dynamodb):
    name = make_table(dynamodb, range_type="N")
    yield name
    dynamodb.delete_table(TableName=name)


@pytest.fixture
def key():
    return "k-" + uuid.uuid4().hex[:12]


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
