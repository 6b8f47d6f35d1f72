"""Credentials for code, without keys in it: hosts hand out those of their instance profile, and unmodified SDKs find them."""

import datetime
import http.client
import json
import os
import pathlib
import subprocess
import sys

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import NoCredentialsError
from calls import outcome
from own_region import DYNAMODB, FRONT, OwnRegion, create, wait_for

ACCOUNT = "111122223333"
HOST, NEIGHBOUR = "dynamo-node-b1", "dynamo-node-c1"
#: How long credentials last here, so that a renewal is soon seen.
LASTS_S = 30
ROLES = "/latest/meta-data/iam/security-credentials/"
EC2 = {"Version": "2012-10-17", "Statement": {
    "Effect": "Allow", "Action": "sts:AssumeRole", "Principal": {"Service": "ec2.amazonaws.com"}}}


class Metadata:
    """A host's metadata service, as one of its programs sees it."""

    def __init__(self, region, host):
        settings = (region.root / region.name / "hosts" / host / "agent.toml").read_text()
        line = next(line for line in settings.splitlines() if line.startswith("metadata = "))
        self.address = line.split('"')[1]

    def ask(self, method, path, **headers):
        connection = http.client.HTTPConnection(self.address, timeout=5)
        connection.request(method, path, headers={name.replace("_", "-"): value for name, value in headers.items()})
        answer = connection.getresponse()
        return answer.status, answer.read().decode()

    def token(self, seconds="60"):
        return self.ask("PUT", "/latest/api/token", X_aws_ec2_metadata_token_ttl_seconds=seconds)[1]

    def get(self, path):
        return self.ask("GET", path, X_aws_ec2_metadata_token=self.token())

    def text(self, path):
        status, text = self.get(path)
        assert status == 200, (path, status, text)
        return text

    def credentials(self, role):
        return json.loads(self.text(ROLES + role))


@pytest.fixture(scope="module")
def region():
    region = OwnRegion()
    region.environment = {"BREAKWATER_INSTANCE_CREDENTIALS_S": str(LASTS_S)}
    region.up()
    yield region
    region.remove()


@pytest.fixture(scope="module")
def operator(region):
    """The administrator's clients."""
    kept = (region.root / region.name / "operator/credentials").read_text()
    keys = dict(line.split(" = ") for line in kept.splitlines() if " = " in line)
    session = boto3.Session(**keys, region_name="us-east-1")
    return lambda service: session.client(service, endpoint_url=f"http://127.0.0.1:{FRONT + region.offset}")


@pytest.fixture(scope="module")
def metadata(region):
    return Metadata(region, HOST)


@pytest.fixture(scope="module")
def role(region, operator):
    """A profile with a role that may read one table, and the host has it."""
    iam = operator("iam")
    iam.create_role(RoleName="web", AssumeRolePolicyDocument=json.dumps(EC2))
    iam.put_role_policy(RoleName="web", PolicyName="read", PolicyDocument=json.dumps({
        "Version": "2012-10-17",
        "Statement": [
            {"Effect": "Allow", "Action": "dynamodb:GetItem", "Resource": "*",
             "Condition": {"StringLike": {"aws:userid": "AROA*:i-*"}}},
            {"Effect": "Allow", "Action": "iam:GetRole", "Resource": "*", "Condition": {
                "NumericGreaterThanEquals": {"ec2:RoleDelivery": "2.0"},
                "ArnLike": {"ec2:SourceInstanceARN": f"arn:aws:ec2:us-east-1:{ACCOUNT}:instance/i-*"}}}]}))
    iam.create_instance_profile(InstanceProfileName="web", Path="/servers/")
    iam.add_role_to_instance_profile(InstanceProfileName="web", RoleName="web")
    create(operator("dynamodb"), "pages")
    operator("dynamodb").put_item(TableName="pages", Item={"pk": {"S": "front"}})
    assert "web" in region.run("host-profile", HOST, "web")
    return "web"


@pytest.fixture
def on_the_host(region, metadata, monkeypatch, tmp_path):
    """As a program there: without keys, only with the way to the metadata service."""
    for name in [name for name in os.environ if name.startswith("AWS_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_EC2_METADATA_SERVICE_ENDPOINT", f"http://{metadata.address}")
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "none"))
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "none"))
    monkeypatch.setenv("HOME", str(tmp_path))


def sdk(region, session, service, port=FRONT):
    once = Config(retries={"total_max_attempts": 1}, read_timeout=20)
    return session.client(service, region_name="us-east-1", endpoint_url=f"http://127.0.0.1:{port + region.offset}", config=once)


def settled(metadata, role):
    wait_for("the profile's role", lambda: metadata.get(ROLES) == (200, role))


def test_a_host_knows_what_it_is_without_a_profile(region):
    other = Metadata(region, NEIGHBOUR)
    assert "iam" not in other.text("/latest/meta-data/") and other.get(ROLES)[0] == 404
    assert other.text("/latest/meta-data/placement/availability-zone") == "us-east-1c"
    assert other.text("/latest/meta-data/placement/region") == "us-east-1"
    instance = other.text("/latest/meta-data/instance-id")
    assert instance in region.run("host-profile", NEIGHBOUR)
    document = json.loads(other.text("/latest/dynamic/instance-identity/document"))
    assert (document["instanceId"], document["accountId"]) == (instance, ACCOUNT)
    assert document["privateIp"] == other.text("/latest/meta-data/local-ipv4") == other.address.split(":")[0]


def test_version_1_is_off_and_proxies_get_no_token(metadata):
    assert metadata.ask("GET", "/latest/meta-data/instance-id")[0] == 401
    assert metadata.ask("GET", "/latest/meta-data/instance-id", X_aws_ec2_metadata_token="invented")[0] == 401
    ttl = {"X_aws_ec2_metadata_token_ttl_seconds": "60"}
    assert metadata.ask("PUT", "/latest/api/token", **ttl, X_Forwarded_For="10.1.2.3")[0] == 403
    assert metadata.ask("GET", "/latest/api/token", **ttl)[0] == 405
    for seconds, status in [("0", 400), ("21601", 400), ("soon", 400), ("1", 200), ("21600", 200)]:
        assert metadata.ask("PUT", "/latest/api/token", X_aws_ec2_metadata_token_ttl_seconds=seconds)[0] == status
    assert metadata.ask("PUT", "/latest/api/token")[0] == 400
    brief = metadata.token("1")
    wait_for("the token's end", lambda: metadata.ask("GET", "/latest/", X_aws_ec2_metadata_token=brief)[0] == 401)


def test_an_unmodified_sdk_finds_its_hosts_credentials_and_renews_them(region, operator, metadata, role, on_the_host):
    settled(metadata, role)
    instance = metadata.text("/latest/meta-data/instance-id")
    info = json.loads(metadata.text("/latest/meta-data/iam/info"))
    assert info["InstanceProfileArn"] == f"arn:aws:iam::{ACCOUNT}:instance-profile/servers/web"
    me = f"arn:aws:sts::{ACCOUNT}:assumed-role/{role}/{instance}"
    session = boto3.Session()
    found = session.get_credentials()
    assert found.method == "iam-role"
    wait_for("its own identity", lambda: outcome(sdk(region, session, "sts").get_caller_identity) == "OK")
    who = sdk(region, session, "sts").get_caller_identity()
    assert who["Arn"] == me and who["UserId"].startswith("AROA") and who["UserId"].endswith(f":{instance}")
    for port in (FRONT, DYNAMODB):
        items = sdk(region, session, "dynamodb", port)
        wait_for("reads", lambda: outcome(items.get_item, TableName="pages", Key={"pk": {"S": "front"}}) == "OK")
        assert outcome(items.put_item, TableName="pages", Item={"pk": {"S": "x"}}) == "AccessDeniedException"
    # The aws CLI too.
    aws = pathlib.Path(sys.executable).with_name("aws")
    words = ["sts", "get-caller-identity", "--region", "us-east-1", "--endpoint-url", f"http://127.0.0.1:{FRONT + region.offset}"]
    told = subprocess.run([aws, *words], check=True, capture_output=True, timeout=60)
    assert json.loads(told.stdout)["Arn"] == me
    # Somebody else assumed the role for the host: EC2, and the trail tells it, without the secrets.
    first = found.get_frozen_credentials()
    trail = operator("cloudtrail")
    attribute = {"AttributeKey": "ResourceName", "AttributeValue": f"arn:aws:iam::{ACCOUNT}:role/{role}"}

    def assumed():
        events = trail.lookup_events(LookupAttributes=[attribute])["Events"]
        records = [json.loads(event["CloudTrailEvent"]) for event in events]
        return [r for r in records if first.access_key in json.dumps(r["responseElements"])]

    record = wait_for("its event", assumed)[0]
    assert record["userIdentity"] == {"type": "AWSService", "invokedBy": "ec2.amazonaws.com"}
    assert record["requestParameters"]["roleSessionName"] == instance and record["sourceIPAddress"] == "ec2.amazonaws.com"
    assert first.secret_key not in json.dumps(record) and first.token not in json.dumps(record)

    assert record["readOnly"] is True
    # A policy may ask where it runs, and its own events tell how it got its keys.
    assert outcome(sdk(region, session, "iam").get_role, RoleName=role) == "OK"

    def own():
        events = trail.lookup_events(LookupAttributes=[{"AttributeKey": "AccessKeyId", "AttributeValue": first.access_key}])
        return [r for e in events["Events"] if (r := json.loads(e["CloudTrailEvent"]))["eventName"] == "GetRole"]

    assert wait_for("its call", own)[0]["userIdentity"]["sessionContext"]["ec2RoleDelivery"] == "2.0"

    wait_for("a renewal", lambda: metadata.credentials(role)["AccessKeyId"] != first.access_key)
    # For the SDK so much time has passed that it asks again, and goes on.
    soon = found._expiry_time - datetime.timedelta(minutes=14)
    found._time_fetcher = lambda: soon
    assert sdk(region, session, "sts").get_caller_identity()["Arn"] == me
    assert found.get_frozen_credentials().access_key not in ("", first.access_key)


def test_a_host_gets_its_own_profiles_credentials_alone(region, operator, metadata, role, on_the_host):
    settled(metadata, role)
    other = Metadata(region, NEIGHBOUR)
    assert other.get(ROLES)[0] == 404 and other.get(ROLES + role)[0] == 404
    iam = operator("iam")
    # A role that doesn't trust EC2.
    iam.update_assume_role_policy(RoleName=role, PolicyDocument=json.dumps(
        {**EC2, "Statement": {**EC2["Statement"], "Principal": {"Service": "lambda.amazonaws.com"}}}))
    wait_for("no trust", lambda: metadata.credentials(role)["Code"] == "AssumeRoleUnauthorizedAccess")
    assert "AccessKeyId" not in metadata.credentials(role)
    # Or not on this host.
    elsewhere = {**EC2["Statement"], "Condition": {"StringNotEquals": {
        "sts:RoleSessionName": metadata.text("/latest/meta-data/instance-id")}}}
    iam.update_assume_role_policy(RoleName=role, PolicyDocument=json.dumps({**EC2, "Statement": elsewhere}))
    region.run("host-profile", NEIGHBOUR, "web")
    wait_for("trust", lambda: other.get(ROLES + role)[0] == 200 and other.credentials(role)["Code"] == "Success")
    assert metadata.credentials(role)["Code"] == "AssumeRoleUnauthorizedAccess"
    assert "-" in region.run("host-profile", NEIGHBOUR, "--none")
    wait_for("none", lambda: other.get(ROLES)[0] == 404)
    iam.update_assume_role_policy(RoleName=role, PolicyDocument=json.dumps(EC2))
    wait_for("trust again", lambda: metadata.credentials(role)["Code"] == "Success")
    # A profile without a role has none to hand out.
    iam.remove_role_from_instance_profile(InstanceProfileName="web", RoleName=role)
    wait_for("no role", lambda: metadata.get(ROLES)[0] == 404)
    with pytest.raises(NoCredentialsError):
        sdk(region, boto3.Session(), "sts").get_caller_identity()
    iam.add_role_to_instance_profile(InstanceProfileName="web", RoleName=role)
    settled(metadata, role)
    # Wrong ones are refused.
    for words in (["host-profile", HOST, "nobody"], ["host-profile", "nowhere", "web"], ["host-profile", "edge", "web"]):
        assert region.run(*words, check=False) == ""
    assert "web" in region.run("host-profile", HOST)


def test_a_host_goes_on_with_what_it_has_while_no_control_node_is_there(region, metadata, role, on_the_host):
    settled(metadata, role)
    # Fresh ones, so that there is time.
    before = metadata.credentials(role)["AccessKeyId"]
    wait_for("a renewal", lambda: metadata.credentials(role)["AccessKeyId"] != before)
    region.chaos("kill", "control-node")
    try:
        kept = metadata.credentials(role)
        items = sdk(region, boto3.Session(), "dynamodb", DYNAMODB)
        assert outcome(items.get_item, TableName="pages", Key={"pk": {"S": "front"}}) == "OK"
        wait_for("their end", lambda: metadata.get(ROLES + role)[0] == 503)
        end = datetime.datetime.fromisoformat(kept["Expiration"].replace("Z", "+00:00"))
        assert datetime.datetime.now(datetime.timezone.utc) >= end
        assert outcome(items.get_item, TableName="pages", Key={"pk": {"S": "front"}}) == "ExpiredTokenException"
    finally:
        region.chaos("start", "control-node")
    wait_for("new ones", lambda: metadata.get(ROLES + role)[0] == 200)
    assert metadata.credentials(role)["AccessKeyId"] != kept["AccessKeyId"]
