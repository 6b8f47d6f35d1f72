"""Login profiles, the account's password policy, and users who change their own password."""

import json
import time

import pytest
from botocore.exceptions import ClientError
from calls import error_of, outcome, until
from identities import ONCE, Person, allow, name, policy, settles
from own_region import FRONT, OwnRegion, retried

import boto3

GOOD = "Correct-horse-1"


@pytest.fixture(scope="module")
def region():
    """Of its own: the password policy is the whole account's."""
    region = OwnRegion()
    region.up()
    yield region
    region.remove()


@pytest.fixture(scope="module")
def session(region):
    credentials = (region.root / region.name / "operator/credentials").read_text()
    values = dict(line.split(" = ") for line in credentials.splitlines() if " = " in line)
    session = boto3.Session(**values, region_name="us-east-1")
    client = session.client
    session.client = lambda service, **more: client(
        service, **{"endpoint_url": f"http://127.0.0.1:{FRONT + region.offset}", "config": ONCE, **more})
    return session


@pytest.fixture(scope="module")
def iam(session):
    iam = session.client("iam")
    retried(iam.list_users)
    return iam


@pytest.fixture
def person(iam, session):
    person = Person(iam, session)
    yield person
    if outcome(iam.get_login_profile, UserName=person.name) == "OK":
        iam.delete_login_profile(UserName=person.name)
    person.remove()
    if outcome(iam.get_account_password_policy) == "OK":
        iam.delete_account_password_policy()


def refused(call, **arguments):
    with pytest.raises(ClientError) as info:
        call(**arguments)
    return error_of(info)


def test_login_profiles_come_and_go(iam, person):
    user = {"UserName": person.name}
    gone = ("NoSuchEntity", f"Login Profile for User {person.name} cannot be found.")
    assert refused(iam.get_login_profile, **user) == gone
    assert refused(iam.update_login_profile, **user, Password=GOOD) == gone
    assert refused(iam.delete_login_profile, **user) == gone
    made = iam.create_login_profile(**user, Password=GOOD, PasswordResetRequired=True)["LoginProfile"]
    assert (made["UserName"], made["PasswordResetRequired"]) == (person.name, True)
    assert iam.get_login_profile(**user)["LoginProfile"] == made
    assert refused(iam.create_login_profile, **user, Password=GOOD) == (
        "EntityAlreadyExists", f"Login Profile for user {person.name} already exists.")
    iam.update_login_profile(**user, PasswordResetRequired=False)
    assert iam.get_login_profile(**user)["LoginProfile"]["PasswordResetRequired"] is False
    assert refused(iam.delete_user, **user) == ("DeleteConflict", "Cannot delete entity, must delete login profile first.")
    iam.delete_login_profile(**user)
    assert refused(iam.get_login_profile, **user) == gone
    assert refused(iam.create_login_profile, UserName=name("nobody"), Password=GOOD)[0] == "NoSuchEntity"


def test_passwords_are_as_awss_default_wants_them(iam, person):
    for bad in ("Abc-12", "abcdefgh", "abcdefg1", "Abcdefgh"):
        code, message = refused(iam.create_login_profile, UserName=person.name, Password=bad)
        assert code == "PasswordPolicyViolation" and bad not in message
    for bad in ("s3cr3t-Ā-secret", "Aa1-" * 33):
        code, message = refused(iam.create_login_profile, UserName=person.name, Password=bad)
        assert code == "ValidationError" and bad not in message
    assert outcome(iam.get_login_profile, UserName=person.name) == "NoSuchEntity"


def test_an_accounts_policy_is_replaced_as_a_whole(iam, session, person):
    account = session.client("sts").get_caller_identity()["Account"]
    gone = ("NoSuchEntity", f"The Password Policy with domain name {account} cannot be found.")
    assert refused(iam.get_account_password_policy) == gone and refused(iam.delete_account_password_policy) == gone
    iam.update_account_password_policy(
        MinimumPasswordLength=14, RequireSymbols=True, RequireUppercaseCharacters=True, MaxPasswordAge=90,
        PasswordReusePrevention=3, HardExpiry=True)
    assert iam.get_account_password_policy()["PasswordPolicy"] == {
        "MinimumPasswordLength": 14, "RequireSymbols": True, "RequireNumbers": False, "RequireUppercaseCharacters": True,
        "RequireLowercaseCharacters": False, "AllowUsersToChangePassword": False, "ExpirePasswords": True,
        "MaxPasswordAge": 90, "PasswordReusePrevention": 3, "HardExpiry": True}
    create = lambda password: refused(iam.create_login_profile, UserName=person.name, Password=password)
    assert create("Short-1") == ("PasswordPolicyViolation", "Password should have a minimum length of 14")
    assert create("Longenoughwithout1") == ("PasswordPolicyViolation", "Password should have at least one symbol")
    assert create("longenoughwithout-") == ("PasswordPolicyViolation", "Password should have at least one uppercase letter")
    iam.update_account_password_policy(RequireNumbers=True)
    assert iam.get_account_password_policy()["PasswordPolicy"] == {
        "MinimumPasswordLength": 6, "RequireSymbols": False, "RequireNumbers": True, "RequireUppercaseCharacters": False,
        "RequireLowercaseCharacters": False, "AllowUsersToChangePassword": False, "ExpirePasswords": False}
    assert create("aaaaaa") == ("PasswordPolicyViolation", "Password should have at least one number")
    for wrong in ({"MinimumPasswordLength": 129}, {"MaxPasswordAge": 1096}, {"PasswordReusePrevention": 25}):
        assert refused(iam.update_account_password_policy, **wrong)[0] == "ValidationError"
    iam.create_login_profile(UserName=person.name, Password="aaaaa1")


def test_users_change_their_own_password_where_the_account_or_a_policy_lets_them(iam, session, person):
    iam.create_login_profile(UserName=person.name, Password=GOOD, PasswordResetRequired=True)
    own = person.client("iam")
    change = {"OldPassword": GOOD, "NewPassword": "Another-horse-2"}
    settles(own.change_password, "AccessDenied", **change)
    iam.update_account_password_policy(MinimumPasswordLength=8, AllowUsersToChangePassword=True, PasswordReusePrevention=2)
    until(lambda: outcome(own.get_account_password_policy), lambda got: got == "OK")
    settles(own.get_account_password_policy, "OK")
    assert outcome(own.get_login_profile) == "AccessDenied", "that alone is allowed"
    assert refused(own.change_password, OldPassword="Wrong-horse-1", NewPassword="Another-horse-2") == (
        "AccessDenied", "The old password was incorrect.")
    assert refused(own.change_password, OldPassword=GOOD, NewPassword="short")[0] == "PasswordPolicyViolation"
    own.change_password(**change)
    assert iam.get_login_profile(UserName=person.name)["LoginProfile"]["PasswordResetRequired"] is False
    again = lambda old, new: outcome(own.change_password, OldPassword=old, NewPassword=new)
    assert again("Another-horse-2", GOOD) == "PasswordPolicyViolation", "the last two are remembered"
    assert again("Another-horse-2", "Another-horse-2") == "PasswordPolicyViolation"
    assert again("Another-horse-2", "Third-horse-3") == "OK"
    assert again("Third-horse-3", GOOD) == "OK"
    # An explicit deny wins, once every node has heard of it.
    iam.put_user_policy(UserName=person.name, PolicyName="no", PolicyDocument=policy(
        {"Effect": "Deny", "Action": ["iam:ChangePassword", "iam:GetAccountPasswordPolicy"], "Resource": "*"}))
    settles(own.get_account_password_policy, "AccessDenied")
    code, message = refused(own.change_password, OldPassword=GOOD, NewPassword="Fourth-horse-4")
    assert code == "AccessDenied" and message.endswith("with an explicit deny in an identity-based policy")
    iam.delete_account_password_policy()
    iam.put_user_policy(UserName=person.name, PolicyName="no", PolicyDocument=policy(
        allow("iam:ChangePassword", "arn:aws:iam::*:user/${aws:username}")))
    until(lambda: again(GOOD, "Fourth-horse-4"), lambda got: got == "OK")
    # What is no user's has no password to change.
    admin = session.client("iam")
    assert refused(admin.change_password, OldPassword=GOOD, NewPassword=GOOD)[0] == "NoSuchEntity"


def test_who_holds_a_key_cant_guess_the_password(iam, person):
    iam.create_login_profile(UserName=person.name, Password=GOOD)
    iam.put_user_policy(UserName=person.name, PolicyName="own", PolicyDocument=policy(allow("iam:ChangePassword", "*")))
    own = person.client("iam")
    guess = {"OldPassword": "Wrong-horse-1", "NewPassword": "Another-horse-2"}
    got = []
    until(lambda: got.append(outcome(own.change_password, **guess)) or got, lambda got: "EntityTemporarilyUnmodifiable" in got)
    assert set(got) == {"AccessDenied", "EntityTemporarilyUnmodifiable"}
    assert outcome(own.change_password, OldPassword=GOOD, NewPassword="Another-horse-2") == "EntityTemporarilyUnmodifiable"


def test_no_password_is_in_an_event(iam, session, person):
    iam.create_login_profile(UserName=person.name, Password=GOOD)
    iam.update_login_profile(UserName=person.name, Password="Another-horse-2")
    trail = session.client("cloudtrail")

    def told():
        attribute = {"AttributeKey": "ResourceName", "AttributeValue": person.name}
        return [e for e in trail.lookup_events(LookupAttributes=[attribute])["Events"]
                if e["EventName"] in ("CreateLoginProfile", "UpdateLoginProfile")]

    for event in until(told, lambda found: len(found) >= 2):
        record = json.loads(event["CloudTrailEvent"])
        assert record["requestParameters"] == {"userName": person.name} and "horse" not in json.dumps(record)


def test_a_hash_survives_every_node(region, iam, session, person):
    """What a former password was is known after a restart of all."""
    iam.create_login_profile(UserName=person.name, Password=GOOD)
    iam.put_user_policy(UserName=person.name, PolicyName="own", PolicyDocument=policy(allow("iam:ChangePassword", "*")))
    region.down()
    region.up()
    own = person.client("iam")
    retried(lambda: own.change_password(OldPassword=GOOD, NewPassword="Another-horse-2"))
    stored = [path for path in (region.root / region.name).rglob("*") if path.is_file()]
    assert stored and not any(b"Another-horse-2" in path.read_bytes() for path in stored)
    assert iam.get_account_summary()["SummaryMap"]["AccountPasswordPresent"] == 1
    assert time.time() - iam.get_login_profile(UserName=person.name)["LoginProfile"]["CreateDate"].timestamp() < 600
