"""What tests/docker/run asks of the region: items.py ENDPOINT WRITTEN create|load FROM TO|verify COUNT [eventually]

`load` keeps in the file WRITTEN how many items are acknowledged. The clients' own retries are the only ones.
"""

import os
import pathlib
import sys
import time

import boto3
from botocore.config import Config

ENDPOINT, WRITTEN, ACTION, *REST = sys.argv[1:]
CONFIG = Config(retries={"mode": "standard", "total_max_attempts": 10}, connect_timeout=3, read_timeout=8)
session = boto3.Session(profile_name="breakwater", region_name="us-east-1")
table = session.resource("dynamodb", endpoint_url=ENDPOINT, config=CONFIG).Table("subdivisions")


def item(n):
    return {"country": f"C{n % 97:02}", "code": f"C{n % 97:02}-{n:05}", "name": f"subdivision {n}", "n": n}


def create():
    table.meta.client.create_table(
        TableName=table.name,
        KeySchema=[
            {"AttributeName": "country", "KeyType": "HASH"},
            {"AttributeName": "code", "KeyType": "RANGE"},
        ],
        AttributeDefinitions=[
            {"AttributeName": "country", "AttributeType": "S"},
            {"AttributeName": "code", "AttributeType": "S"},
        ],
        BillingMode="PAY_PER_REQUEST",
    )
    table.wait_until_exists()


def load(start, end):
    began, slowest = time.monotonic(), 0.0
    part = pathlib.Path(WRITTEN + ".part")
    # In the batch writer's own size, so that the count is of what was acknowledged.
    for first in range(start, end, 25):
        asked = time.monotonic()
        with table.batch_writer() as batch:
            for n in range(first, min(first + 25, end)):
                batch.put_item(Item=item(n))
        slowest = max(slowest, time.monotonic() - asked)
        part.write_text(str(min(first + 25, end)))
        os.replace(part, WRITTEN)
    print(f"loaded {start}..{end} in {time.monotonic() - began:.1f} s, slowest batch {slowest:.2f} s", flush=True)


def scan(**arguments):
    items = []
    while True:
        page = table.scan(Limit=700, **arguments)
        items += page["Items"]
        if "LastEvaluatedKey" not in page:
            return items
        arguments["ExclusiveStartKey"] = page["LastEvaluatedKey"]


def verify(count, eventually=False):
    expected = {item(n)["code"]: item(n) for n in range(count)}
    # Replicas that were away catch up by themselves.
    deadline = time.monotonic() + (30 if eventually else 0)
    while True:
        found = {i["code"]: i for i in scan(ConsistentRead=not eventually)}
        if found == expected:
            break
        if time.monotonic() > deadline:
            sys.exit(f"{len(expected.keys() - found.keys())} items are missing, of {len(expected)}; found {len(found)}")
        time.sleep(0.3)
    one = item(count - 1)
    got = table.get_item(Key={"country": one["country"], "code": one["code"]}, ConsistentRead=True)
    assert got.get("Item") == one, got
    print(f"all {count} items are there ({'eventually' if eventually else 'strongly'} consistent)", flush=True)


match ACTION:
    case "create":
        create()
    case "load":
        load(int(REST[0]), int(REST[1]))
    case "verify":
        verify(int(REST[0]), REST[1:] == ["eventually"])
    case _:
        sys.exit(__doc__)
