"""Terraform's AWS provider, unmodified, on a running region: applied, without a difference on the second plan, changed in
place, destroyed, and nothing left."""

import json
import os
import pathlib
import shutil
import subprocess
import uuid

import boto3
import pytest
from botocore.exceptions import ClientError

ACCOUNT = pathlib.Path(__file__).parent / "account"
# A mirror of providers, as `terraform providers mirror` makes it; without one they come from the registry.
MIRROR = pathlib.Path(os.environ.get("BREAKWATER_TERRAFORM_MIRROR", "/opt/tf-plugins"))
NO_DIFFERENCE, DIFFERENCE = 0, 2

pytestmark = pytest.mark.skipif(not shutil.which("terraform"), reason="Terraform is not installed on this machine")


@pytest.fixture(scope="module")
def session():
    return boto3.Session(profile_name=os.environ.get("AWS_PROFILE", "breakwater"))


def has(call, **arguments):
    """Whether the region knows an operation."""
    try:
        call(**arguments)
    except ClientError as e:
        return e.response["Error"]["Code"] not in ("InvalidAction", "UnknownOperationException")
    return True


class Terraform:
    def __init__(self, directory, session):
        self.directory = directory
        iam, trail = session.client("iam"), session.client("cloudtrail")
        self.name = "tf-" + uuid.uuid4().hex[:8]
        self.variables = {
            "endpoint": iam.meta.endpoint_url,
            "region": session.region_name,
            "name": self.name,
            "passwords": has(iam.get_account_password_policy),
            "identity_providers": has(iam.list_open_id_connect_providers),
            "trails": has(trail.describe_trails),
            "force_destroy": all(has(listed) for listed in (
                iam.list_ssh_public_keys, iam.list_signing_certificates, iam.list_service_specific_credentials)),
        }
        for source in ACCOUNT.glob("*.tf"):
            shutil.copy(source, directory)
        configuration = directory / "terraformrc"
        if MIRROR.is_dir():
            configuration.write_text(f'provider_installation {{\n  filesystem_mirror {{\n    path = "{MIRROR}"\n  }}\n}}\n')
        else:
            configuration.write_text("")
        self.environment = {
            **os.environ,
            "TF_CLI_CONFIG_FILE": str(configuration),
            "TF_IN_AUTOMATION": "1",
            "CHECKPOINT_DISABLE": "1",
            "AWS_PROFILE": session.profile_name,
            # The provider's own attempts at what never works hide it for many minutes.
            "AWS_MAX_ATTEMPTS": "3",
        }
        begun = self.run("init", "-no-color", check=False)
        if begun.returncode:
            pytest.skip(f"no provider hashicorp/aws is to be had: {begun.stderr[-300:]}")

    def run(self, *words, check=True):
        done = subprocess.run(
            ["terraform", *words], cwd=self.directory, env=self.environment, capture_output=True, text=True, timeout=600)
        assert not check or done.returncode == 0, f"terraform {words[0]}:\n{done.stdout[-4000:]}\n{done.stderr[-6000:]}"
        return done

    def call(self, command, *words, changed=False, check=True):
        variables = [f"-var={name}={json.dumps(value).strip(chr(34))}" for name, value in self.variables.items()]
        variables.append(f"-var=changed={json.dumps(changed)}")
        return self.run(command, "-no-color", "-input=false", *variables, *words, check=check)

    def assert_no_difference(self, changed):
        planned = self.call("plan", "-detailed-exitcode", changed=changed, check=False)
        assert planned.returncode == NO_DIFFERENCE, planned.stdout[-6000:] + planned.stderr[-3000:]

    def actions(self, changed):
        """What a plan would do, by resource."""
        planned = self.call("plan", "-detailed-exitcode", "-out=plan", changed=changed, check=False)
        assert planned.returncode == DIFFERENCE, planned.stdout[-6000:] + planned.stderr[-3000:]
        changes = json.loads(self.run("show", "-json", "plan").stdout)["resource_changes"]
        return {change["address"]: change["change"]["actions"] for change in changes if change["mode"] == "managed"}


@pytest.fixture
def terraform(tmp_path, session):
    terraform = Terraform(tmp_path, session)
    yield terraform
    # Also after a failure: what one run leaves, as the account's alias, is in the next one's way.
    terraform.call("destroy", "-auto-approve", check=False)


def left(session, name):
    """Everything in the account whose name begins so."""
    iam, trail = session.client("iam"), session.client("cloudtrail")
    listed = {
        "list_users": ("Users", "UserName"),
        "list_groups": ("Groups", "GroupName"),
        "list_roles": ("Roles", "RoleName"),
        "list_instance_profiles": ("InstanceProfiles", "InstanceProfileName"),
        "list_policies": ("Policies", "PolicyName"),
        "list_virtual_mfa_devices": ("VirtualMFADevices", "SerialNumber"),
        "list_account_aliases": ("AccountAliases", None),
    }
    found = []
    for method, (members, field) in listed.items():
        for one in iam.get_paginator(method).paginate().search(members):
            if name in (one[field] if field else one):
                found.append((method, one))
    if has(iam.list_open_id_connect_providers):
        found += [p for p in iam.list_open_id_connect_providers()["OpenIDConnectProviderList"] if name in p["Arn"]]
    if has(trail.describe_trails):
        found += [t for t in trail.describe_trails()["trailList"] if name in t["Name"]]
    return found


def test_an_account_is_applied_changed_in_place_and_destroyed(session, terraform):
    terraform.call("apply", "-auto-approve")
    terraform.assert_no_difference(changed=False)

    actions = terraform.actions(changed=True)
    changes = {address: what for address, what in actions.items() if what != ["no-op"]}
    assert set(map(tuple, changes.values())) == {("update",)}, changes
    terraform.call("apply", "-auto-approve", changed=True)
    terraform.assert_no_difference(changed=True)

    assert left(session, terraform.name)
    terraform.call("destroy", "-auto-approve", changed=True)
    assert left(session, terraform.name) == []


def test_what_was_changed_behind_terraforms_back_is_put_right(session, terraform):
    terraform.call("apply", "-auto-approve")
    iam, name = session.client("iam"), terraform.name
    iam.tag_user(UserName=f"{name}-ann", Tags=[{"Key": "stray", "Value": "1"}])
    iam.detach_role_policy(RoleName=f"{name}-host", PolicyArn=f"arn:aws:iam::{account(session)}:policy/tests/{name}-read")
    iam.delete_user_policy(UserName=f"{name}-ann", PolicyName="own")
    actions = {address: what for address, what in terraform.actions(changed=False).items() if what != ["no-op"]}
    assert actions == {
        "aws_iam_user.ann": ["update"],
        "aws_iam_role_policy_attachment.host": ["create"],
        "aws_iam_user_policy.ann": ["create"],
    }
    terraform.call("apply", "-auto-approve")
    terraform.assert_no_difference(changed=False)


def account(session):
    return session.client("sts").get_caller_identity()["Account"]
