"""Prometheus with the shipped scrape configuration, on a running region (BREAKWATER_ROOT, BREAKWATER_NAME)."""

import json
import os
import pathlib
import re
import shutil
import socket
import subprocess
import time
import tomllib
import urllib.error
import urllib.parse
import urllib.request

import boto3
import pytest
from botocore.config import Config

SHIPPED = pathlib.Path(__file__).parents[2] / "scripts/observability"
REGION = pathlib.Path(os.environ["BREAKWATER_ROOT"]) / os.environ.get("BREAKWATER_NAME", "breakwater")


def until(what, condition, seconds=90):
    """Polls; a condition that never holds is a failure that says what it last saw."""
    deadline = time.monotonic() + seconds
    while True:
        done, seen = condition()
        if done:
            return seen
        assert time.monotonic() < deadline, f"{what}: {seen}"
        time.sleep(0.5)


class Prometheus:
    def __init__(self, port):
        self.base = f"http://127.0.0.1:{port}"

    def get(self, path, **parameters):
        url = f"{self.base}{path}?{urllib.parse.urlencode(parameters)}"
        try:
            with urllib.request.urlopen(url, timeout=10) as answer:
                return json.load(answer)["data"]
        except urllib.error.HTTPError as e:
            raise AssertionError(f"{parameters}: {e.read().decode()}") from e

    def query(self, expression):
        """The values of an expression now."""
        data = self.get("/api/v1/query", query=expression)
        samples = [data["result"]] if data["resultType"] == "scalar" else [s["value"] for s in data["result"]]
        return [float(value) for _, value in samples]

    def names(self):
        return set(self.get("/api/v1/label/__name__/values"))


def addresses():
    """Host -> address, as the launcher wrote them into the settings."""
    found = {}
    for host in (REGION / "hosts").iterdir():
        for settings in host.rglob("*.toml"):
            address = tomllib.loads(settings.read_text()).get("address")
            if address:
                found[host.name] = address
    return found


def render():
    """The shipped configuration with each name's address put in its place. The label `host` keeps the name."""
    text, known = (SHIPPED / "prometheus.yml").read_text(), addresses()
    named = set(re.findall(r'"([a-z0-9-]+):940[01]"', text))
    assert named == set(known), "the shipped configuration and the region's hosts differ"
    # Containers have names that resolve; here Prometheus is told the address by a relabelling of its own.
    lines = []
    for name, address in sorted(known.items()):
        lines += ["      - source_labels: [__address__]", f'        regex: "{name}:([0-9]+)"',
                  "        target_label: __address__", f'        replacement: "{address}:$1"']
    own_last = '        target_label: host\n'
    assert text.count(own_last) == 2
    return text.replace(own_last, own_last + "\n".join(lines) + "\n")


@pytest.fixture(scope="session")
def prometheus(tmp_path_factory):
    program = shutil.which("prometheus")
    assert program, "prometheus is missing: apt-get install prometheus"
    work = tmp_path_factory.mktemp("prometheus")
    (work / "prometheus.yml").write_text(render())
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    with open(work / "log", "wb") as log:
        process = subprocess.Popen(
            [program, f"--config.file={work}/prometheus.yml", f"--storage.tsdb.path={work}/data",
             f"--web.listen-address=127.0.0.1:{port}"],
            stdout=log, stderr=subprocess.STDOUT)
    try:
        client = Prometheus(port)

        def answers():
            assert process.poll() is None, (work / "log").read_text()
            try:
                with urllib.request.urlopen(f"{client.base}/-/ready", timeout=2):
                    return True, None
            except OSError as e:
                return False, e

        until("Prometheus answers", answers)
        yield client
    finally:
        process.terminate()
        process.wait(timeout=30)


@pytest.fixture(scope="session")
def dynamodb():
    session = boto3.Session(profile_name=os.environ.get("AWS_PROFILE", "breakwater"))
    return session.client("dynamodb", config=Config(retries={"total_max_attempts": 1}, read_timeout=20))
