"""The main job: a real data set is loaded while a zone dies or is cut off, and nothing acknowledged is lost.

Each zone in turn, as in the README's first ten minutes; tests/docker/run does the same in containers.
"""

import json
import os
import pathlib
import subprocess
import threading
import time
import uuid

import pytest
from boto3.dynamodb.conditions import Key
from botocore.config import Config

ISO_CODES = pathlib.Path("/usr/share/iso-codes/json/iso_3166-2.json")
HERE = pathlib.Path(__file__).resolve().parents[2]
BREAKWATER = os.environ.get("BREAKWATER_BIN", str(HERE / "target/release/breakwater"))
os.environ.setdefault("BREAKWATER_ROOT", str(HERE / ".region"))


DRIVER = os.environ.get("BREAKWATER_DRIVER", "").split()


def chaos(*words):
    subprocess.run([BREAKWATER, *DRIVER, "chaos", *words], check=True, timeout=60, stdout=subprocess.DEVNULL)


def wait_ready():
    deadline = time.monotonic() + 120
    while True:
        status = subprocess.run([BREAKWATER, *DRIVER, "status"], timeout=60, capture_output=True, text=True)
        if status.returncode == 0:
            return
        assert time.monotonic() < deadline, status.stdout
        time.sleep(0.2)


def subdivisions():
    entries = json.loads(ISO_CODES.read_text())["3166-2"]
    return [{"country": e["code"].split("-")[0], **e} for e in entries]


def all_items(call, **arguments):
    items = []
    while True:
        page = call(**arguments)
        items += page["Items"]
        if "LastEvaluatedKey" not in page:
            return items
        arguments["ExclusiveStartKey"] = page["LastEvaluatedKey"]


@pytest.mark.skipif(not ISO_CODES.exists(), reason="Debian's iso-codes isn't installed")
@pytest.mark.parametrize("zone", ["az-a", "az-b", "az-c"])
@pytest.mark.parametrize("fault, undo", [("kill", "restart"), ("cut", "heal")])
def test_a_zone_is_lost_in_the_middle_of_a_load(session, zone, fault, undo):
    # What the official client does by itself: attempts and their timeouts are its usual ones.
    config = Config(retries={"mode": "standard", "total_max_attempts": 8}, connect_timeout=5, read_timeout=15)
    resource = session.resource("dynamodb", config=config)
    table = resource.create_table(
        TableName=f"subdivisions-{fault}-{zone}-{uuid.uuid4().hex[:8]}",
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
    items = subdivisions()
    assert len(items) == 5127
    lost = []

    def lose():
        chaos(fault, zone)
        lost.append(zone)

    slowest = 0.0
    with table.batch_writer() as batch:
        for n, item in enumerate(items):
            if n == len(items) // 3:
                loser = threading.Thread(target=lose)
                loser.start()
            if n == 2 * len(items) // 3:
                # The last third is written without the zone, however fast this machine is.
                loser.join()
                assert lost == [zone]
            begun = time.monotonic()
            batch.put_item(Item=item)
            slowest = max(slowest, time.monotonic() - begun)
    print(f"{fault} {zone}: the slowest batch of the load took {slowest:.1f} s")

    expected = {item["code"] for item in items}
    found = all_items(table.scan, ConsistentRead=True, Limit=1000)
    assert {i["code"] for i in found} == expected, "from the two zones left"
    france = all_items(table.query, KeyConditionExpression=Key("country").eq("FR"), Limit=20, ConsistentRead=True)
    assert {i["code"] for i in france} == {c for c in expected if c.startswith("FR-")}

    chaos(undo, zone)
    wait_ready()
    found = all_items(table.scan, ConsistentRead=True)
    assert {i["code"] for i in found} == expected, "from three zones again"
    # The restarted replicas catch up by themselves: then any replica knows everything.
    deadline = time.monotonic() + 30
    while len(all_items(table.scan)) != len(expected):
        assert time.monotonic() < deadline, "eventually consistent reads stay behind"
        time.sleep(0.2)
    table.delete()
