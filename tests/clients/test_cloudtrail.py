"""Who did what: every management call leaves one event, done or denied, and no node's death loses one."""

import concurrent.futures
import datetime
import itertools
import json
import threading
import time
import urllib.parse
import urllib.request
import uuid

import boto3
import pytest
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.config import Config
from botocore.credentials import Credentials
from botocore.exceptions import ClientError
from calls import error_of, outcome
from identities import ONCE
from own_region import DYNAMODB, FRONT, OwnRegion, create, wait_for

FIRST, OTHER = "111122223333", "444455556666"
CALLS = 1_000


@pytest.fixture(scope="module")
def region():
    region = OwnRegion()
    region.up()
    yield region
    region.remove()


def keys_of(region, profile=None):
    where = region.root / region.name / "operator" / ("credentials" if profile is None else f"credentials-{profile}")
    return dict(line.split(" = ") for line in where.read_text().splitlines() if " = " in line)


def client(region, service, keys=None, port=FRONT):
    return boto3.Session(**(keys or keys_of(region)), region_name="us-east-1").client(
        service, endpoint_url=f"http://127.0.0.1:{port + region.offset}", config=ONCE
    )


@pytest.fixture(scope="module")
def iam(region):
    return client(region, "iam")


@pytest.fixture(scope="module")
def trail(region):
    return client(region, "cloudtrail")


def events(trail, key=None, value=None, **more):
    """All of them, newest first."""
    if key:
        more["LookupAttributes"] = [{"AttributeKey": key, "AttributeValue": value}]
    pages = trail.get_paginator("lookup_events").paginate(**more)
    return [event for page in pages for event in page["Events"]]


def records(trail, key=None, value=None, **more):
    return [json.loads(event["CloudTrailEvent"]) for event in events(trail, key, value, **more)]


def the_one(trail, operation, fits):
    def look():
        found = [r for r in records(trail, "EventName", operation) if fits(r)]
        assert len(found) < 2, found
        return found

    return wait_for(f"an event of {operation}", look)[0]


def person(region, iam):
    name = "user-" + uuid.uuid4().hex[:8]
    iam.create_user(UserName=name)
    key = iam.create_access_key(UserName=name)["AccessKey"]
    keys = {"aws_access_key_id": key["AccessKeyId"], "aws_secret_access_key": key["SecretAccessKey"]}
    wait_for("her key", lambda: all(outcome(client(region, "sts", keys).get_caller_identity) == "OK" for _ in range(6)))
    return name, keys


def test_a_change_leaves_its_event_without_its_secrets(region, iam, trail):
    name, keys = person(region, iam)
    made = the_one(trail, "CreateUser", lambda r: (r["requestParameters"] or {}).get("userName") == name)
    assert made["eventSource"] == "iam.amazonaws.com" and made["awsRegion"] == "us-east-1"
    assert made["userIdentity"]["type"] == "IAMUser" and made["userIdentity"]["userName"] == "administrator"
    assert made["userIdentity"]["principalId"].startswith("AIDA")
    assert made["userIdentity"]["accountId"] == made["recipientAccountId"] == FIRST
    assert made["userIdentity"]["accessKeyId"] == keys_of(region)["aws_access_key_id"]
    assert made["responseElements"]["user"]["userName"] == name
    assert made["readOnly"] is False and made["managementEvent"] is True and made["eventCategory"] == "Management"
    assert "Boto3" in made["userAgent"] and made["sourceIPAddress"].startswith("127.") and "errorCode" not in made
    key = the_one(trail, "CreateAccessKey", lambda r: (r["requestParameters"] or {}).get("userName") == name)
    assert key["responseElements"]["accessKey"]["accessKeyId"] == keys["aws_access_key_id"]
    device = iam.create_virtual_mfa_device(VirtualMFADeviceName=name)["VirtualMFADevice"]
    told = the_one(trail, "CreateVirtualMFADevice", lambda r: r["requestParameters"]["virtualMFADeviceName"] == name)
    assert told["responseElements"]["virtualMFADevice"] == {"serialNumber": device["SerialNumber"]}
    everything = json.dumps(records(trail))
    assert keys["aws_secret_access_key"] not in everything and device["Base32StringSeed"].decode() not in everything


def test_an_event_tells_what_was_read_and_not_what_was_only_sent(region, iam, trail):
    """A second spelling of a member, and members that the operation doesn't have, have no effect, and aren't told."""
    name = "user-" + uuid.uuid4().hex[:8]
    keys = keys_of(region)
    url = f"http://127.0.0.1:{FRONT + region.offset}/"
    sent = {"Action": "CreateUser", "Version": "2010-05-08", "UserName": name, "userName": "bob", "path": "/other/",
            "SourceIdentity": "boss", "Tags.member.1.Key": "team", "Tags.member.1.Value": "red", "Tags.member.1.value": "blue"}
    request = AWSRequest("POST", url, data=urllib.parse.urlencode(sent).encode(), headers={
        "Content-Type": "application/x-www-form-urlencoded; charset=utf-8"})
    SigV4Auth(Credentials(keys["aws_access_key_id"], keys["aws_secret_access_key"]), "iam", "us-east-1").add_auth(request)
    with urllib.request.urlopen(urllib.request.Request(url, request.data, dict(request.headers))) as answer:
        assert answer.status == 200
    told = the_one(trail, "CreateUser", lambda r: name in json.dumps(r))
    assert told["requestParameters"] == {"userName": name, "tags": [{"key": "team", "value": "red"}]}
    assert iam.list_user_tags(UserName=name)["Tags"] == [{"Key": "team", "Value": "red"}]


@pytest.mark.parametrize("port", [FRONT, DYNAMODB])
def test_what_was_denied_and_what_was_only_read_leaves_one_too(region, iam, trail, port):
    name, keys = person(region, iam)
    mine = client(region, "dynamodb", keys, port)
    with pytest.raises(ClientError) as refused:
        mine.list_tables()
    code, why = error_of(refused)
    assert code == "AccessDeniedException"
    denied = the_one(trail, "ListTables", lambda r: r["userIdentity"].get("userName") == name)
    assert denied["errorCode"] == "AccessDenied" and denied["errorMessage"] == why
    assert denied["readOnly"] is True and denied["responseElements"] is None
    tables = client(region, "dynamodb", port=port)
    table = f"t-{uuid.uuid4().hex[:8]}"
    assert outcome(tables.describe_table, TableName=table) == "ResourceNotFoundException"
    create(tables, table)
    missed = the_one(
        trail, "DescribeTable", lambda r: r["requestParameters"]["tableName"] == table and "errorCode" in r
    )
    assert missed["errorCode"] == "ResourceNotFoundException"
    made = the_one(trail, "CreateTable", lambda r: r["requestParameters"]["tableName"] == table)
    assert made["responseElements"]["tableDescription"]["tableName"] == table
    assert made["resources"] == [{
        "accountId": FIRST, "type": "AWS::DynamoDB::Table", "ARN": f"arn:aws:dynamodb:us-east-1:{FIRST}:table/{table}"}]
    # Data calls are no management calls.
    tables.put_item(TableName=table, Item={"pk": {"S": "x"}})
    tables.delete_table(TableName=table)
    wait_for("the last", lambda: [r for r in records(trail, "ResourceName", table) if r["eventName"] == "DeleteTable"])
    assert {r["eventName"] for r in records(trail, "ResourceName", table)} == {
        "CreateTable", "DescribeTable", "DeleteTable"}


@pytest.mark.parametrize("port", [FRONT, DYNAMODB])
def test_a_name_of_megabytes_is_refused_and_stops_no_audit(region, iam, trail, port):
    name, keys = person(region, iam)
    long = "A" * 9_000_000
    if port == FRONT:
        refused = client(region, "cloudtrail", keys, port).get_trail
        arguments = {"Name": long}
    else:
        refused = client(region, "dynamodb", keys, port).tag_resource
        arguments = {"ResourceArn": long, "Tags": [{"Key": "a", "Value": "b"}]}
    # To each node: whichever it reaches, nothing stands still afterwards.
    for _ in range(6):
        wait_for("the key everywhere", lambda: outcome(refused, **arguments) == "ValidationException")
    operation = "GetTrail" if port == FRONT else "TagResource"
    event = wait_for("its event", lambda: records(trail, "EventName", operation))[0]
    assert event["requestParameters"]["omitted"] is True
    marker = "user-" + uuid.uuid4().hex[:8]
    iam.create_user(UserName=marker)
    the_one(trail, "CreateUser", lambda r: (r["requestParameters"] or {}).get("userName") == marker)


def test_sessions_are_told_with_who_is_behind_them_in_both_accounts(region, iam, trail):
    region.run("account", "create", OTHER, "--profile", "other")
    other = {s: client(region, s, keys_of(region, OTHER)) for s in ("iam", "sts", "cloudtrail")}
    wait_for("the other account", lambda: all(outcome(other["sts"].get_caller_identity) == "OK" for _ in range(6)))
    trust = {"Version": "2012-10-17", "Statement": {
        "Effect": "Allow", "Action": "sts:AssumeRole", "Principal": {"AWS": f"arn:aws:iam::{OTHER}:root"}}}
    iam.create_role(RoleName="guests", AssumeRolePolicyDocument=json.dumps(trust))
    ask = {"RoleArn": f"arn:aws:iam::{FIRST}:role/guests", "RoleSessionName": "ann-as-guest"}
    wait_for("the role", lambda: outcome(other["sts"].assume_role, **ask) == "OK")
    made = other["sts"].assume_role(**ask)["Credentials"]
    told = [
        the_one(t, "AssumeRole", lambda r: "errorCode" not in r
                and r["responseElements"]["credentials"]["accessKeyId"] == made["AccessKeyId"])
        for t in (other["cloudtrail"], trail)
    ]
    assert [r["recipientAccountId"] for r in told] == [OTHER, FIRST]
    assert told[0]["sharedEventID"] == told[1]["sharedEventID"] and told[0]["eventID"] != told[1]["eventID"]
    assert told[0]["userIdentity"]["userName"] == "administrator"
    # The role's owner learns whose account it was, and not who.
    who = {"type": "AWSAccount", "principalId": told[0]["userIdentity"]["principalId"], "accountId": OTHER}
    assert told[1]["userIdentity"] == who
    assert events(trail, "AccessKeyId", keys_of(region, OTHER)["aws_access_key_id"]) == []
    assert all(r["readOnly"] is True for r in told)
    expires = datetime.datetime.strptime(told[0]["responseElements"]["credentials"]["expiration"], "%b %d, %Y, %I:%M:%S %p")
    assert expires == made["Expiration"].replace(tzinfo=None)
    session = f"arn:aws:sts::{FIRST}:assumed-role/guests/ann-as-guest"
    for value in (made["AccessKeyId"], session):
        found = events(other["cloudtrail"], "ResourceName", value)
        assert told[0]["eventID"] in [e["EventId"] for e in found], value
    resources = [(r["ResourceType"], r["ResourceName"]) for r in found[-1]["Resources"]]
    assert ("AWS::STS::AssumedRole", "ann-as-guest") in resources and ("AWS::STS::AssumedRole", session) in resources
    assert ("AWS::IAM::Role", "guests") in resources and "AWS::IAM::AccessKey" in [kind for kind, _ in resources]
    assert made["SessionToken"] not in json.dumps(told) and made["SecretAccessKey"] not in json.dumps(told)
    guest = client(region, "iam", {
        "aws_access_key_id": made["AccessKeyId"], "aws_secret_access_key": made["SecretAccessKey"],
        "aws_session_token": made["SessionToken"]})
    assert outcome(guest.list_users) == "AccessDenied"
    denied = the_one(trail, "ListUsers", lambda r: r["userIdentity"]["type"] == "AssumedRole")
    who = denied["userIdentity"]
    assert who["arn"] == f"arn:aws:sts::{FIRST}:assumed-role/guests/ann-as-guest"
    assert who["principalId"].startswith("AROA") and who["principalId"].endswith(":ann-as-guest")
    issuer = who["sessionContext"]["sessionIssuer"]
    assert issuer["arn"] == f"arn:aws:iam::{FIRST}:role/guests" and issuer["userName"] == "guests"
    assert who["sessionContext"]["attributes"]["mfaAuthenticated"] == "false"
    assert [e["EventId"] for e in events(trail, "Username", "ann-as-guest")] == [denied["eventID"]]
    # One account's events are not the other's.
    assert all(r["recipientAccountId"] == OTHER for r in records(other["cloudtrail"]))


def test_temporary_keys_are_told_of_who_got_them_for_how_long(region, iam, trail):
    name, keys = person(region, iam)
    iam.put_user_policy(UserName=name, PolicyName="p", PolicyDocument=json.dumps({
        "Version": "2012-10-17", "Statement": {"Effect": "Allow", "Action": "sts:GetFederationToken", "Resource": "*"}}))
    sts = client(region, "sts", keys)
    ask = {"Name": "guest", "DurationSeconds": 900}
    wait_for("her right", lambda: all(outcome(sts.get_federation_token, **ask) == "OK" for _ in range(6)))
    issued = {"GetFederationToken": sts.get_federation_token(**ask), "GetSessionToken": sts.get_session_token(DurationSeconds=900)}
    for operation, answer in issued.items():
        key = answer["Credentials"]
        told = the_one(trail, operation, lambda r: "errorCode" not in r and r["responseElements"]["credentials"][
            "accessKeyId"] == key["AccessKeyId"])
        assert told["requestParameters"]["durationSeconds"] == 900
        assert set(told["responseElements"]["credentials"]) == {"accessKeyId", "expiration"}
        assert told["readOnly"] is (operation == "GetSessionToken")


def test_lookups_find_by_one_attribute_by_time_and_page_by_page(region, iam, trail):
    name, keys = person(region, iam)
    for n in range(7):
        iam.tag_user(UserName=name, Tags=[{"Key": f"k{n}", "Value": "v"}])
    wanted = wait_for("seven", lambda: [
        e for e in events(trail, "EventName", "TagUser") if name in e["CloudTrailEvent"]][6:]) and [
        e for e in events(trail, "EventName", "TagUser") if name in e["CloudTrailEvent"]]
    assert [json.loads(e["CloudTrailEvent"])["requestParameters"]["tags"][0]["key"] for e in wanted] == [
        f"k{n}" for n in reversed(range(7))]
    newest = wanted[0]
    assert newest["Username"] == "administrator" and newest["ReadOnly"] == "false"
    assert {"ResourceType": "AWS::IAM::User", "ResourceName": name} in newest["Resources"]
    ids = [e["EventId"] for e in wanted]
    for key, value in [
        ("ResourceName", name), ("ResourceType", "AWS::IAM::User"), ("EventSource", "iam.amazonaws.com"),
        ("AccessKeyId", keys_of(region)["aws_access_key_id"]), ("Username", "administrator"), ("ReadOnly", "false"),
    ]:
        assert [e["EventId"] for e in events(trail, key, value) if e["EventId"] in ids] == ids, key
    assert [e["EventId"] for e in events(trail, "EventId", ids[3])] == [ids[3]]
    assert events(trail, "ReadOnly", "true") and all(r["readOnly"] for r in records(trail, "ReadOnly", "true"))
    assert events(trail, "Username", "nobody-" + name) == []
    small = [e["EventId"] for e in events(trail, "EventName", "TagUser", PaginationConfig={"PageSize": 2})]
    assert [i for i in small if i in ids] == ids and len(set(small)) == len(small)
    # By time: what came before is not there.
    hour = datetime.timedelta(hours=1)
    now = datetime.datetime.now(datetime.timezone.utc)
    assert events(trail, EndTime=now - hour) == [] and events(trail, StartTime=now + hour) == []
    assert set(ids) <= {e["EventId"] for e in events(trail, StartTime=now - hour, EndTime=now + hour)}
    # Errors.
    attribute = {"AttributeKey": "EventName", "AttributeValue": "TagUser"}
    assert outcome(trail.lookup_events, StartTime=now, EndTime=now - hour) == "InvalidTimeRangeException"
    assert outcome(trail.lookup_events, NextToken="x") == "InvalidNextTokenException"
    assert outcome(trail.lookup_events, LookupAttributes=[attribute] * 2) == "InvalidLookupAttributesException"
    token = trail.lookup_events(LookupAttributes=[attribute], MaxResults=1)["NextToken"]
    assert outcome(trail.lookup_events, NextToken=token) == "InvalidNextTokenException"
    assert outcome(trail.lookup_events, LookupAttributes=[attribute], NextToken=token) == "OK"
    assert trail.lookup_events(EventCategory="insight")["Events"] == []
    assert outcome(client(region, "cloudtrail", keys).lookup_events) == "AccessDeniedException"


def test_no_dead_node_takes_an_event_with_it_and_none_is_invented(region, trail):
    """kill -9 of each control node in turn, among a thousand changes."""
    prefix = "m" + uuid.uuid4().hex[:6]
    # What an attempt answered: the official client may repeat what ended without an answer, each attempt is a call.
    done, open_ended = set(), set()
    numbers = itertools.count()

    def change(n):
        name = f"{prefix}-{n}"
        result = None
        for _ in range(40):
            try:
                result = outcome(client_of_thread().create_user, UserName=name)
            except Exception:
                result = "no answer"
            if result == "OK":
                return done.add(name)
            if result == "EntityAlreadyExists":
                # An attempt before did it, and its answer was lost.
                return open_ended.add(name)
            time.sleep(0.25)
        raise AssertionError(f"{name}: {result}")

    own = threading.local()

    def client_of_thread():
        if not hasattr(own, "client"):
            own.client = client(region, "iam")
        return own.client

    for zone in "abc":
        stop = threading.Event()

        def work(zone=zone, stop=stop):
            while not stop.is_set():
                change(f"{zone}{next(numbers)}")

        before = len(done)
        with concurrent.futures.ThreadPoolExecutor(8) as pool:
            workers = [pool.submit(work) for _ in range(8)]
            wait_for("some changes", lambda: len(done) > before + 50)
            region.chaos("kill", f"control-node-{zone}1")
            wait_for("changes without it", lambda: len(done) > before + CALLS // 3 + 1)
            stop.set()
            for worker in workers:
                worker.result()
        region.chaos("start", f"control-node-{zone}1")
    names = done | open_ended
    assert len(done) >= CALLS

    def look():
        found = {}
        for record in records(trail, "EventName", "CreateUser"):
            name = (record["requestParameters"] or {}).get("userName", "")
            if name.startswith(prefix) and "errorCode" not in record:
                assert name not in found, f"two events of success of {name}"
                found[name] = record
        return found if len(found) >= len(names) else None

    found = wait_for("all events", look)
    assert set(found) == names


def test_a_data_node_spools_while_no_control_node_is_there(region, trail):
    tables = client(region, "dynamodb", port=DYNAMODB)
    table = f"t-{uuid.uuid4().hex[:8]}"
    create(tables, table)
    region.chaos("kill", "control-node")
    try:
        agent = "spooled-" + uuid.uuid4().hex[:8]
        alone = boto3.Session(**keys_of(region), region_name="us-east-1").client(
            "dynamodb", endpoint_url=f"http://127.0.0.1:{DYNAMODB + region.offset}",
            config=ONCE.merge(Config(user_agent_extra=agent)))
        for _ in range(5):
            assert outcome(alone.describe_table, TableName=table) == "OK"
    finally:
        region.chaos("kill", "dynamo-node")
        region.up()
    wait_for("the region", lambda: outcome(trail.lookup_events) == "OK")
    wait_for("five events", lambda: len([
        r for r in records(trail, "ResourceName", table) if agent in r["userAgent"]]) == 5)
