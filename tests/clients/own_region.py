"""A region of its own for a test that breaks more than others could bear: wiped disks, a dead control plane, moved
clocks."""

import json
import os
import pathlib
import shutil
import socket
import subprocess
import tempfile
import time

import boto3
from botocore.config import Config

HERE = pathlib.Path(__file__).resolve().parents[2]
BREAKWATER = os.environ.get("BREAKWATER_BIN", str(HERE / "target/release/breakwater"))
FRONT, DYNAMODB = 4566, 8000
PATIENCE = 90


def wait_for(what, look):
    deadline = time.monotonic() + PATIENCE
    while True:
        found = look()
        if found:
            return found
        assert time.monotonic() < deadline, f"never: {what}"
        time.sleep(0.1)


def free_offset():
    """The published ports are all that two regions on one machine could fight about."""
    for offset in range(14_100, 20_000, 7):
        with socket.socket() as front, socket.socket() as dynamodb:
            for one in (front, dynamodb):
                # As the edge does it: connections of a region before it may still be remembered.
                one.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                front.bind(("127.0.0.1", FRONT + offset))
                dynamodb.bind(("127.0.0.1", DYNAMODB + offset))
                return offset
            except OSError:
                continue
    raise AssertionError("no free ports")


class OwnRegion:
    def __init__(self):
        # Short: a Unix socket's path has at most 107 bytes.
        self.directory = pathlib.Path(tempfile.mkdtemp(prefix="own-region-"))
        self.offset = free_offset()
        self.name = f"own-{self.offset}"
        self.root = self.directory / "region"
        self.settings = ""
        self.environment = {}

    def run(self, *words, check=True):
        environment = {
            **os.environ,
            **self.environment,
            "BREAKWATER_NAME": self.name,
            "BREAKWATER_ROOT": str(self.root),
            "BREAKWATER_NODE_SETTINGS": self.settings,
            "AWS_CONFIG_FILE": str(self.directory / "config"),
            "AWS_SHARED_CREDENTIALS_FILE": str(self.directory / "credentials"),
        }
        done = subprocess.run([BREAKWATER, *words], timeout=180, env=environment, capture_output=True, text=True)
        assert not check or done.returncode == 0, f"{words}: {done.stderr}\n(kept in {self.directory})"
        return done.stdout

    def up(self, *words):
        self.run("up", "--port-offset", str(self.offset), *words)

    def down(self):
        self.run("down")

    def chaos(self, action, target):
        self.run("chaos", action, target)

    def status(self):
        return {h["name"]: h for h in json.loads(self.run("status", "--json", check=False))["hosts"]}

    def table(self):
        """What people see."""
        return self.run("status", check=False)

    def dynamodb(self, data_nodes_only=False, endpoint=None):
        credentials = (self.root / self.name / "operator/credentials").read_text()
        values = dict(line.split(" = ") for line in credentials.splitlines() if " = " in line)
        port = (DYNAMODB if data_nodes_only else FRONT) + self.offset
        session = boto3.Session(**values, region_name="us-east-1")
        return session.client(
            "dynamodb",
            endpoint_url=endpoint or f"http://127.0.0.1:{port}",
            config=Config(retries={"total_max_attempts": 1}, read_timeout=20),
        )

    def front_of(self, host):
        """The front door of one data node."""
        settings = (self.root / self.name / "hosts" / host / "node.toml").read_text()
        address = next(line for line in settings.splitlines() if line.startswith("address = ")).split('"')[1]
        return f"http://{address}:{DYNAMODB}"

    def groups(self):
        """What the leader of each group says of it, by the group's description."""
        groups = {}
        for name, host in self.status().items():
            for group in host["groups"]:
                if group["leader"] == name:
                    known = groups.get(group["what"])
                    if known is None or known["term"] < group["term"]:
                        groups[group["what"]] = group
        return groups

    def raft_id(self, host):
        return wait_for(f"an id of {host}", lambda: self.status()[host]["raft_id"])

    def wait_healthy(self, kind, count):
        """Until each of `count` groups has three voters that are well, each the present self of its node."""

        def healthy():
            status = self.status()
            ids = {host["raft_id"] for name, host in status.items() if name.startswith(kind)}
            # Control nodes have two: what they know, and what was done.
            what, wanted = (("meta", "audit"), 2 * count) if kind == "control-node" else (("table ",), count)
            groups = [g for name, g in self.groups().items() if name.startswith(what)]
            # A group rests only when all its members have everything: then it doesn't ask how they are.
            return len(groups) == wanted and all(
                {m["raft_id"] for m in g["members"]} == ids
                and all(m["voter"] and m["healthy"] is not False for m in g["members"])
                for g in groups
            )

        wait_for(f"{count} healthy groups", healthy)

    def remove(self):
        self.run("down", "--wipe", check=False)
        shutil.rmtree(self.directory, ignore_errors=True)


def create(client, name):
    client.create_table(
        TableName=name,
        KeySchema=[{"AttributeName": "pk", "KeyType": "HASH"}],
        AttributeDefinitions=[{"AttributeName": "pk", "AttributeType": "S"}],
        BillingMode="PAY_PER_REQUEST",
    )
    client.get_waiter("table_exists").wait(TableName=name, WaiterConfig={"Delay": 1, "MaxAttempts": 60})


def load(client, name, keys):
    keys = list(keys)
    for at in range(0, len(keys), 25):
        puts = [{"PutRequest": {"Item": {"pk": {"S": key}, "n": {"S": key * 20}}}} for key in keys[at : at + 25]]
        answer = client.batch_write_item(RequestItems={name: puts})
        assert not answer["UnprocessedItems"]


def retried(call):
    """What the official client does by itself: failovers may cost an attempt."""
    deadline = time.monotonic() + PATIENCE
    while True:
        try:
            return call()
        except Exception as error:
            code = getattr(error, "response", {}).get("ResponseMetadata", {}).get("HTTPStatusCode", 500)
            if code < 500 or time.monotonic() > deadline:
                raise
            time.sleep(0.2)


def all_keys(client, name):
    keys, more = set(), {}
    while True:
        page = retried(lambda: client.scan(TableName=name, ConsistentRead=True, **more))
        keys |= {item["pk"]["S"] for item in page["Items"] if item["n"]["S"] == item["pk"]["S"] * 20}
        if "LastEvaluatedKey" not in page:
            return keys
        more = {"ExclusiveStartKey": page["LastEvaluatedKey"]}
