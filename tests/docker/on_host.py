"""Runs inside a host's container: on_host.py ENDPOINT ROLE. Nothing tells boto3 of credentials: it finds them as on EC2."""

import sys
import time
import urllib.error
import urllib.request

import boto3
from botocore.exceptions import ClientError

ENDPOINT, ROLE = sys.argv[1:]
METADATA = "http://169.254.169.254/latest/meta-data/instance-id"

try:
    urllib.request.urlopen(METADATA, timeout=5)
    sys.exit("version 1 of the metadata service answers")
except urllib.error.HTTPError as e:
    assert e.code == 401, e

deadline = time.monotonic() + 30
while boto3.Session().get_credentials() is None:
    # The profile is on its way to the host.
    assert time.monotonic() < deadline, "no credentials"
session = boto3.Session(region_name="us-east-1")
assert session.get_credentials().method == "iam-role"
who = session.client("sts", endpoint_url=ENDPOINT).get_caller_identity()["Arn"]
assert f":assumed-role/{ROLE}/i-" in who, who
items = session.client("dynamodb", endpoint_url=ENDPOINT)
while True:
    try:
        tables = items.list_tables()["TableNames"]
        break
    except ClientError:
        # The policy is on its way to this front door.
        assert time.monotonic() < deadline
print(f"{who} lists {len(tables)} tables")
