"""Fixtures of the client tests: they talk to a running region through the profile that scripts/up wrote."""

import os
import uuid

import boto3
import pytest
from calls import make_table
from identities import NOBODY, ONCE, Person

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
    return session.client("dynamodb", config=ONCE)


@pytest.fixture(scope="session")
def resource(session):
    return session.resource("dynamodb")


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


@pytest.fixture(scope="module")
def iam(session):
    return session.client("iam", config=ONCE)


@pytest.fixture(scope="module")
def nobody(session):
    """STS for who has no credentials at all."""
    return session.client("sts", config=NOBODY)


@pytest.fixture(scope="module")
def account(sts):
    return sts.get_caller_identity()["Account"]


@pytest.fixture(scope="module")
def sts(session):
    return session.client("sts", config=ONCE)


@pytest.fixture(params=["control", "data"])
def door(request):
    """DynamoDB's items are asked of the control nodes' front doors, or of the data nodes'."""
    return request.param


@pytest.fixture
def person(iam, session, door):
    person = Person(iam, session, door)
    yield person
    person.remove()


@pytest.fixture(scope="module")
def table(dynamodb):
    table = make_table(dynamodb)
    for key in ("mine", "yours"):
        dynamodb.put_item(TableName=table, Item={"pk": {"S": key}})
    yield table
    dynamodb.delete_table(TableName=table)
