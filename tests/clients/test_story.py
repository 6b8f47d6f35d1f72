"""A story in five chapters, told by the official clients: a reader, her second factor, a partner of another account, a
program without keys, and who remembers it all. Each chapter stands on those before it.

The aws CLI is what people type, boto3 what their programs call; neither knows that this isn't AWS.
"""

import json
import os
import pathlib
import subprocess
import sys
import types

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError
from calls import error_of, outcome
from identities import Device
from own_region import FRONT, OwnRegion, wait_for

US, PARTNER = "111122223333", "444455556666"
LETTERS = f"arn:aws:dynamodb:us-east-1:{US}:table/letters"
AWS = pathlib.Path(sys.executable).with_name("aws")
ENVELOPE = {"from": {"S": "bob"}, "at": {"S": "2026-11-24"}, "text": {"S": "Dear Ann"}}


class Keys:
    """Somebody's credentials, for a terminal and for a program."""

    def __init__(self, region, access_key_id, secret_access_key, session_token=None):
        self.endpoint = f"http://127.0.0.1:{FRONT + region.offset}"
        self.id, self.secret, self.token = access_key_id, secret_access_key, session_token

    @classmethod
    def of(cls, region, answer):
        """As `create-access-key`, `get-session-token` and `assume-role` answer."""
        key = answer.get("AccessKey") or answer["Credentials"]
        return cls(region, key["AccessKeyId"], key["SecretAccessKey"], key.get("SessionToken"))

    @classmethod
    def of_administrator(cls, region, account=None):
        file = "credentials" if account is None else f"credentials-{account}"
        kept = (region.root / region.name / "operator" / file).read_text()
        values = dict(line.split(" = ") for line in kept.splitlines() if " = " in line)
        return cls(region, values["aws_access_key_id"], values["aws_secret_access_key"])

    def client(self, service):
        session = boto3.Session(self.id, self.secret, self.token, region_name="us-east-1")
        once = Config(retries={"total_max_attempts": 1}, read_timeout=20)
        return session.client(service, endpoint_url=self.endpoint, config=once)

    def tries(self, *words):
        """What the terminal shows: the exit code, the answer, and what it complains of."""
        environment = {name: value for name, value in os.environ.items() if not name.startswith("AWS_")}
        environment |= {
            "AWS_ACCESS_KEY_ID": self.id, "AWS_SECRET_ACCESS_KEY": self.secret, "AWS_DEFAULT_REGION": "us-east-1",
            "AWS_ENDPOINT_URL": self.endpoint, "AWS_MAX_ATTEMPTS": "1", "AWS_PAGER": "",
            "AWS_CONFIG_FILE": "/nonexistent", "AWS_SHARED_CREDENTIALS_FILE": "/nonexistent",
        }
        if self.token:
            environment["AWS_SESSION_TOKEN"] = self.token
        words = [word if isinstance(word, str) else json.dumps(word) for word in words]
        done = subprocess.run([AWS, *words, "--output", "json"], env=environment, capture_output=True, text=True, timeout=60)
        return done.returncode, done.stdout, done.stderr.strip()

    def types(self, *words):
        code, answer, complaint = self.tries(*words)
        assert code == 0, complaint
        return json.loads(answer) if answer.strip() else None

    def is_told(self, *words):
        """What a refusal says."""
        code, answer, complaint = self.tries(*words)
        assert code != 0, answer
        return complaint


def allow(action, resource, **more):
    return {"Effect": "Allow", "Action": action, "Resource": resource, **more}


def policy(*statements):
    return {"Version": "2012-10-17", "Statement": list(statements)}


def in_force(call, wanted="OK", **arguments):
    """A change of a policy is everywhere within a second; one front door after the other is asked."""
    wait_for(wanted, lambda: all(outcome(call, **arguments) == wanted for _ in range(6)))


def key_of(owner):
    return {"owner": {"S": owner}, "at": {"S": "2026-11-24"}}


@pytest.fixture(scope="module")
def region():
    region = OwnRegion()
    region.up()
    yield region
    region.remove()


@pytest.fixture(scope="module")
def administrator(region):
    return Keys.of_administrator(region)


@pytest.fixture(scope="module")
def letters(administrator):
    """A table in which everybody has letters under her own name."""
    administrator.types(
        "dynamodb", "create-table", "--table-name", "letters", "--billing-mode", "PAY_PER_REQUEST",
        "--attribute-definitions", "AttributeName=owner,AttributeType=S", "AttributeName=at,AttributeType=S",
        "--key-schema", "AttributeName=owner,KeyType=HASH", "AttributeName=at,KeyType=RANGE",
    )
    administrator.types("dynamodb", "wait", "table-exists", "--table-name", "letters")
    items = administrator.client("dynamodb")
    for owner in ("ann", "bob"):
        items.put_item(TableName="letters", Item={**ENVELOPE, **key_of(owner)})
    return items


@pytest.fixture(scope="module")
def ann(region, administrator, letters):
    administrator.types("iam", "create-group", "--group-name", "readers")
    own_letters = {"ForAllValues:StringEquals": {"dynamodb:LeadingKeys": ["ann"]}}
    administrator.types(
        "iam", "put-group-policy", "--group-name", "readers", "--policy-name", "own-letters", "--policy-document",
        policy(allow(["dynamodb:GetItem", "dynamodb:Query"], LETTERS, Condition=own_letters)),
    )
    administrator.types("iam", "create-user", "--user-name", "ann")
    administrator.types("iam", "add-user-to-group", "--group-name", "readers", "--user-name", "ann")
    return Keys.of(region, administrator.types("iam", "create-access-key", "--user-name", "ann"))


def test_ann_reads_her_own_letters_and_nobody_elses(ann):
    in_force(ann.client("dynamodb").get_item, TableName="letters", Key=key_of("ann"))
    got = ann.types("dynamodb", "get-item", "--table-name", "letters", "--key", key_of("ann"))
    assert got["Item"]["text"] == {"S": "Dear Ann"}
    found = ann.client("dynamodb").query(
        TableName="letters", KeyConditionExpression="#o = :o",
        ExpressionAttributeNames={"#o": "owner"}, ExpressionAttributeValues={":o": {"S": "ann"}},
    )
    assert found["Count"] == 1

    def denied(action):
        return (
            f"User: arn:aws:iam::{US}:user/ann is not authorized to perform: dynamodb:{action} on resource: {LETTERS} "
            f"because no identity-based policy allows the dynamodb:{action} action"
        )

    # She may not write, and the neighbour's letters are closed to her, in AWS's words.
    complaint = ann.is_told("dynamodb", "put-item", "--table-name", "letters", "--item", key_of("ann"))
    assert complaint == (
        f"An error occurred (AccessDeniedException) when calling the PutItem operation: {denied('PutItem')}"
    )
    with pytest.raises(ClientError) as info:
        ann.client("dynamodb").get_item(TableName="letters", Key=key_of("bob"))
    assert error_of(info) == ("AccessDeniedException", denied("GetItem"))
    assert "AccessDenied" in ann.is_told("iam", "list-users")


def test_a_table_falls_only_to_who_holds_a_second_factor(region, administrator, ann):
    administrator.client("dynamodb").create_table(
        TableName="drafts", BillingMode="PAY_PER_REQUEST", KeySchema=[{"AttributeName": "pk", "KeyType": "HASH"}],
        AttributeDefinitions=[{"AttributeName": "pk", "AttributeType": "S"}],
    )
    administrator.types("dynamodb", "wait", "table-exists", "--table-name", "drafts")
    drafts = LETTERS.replace("letters", "drafts")
    held = {"Bool": {"aws:MultiFactorAuthPresent": "true"}}
    administrator.types(
        "iam", "put-user-policy", "--user-name", "ann", "--policy-name", "tidy", "--policy-document",
        policy(allow("dynamodb:DescribeTable", drafts), allow("dynamodb:DeleteTable", drafts, Condition=held)),
    )
    device = Device(administrator.client("iam"))
    device.enable(types.SimpleNamespace(name="ann"))
    in_force(ann.client("dynamodb").describe_table, TableName="drafts")
    assert "not authorized to perform: dynamodb:DeleteTable" in ann.is_told(
        "dynamodb", "delete-table", "--table-name", "drafts"
    )
    session = ann.types("sts", "get-session-token", "--serial-number", device.serial, "--token-code", device.code(0))
    # A code counts once.
    assert "MultiFactorAuthentication failed" in ann.is_told(
        "sts", "get-session-token", "--serial-number", device.serial, "--token-code", device.code(0)
    )
    proven = Keys.of(region, session)
    assert proven.types("dynamodb", "delete-table", "--table-name", "drafts")["TableDescription"]["TableName"] == "drafts"


def test_a_partner_comes_in_by_a_role_and_the_word_between_us(region, administrator, letters):
    region.run("account", "create", PARTNER)
    partner = Keys.of_administrator(region, PARTNER)
    trust = {
        "Effect": "Allow", "Action": "sts:AssumeRole", "Principal": {"AWS": f"arn:aws:iam::{PARTNER}:root"},
        "Condition": {"StringEquals": {"sts:ExternalId": "between-us"}},
    }
    administrator.types("iam", "create-role", "--role-name", "partner", "--assume-role-policy-document", policy(trust))
    administrator.types(
        "iam", "put-role-policy", "--role-name", "partner", "--policy-name", "read", "--policy-document",
        policy(allow("dynamodb:GetItem", LETTERS)),
    )
    role = f"arn:aws:iam::{US}:role/partner"
    in_force(partner.client("sts").assume_role, RoleArn=role, RoleSessionName="carol", ExternalId="between-us")
    ask = ("sts", "assume-role", "--role-arn", role, "--role-session-name", "carol")
    assert "is not authorized to perform: sts:AssumeRole" in partner.is_told(*ask)
    assert "is not authorized to perform: sts:AssumeRole" in partner.is_told(*ask, "--external-id", "guessed")
    carol = Keys.of(region, partner.types(*ask, "--external-id", "between-us"))
    who = carol.types("sts", "get-caller-identity")
    assert (who["Account"], who["Arn"]) == (US, f"arn:aws:sts::{US}:assumed-role/partner/carol")
    assert carol.client("dynamodb").get_item(TableName="letters", Key=key_of("bob"))["Item"]["from"] == {"S": "bob"}
    assert outcome(carol.client("dynamodb").delete_table, TableName="letters") == "AccessDeniedException"
    # Without the role the partner has no letters.
    assert outcome(partner.client("dynamodb").get_item, TableName=LETTERS, Key=key_of("bob")) == "AccessDeniedException"


def test_a_program_on_a_host_needs_no_keys(region, administrator, letters, monkeypatch):
    ec2 = {"Effect": "Allow", "Action": "sts:AssumeRole", "Principal": {"Service": "ec2.amazonaws.com"}}
    administrator.types("iam", "create-role", "--role-name", "postman", "--assume-role-policy-document", policy(ec2))
    administrator.types(
        "iam", "put-role-policy", "--role-name", "postman", "--policy-name", "deliver", "--policy-document",
        policy(allow("dynamodb:PutItem", LETTERS)),
    )
    administrator.types("iam", "create-instance-profile", "--instance-profile-name", "postman")
    administrator.types(
        "iam", "add-role-to-instance-profile", "--instance-profile-name", "postman", "--role-name", "postman"
    )
    region.run("host-profile", "dynamo-node-a1", "postman")
    settings = (region.root / region.name / "hosts/dynamo-node-a1/agent.toml").read_text()
    address = next(line for line in settings.splitlines() if line.startswith("metadata = ")).split('"')[1]
    for name in [name for name in os.environ if name.startswith("AWS_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_EC2_METADATA_SERVICE_ENDPOINT", f"http://{address}")
    monkeypatch.setenv("AWS_CONFIG_FILE", "/nonexistent")
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", "/nonexistent")
    # The profile's credentials are on their way to the host.
    wait_for("credentials on the host", lambda: boto3.Session().get_credentials() is not None)
    program = boto3.Session(region_name="us-east-1").client("dynamodb", endpoint_url=administrator.endpoint)
    in_force(program.put_item, TableName="letters", Item={**ENVELOPE, **key_of("dan")})
    assert outcome(program.get_item, TableName="letters", Key=key_of("dan")) == "AccessDeniedException"
    sent = letters.get_item(TableName="letters", Key=key_of("dan"), ConsistentRead=True)
    assert sent["Item"]["text"] == {"S": "Dear Ann"}


def test_the_trail_tells_who_did_what(region, administrator):
    def told(key, value, whose=administrator):
        """Events as the terminal shows them, oldest first."""
        page = whose.types(
            "cloudtrail", "lookup-events", "--lookup-attributes", f"AttributeKey={key},AttributeValue={value}"
        )
        records = [json.loads(event["CloudTrailEvent"]) for event in page["Events"]]
        return sorted(records, key=lambda record: record["eventTime"])

    def acts(records):
        return [(record["eventName"], record.get("errorCode")) for record in records]

    # Ann looked where she may not, was refused a table, showed her device, and then it fell.
    hers = wait_for("the fall of the table", lambda: [r for r in told("Username", "ann") if fell(r)] and told("Username", "ann"))
    for act in [
        ("ListUsers", "AccessDenied"), ("DeleteTable", "AccessDenied"), ("GetSessionToken", None),
        ("GetSessionToken", "AccessDenied"), ("DeleteTable", None),
    ]:
        assert act in acts(hers), act
    done = next(r for r in hers if fell(r))
    assert done["userIdentity"]["sessionContext"]["attributes"]["mfaAuthenticated"] == "true"
    assert done["requestParameters"] == {"tableName": "drafts"}
    refused = next(r for r in hers if acts([r]) == [("DeleteTable", "AccessDenied")])
    assert "sessionContext" not in refused["userIdentity"]
    assert f"not authorized to perform: dynamodb:DeleteTable on resource: {LETTERS.replace('letters', 'drafts')}" in refused["errorMessage"]

    # The partner's administrator came in under another name; what she was refused inside stands here too.
    carols = wait_for("carol's refusal", lambda: ("DeleteTable", "AccessDenied") in acts(told("Username", "carol")) and told("Username", "carol"))
    issuer = carols[0]["userIdentity"]["sessionContext"]["sessionIssuer"]
    assert (issuer["userName"], issuer["accountId"]) == ("partner", US)
    roles = told("ResourceName", f"arn:aws:iam::{US}:role/partner")
    guests = [r for r in roles if r["eventName"] == "AssumeRole"]
    assert guests and all(r["userIdentity"]["accountId"] == PARTNER for r in guests)
    # Her vain tries stand in the partner's own trail.
    tries = acts(told("EventName", "AssumeRole", Keys.of_administrator(region, PARTNER)))
    assert ("AssumeRole", None) in tries and tries.count(("AssumeRole", "AccessDenied")) >= 2

    # The postman's role was assumed by EC2, for the host on which the program runs.
    lent = wait_for("EC2's event", lambda: [
        r for r in told("ResourceName", f"arn:aws:iam::{US}:role/postman") if r["eventName"] == "AssumeRole"])
    assert all(r["userIdentity"] == {"type": "AWSService", "invokedBy": "ec2.amazonaws.com"} for r in lent)

    # And the administrator did the rest; no secret of it is in any record.
    made = told("EventName", "CreateAccessKey")
    assert [r["userIdentity"]["userName"] for r in made] == ["administrator"]
    assert made[0]["requestParameters"] == {"userName": "ann"}
    assert "secretAccessKey" not in json.dumps(made)


def fell(record):
    return record["eventName"] == "DeleteTable" and "errorCode" not in record
