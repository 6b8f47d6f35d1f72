"""Trails: what they select is delivered as files, once each, whoever dies; and the aws CLI's own code validates the chain
of digests, and finds what was changed, removed or put in another's place."""

import base64
import collections
import concurrent.futures
import datetime
import gzip
import io
import itertools
import json
import os
import pathlib
import shutil
import socket
import subprocess
import threading
import time
import urllib.parse
import uuid

import boto3
import pytest
from awscli.customizations.cloudtrail.validation import CloudTrailValidateLogs
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.exceptions import ClientError
from calls import outcome
from identities import ONCE
from own_region import DYNAMODB, FRONT, OwnRegion, create, wait_for

ACCOUNT = "111122223333"
DIGESTS_S = 4


@pytest.fixture(scope="module")
def region():
    region = OwnRegion()
    region.environment = {
        "BREAKWATER_TRAIL_FILES_EVERY_MS": "500",
        "BREAKWATER_TRAIL_DIGESTS_EVERY_MS": str(DIGESTS_S * 1_000),
        "BREAKWATER_TRAIL_STRAGGLERS_MS": "3000",
    }
    region.up()
    yield region
    region.remove()


def client(region, service, port=FRONT):
    where = region.root / region.name / "operator/credentials"
    keys = dict(line.split(" = ") for line in where.read_text().splitlines() if " = " in line)
    return boto3.Session(**keys, region_name="us-east-1").client(
        service, endpoint_url=f"http://127.0.0.1:{port + region.offset}", config=ONCE
    )


@pytest.fixture(scope="module")
def trails(region):
    return client(region, "cloudtrail")


@pytest.fixture(scope="module")
def iam(region):
    return client(region, "iam")


@pytest.fixture
def trail(trails):
    """A trail that logs, with a bucket of its own."""
    made = trails.create_trail(
        Name="t" + uuid.uuid4().hex[:8], S3BucketName="logs-" + uuid.uuid4().hex[:8], S3KeyPrefix="a/b",
        EnableLogFileValidation=True)
    trails.start_logging(Name=made["Name"])
    yield made
    trails.delete_trail(Name=made["Name"])


def exported(region, bucket):
    """All that was delivered there, copied by the command."""
    folder = region.directory / ("copy-" + uuid.uuid4().hex[:8])
    # Where nothing is yet, that is no success.
    region.run("trail-files", "copy", bucket + "/", str(folder), check=False)
    return folder


def records(region, bucket):
    folder = exported(region, bucket)
    try:
        files = sorted((folder / bucket).rglob("*_CloudTrail_*.json.gz")) if folder.exists() else []
        return [r for file in files for r in json.loads(gzip.decompress(file.read_bytes()))["Records"]]
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def delivered(region, bucket, fits, count=1):
    """Events that fit, once so many are there: never more than once each."""

    def look():
        found = [r for r in records(region, bucket) if fits(r)]
        ids = [r["eventID"] for r in found]
        assert len(ids) == len(set(ids)), "an event was delivered twice"
        return found if len(found) >= count else None

    return wait_for(f"{count} delivered events", look)


# -- the aws CLI's validation, over a folder instead of S3


class Folder:
    """What the CLI asks of S3, answered from an exported folder."""

    def __init__(self, folder):
        self.folder = folder

    def get_client(self, _bucket):
        return self

    def get_object(self, Bucket, Key):
        path = self.folder / Bucket / Key
        if not path.exists():
            raise ClientError({"Error": {"Code": "NoSuchKey", "Message": "no such key"}}, "GetObject")
        metadata = json.loads(path.with_name(path.name + ".metadata.json").read_text())
        prefix = "x-amz-meta-"
        return {
            "Body": io.BytesIO(path.read_bytes()),
            "Metadata": {name.removeprefix(prefix): v for name, v in metadata.items() if name.startswith(prefix)},
        }

    def get_paginator(self, _operation):
        return self

    def paginate(self, Bucket, Marker, Prefix):
        self.keys = sorted(
            key for path in (self.folder / Bucket).rglob("*.json.gz")
            if (key := str(path.relative_to(self.folder / Bucket))).startswith(Prefix) and key > Marker)
        return self

    def search(self, _expression):
        return iter(self.keys)


class CliClient:
    """As the CLI's own client: blobs stay base64."""

    def __init__(self, client):
        self.client = client

    def list_public_keys(self, **arguments):
        answer = self.client.list_public_keys(**arguments)
        for key in answer["PublicKeyList"]:
            key["Value"] = base64.b64encode(key["Value"]).decode()
        return answer

    def describe_trails(self, **arguments):
        return self.client.describe_trails(**arguments)


def validate(trails, arn, folder, since):
    """`aws cloudtrail validate-logs`, with S3 replaced. What it counted, and what it said."""
    command = CloudTrailValidateLogs(boto3.Session()._session)
    said = []
    command._write_status = lambda message, is_error=False: said.append(message) if is_error else None
    command.trail_arn, command.start_time = arn, since
    command.end_time = datetime.datetime.now(datetime.timezone.utc)
    command._source_region = "us-east-1"
    command.s3_client_provider, command.cloudtrail_client = Folder(folder), CliClient(trails)
    command.organization_client = None
    command._call()
    counts = (command._valid_digests, command._invalid_digests, command._valid_logs, command._invalid_logs)
    return counts, said


def digest_of(folder, key):
    return json.loads(gzip.decompress((folder / key).read_bytes()))


@pytest.fixture(scope="module")
def chain(region, trails, iam):
    """A chain of digests over several files, exported."""
    since = datetime.datetime.now(datetime.timezone.utc) - datetime.timedelta(minutes=1)
    made = trails.create_trail(
        Name="chain", S3BucketName="chain-logs", S3KeyPrefix="a/b", EnableLogFileValidation=True)
    trails.start_logging(Name="chain")
    last = None
    for n in range(3):
        # Into a digest each.
        iam.create_user(UserName=f"chain-{n}")
        delivered(region, "chain-logs", lambda r: (r["requestParameters"] or {}).get("userName") == f"chain-{n}")
        last = wait_for("a digest after it", lambda: (
            (now := trails.get_trail_status(Name="chain").get("LatestDigestDeliveryTime")) and now != last and now))
    # The last digest names the last file: another one is awaited.
    wait_for("one more digest", lambda: trails.get_trail_status(Name="chain")["LatestDigestDeliveryTime"] != last)
    trails.stop_logging(Name="chain")
    return made["TrailARN"], exported(region, "chain-logs"), since


def copy_of(chain, region):
    arn, folder, since = chain
    copy = region.directory / ("broken-" + uuid.uuid4().hex[:8])
    shutil.copytree(folder, copy)
    return arn, copy, since


def files_of(folder, kind):
    return sorted(folder.rglob(f"*_{kind}_*.json.gz"))


def test_the_cli_accepts_the_chain(chain, trails):
    arn, folder, since = chain
    (digests, bad_digests, logs, bad_logs), said = validate(trails, arn, folder, since)
    assert (bad_digests, bad_logs) == (0, 0), said
    assert digests >= 4 and digests == len(files_of(folder, "CloudTrail-Digest"))
    # Those that came after the last digest are in none yet.
    assert logs >= 3
    newest = digest_of(folder, files_of(folder, "CloudTrail-Digest")[-1])
    assert set(newest) == {
        "awsAccountId", "digestStartTime", "digestEndTime", "digestS3Bucket", "digestS3Object",
        "digestPublicKeyFingerprint", "digestSignatureAlgorithm", "newestEventTime", "oldestEventTime",
        "previousDigestS3Bucket", "previousDigestS3Object", "previousDigestHashValue", "previousDigestHashAlgorithm",
        "previousDigestSignature", "logFiles"}
    assert newest["digestSignatureAlgorithm"] == "SHA256withRSA" and newest["awsAccountId"] == ACCOUNT
    first = digest_of(folder, files_of(folder, "CloudTrail-Digest")[0])
    assert first["previousDigestSignature"] is None
    for path in files_of(folder, "CloudTrail"):
        assert "/a/b/AWSLogs/111122223333/CloudTrail/us-east-1/" in str(path)


def named_logs(folder):
    """Files that a digest names, with more than one event apart."""
    named = [log["s3Object"] for path in files_of(folder, "CloudTrail-Digest") for log in digest_of(folder, path)["logFiles"]]
    return [folder / "chain-logs" / key for key in named]


def test_the_cli_finds_a_changed_file(chain, trails, region):
    arn, folder, since = copy_of(chain, region)
    victim = named_logs(folder)[1]
    content = gzip.decompress(victim.read_bytes())
    victim.write_bytes(gzip.compress(content.replace(b'"readOnly":false', b'"readOnly":true')))
    if gzip.decompress(victim.read_bytes()) == content:
        victim.write_bytes(gzip.compress(content.replace(b"us-east-1", b"us-east-2")))
    counts, said = validate(trails, arn, folder, since)
    assert counts[1] == 0 and counts[3] == 1 and "hash value doesn't match" in said[0] and victim.name in said[0]
    # So does our own command, which needs no S3; and what lies in the region is as it was delivered.
    told = region.run("trail-files", "validate", "chain-logs")
    assert "digest files valid, " in told and "INVALID" not in told, told
    # With a status that says so.
    told = region.run("trail-files", "validate", str(folder), check=False)
    assert told.count("INVALID: ") == 1 and f"{victim.name}\tINVALID: hash value doesn't match" in told, told


def test_the_cli_finds_a_missing_file_and_a_missing_digest(chain, trails, region):
    arn, folder, since = copy_of(chain, region)
    victim = named_logs(folder)[1]
    victim.unlink()
    counts, said = validate(trails, arn, folder, since)
    assert counts[1] == 0 and counts[3] == 1 and "not found" in said[0] and victim.name in said[0]
    arn, folder, since = copy_of(chain, region)
    victim = files_of(folder, "CloudTrail-Digest")[1]
    victim.unlink()
    counts, said = validate(trails, arn, folder, since)
    assert counts[1] == 1 and any("not found" in s and victim.name in s for s in said)


def swap(one, other):
    for a, b in [(one, other), *[(p.with_name(p.name + ".metadata.json") for p in (one, other))]]:
        content = a.read_bytes()
        a.write_bytes(b.read_bytes())
        b.write_bytes(content)


def test_the_cli_finds_files_in_each_others_place(chain, trails, region):
    arn, folder, since = copy_of(chain, region)
    one, other = named_logs(folder)[:2]
    swap(one, other)
    counts, said = validate(trails, arn, folder, since)
    assert counts[1] == 0 and counts[3] == 2 and all("hash value doesn't match" in s for s in said)
    arn, folder, since = copy_of(chain, region)
    swap(*files_of(folder, "CloudTrail-Digest")[1:3])
    counts, said = validate(trails, arn, folder, since)
    assert counts[1] == 2 and all("moved from its original location" in s for s in said)


def test_a_digest_that_nobody_signed_is_found(chain, trails, region):
    arn, folder, since = copy_of(chain, region)
    victim = files_of(folder, "CloudTrail-Digest")[-1]
    told = digest_of(folder, victim)
    told["logFiles"] = []
    victim.write_bytes(gzip.compress(json.dumps(told).encode()))
    counts, said = validate(trails, arn, folder, since)
    assert counts[1] == 1 and "signature verification failed" in said[0]


# -- the operations


def test_trails_are_made_changed_and_described(trails):
    name, bucket = "t" + uuid.uuid4().hex[:8], "logs-" + uuid.uuid4().hex[:8]
    made = trails.create_trail(Name=name, S3BucketName=bucket, TagsList=[{"Key": "team", "Value": "a"}])
    arn = f"arn:aws:cloudtrail:us-east-1:{ACCOUNT}:trail/{name}"
    assert {k: v for k, v in made.items() if k != "ResponseMetadata"} == {
        "Name": name, "S3BucketName": bucket, "IncludeGlobalServiceEvents": True, "IsMultiRegionTrail": False,
        "TrailARN": arn, "LogFileValidationEnabled": False, "IsOrganizationTrail": False}
    assert trails.get_trail(Name=arn)["Trail"] == trails.describe_trails(trailNameList=[name])["trailList"][0]
    shown = trails.get_trail(Name=name)["Trail"]
    assert shown["HomeRegion"] == "us-east-1" and not shown["HasCustomEventSelectors"]
    assert {"TrailARN": arn, "Name": name, "HomeRegion": "us-east-1"} in trails.list_trails()["Trails"]
    status = trails.get_trail_status(Name=name)
    assert not status["IsLogging"] and "LatestDeliveryTime" not in status
    trails.start_logging(Name=arn)
    assert trails.get_trail_status(Name=name)["IsLogging"]
    trails.stop_logging(Name=name)
    status = trails.get_trail_status(Name=name)
    assert not status["IsLogging"] and status["StartLoggingTime"] <= status["StopLoggingTime"]
    changed = trails.update_trail(Name=name, S3KeyPrefix="x", EnableLogFileValidation=True, IsMultiRegionTrail=True)
    assert changed["S3KeyPrefix"] == "x" and changed["LogFileValidationEnabled"] and changed["IsMultiRegionTrail"]
    assert outcome(trails.update_trail, Name=name, IncludeGlobalServiceEvents=False) == "InvalidParameterCombinationException"
    assert outcome(trails.get_insight_selectors, TrailName=name) == "InsightNotEnabledException"
    default = {"ReadWriteType": "All", "IncludeManagementEvents": True, "DataResources": [],
               "ExcludeManagementEventSources": []}
    assert trails.get_event_selectors(TrailName=name)["EventSelectors"] == [default]
    advanced = [{"Name": "all writes", "FieldSelectors": [
        {"Field": "eventCategory", "Equals": ["Management"]}, {"Field": "readOnly", "Equals": ["false"]}]}]
    assert trails.put_event_selectors(TrailName=name, AdvancedEventSelectors=advanced)["AdvancedEventSelectors"] == advanced
    assert trails.get_event_selectors(TrailName=arn)["AdvancedEventSelectors"] == advanced
    assert trails.get_trail(Name=name)["Trail"]["HasCustomEventSelectors"]
    trails.put_event_selectors(TrailName=name, EventSelectors=[{}])
    assert not trails.get_trail(Name=name)["Trail"]["HasCustomEventSelectors"]
    assert outcome(trails.put_event_selectors, TrailName=name) == "InvalidEventSelectorsException"
    trails.add_tags(ResourceId=arn, TagsList=[{"Key": "x", "Value": "1"}, {"Key": "team", "Value": "b"}])
    trails.remove_tags(ResourceId=arn, TagsList=[{"Key": "x"}])
    assert trails.list_tags(ResourceIdList=[arn])["ResourceTagList"] == [
        {"ResourceId": arn, "TagsList": [{"Key": "team", "Value": "b"}]}]
    assert outcome(trails.list_tags, ResourceIdList=[arn + "x"]) == "ResourceNotFoundException"
    assert outcome(trails.add_tags, ResourceId=name, TagsList=[]) == "CloudTrailARNInvalidException"
    assert outcome(trails.create_trail, Name=name, S3BucketName=bucket) == "TrailAlreadyExistsException"
    elsewhere = arn.replace("us-east-1", "eu-west-1")
    assert trails.describe_trails(trailNameList=[elsewhere])["trailList"] == []
    assert [t["Name"] for t in trails.describe_trails(trailNameList=[elsewhere, arn])["trailList"]] == [name]
    assert outcome(trails.put_event_selectors, TrailName=name, AdvancedEventSelectors=[{"FieldSelectors": [
        {"Field": "eventCategory", "Equals": ["Data"]}, {"Field": "resources.type", "Equals": ["AWS::DynamoDB::Table"]},
        {"Field": "eventName", "Equals": ["é" * 2_000] * 450}]}]) == "InvalidEventSelectorsException"
    trails.delete_trail(Name=name)
    assert outcome(trails.get_trail, Name=name) == "TrailNotFoundException"
    assert outcome(trails.delete_trail, Name=arn) == "TrailNotFoundException"
    assert outcome(trails.start_logging, Name=arn.replace("us-east-1", "eu-west-1")) == "InvalidHomeRegionException"
    for bad, code in [
        ({"Name": "x", "S3BucketName": bucket}, "InvalidTrailNameException"),
        ({"Name": "x--y", "S3BucketName": bucket}, "InvalidTrailNameException"),
        ({"Name": "abc", "S3BucketName": "B"}, "InvalidS3BucketNameException"),
        ({"Name": "abc", "S3BucketName": bucket, "S3KeyPrefix": "../x"}, "InvalidS3PrefixException"),
        ({"Name": "abc", "S3BucketName": bucket, "KmsKeyId": "alias/x"}, "KmsKeyNotFoundException"),
        ({"Name": "abc", "S3BucketName": bucket, "SnsTopicName": "x"}, "InsufficientSnsTopicPolicyException"),
        ({"Name": "abc", "S3BucketName": bucket, "IsOrganizationTrail": True}, "OrganizationsNotInUseException"),
        ({"Name": "abc", "S3BucketName": bucket, "TagsList": [{"Key": "a"}] * 2}, "InvalidTagParameterException"),
    ]:
        assert outcome(trails.create_trail, **bad) == code, bad


def test_an_account_has_five_trails_at_most_also_of_calls_at_once(trails):
    names = ["t" + uuid.uuid4().hex[:8] for _ in range(12)]

    def make(name):
        return outcome(trails.create_trail, Name=name, S3BucketName="some-logs")

    with concurrent.futures.ThreadPoolExecutor(len(names)) as pool:
        codes = list(pool.map(make, names))
    try:
        assert set(codes) == {"OK", "MaximumNumberOfTrailsExceededException"}, codes
        assert len(trails.list_trails()["Trails"]) == 5
    finally:
        for name, code in zip(names, codes):
            if code == "OK":
                trails.delete_trail(Name=name)


# -- deliveries


def test_what_was_started_and_stopped_bounds_what_is_delivered(region, trails, iam):
    name, bucket = "t" + uuid.uuid4().hex[:8], "logs-" + uuid.uuid4().hex[:8]
    trails.create_trail(Name=name, S3BucketName=bucket)
    users = [f"{name}-{n}" for n in range(4)]
    iam.create_user(UserName=users[0])
    trails.start_logging(Name=name)
    iam.create_user(UserName=users[1])
    trails.stop_logging(Name=name)
    iam.create_user(UserName=users[2])
    trails.start_logging(Name=name)
    iam.create_user(UserName=users[3])
    made = delivered(
        region, bucket, lambda r: r["eventName"] == "CreateUser" and r["requestParameters"]["userName"] in users, 2)
    assert [r["requestParameters"]["userName"] for r in made] == [users[1], users[3]]
    own = [r["eventName"] for r in records(region, bucket) if r["eventName"].endswith("Logging")]
    assert own == ["StartLogging", "StopLogging", "StartLogging"]
    status = trails.get_trail_status(Name=name)
    assert status["LatestDeliveryTime"] and "LatestDeliveryError" not in status
    trails.delete_trail(Name=name)
    # What was delivered stays.
    assert records(region, bucket)


def of_user(user):
    return lambda r: r["eventName"] == "CreateUser" and r["requestParameters"]["userName"] == user


def test_stopping_and_starting_many_times_loses_nothing(region, trails, iam, trail):
    user = "u" + uuid.uuid4().hex[:8]
    iam.create_user(UserName=user)
    for _ in range(17):
        trails.stop_logging(Name=trail["Name"])
        trails.start_logging(Name=trail["Name"])
    delivered(region, trail["S3BucketName"], of_user(user))


def test_selectors_say_nothing_of_what_happened_before_them(region, trails, iam, trail):
    name, bucket = trail["Name"], trail["S3BucketName"]
    users = ["u" + uuid.uuid4().hex[:8] for _ in range(4)]
    iam.create_user(UserName=users[0])
    trails.put_event_selectors(TrailName=name, EventSelectors=[{"ReadWriteType": "ReadOnly"}])
    iam.create_user(UserName=users[1])
    trails.put_event_selectors(TrailName=name, EventSelectors=[{}])
    started = trails.get_trail_status(Name=name)["StartLoggingTime"]
    iam.create_user(UserName=users[2])
    trails.update_trail(Name=name, IncludeGlobalServiceEvents=False)
    iam.create_user(UserName=users[3])
    trails.stop_logging(Name=name)
    delivered(region, bucket, lambda r: r["eventName"] == "StopLogging")
    told = {r["requestParameters"]["userName"] for r in records(region, bucket) if r["eventName"] == "CreateUser"}
    assert told & set(users) == {users[0], users[2]}
    assert trails.get_trail_status(Name=name)["StartLoggingTime"] == started


def test_a_deleted_trail_delivers_what_happened_before_and_ends_its_chain(region, trails, iam):
    name, user, other = "t" + uuid.uuid4().hex[:8], "u" + uuid.uuid4().hex[:8], "u" + uuid.uuid4().hex[:8]
    buckets = ["logs-" + uuid.uuid4().hex[:8] for _ in range(2)]
    trails.create_trail(Name=name, S3BucketName=buckets[0], EnableLogFileValidation=True)
    trails.start_logging(Name=name)
    iam.create_user(UserName=user)
    trails.delete_trail(Name=name)
    # One of the same name has nothing to do with it.
    trails.create_trail(Name=name, S3BucketName=buckets[1])
    trails.start_logging(Name=name)
    iam.create_user(UserName=other)
    delivered(region, buckets[0], of_user(user))
    delivered(region, buckets[0], lambda r: r["eventName"] == "DeleteTrail" and r["requestParameters"]["name"] == name)
    delivered(region, buckets[1], of_user(other))
    assert not [r for r in records(region, buckets[1]) if of_user(user)(r)]
    wait_for("a digest of all", lambda: undigested(region, buckets[0]) == set())
    trails.delete_trail(Name=name)


def undigested(region, bucket):
    """Files that no digest names. None where there are no files."""
    folder = exported(region, bucket)
    files = {str(path.relative_to(folder / bucket)) for path in files_of(folder, "CloudTrail")}
    digests = [digest_of(folder, path) for path in files_of(folder, "CloudTrail-Digest")]
    shutil.rmtree(folder, ignore_errors=True)
    return files - {log["s3Object"] for digest in digests for log in digest["logFiles"]} if files else None


def test_where_validation_ends_a_last_digest_names_all_files(region, trails, iam, trail):
    name, bucket = trail["Name"], trail["S3BucketName"]
    users = ["u" + uuid.uuid4().hex[:8] for _ in range(2)]
    since = datetime.datetime.now(datetime.timezone.utc) - datetime.timedelta(minutes=1)
    iam.create_user(UserName=users[0])
    delivered(region, bucket, of_user(users[0]))
    before = undigested(region, bucket)
    trails.update_trail(Name=name, EnableLogFileValidation=False)
    wait_for("a last digest", lambda: not undigested(region, bucket) & before)
    trails.update_trail(Name=name, EnableLogFileValidation=True)
    iam.create_user(UserName=users[1])
    delivered(region, bucket, of_user(users[1]))
    last = trails.get_trail_status(Name=name)["LatestDeliveryTime"]
    wait_for("a digest after it", lambda: trails.get_trail_status(Name=name)["LatestDigestDeliveryTime"] > last)
    counts, said = validate(trails, trail["TrailARN"], exported(region, bucket), since)
    assert counts[0] > 1 and counts[1] == counts[3] == 0, said


def test_selectors_select(region, trails, iam, trail):
    name, bucket = trail["Name"], trail["S3BucketName"]
    trails.put_event_selectors(TrailName=name, EventSelectors=[{"ReadWriteType": "WriteOnly"}])
    delivered(region, bucket, lambda r: r["eventName"] == "PutEventSelectors")
    user = "u" + uuid.uuid4().hex[:8]
    iam.list_users(PathPrefix=f"/{user}/")
    iam.create_user(UserName=user)
    delivered(region, bucket, lambda r: r["eventName"] == "CreateUser" and r["requestParameters"]["userName"] == user)
    after = list(itertools.dropwhile(lambda r: r["eventName"] != "PutEventSelectors", records(region, bucket)))
    assert after and not any(r["readOnly"] for r in after[1:])


def put_by_hand(tables, table, key):
    """The connection on which the call was sent: each new one may be another data node's."""
    where, credentials = urllib.parse.urlsplit(tables.meta.endpoint_url), tables._request_signer._credentials
    body = json.dumps({"TableName": table, "Item": {"pk": {"S": key}, "secret": {"S": "not told"}}}).encode()
    request = AWSRequest("POST", tables.meta.endpoint_url + "/", data=body, headers={
        "Content-Type": "application/x-amz-json-1.0", "X-Amz-Target": "DynamoDB_20120810.PutItem"})
    SigV4Auth(credentials, "dynamodb", "us-east-1").add_auth(request)
    head = "".join(f"{name}: {value}\r\n" for name, value in request.headers.items())
    connection = socket.create_connection((where.hostname, where.port))
    connection.sendall(
        f"POST / HTTP/1.1\r\nHost: {where.netloc}\r\nContent-Length: {len(body)}\r\n{head}\r\n".encode() + body)
    return connection


def puts(region, trail, prefix):
    """Keys and error codes of delivered PutItems."""
    keys = [((r["requestParameters"] or {}).get("key", {}).get("pk", ""), r.get("errorCode"))
            for r in records(region, trail["S3BucketName"]) if r["eventName"] == "PutItem"]
    return [(key, error) for key, error in keys if key.startswith(prefix)]


def every_node_tells(region, trail, tables, table):
    """Waits until data nodes have heard of the trail's selector, each of them: a row of calls on new connections, which
    the edge gives to them in turn, leaves an event of each call."""
    rows, length = itertools.count(), 9

    def row():
        number = next(rows)
        for n in range(length):
            with put_by_hand(tables, table, f"known-{number}-{n}") as connection:
                assert connection.recv(16).startswith(b"HTTP/1.1 200"), "a write failed"
        told = collections.Counter(key.rsplit("-", 1)[0] for key, _ in puts(region, trail, "known-"))
        return length in told.values()

    wait_for("events of a whole row", row)


@pytest.mark.parametrize("port", [FRONT, DYNAMODB])
def test_data_calls_leave_events_where_a_selector_names_them(region, trails, trail, port):
    tables = client(region, "dynamodb", port)
    mine, other = ("t" + uuid.uuid4().hex[:8] for _ in range(2))
    for table in (mine, other):
        create(tables, table)
    arn = f"arn:aws:dynamodb:us-east-1:{ACCOUNT}:table/{mine}"
    trails.put_event_selectors(TrailName=trail["Name"], EventSelectors=[{
        "IncludeManagementEvents": False, "DataResources": [{"Type": "AWS::DynamoDB::Table", "Values": [arn]}]}])
    is_data = lambda r: r["eventCategory"] == "Data"

    every_node_tells(region, trail, tables, mine)
    for table in (mine, other):
        tables.get_item(TableName=table, Key={"pk": {"S": "read"}})
    with pytest.raises(ClientError):
        tables.update_item(TableName=mine, Key={"pk": {"S": "no"}}, UpdateExpression="SET a = :a",
                           ConditionExpression="attribute_exists(pk)",
                           ExpressionAttributeValues={":a": {"S": "not told"}})
    tables.batch_write_item(RequestItems={mine: [{"PutRequest": {"Item": {"pk": {"S": "b"}, "secret": {"S": "not told"}}}}]})
    told = delivered(region, trail["S3BucketName"], lambda r: is_data(r) and r["eventName"] != "PutItem", 3)
    by_name = {r["eventName"]: r for r in told}
    assert set(by_name) == {"GetItem", "UpdateItem", "BatchWriteItem"}
    read = by_name["GetItem"]
    assert read["requestParameters"] == {"tableName": mine, "key": {"pk": "read"}} and read["readOnly"] is True
    assert read["managementEvent"] is False and read["responseElements"] is None
    assert read["apiVersion"] == "2012-08-10" and read["eventSource"] == "dynamodb.amazonaws.com"
    assert read["resources"] == [{"accountId": ACCOUNT, "type": "AWS::DynamoDB::Table", "ARN": arn}]
    assert by_name["UpdateItem"]["errorCode"] == "ConditionalCheckFailedException"
    everything = records(region, trail["S3BucketName"])
    wrote = next(r for r in everything if r["eventName"] == "PutItem")
    key = wrote["requestParameters"]["key"]
    assert wrote["requestParameters"] == {"tableName": mine, "key": key, "items": ["pk", "secret"]}
    assert set(key) == {"pk"} and key["pk"].startswith("known-")
    assert "not told" not in json.dumps(everything) and other not in json.dumps([r for r in everything if is_data(r)])
    # They aren't looked up.
    found = trails.lookup_events(LookupAttributes=[{"AttributeKey": "EventName", "AttributeValue": "GetItem"}])
    assert found["Events"] == []


def test_who_hangs_up_is_told_of_as_what_became_of_her_call(region, trails, trail):
    tables, table = client(region, "dynamodb"), "t" + uuid.uuid4().hex[:8]
    create(tables, table)
    arn = f"arn:aws:dynamodb:us-east-1:{ACCOUNT}:table/{table}"
    trails.put_event_selectors(TrailName=trail["Name"], EventSelectors=[{
        "IncludeManagementEvents": False, "DataResources": [{"Type": "AWS::DynamoDB::Table", "Values": [arn]}]}])

    every_node_tells(region, trail, tables, table)
    for n in range(40):
        with put_by_hand(tables, table, f"left-{n}"):
            pass

    def written():
        items = tables.scan(TableName=table, ConsistentRead=True)["Items"]
        return {i["pk"]["S"] for i in items if i["pk"]["S"].startswith("left-")}

    wait_for("a write of who hung up", written)

    def told():
        events, there = puts(region, trail, "left-"), written()
        done = {key for key, error in events if error is None}
        print("written", sorted(there), "told", events)
        return there == done

    wait_for("events that tell what was written", told)


def test_each_event_of_an_acknowledged_call_is_delivered_once_whoever_dies(region, trails, iam, trail):
    """kill -9 of the audit group's leader, again and again, while it delivers."""
    done, numbers, stop = set(), itertools.count(), threading.Event()
    prefix = "d" + uuid.uuid4().hex[:6]

    def work():
        mine = client(region, "iam")
        while not stop.is_set():
            name = f"{prefix}-{next(numbers)}"
            try:
                if outcome(mine.create_user, UserName=name) == "OK":
                    done.add(name)
            except Exception:
                time.sleep(0.05)

    def leader():
        groups = region.groups()
        return groups["audit"]["leader"] if "audit" in groups else None

    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        workers = [pool.submit(work) for _ in range(4)]
        try:
            for _ in range(3):
                before = len(done)
                wait_for("more changes", lambda: len(done) > before + 100)
                files = region.run("trail-files", "list", trail["S3BucketName"] + "/").count("\n")
                wait_for("another file", lambda: region.run(
                    "trail-files", "list", trail["S3BucketName"] + "/", check=False).count("\n") > files)
                victim = wait_for("a leader", leader)
                region.chaos("kill", victim)
                wait_for("another leader", lambda: leader() not in (None, victim))
                region.chaos("start", victim)
                region.wait_healthy("control-node", 1)
        finally:
            stop.set()
        for worker in workers:
            worker.result()
    assert len(done) >= 300

    def is_mine(record):
        name = (record["requestParameters"] or {}).get("userName", "")
        return record["eventName"] == "CreateUser" and name.startswith(prefix) and "errorCode" not in record

    def look():
        found = [r for r in records(region, trail["S3BucketName"]) if is_mine(r)]
        names = [r["requestParameters"]["userName"] for r in found]
        assert len(names) == len(set(names)), "delivered twice"
        return names if done <= set(names) else None

    names = wait_for("all of them", look)
    everything = [r["eventID"] for r in records(region, trail["S3BucketName"])]
    assert len(everything) == len(set(everything))
    # None is invented: what wasn't acknowledged was asked for.
    assert all(int(name.split("-")[1]) <= next(numbers) for name in names)
    # The chain holds over all the deaths.
    status = trails.get_trail_status(Name=trail["Name"])
    wait_for("a digest of the last file", lambda: trails.get_trail_status(Name=trail["Name"]).get(
        "LatestDigestDeliveryTime", status["LatestDeliveryTime"]) > status["LatestDeliveryTime"])
    since = datetime.datetime.now(datetime.timezone.utc) - datetime.timedelta(minutes=30)
    counts, said = validate(trails, trail["TrailARN"], exported(region, trail["S3BucketName"]), since)
    assert counts[0] > 0 and counts[1] == counts[3] == 0, said


# -- Terraform

PLUGINS = pathlib.Path(os.environ.get("TERRAFORM_PLUGINS", "/opt/tf-plugins"))

CONFIGURATION = """
terraform {
  required_providers {
    aws = { source = "hashicorp/aws" }
  }
}
provider "aws" {
  region                      = "us-east-1"
  access_key                  = "%(aws_access_key_id)s"
  secret_key                  = "%(aws_secret_access_key)s"
  skip_metadata_api_check     = true
  skip_region_validation      = true
  endpoints {
    cloudtrail = "%(endpoint)s"
    iam        = "%(endpoint)s"
    sts        = "%(endpoint)s"
  }
}
resource "aws_cloudtrail" "plain" {
  name           = "terraform-plain"
  s3_bucket_name = "terraform-logs"
}
resource "aws_cloudtrail" "basic" {
  name                          = "terraform-basic"
  s3_bucket_name                = "terraform-logs"
  s3_key_prefix                 = "%(prefix)s"
  include_global_service_events = true
  is_multi_region_trail         = true
  enable_log_file_validation    = true
  enable_logging                = %(logging)s
  tags                          = { team = "%(prefix)s" }
  event_selector {
    read_write_type           = "All"
    include_management_events = true
    data_resource {
      type   = "AWS::DynamoDB::Table"
      values = ["arn:aws:dynamodb:us-east-1:111122223333:table/%(prefix)s"]
    }
  }
}
resource "aws_cloudtrail" "advanced" {
  name           = "terraform-advanced"
  s3_bucket_name = "terraform-logs"
  advanced_event_selector {
    name = "writes of items"
    field_selector {
      field  = "eventCategory"
      equals = ["Data"]
    }
    field_selector {
      field  = "resources.type"
      equals = ["AWS::DynamoDB::Table"]
    }
    field_selector {
      field           = "eventName"
      not_starts_with = ["Get", "%(prefix)s"]
    }
  }
}
"""


@pytest.mark.skipif(not (shutil.which("terraform") and PLUGINS.exists()), reason="no Terraform with the AWS provider here")
def test_terraform_makes_changes_and_removes_trails_without_a_difference(region, trails):
    folder = region.directory / "terraform"
    folder.mkdir()
    (folder / "terraformrc").write_text(f'provider_installation {{ filesystem_mirror {{ path = "{PLUGINS}" }} }}')
    environment = {**os.environ, "TF_CLI_CONFIG_FILE": str(folder / "terraformrc"), "TF_IN_AUTOMATION": "1"}
    for name in ("AWS_PROFILE", "AWS_CONFIG_FILE", "AWS_SHARED_CREDENTIALS_FILE", "AWS_CA_BUNDLE"):
        environment.pop(name, None)

    def terraform(*words, code=0):
        done = subprocess.run(
            ["terraform", *words, "-no-color"], cwd=folder, env=environment, capture_output=True, text=True, timeout=300)
        assert done.returncode == code, done.stdout + done.stderr

    where = region.root / region.name / "operator/credentials"
    keys = dict(line.split(" = ") for line in where.read_text().splitlines() if " = " in line)
    keys["endpoint"] = f"http://127.0.0.1:{FRONT + region.offset}"
    for prefix, logging in [("one", "true"), ("two", "false")]:
        (folder / "main.tf").write_text(CONFIGURATION % {**keys, "prefix": prefix, "logging": logging})
        terraform("init")
        terraform("apply", "-auto-approve")
        # 0: no difference.
        terraform("plan", "-detailed-exitcode")
        shown = trails.get_trail(Name="terraform-basic")["Trail"]
        assert shown["S3KeyPrefix"] == prefix and shown["HasCustomEventSelectors"]
        assert trails.get_trail_status(Name="terraform-basic")["IsLogging"] is (logging == "true")
    terraform("destroy", "-auto-approve")
    assert not [t for t in trails.list_trails()["Trails"] if t["Name"].startswith("terraform-")]
