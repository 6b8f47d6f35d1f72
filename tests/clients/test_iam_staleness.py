"""A node that can't hear changes goes on with what it knows; where a bound is set, it refuses once that is too old."""

import urllib.request

import pytest
from calls import outcome
from own_region import OwnRegion, create, retried, wait_for


@pytest.fixture
def own_region(request):
    region = OwnRegion()
    region.settings = "identities_stale_ms_max = 15000"
    try:
        region.up()
        yield region
    finally:
        region.down()
    if request.node.passed:
        region.remove()


def age_of(region, host):
    """Seconds, as the node's metrics have it."""
    settings = (region.root / region.name / "hosts" / host / "node.toml").read_text()
    values = dict(line.split(" = ", 1) for line in settings.splitlines() if " = " in line)
    page = f"http://{values['address'].strip(chr(34))}:{values.get('metrics_port', '9400')}/metrics"
    text = urllib.request.urlopen(page, timeout=5).read().decode()
    return float(next(line.split()[-1] for line in text.splitlines() if line.startswith("iam_age_seconds ")))


def test_what_is_too_old_decides_nothing(own_region):
    region = own_region
    admin = region.dynamodb()
    create(admin, "kept")
    retried(lambda: admin.put_item(TableName="kept", Item={"pk": {"S": "a"}}))
    node = next(name for name in region.status() if name.startswith("dynamo-node"))
    door = region.dynamodb(endpoint=region.front_of(node))
    get = {"TableName": "kept", "Key": {"pk": {"S": "a"}}}
    assert outcome(door.get_item, **get) == "OK" and age_of(region, node) < 15
    region.chaos("kill", "control-node")
    # For a while it goes on alone, and shows how old what it knows is.
    assert outcome(door.get_item, **get) == "OK"
    wait_for("it refuses", lambda: outcome(door.get_item, **get) == "ServiceUnavailable")
    assert age_of(region, node) >= 15
    region.chaos("restart", "control-node")
    wait_for("it hears again", lambda: outcome(door.get_item, **get) == "OK")
    assert age_of(region, node) < 15
