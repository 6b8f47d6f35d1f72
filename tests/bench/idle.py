"""What an idle region costs, and what 300 resting partitions add: memory of all its processes, and CPU time."""

import json
import os
import sys
import time

from region import client, hosts, make_table

SECONDS = 30


def processes():
    """All processes of the region: agents and the nodes that they watch."""
    root = os.path.realpath(os.environ["BREAKWATER_ROOT"])
    found = {}
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            words = open(f"/proc/{pid}/cmdline").read().split("\0")
        except OSError:
            continue
        if any(word.startswith(root + "/") for word in words):
            found[pid] = os.path.basename(words[0])
    return found


def memory_mb(pids):
    total = 0
    for pid in pids:
        for line in open(f"/proc/{pid}/smaps_rollup"):
            # Shared pages count once, as each process has its part of them.
            if line.startswith("Pss:"):
                total += int(line.split()[1])
    return total / 1024


def resident_mb(pids):
    lines = (line for pid in pids for line in open(f"/proc/{pid}/status") if line.startswith("VmRSS:"))
    return sum(int(line.split()[1]) for line in lines) / 1024


def cpu_seconds(pids):
    ticks = 0
    for pid in pids:
        fields = open(f"/proc/{pid}/stat").read().rsplit(")", 1)[1].split()
        ticks += int(fields[11]) + int(fields[12])
    return ticks / os.sysconf("SC_CLK_TCK")


def measure(what):
    pids = processes()
    before, begun = cpu_seconds(pids), time.monotonic()
    time.sleep(SECONDS)
    share = (cpu_seconds(pids) - before) / (time.monotonic() - begun)
    row = {
        "what": what,
        "processes": len(pids),
        "resident_mb": round(resident_mb(pids)),
        "proportional_mb": round(memory_mb(pids)),
        "cpu_percent_of_a_core": round(share * 100, 1),
    }
    print(f"| {what} | {row['processes']} | {row['resident_mb']} | {row['cpu_percent_of_a_core']} |", flush=True)
    return row


def settled(partitions):
    """All partitions have a leader, and rest."""
    roles = [g["role"] for h in hosts() for g in h["groups"] if g["what"].startswith("table ")]
    return len(roles) == 3 * partitions and all(role == "resting" for role in roles)


def main(out, tables, partitions):
    time.sleep(15)
    rows = [measure("idle region")]
    dynamodb = client(read_timeout=120)
    for n in range(tables):
        make_table(dynamodb, f"idle-{n}")
    deadline = time.monotonic() + 120
    while not settled(tables * partitions):
        assert time.monotonic() < deadline, "the partitions don't come to rest"
        time.sleep(1)
    time.sleep(10)
    rows.append(measure(f"with {tables * partitions} resting partitions"))
    with open(out, "w") as file:
        json.dump(rows, file, indent=1)
        file.write("\n")


if __name__ == "__main__":
    print("| region | processes | resident MB | CPU, % of a core |\n| --- | --- | --- | --- |")
    main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]))
