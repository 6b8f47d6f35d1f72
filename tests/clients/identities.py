"""Users, roles, policies and devices that tests make, and the calls of whom they make."""

import base64
import hmac
import json
import struct
import time
import uuid

import boto3
from botocore import UNSIGNED
from botocore.config import Config
from calls import outcome
from own_region import DYNAMODB, FRONT

# One attempt: what AWS would hide by repeating must not be hidden here.
ONCE = Config(retries={"total_max_attempts": 1}, read_timeout=20)
# For who has no credentials at all.
NOBODY = ONCE.merge(Config(signature_version=UNSIGNED))
# What a change may take to reach all nodes; generous, for a machine that is busy with a build.
EVERYWHERE = 15


def name(kind):
    return f"{kind}-{uuid.uuid4().hex[:10]}"


def policy(*statements):
    return json.dumps({"Version": "2012-10-17", "Statement": list(statements)})


def allow(action, resource, **more):
    return {"Effect": "Allow", "Action": action, "Resource": resource, **more}


class Person:
    """A user with an access key, and clients that sign with it."""

    def __init__(self, iam, session, door="control"):
        self.iam, self.session, self.door, self.name = iam, session, door, name("user")
        self.arn = iam.create_user(UserName=self.name)["User"]["Arn"]
        self.key = iam.create_access_key(UserName=self.name)["AccessKey"]

    def client(self, service, key=None):
        key = key or self.key
        endpoint = self.session.client(service).meta.endpoint_url
        if service == "dynamodb" and self.door == "data":
            front, port = endpoint.rsplit(":", 1)
            endpoint = f"{front}:{int(port) - FRONT + DYNAMODB}"
        return boto3.Session(
            aws_access_key_id=key["AccessKeyId"], aws_secret_access_key=key["SecretAccessKey"],
            aws_session_token=key.get("SessionToken"), region_name=self.session.region_name,
        ).client(service, config=ONCE, endpoint_url=endpoint)

    def remove(self):
        for policy_name in self.iam.list_user_policies(UserName=self.name)["PolicyNames"]:
            self.iam.delete_user_policy(UserName=self.name, PolicyName=policy_name)
        for attached in self.iam.list_attached_user_policies(UserName=self.name)["AttachedPolicies"]:
            self.iam.detach_user_policy(UserName=self.name, PolicyArn=attached["PolicyArn"])
        for group in self.iam.list_groups_for_user(UserName=self.name)["Groups"]:
            self.iam.remove_user_from_group(UserName=self.name, GroupName=group["GroupName"])
        for key in self.iam.list_access_keys(UserName=self.name)["AccessKeyMetadata"]:
            self.iam.delete_access_key(UserName=self.name, AccessKeyId=key["AccessKeyId"])
        self.iam.delete_user(UserName=self.name)


def settles(call, wanted, **arguments):
    """Awaits that the call ends so, on several nodes in a row."""
    end = time.monotonic() + EVERYWHERE
    row = 0
    while row < 8:
        got = outcome(call, **arguments)
        row = row + 1 if got == wanted else 0
        assert time.monotonic() < end, f"{got} rather than {wanted}"
        if not row:
            time.sleep(0.05)


def role_for(iam, *trust, **more):
    role = name("role")
    iam.create_role(RoleName=role, AssumeRolePolicyDocument=policy(*trust), **more)
    return role


def trust(principal, **more):
    return {"Effect": "Allow", "Action": more.pop("Action", "sts:AssumeRole"), "Principal": {"AWS": principal}, **more}


def remove_role(iam, role):
    for one in iam.list_role_policies(RoleName=role)["PolicyNames"]:
        iam.delete_role_policy(RoleName=role, PolicyName=one)
    iam.delete_role(RoleName=role)


def session_of(answer):
    credentials = answer["Credentials"]
    return {**credentials, "AccessKeyId": credentials["AccessKeyId"]}


def totp(seed, step):
    """The code of a seed's bytes at a step of 30 seconds: RFC 6238."""
    digest = hmac.new(seed, struct.pack(">q", step), "sha1").digest()
    at = digest[19] & 15
    return f"{(struct.unpack('>I', digest[at:at + 4])[0] & 0x7fffffff) % 1_000_000:06}"


class Device:
    """What an authenticator app does with the seed that it was shown."""

    def __init__(self, iam, **more):
        answer = iam.create_virtual_mfa_device(VirtualMFADeviceName=name("mfa"), **more)["VirtualMFADevice"]
        self.iam, self.serial, self.picture = iam, answer["SerialNumber"], answer["QRCodePNG"]
        self.seed = base64.b32decode(answer["Base32StringSeed"])
        self.began = int(time.time()) // 30

    def code(self, step):
        return totp(self.seed, self.began + step)

    def enable(self, person):
        """With codes of before, so that those of now can still be used."""
        self.iam.enable_mfa_device(
            UserName=person.name, SerialNumber=self.serial, AuthenticationCode1=self.code(-2), AuthenticationCode2=self.code(-1)
        )

    def remove(self, person):
        self.iam.deactivate_mfa_device(UserName=person.name, SerialNumber=self.serial)
        self.iam.delete_virtual_mfa_device(SerialNumber=self.serial)


TRUST = policy(trust("111122223333"))


def sample(shape, table, at=""):
    """The least that a request of this shape can hold and still pass validation."""
    if shape.type_name == "structure":
        wanted = shape.required_members or []
        if shape.name == "WriteRequest":
            wanted = ["PutRequest"]
        return {member: sample(shape.members[member], table, member) for member in wanted}
    if shape.type_name == "list":
        return [sample(shape.member, table, at)]
    if shape.type_name == "map":
        if shape.value.name == "AttributeValue":
            return {"pk": {"S": "mine"}}
        return {table: sample(shape.value, table, at)}
    if shape.type_name == "string":
        if shape.enum:
            return shape.enum[0]
        known = {
            "TableName": table, "PolicyDocument": policy(allow("s3:*", "*")), "AssumeRolePolicyDocument": TRUST,
            "AttributeName": "pk", "RoleArn": "arn:aws:iam::111122223333:role/some",
            "PolicyArn": "arn:aws:iam::aws:policy/ReadOnlyAccess", "VersionId": "v1", "AttributeType": "S", "KeyType": "HASH",
            "ResourceArn": f"arn:aws:dynamodb:us-east-1:111122223333:table/{table}",
        }
        return known.get(at, "x" * max(8, shape.metadata.get("min", 1)))
    if shape.type_name in ("integer", "long"):
        return max(1, shape.metadata.get("min", 1))
    return {"boolean": True, "blob": b"x", "timestamp": 0}[shape.type_name]
