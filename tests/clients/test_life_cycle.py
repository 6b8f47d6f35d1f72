"""Nodes lose their disks, the control plane dies, months go by: whole regions, each test its own."""

import datetime

import botocore.auth
import pytest
from botocore.exceptions import ClientError
from own_region import OwnRegion, all_keys, create, load, retried, wait_for

PARTITIONS = 6
KEYS = {f"key-{n}" for n in range(500)}


@pytest.fixture
def region(request):
    region = OwnRegion()
    try:
        region.up("--partitions-min", str(PARTITIONS))
        yield region
    finally:
        region.down()
    if request.node.passed:
        region.remove()
    else:
        print(f"logs and data are kept in {region.directory}")


def test_a_wiped_data_node_comes_back_into_all_its_groups(region):
    client = region.dynamodb()
    create(client, "kept")
    load(client, "kept", KEYS)
    region.wait_healthy("dynamo-node", PARTITIONS)
    expected = set(KEYS)
    # Two in turn: what the first one got back is all that is left where the second was.
    for wiped, killed in [("dynamo-node-b1", "az-a"), ("dynamo-node-c1", "az-b")]:
        before = region.raft_id(wiped)
        region.chaos("wipe", wiped)
        load_while_down = {f"{wiped}-{n}" for n in range(50)}
        for key in sorted(load_while_down):
            retried(lambda: load(client, "kept", [key]))
        expected |= load_while_down
        region.up()
        assert region.raft_id(wiped) != before, "a wiped disk is another member"
        region.wait_healthy("dynamo-node", PARTITIONS)
        region.chaos("kill", killed)
        assert all_keys(client, "kept") == expected
        region.up()
        region.wait_healthy("dynamo-node", PARTITIONS)
    region.chaos("restart", "all")
    region.up()
    assert all_keys(client, "kept") == expected


def test_a_replica_that_has_not_learnt_yet_answers_no_read(region):
    """An eventually consistent read may be stale, but not know nothing."""
    create(region.dynamodb(), "kept")
    load(region.dynamodb(), "kept", KEYS)
    here, other = (region.dynamodb(endpoint=region.front_of(f"dynamo-node-{zone}1")) for zone in "ba")

    def there(client, key):
        return "Item" in retried(lambda: client.get_item(TableName="kept", Key={"pk": {"S": key}}))

    # The only one that will have it must have it all: followers apply a little later.
    wait_for("everything on dynamo-node-a1", lambda: all(there(other, key) for key in KEYS))
    # Without a quorum it can't be made a member again: it stays as empty as it is.
    region.chaos("kill", "dynamo-node-c1")
    region.chaos("wipe", "dynamo-node-b1")
    region.chaos("restart", "dynamo-node-b1")
    wait_for("its replicas", lambda: len(region.status()["dynamo-node-b1"]["groups"]) == PARTITIONS)
    wait_for("its front door", lambda: region.status()["dynamo-node-b1"]["ready"])
    assert {key for key in KEYS if not there(here, key)} == set()
    region.up()
    region.wait_healthy("dynamo-node", PARTITIONS)
    assert all_keys(here, "kept") == KEYS


def test_a_new_machine_takes_a_data_nodes_place(region):
    client = region.dynamodb()
    create(client, "kept")
    load(client, "kept", KEYS)
    before = region.raft_id("dynamo-node-c1")
    region.chaos("replace", "dynamo-node-c1")
    region.up()
    assert region.raft_id("dynamo-node-c1") != before
    region.wait_healthy("dynamo-node", PARTITIONS)
    region.chaos("kill", "az-a")
    assert all_keys(client, "kept") == KEYS
    # It has an enrolment key of its own now, and comes again by it.
    region.up()
    region.chaos("restart", "dynamo-node-c1")
    region.up()
    region.wait_healthy("dynamo-node", PARTITIONS)


def test_a_wiped_control_node_comes_back_into_the_control_store(region):
    client = region.dynamodb()
    create(client, "before")
    region.wait_healthy("control-node", 1)
    for wiped, killed in [("control-node-a1", "control-node-b1"), ("control-node-c1", "control-node-a1")]:
        before = region.raft_id(wiped)
        region.chaos("wipe", wiped)
        region.up()
        assert region.raft_id(wiped) != before
        region.wait_healthy("control-node", 1)
        region.chaos("kill", killed)
        tables = retried(client.list_tables)["TableNames"]
        assert "before" in tables
        retried(lambda: create(client, f"without-{killed}"))
        region.up()
        region.wait_healthy("control-node", 1)
    assert sorted(client.list_tables()["TableNames"]) == [
        "before",
        "without-control-node-a1",
        "without-control-node-b1",
    ]


def test_data_nodes_start_and_serve_with_every_control_node_down(region):
    client = region.dynamodb(data_nodes_only=True)
    create(client, "kept")
    load(client, "kept", KEYS)
    region.chaos("kill", "control-node")
    region.chaos("restart", "dynamo-node")
    # Ready as far as they can tell, not because a control node has said so.
    data_nodes = lambda: [h for name, h in region.status().items() if name.startswith("dynamo-node")]
    wait_for("ready data nodes", lambda: all(h["ready"] for h in data_nodes()))
    assert all_keys(client, "kept") == KEYS
    retried(lambda: load(client, "kept", ["alone"]))
    assert all_keys(client, "kept") == KEYS | {"alone"}
    with pytest.raises(ClientError) as refused:
        create(client, "not-now")
    assert refused.value.response["Error"]["Code"] in ("InternalServerError", "ServiceUnavailable")
    assert refused.value.response["ResponseMetadata"]["HTTPStatusCode"] in (500, 503)
    for host in data_nodes():
        assert host["control_store"]["fresh"] is False
        assert host["control_store"]["age_ms"] > 0
    wait_for("the age, for people to see", lambda: "control store last heard" in region.table())
    region.up()
    retried(lambda: create(client, "afterwards"))
    load(client, "afterwards", ["a"])
    wait_for("news", lambda: all(h["control_store"]["fresh"] for h in data_nodes()))
    assert "control store last heard" not in region.table()
    assert all_keys(client, "kept") == KEYS | {"alone"}


def test_what_a_table_left_on_a_node_that_was_down_is_removed(region):
    client = region.dynamodb()
    create(client, "kept")
    create(client, "gone")
    load(client, "kept", KEYS)
    load(client, "gone", KEYS)
    away = "dynamo-node-b1"
    here = {g["group"]: g["what"] for g in region.status()[away]["groups"]}
    gone = {group for group, what in here.items() if what.startswith("table gone ")}
    assert len(gone) == PARTITIONS
    region.chaos("kill", away)
    retried(lambda: client.delete_table(TableName="gone"))
    client.get_waiter("table_not_exists").wait(TableName="gone", WaiterConfig={"Delay": 1, "MaxAttempts": 30})
    log = region.root / region.name / "hosts" / away / "log/dynamo-node.log"
    told_before = log.read_text().count("replica is removed with its table")
    region.up()
    removed = lambda: log.read_text().count("replica is removed with its table") - told_before
    wait_for("the removal of what is left", lambda: removed() == PARTITIONS)
    region.wait_healthy("dynamo-node", PARTITIONS)
    region.chaos("kill", "az-a")
    assert all_keys(client, "kept") == KEYS
    # Nothing is left to be removed by another start.
    region.chaos("restart", away)
    region.up()
    region.wait_healthy("dynamo-node", PARTITIONS)
    assert removed() == PARTITIONS


def test_a_region_that_was_off_for_ninety_days_comes_up(region, monkeypatch):
    """Certificates of a day have ended long ago: control nodes renew their own, data nodes by their enrolment keys."""
    client = region.dynamodb()
    data_nodes = region.dynamodb(data_nodes_only=True)
    create(client, "kept")
    load(client, "kept", KEYS)
    region.down()
    ninety_days = datetime.timedelta(days=90)
    region.settings = f"clock_offset_s = {int(ninety_days.total_seconds())}"
    region.up()
    # The region refuses what is signed by a clock that is so late, and so it is a later day for it.
    with pytest.raises(ClientError) as refused:
        client.list_tables()
    assert refused.value.response["ResponseMetadata"]["HTTPStatusCode"] == 400
    real = botocore.auth.get_current_datetime
    monkeypatch.setattr(botocore.auth, "get_current_datetime", lambda *a, **k: real(*a, **k) + ninety_days)
    assert all_keys(client, "kept") == KEYS
    assert all_keys(data_nodes, "kept") == KEYS
    load(client, "kept", ["later"])
    create(client, "later-still")
    region.chaos("kill", "az-b")
    assert all_keys(data_nodes, "kept") == KEYS | {"later"}
