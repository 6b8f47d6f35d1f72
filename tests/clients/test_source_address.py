"""Where a call comes from: policies and the trail see the client's own address through the edge, and nobody can forge one."""

import http.client
import json
import socket
import struct

import boto3
import pytest
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.config import Config
from botocore.credentials import Credentials
from own_region import DYNAMODB, FRONT, OwnRegion, create, wait_for

#: Both are this machine's.
HOME, ABROAD = "127.0.0.1", "127.0.0.2"
ACTIONS = {FRONT: "DescribeTable", DYNAMODB: "GetItem"}


@pytest.fixture(scope="module")
def region():
    region = OwnRegion()
    region.up()
    yield region
    region.remove()


@pytest.fixture(scope="module")
def administrator(region):
    kept = (region.root / region.name / "operator/credentials").read_text()
    keys = dict(line.split(" = ") for line in kept.splitlines() if " = " in line)
    session = boto3.Session(**keys, region_name="us-east-1")
    once = Config(retries={"total_max_attempts": 1}, read_timeout=20)
    return lambda service: session.client(service, endpoint_url=f"http://127.0.0.1:{FRONT + region.offset}", config=once)


@pytest.fixture(scope="module")
def ann(administrator):
    """She may use the table from one address only."""
    iam = administrator("iam")
    iam.create_user(UserName="ann")
    iam.put_user_policy(UserName="ann", PolicyName="from-abroad", PolicyDocument=json.dumps({
        "Version": "2012-10-17",
        "Statement": {"Effect": "Allow", "Action": "dynamodb:*", "Resource": "*",
                      "Condition": {"IpAddress": {"aws:SourceIp": f"{ABROAD}/32"}}}}))
    create(administrator("dynamodb"), "things")
    key = iam.create_access_key(UserName="ann")["AccessKey"]
    return Credentials(key["AccessKeyId"], key["SecretAccessKey"])


def request(keys, operation):
    """A signed call of one table, as bytes."""
    body = {"TableName": "things"}
    if operation == "GetItem":
        body["Key"] = {"pk": {"S": "a"}}
    headers = {"X-Amz-Target": f"DynamoDB_20120810.{operation}", "Content-Type": "application/x-amz-json-1.0", "Host": "region"}
    made = AWSRequest("POST", "http://region/", data=json.dumps(body), headers=headers)
    SigV4Auth(keys, "dynamodb", "us-east-1").add_auth(made)
    return made.body, dict(made.headers)


def call(port, keys, operation, source, host="127.0.0.1"):
    connection = http.client.HTTPConnection(host, port, timeout=10, source_address=(source, 0))
    body, headers = request(keys, operation)
    connection.request("POST", "/", body, headers)
    answer = connection.getresponse()
    return answer.status, json.loads(answer.read())


def proxy_header(source):
    addresses = socket.inet_aton(source) + socket.inet_aton("127.0.0.1") + struct.pack(">HH", 40_000, FRONT)
    return b"\r\n\r\n\0\r\nQUIT\n\x21\x11" + struct.pack(">H", len(addresses)) + addresses


def first_line(address, sent):
    """Of whatever comes back; empty where nothing does."""
    with socket.create_connection(address, timeout=10, source_address=(HOME, 0)) as stream:
        stream.sendall(sent)
        try:
            return stream.recv(4_096).split(b"\r\n")[0]
        except ConnectionResetError:
            return b""


def raw(keys, operation):
    body, headers = request(keys, operation)
    head = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
    return f"POST / HTTP/1.1\r\n{head}Content-Length: {len(body)}\r\nConnection: close\r\n\r\n".encode() + body


@pytest.mark.parametrize("port", [FRONT, DYNAMODB])
def test_policies_see_the_clients_address_through_the_edge(region, ann, port):
    published, operation = port + region.offset, ACTIONS[port]
    wait_for("she is known", lambda: call(published, ann, operation, ABROAD)[0] == 200)
    for _ in range(6):
        assert call(published, ann, operation, ABROAD)[0] == 200
        status, answer = call(published, ann, operation, HOME)
        assert status == 400 and answer["__type"].endswith("#AccessDeniedException"), answer


def test_the_trail_tells_it(region, ann, administrator):
    call(FRONT + region.offset, ann, "DescribeTable", ABROAD)
    call(FRONT + region.offset, ann, "DescribeTable", HOME)

    def sources():
        attribute = {"AttributeKey": "Username", "AttributeValue": "ann"}
        events = administrator("cloudtrail").lookup_events(LookupAttributes=[attribute])["Events"]
        records = [json.loads(event["CloudTrailEvent"]) for event in events]
        return {(r["sourceIPAddress"], r.get("errorCode")) for r in records}

    wait_for("both addresses", lambda: sources() == {(ABROAD, None), (HOME, "AccessDenied")})


def test_nobody_forges_an_address(region, ann):
    genuine = raw(ann, "DescribeTable")
    settings = (region.root / region.name / "hosts/control-node-b1/node.toml").read_text()
    node = next(line for line in settings.splitlines() if line.startswith("address = ")).split('"')[1]
    edge = ("127.0.0.1", FRONT + region.offset)
    # As it is, it is refused for the address that it comes from: straight to a node, and through the edge.
    for address in ((node, FRONT), edge):
        assert first_line(address, genuine) == b"HTTP/1.1 400 Bad Request"
        # With a header in front of it, it is no request at all.
        assert b"200" not in first_line(address, proxy_header(ABROAD) + genuine)
    # Nor is the header that web proxies write believed.
    forwarded = genuine.replace(b"POST / HTTP/1.1\r\n", f"POST / HTTP/1.1\r\nX-Forwarded-For: {ABROAD}\r\n".encode())
    assert first_line(edge, forwarded) == b"HTTP/1.1 400 Bad Request"
