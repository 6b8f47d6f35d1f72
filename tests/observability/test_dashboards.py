"""Every query of every dashboard is put to a Prometheus that scrapes a live region."""

import json
import math
import re
import uuid

import pytest
from botocore.exceptions import ClientError
from conftest import SHIPPED, until

DASHBOARDS = sorted((SHIPPED / "grafana/dashboards").glob("*.json"))
EXPECTED = {"region", "raft", "hosts", "certificates", "meta"}

# Panels whose series exist only after something went wrong, with the reason.
AFTER_A_FAULT = {
    ("region", "Throttled"): "no request is throttled while the queues have room",
}

# What stands in PromQL beside names of metrics and labels.
METRIC = re.compile(r"\b((?:aws|edge|raft|host|process|breakwater|certificate|meta)_[a-z0-9_]+|up)\b")


def queries():
    for file in DASHBOARDS:
        for panel in json.loads(file.read_text())["panels"]:
            for target in panel["targets"]:
                yield file.stem, panel["title"], target["expr"]


@pytest.fixture(scope="module")
def traffic(dynamodb):
    """A function that makes some: answers of all kinds, on a table of its own."""
    table = "t-" + uuid.uuid4().hex[:12]
    dynamodb.create_table(
        TableName=table, BillingMode="PAY_PER_REQUEST",
        KeySchema=[{"AttributeName": "pk", "KeyType": "HASH"}],
        AttributeDefinitions=[{"AttributeName": "pk", "AttributeType": "S"}])
    dynamodb.get_waiter("table_exists").wait(TableName=table, WaiterConfig={"Delay": 1, "MaxAttempts": 30})

    def some():
        for n in range(10):
            key = {"pk": {"S": str(n)}}
            dynamodb.put_item(TableName=table, Item=key)
            dynamodb.get_item(TableName=table, Key=key, ConsistentRead=True)
        with pytest.raises(ClientError, match="ConditionalCheckFailed"):
            dynamodb.put_item(TableName=table, Item=key, ConditionExpression="attribute_not_exists(pk)")

    yield some
    dynamodb.delete_table(TableName=table)


@pytest.fixture(scope="module")
def scraped(prometheus, traffic):
    """All targets are up, and the traffic shows in two scrapes, from which a rate can be told."""

    def all_up():
        targets = prometheus.get("/api/v1/targets")["activeTargets"]
        down = [(t["scrapeUrl"], t["lastError"]) for t in targets if t["health"] != "up"]
        return len(targets) == 14 and not down, down

    until("all targets are up", all_up)
    puts = 'sum(rate(aws_requests_total{operation="PutItem",code="OK"}[1m]))'

    def shown():
        traffic()
        values = prometheus.query(puts)
        return bool(values) and values[0] > 0, values

    until("puts are counted", shown)
    return prometheus


def test_the_dashboards_are_those_that_are_promised():
    assert {file.stem for file in DASHBOARDS} == EXPECTED
    panels = {(file, title) for file, title, _ in queries()}
    assert set(AFTER_A_FAULT) <= panels
    uids = [json.loads(file.read_text())["uid"] for file in DASHBOARDS]
    assert len(set(uids)) == len(uids)


def test_panels_use_the_provisioned_datasource():
    provisioned = (SHIPPED / "grafana/provisioning/datasources/prometheus.yml").read_text()
    uid = re.search(r"uid: (\S+)", provisioned).group(1)
    for file in DASHBOARDS:
        for panel in json.loads(file.read_text())["panels"]:
            sources = [panel["datasource"], *(target["datasource"] for target in panel["targets"])]
            assert {source["uid"] for source in sources} == {uid}, (file, panel["title"])


@pytest.mark.parametrize(("dashboard", "panel", "expression"), list(queries()))
def test_a_query_finds_something(scraped, traffic, dashboard, panel, expression):
    used = set(METRIC.findall(expression))
    assert used, "no metric that this test knows"

    if (dashboard, panel) in AFTER_A_FAULT:
        scraped.query(expression)
        assert used <= scraped.names()
        return

    def found():
        values = [value for value in scraped.query(expression) if math.isfinite(value)]
        if not values:
            traffic()
        return bool(values), f"{expression} has no finite sample"

    until(f"{dashboard}, {panel}", found)
    assert used <= scraped.names()
