"""The zone of the leader of the table `subdivisions`, out of what `breakwater status --json` says."""

import json
import sys

leaders = [
    (group["term"], host["zone"])
    for host in json.load(sys.stdin)["hosts"]
    for group in host["groups"]
    if group["what"].startswith("table subdivisions ") and group["leader"] == host["name"]
]
if not leaders:
    sys.exit(1)
print(max(leaders)[1])
