"""A rolling upgrade: a region of the previous format's builds goes on serving while its nodes are replaced one by one,
runs mixed for a while, and writes the new format when the last node reads it."""

import collections
import json
import os
import random
import subprocess
import threading
import time

import boto3
import pytest
from botocore.config import Config

NEW, PREVIOUS = os.environ["BREAKWATER_BIN"], os.environ["BREAKWATER_PREVIOUS"]
LOADERS, KEYS = 6, 40


def run(binary, *words):
    subprocess.run([binary, *words], check=True, timeout=90, stdout=subprocess.DEVNULL)


def hosts():
    # Ends with 1 while a host isn't well.
    told = subprocess.run([NEW, "status", "--json"], check=False, timeout=60, capture_output=True).stdout
    return {host["name"]: host for host in json.loads(told)["hosts"]}


def wait_until(what, condition, seconds=60):
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"{what}: {json.dumps(hosts(), indent=1)}"
        time.sleep(0.1)


def replace(host, binary):
    """Ends a host in order and starts it again as the other build."""
    run(NEW, "chaos", "stop", host)
    run(binary, "chaos", "start", host)
    wait_until(f"{host} isn't ready again", lambda: hosts()[host]["ready"])


def formats():
    """The active format as each data node that runs knows it."""
    return {name: host["format"] for name, host in hosts().items() if name.startswith("dynamo") and host["ready"]}


def described(client, trail):
    client.describe_table(TableName="rolling")
    attribute = {"AttributeKey": "EventName", "AttributeValue": "DescribeTable"}
    try:
        return trail.lookup_events(LookupAttributes=[attribute])["Events"]
    except trail.exceptions.ClientError as error:
        # Until each control node has heard of the new format.
        assert error.response["ResponseMetadata"]["HTTPStatusCode"] == 503, error
        return []


class Load:
    """Clients as applications configure them, each the only writer of its keys: what it knows is what must be there."""

    def __init__(self, session, table):
        self.session, self.table = session, table
        self.stopping = threading.Event()
        self.errors, self.counts, self.retries = [], collections.Counter(), 0
        self.expected = {}
        self.threads = [threading.Thread(target=self.work, args=(n,)) for n in range(LOADERS)]

    def work(self, n):
        config = Config(connect_timeout=2, read_timeout=10)
        client = self.session.client("dynamodb", config=config)
        rng, known = random.Random(n), {}
        while not self.stopping.is_set():
            key = f"{n}-{rng.randrange(KEYS)}"
            name = {"TableName": self.table, "Key": {"pk": {"S": key}}}
            try:
                if rng.random() < 0.4:
                    got = client.get_item(**name, ConsistentRead=True)
                    value = int(got["Item"]["n"]["N"]) if "Item" in got else None
                    assert value == known.get(key), f"{key} is {value}, not {known.get(key)}"
                else:
                    # Not idempotent: applied twice, or lost, it shows.
                    got = client.update_item(
                        **name,
                        UpdateExpression="ADD n :one SET padding = :p",
                        ExpressionAttributeValues={":one": {"N": "1"}, ":p": {"S": "x" * 500}},
                        ReturnValues="ALL_NEW",
                    )
                    known[key] = known.get(key, 0) + 1
                    assert int(got["Attributes"]["n"]["N"]) == known[key], got["ResponseMetadata"]
                self.counts["ok"] += 1
                self.retries += got["ResponseMetadata"]["RetryAttempts"]
            except Exception as e:
                self.errors.append(f"{key}: {e!r}")
                return
        self.expected.update(known)

    def goes_on(self):
        """Until every loader must have done something more."""
        before = self.counts["ok"]
        wait_until("the load stands still", lambda: self.errors or self.counts["ok"] > before + 200)
        assert not self.errors, self.errors

    def __enter__(self):
        for thread in self.threads:
            thread.start()
        return self

    def __exit__(self, *_):
        self.stopping.set()
        for thread in self.threads:
            thread.join()


def test_nodes_are_replaced_under_load_and_no_client_sees_an_error():
    session = boto3.Session(profile_name=os.environ["AWS_PROFILE"])
    client = session.client("dynamodb")
    client.create_table(
        TableName="rolling",
        KeySchema=[{"AttributeName": "pk", "KeyType": "HASH"}],
        AttributeDefinitions=[{"AttributeName": "pk", "AttributeType": "S"}],
        BillingMode="PAY_PER_REQUEST",
    )
    client.get_waiter("table_exists").wait(TableName="rolling", WaiterConfig={"Delay": 1})
    [previous] = set(formats().values())

    nodes = sorted(name for name in hosts() if name != "edge")
    with Load(session, "rolling") as load:
        load.goes_on()
        for host in [*nodes[:-1], "edge"]:
            replace(host, NEW)
            load.goes_on()
            print(f"{host}: replaced")
        # All but one read the new format: nobody may write it yet.
        assert set(formats().values()) == {previous}
        load.goes_on()
        replace(nodes[-1], NEW)
        wait_until("the new format isn't active", lambda: set(formats().values()) == {previous + 1})
        # Calls leave events.
        trail = session.client("cloudtrail")
        wait_until("no event comes", lambda: described(client, trail))
        load.goes_on()
        # Restarted once more, replicas read logs that hold both formats.
        for host in nodes:
            replace(host, NEW)
        load.goes_on()
    assert not load.errors, load.errors
    items = client.get_paginator("scan").paginate(TableName="rolling", ConsistentRead=True).search("Items")
    assert {item["pk"]["S"]: int(item["n"]["N"]) for item in items} == load.expected
    print(f"\n{load.counts['ok']} requests, no error, {load.retries} repeated by the SDK itself")

    # Back is no way: the old build can't read what is written by now, and says so.
    run(NEW, "chaos", "stop", nodes[-1])
    run(PREVIOUS, "chaos", "start", nodes[-1])
    log = os.path.join(os.environ["BREAKWATER_ROOT"], "upgrade", "hosts", nodes[-1], "log", "dynamo-node.log")
    wait_until("the old build isn't refused", lambda: f"reads none newer than {previous}" in open(log).read())
    assert not hosts()[nodes[-1]]["ready"]
    replace(nodes[-1], NEW)


if __name__ == "__main__":
    raise SystemExit(pytest.main([__file__]))
