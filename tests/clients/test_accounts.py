"""Two accounts of one region: each its own people and tables, and a role that lets one into the other's by policy alone."""

import configparser
import json
import stat

import boto3
import pytest
from calls import outcome
from identities import ONCE
from own_region import DYNAMODB, FRONT, OwnRegion, create, wait_for

FIRST, OTHER = "111122223333", "444455556666"


@pytest.fixture(scope="module")
def region():
    region = OwnRegion()
    region.up()
    told = region.run("account", "create", OTHER, "--profile", "other")
    assert OTHER in told and secret_of(region, "other") not in told
    yield region
    region.remove()


def profile(region, name):
    profiles = configparser.ConfigParser()
    profiles.read(region.directory / "credentials")
    return profiles[name]


def secret_of(region, name):
    return profile(region, name)["aws_secret_access_key"]


def client(region, service, credentials, port=FRONT):
    return boto3.Session(**credentials, region_name="us-east-1").client(
        service, endpoint_url=f"http://127.0.0.1:{port + region.offset}", config=ONCE
    )


def settles(call, wanted, **arguments):
    wait_for(wanted, lambda: all(outcome(call, **arguments) == wanted for _ in range(6)))


def test_the_operator_makes_and_lists_accounts(region):
    assert region.run("account", "list").split() == [FIRST, OTHER]
    kept = region.root / region.name / f"operator/credentials-{OTHER}"
    assert stat.S_IMODE(kept.stat().st_mode) == 0o600 and secret_of(region, "other") in kept.read_text()
    before = dict(profile(region, "other"))
    for wrong in (OTHER, FIRST, "12", "44445555666x"):
        assert region.run("account", "create", wrong, "--profile", "other", check=False) == ""
    assert dict(profile(region, "other")) == before
    who = client(region, "sts", profile(region, "other"))
    settles(who.get_caller_identity, "OK")
    assert who.get_caller_identity()["Arn"] == f"arn:aws:iam::{OTHER}:user/administrator"


@pytest.mark.parametrize("port", [FRONT, DYNAMODB])
def test_each_has_tables_of_its_own(region, port):
    name = f"things-{port}"
    for owner in (region.name, "other"):
        items = client(region, "dynamodb", profile(region, owner), port)
        settles(items.list_tables, "OK")
        create(client(region, "dynamodb", profile(region, owner)), name)
        assert [t for t in items.list_tables()["TableNames"] if t == name] == [name]
        items.put_item(TableName=name, Item={"pk": {"S": "whose"}, "owner": {"S": owner}})
    for owner in (region.name, "other"):
        items = client(region, "dynamodb", profile(region, owner), port)
        get = {"Key": {"pk": {"S": "whose"}}, "ConsistentRead": True}
        assert items.get_item(TableName=name, **get)["Item"]["owner"]["S"] == owner
        account, foreign = (FIRST, OTHER) if owner == region.name else (OTHER, FIRST)
        arn = items.describe_table(TableName=name)["Table"]["TableArn"]
        assert arn == f"arn:aws:dynamodb:us-east-1:{account}:table/{name}"
        # The other's table is not hers to read, nor is her own read in its place.
        assert outcome(items.get_item, TableName=arn.replace(account, foreign), **get) == "AccessDeniedException"
        assert outcome(items.put_item, TableName=arn.replace(account, foreign), Item={"pk": {"S": "x"}}) == "AccessDeniedException"


def test_a_role_lets_one_account_into_the_other(region):
    name = "shared"
    own = {service: client(region, service, profile(region, region.name)) for service in ("iam", "dynamodb")}
    create(own["dynamodb"], name)
    own["dynamodb"].put_item(TableName=name, Item={"pk": {"S": "a"}})
    trust = {"Version": "2012-10-17", "Statement": {
        "Effect": "Allow", "Action": "sts:AssumeRole", "Principal": {"AWS": f"arn:aws:iam::{OTHER}:root"},
        "Condition": {"StringEquals": {"sts:ExternalId": "between-us"}}}}
    own["iam"].create_role(RoleName="reader", AssumeRolePolicyDocument=json.dumps(trust))
    own["iam"].put_role_policy(RoleName="reader", PolicyName="read", PolicyDocument=json.dumps({
        "Version": "2012-10-17",
        "Statement": {"Effect": "Allow", "Action": "dynamodb:GetItem", "Resource": f"arn:aws:dynamodb:*:{FIRST}:table/{name}"}}))
    other = {service: client(region, service, profile(region, "other")) for service in ("iam", "sts")}
    ask = {"RoleArn": f"arn:aws:iam::{FIRST}:role/reader", "RoleSessionName": "guest"}
    settles(other["sts"].assume_role, "OK", **ask, ExternalId="between-us")
    assert outcome(other["sts"].assume_role, **ask) == "AccessDenied"
    assert outcome(other["sts"].assume_role, **ask, ExternalId="guessed") == "AccessDenied"
    made = other["sts"].assume_role(**ask, ExternalId="between-us")["Credentials"]
    guest = {
        "aws_access_key_id": made["AccessKeyId"], "aws_secret_access_key": made["SecretAccessKey"],
        "aws_session_token": made["SessionToken"],
    }
    for port in (FRONT, DYNAMODB):
        items = client(region, "dynamodb", guest, port)
        settles(items.get_item, "OK", TableName=name, Key={"pk": {"S": "a"}})
        assert outcome(items.put_item, TableName=name, Item={"pk": {"S": "b"}}) == "AccessDeniedException"
    # A user of the other account may only what both accounts allow.
    other["iam"].create_user(UserName="nobody")
    key = other["iam"].create_access_key(UserName="nobody")["AccessKey"]
    nobody = client(region, "sts", {"aws_access_key_id": key["AccessKeyId"], "aws_secret_access_key": key["SecretAccessKey"]})
    settles(nobody.get_caller_identity, "OK")
    assert outcome(nobody.assume_role, **ask, ExternalId="between-us") == "AccessDenied"
    # Neither account sees the other's people.
    assert outcome(own["iam"].get_user, UserName="nobody") == "NoSuchEntity"
    assert outcome(other["iam"].get_role, RoleName="reader") == "NoSuchEntity"
    assert [u["UserName"] for u in other["iam"].list_users()["Users"]] == ["administrator", "nobody"]
