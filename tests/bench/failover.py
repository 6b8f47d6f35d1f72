"""How long a partition takes no writes when its leader is killed: ten kills of ten leaders.

Measured by a client that writes all the time, from just before the SIGKILL to the end of the first write that
succeeded after it.
"""

import json
import statistics
import sys
import threading
import time

from botocore.exceptions import BotoCoreError, ClientError

from region import breakwater, client, hosts, make_table

KILLS = 10


class Writer(threading.Thread):
    def __init__(self, table):
        super().__init__(daemon=True)
        # One attempt: the next write is the retry.
        self.dynamodb = client(retries={"total_max_attempts": 1}, connect_timeout=1, read_timeout=3)
        self.table, self.stopping = table, threading.Event()
        self.done, self.failed = [], 0

    def run(self):
        n = 0
        while not self.stopping.is_set():
            begun = time.monotonic()
            n += 1
            try:
                self.dynamodb.put_item(TableName=self.table, Item={"pk": {"S": "k"}, "n": {"N": str(n)}})
                self.done.append((begun, time.monotonic()))
            except (BotoCoreError, ClientError):
                self.failed += 1
            time.sleep(0.002)


def wait_ready():
    while True:
        groups = [g for h in hosts() for g in h["groups"] if g["what"].startswith("table failover")]
        if all(h["ready"] for h in hosts()) and len({g["applied"] for g in groups}) <= 2 and len(groups) == 3:
            return
        time.sleep(0.1)


def main(out):
    make_table(client(), "failover")
    writer = Writer("failover")
    writer.start()
    rows = []
    for kill in range(1, KILLS + 1):
        wait_ready()
        leader = next(h["name"] for h in hosts() for g in h["groups"] if g["what"].startswith("table failover") and g["role"] == "leader")
        failed, begun = writer.failed, time.monotonic()
        breakwater("chaos", "kill", "dynamodb-leader:failover")
        while not any(start > begun and failed < writer.failed or start > begun + 0.05 for start, _ in writer.done[-3:]):
            time.sleep(0.005)
        # The longest time without a success around the kill.
        ends = [end for _, end in writer.done if end > begun - 1]
        gap = max(b - a for a, b in zip(ends, ends[1:]))
        rows.append({"kill": kill, "leader": leader, "ms": round(gap * 1000), "failed": writer.failed - failed})
        print(f"| {kill} | {leader} | {rows[-1]['ms']} | {rows[-1]['failed']} |", flush=True)
        breakwater("up")
    writer.stopping.set()
    writer.join()
    median = statistics.median(row["ms"] for row in rows)
    print(f"median {median} ms")
    with open(out, "w") as file:
        json.dump({"median_ms": median, "kills": rows}, file, indent=1)
        file.write("\n")


if __name__ == "__main__":
    print("| kill | leader | ms without a write | failed writes |\n| --- | --- | --- | --- |")
    main(sys.argv[1])
