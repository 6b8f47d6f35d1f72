"""Temporary credentials: of federated users, revoked, trusted by identity, and sealed with keys that change."""

import base64
import datetime
import os
import time

import boto3
import pytest
from botocore.exceptions import ClientError
from calls import error_of, outcome, until
from identities import ONCE, Person, allow, name, policy, remove_role, role_for, session_of, settles, trust
from own_region import FRONT, OwnRegion, create, retried, wait_for

# A second while all nodes are healthy; more for a machine that is busy with a build.
REVOKED = 1 if not os.environ.get("BREAKWATER_BUSY") else 15


def test_federated_users_have_at_most_their_makers_rights(iam, session, table, person, account):
    iam.put_user_policy(UserName=person.name, PolicyName="p", PolicyDocument=policy(
        allow(["dynamodb:GetItem", "dynamodb:PutItem", "iam:GetUser"], "*"),
        allow("sts:GetFederationToken", f"arn:aws:sts::{account}:federated-user/guest*")))
    own = person.client("sts")
    settles(own.get_federation_token, "OK", Name="guest")
    assert outcome(own.get_federation_token, Name="other") == "AccessDenied"
    assert outcome(own.get_federation_token, Name="guest", DurationSeconds=129_601) == "ValidationError"
    assert outcome(own.get_federation_token, Name="g" * 33) == "ValidationError"
    answer = own.get_federation_token(Name="guest", Policy=policy(allow(["dynamodb:GetItem", "dynamodb:DeleteItem"], "*")))
    assert 0 < answer["PackedPolicySize"] < 100
    user = answer["FederatedUser"]
    assert user == {"FederatedUserId": f"{account}:guest", "Arn": f"arn:aws:sts::{account}:federated-user/guest"}
    guest = session_of(answer)
    who = person.client("sts", guest).get_caller_identity()
    assert (who["UserId"], who["Arn"], who["Account"]) == (user["FederatedUserId"], user["Arn"], account)
    items, key = person.client("dynamodb", guest), {"TableName": table, "Key": {"pk": {"S": "mine"}}}
    settles(items.get_item, "OK", **key)
    assert outcome(items.put_item, TableName=table, Item={"pk": {"S": "mine"}}) == "AccessDeniedException"
    assert outcome(items.delete_item, **key) == "AccessDeniedException"
    assert outcome(person.client("iam", guest).get_user) == "InvalidClientTokenId"
    for call, arguments in [
        ("get_session_token", {}), ("get_federation_token", {"Name": "guest"}),
        ("assume_role", {"RoleArn": f"arn:aws:iam::{account}:role/some", "RoleSessionName": "x" * 8}),
    ]:
        assert outcome(getattr(person.client("sts", guest), call), **arguments) in ("AccessDenied", "InvalidClientTokenId"), call
    # Without a policy of their own they may do nothing.
    bare = own.get_federation_token(Name="guest")
    assert "PackedPolicySize" not in bare
    bare = session_of(bare)
    settles(person.client("dynamodb", bare).get_item, "AccessDeniedException", **key)
    # What their maker loses they lose.
    iam.delete_user_policy(UserName=person.name, PolicyName="p")
    settles(items.get_item, "AccessDeniedException", **key)


def test_an_access_keys_account_is_told(iam, session, account, person):
    sts = session.client("sts", config=ONCE)
    assert sts.get_access_key_info(AccessKeyId=person.key["AccessKeyId"])["Account"] == account
    temporary = sts.get_session_token()["Credentials"]["AccessKeyId"]
    assert sts.get_access_key_info(AccessKeyId=temporary)["Account"] == account
    assert outcome(sts.get_access_key_info, AccessKeyId="AKIA" + "X" * 16) == "ValidationError"
    assert outcome(sts.decode_authorization_message, EncodedMessage="x" * 80) == "InvalidAuthorizationMessageException"


def test_who_comes_back_under_a_trusted_name_is_not_trusted(iam, session):
    person = Person(iam, session)
    with pytest.raises(ClientError) as info:
        iam.create_role(RoleName=name("role"), AssumeRolePolicyDocument=policy(trust(person.arn + "x")))
    assert error_of(info) == (
        "MalformedPolicyDocument", f'Invalid principal in policy: "AWS":"{person.arn}x"')
    role = name("role")
    arn = iam.create_role(RoleName=role, AssumeRolePolicyDocument=policy(trust(person.arn)))["Role"]["Arn"]
    unique_id = iam.get_user(UserName=person.name)["User"]["UserId"]
    ask = {"RoleArn": arn, "RoleSessionName": "visit"}
    settles(person.client("sts").assume_role, "OK", **ask)

    def trusted():
        return iam.get_role(RoleName=role)["Role"]["AssumeRolePolicyDocument"]["Statement"][0]["Principal"]["AWS"]

    assert trusted() == person.arn
    person.remove()
    until(trusted, lambda who: who == unique_id)
    # Somebody else of that name.
    iam.create_user(UserName=person.name)
    person.key = iam.create_access_key(UserName=person.name)["AccessKey"]
    settles(person.client("sts").get_caller_identity, "OK")
    settles(person.client("sts").assume_role, "AccessDenied", **ask)
    assert trusted() == unique_id
    assert any(
        one["AssumeRolePolicyDocument"]["Statement"][0]["Principal"].get("AWS") == unique_id
        for page in iam.get_paginator("list_roles").paginate() for one in page["Roles"] if one["RoleName"] == role)
    # Until the policy is written anew: the id alone can't be.
    assert outcome(iam.update_assume_role_policy, RoleName=role, PolicyDocument=policy(trust(unique_id))) == (
        "MalformedPolicyDocument")
    iam.update_assume_role_policy(RoleName=role, PolicyDocument=policy(trust(person.arn)))
    settles(person.client("sts").assume_role, "OK", **ask)
    remove_role(iam, role)
    person.remove()


def test_a_trust_policy_names_accounts_that_are_there_by_their_root(iam, account):
    role, root = name("role"), f"arn:aws:iam::{account}:root"
    for nobody in ("000011112222", "arn:aws:iam::000011112222:root"):
        with pytest.raises(ClientError) as info:
            iam.create_role(RoleName=role, AssumeRolePolicyDocument=policy(trust(nobody)))
        assert error_of(info) == ("MalformedPolicyDocument", f'Invalid principal in policy: "AWS":"{nobody}"')
    number = {"StringEquals": {"aws:PrincipalAccount": account}}
    wanted = {"Version": "2012-10-17", "Statement": [trust(root, Condition=number)]}
    made = iam.create_role(RoleName=role, AssumeRolePolicyDocument=policy(trust(account, Condition=number)))["Role"]
    assert made["AssumeRolePolicyDocument"] == wanted
    iam.update_assume_role_policy(RoleName=role, PolicyDocument=policy(trust([account, root])))
    kept = iam.get_role(RoleName=role)["Role"]["AssumeRolePolicyDocument"]["Statement"][0]["Principal"]["AWS"]
    assert kept == [root, root]
    remove_role(iam, role)


def test_a_trust_policy_follows_a_user_to_her_new_name(iam, session):
    person = Person(iam, session)
    role, before, after = name("role"), person.name, name("user")
    arn = iam.create_role(RoleName=role, AssumeRolePolicyDocument=policy(trust(person.arn)))["Role"]["Arn"]
    ask = {"RoleArn": arn, "RoleSessionName": "visit"}
    settles(person.client("sts").assume_role, "OK", **ask)
    iam.update_user(UserName=before, NewUserName=after)
    person.name = after

    def trusted():
        return iam.get_role(RoleName=role)["Role"]["AssumeRolePolicyDocument"]["Statement"][0]["Principal"]["AWS"]

    until(trusted, lambda who: who == iam.get_user(UserName=after)["User"]["Arn"])
    settles(person.client("sts").assume_role, "OK", **ask)
    # Who has her old name isn't she.
    other = iam.create_user(UserName=before)["User"]["Arn"]
    assert trusted() not in (other, iam.get_user(UserName=after)["User"]["UserId"])
    iam.delete_user(UserName=before)
    remove_role(iam, role)
    person.remove()


def test_a_roles_sessions_are_revoked_on_every_node_within_a_second(iam, session, dynamodb, table):
    person = Person(iam, session)
    role = name("role")
    arn = iam.create_role(RoleName=role, AssumeRolePolicyDocument=policy(trust(person.arn)))["Role"]["Arn"]
    iam.put_role_policy(RoleName=role, PolicyName="items", PolicyDocument=policy(allow("dynamodb:GetItem", "*")))
    own = person.client("sts")
    settles(own.assume_role, "OK", RoleArn=arn, RoleSessionName="visit")
    before = session_of(own.assume_role(RoleArn=arn, RoleSessionName="visit"))
    key = {"TableName": table, "Key": {"pk": {"S": "mine"}}}
    doors = []
    for person.door in ("control", "data"):
        doors.append(person.client("dynamodb", before))
        settles(doors[-1].get_item, "OK", **key)
    # As the console of AWS does it: what was issued until now is worth nothing.
    issued = datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(seconds=1)
    iam.put_role_policy(RoleName=role, PolicyName="AWSRevokeOlderSessions", PolicyDocument=policy({
        "Effect": "Deny", "Action": ["*"], "Resource": ["*"],
        "Condition": {"DateLessThan": {"aws:TokenIssueTime": issued.strftime("%Y-%m-%dT%H:%M:%SZ")}}}))
    done = time.monotonic()
    for door in doors:
        row = 0
        # The endpoint hands connections to several nodes in turn.
        while row < 8:
            row = row + 1 if outcome(door.get_item, **key) == "AccessDeniedException" else 0
            assert row or time.monotonic() < done + REVOKED, "a session outlived its revocation"
    # A session that is made after it is good.
    def again():
        return outcome(person.client("dynamodb", session_of(own.assume_role(RoleArn=arn, RoleSessionName="visit"))).get_item, **key)

    until(again, lambda code: code == "OK")
    remove_role(iam, role)
    person.remove()


def test_who_may_not_assume_a_role_learns_nothing_of_it(iam, account, person):
    iam.put_user_policy(UserName=person.name, PolicyName="p", PolicyDocument=policy(
        allow("sts:AssumeRole", f"arn:aws:iam::{account}:role/*")))
    trusting, closed = role_for(iam, trust(person.arn)), role_for(iam, trust(f"arn:aws:iam::{account}:root", Action="sts:TagSession"))
    arn = f"arn:aws:iam::{account}:role/"
    own, other = person.client("sts"), Person(iam, person.session)
    settles(own.assume_role, "OK", RoleArn=arn + trusting, RoleSessionName="visit")
    # Whether there is none, it trusts somebody else, or her own policies are silent.
    for who, role in [(person, "nothing"), (person, closed), (other, "nothing"), (other, trusting), (other, closed)]:
        sts = who.client("sts")
        settles(sts.assume_role, "AccessDenied", RoleArn=arn + role, RoleSessionName="visit")
        with pytest.raises(ClientError) as info:
            sts.assume_role(RoleArn=arn + role, RoleSessionName="visit")
        assert error_of(info)[1] == f"User: {who.arn} is not authorized to perform: sts:AssumeRole on resource: {arn}{role}"
    other.remove()
    for role in (trusting, closed):
        remove_role(iam, role)


def test_a_session_makes_no_federated_users(iam, account, person):
    iam.put_user_policy(UserName=person.name, PolicyName="p", PolicyDocument=policy(allow("sts:*", "*")))
    own = person.client("sts")
    settles(own.get_federation_token, "OK", Name="guest")
    with pytest.raises(ClientError) as info:
        person.client("sts", session_of(own.get_session_token())).get_federation_token(Name="guest")
    assert error_of(info) == ("AccessDenied", "Cannot call GetFederationToken with session credentials")


def test_requests_are_refused_in_the_models_words(account, person):
    own = person.client("sts")
    ask = {"RoleArn": f"arn:aws:iam::{account}:role/some", "RoleSessionName": "visit"}
    name = "Member must satisfy regular expression pattern: [\\w+=,.@-]*"
    statement = policy(allow("dynamodb:GetItem", "*"))
    long = statement + " " * (2_049 - len(statement))
    for call, arguments, code, words in [
        (own.assume_role, {**ask, "RoleSessionName": "a b"}, "ValidationError", f"Value 'a b' at 'roleSessionName' failed to satisfy constraint: {name}"),
        (own.get_federation_token, {"Name": "a b"}, "ValidationError", f"Value 'a b' at 'name' failed to satisfy constraint: {name}"),
        (own.assume_role, {**ask, "ExternalId": "a b"}, "ValidationError", "at 'externalId' failed"),
        (own.get_federation_token, {"Name": "guest", "Policy": long}, "ValidationError", "Member must have length less than or equal to 2048"),
        (own.assume_role, {**ask, "Policy": long}, "PackedPolicyTooLarge", "too large"),
        (own.assume_role, {**ask, "ProvidedContexts": [{"ProviderArn": "arn:aws:iam::aws:contextProvider/IdentityCenter", "ContextAssertion": "x" * 8}]},
         "ValidationError", "ProvidedContexts is not supported"),
    ]:
        with pytest.raises(ClientError) as info:
            call(**arguments)
        assert error_of(info)[0] == code and words in error_of(info)[1], (arguments, error_of(info))


@pytest.fixture
def rotating_region(request):
    region = OwnRegion()
    region.settings = "control-node: session_key_period_s = 2"
    try:
        region.up()
        yield region
    finally:
        region.down()
    if request.node.passed:
        region.remove()


def test_tokens_are_sealed_with_a_new_key_that_every_node_knows(rotating_region):
    region = rotating_region
    admin = region.dynamodb()
    create(admin, "kept")
    retried(lambda: admin.put_item(TableName="kept", Item={"pk": {"S": "a"}}))
    credentials = dict(
        line.split(" = ") for line in
        (region.root / region.name / "operator/credentials").read_text().splitlines() if " = " in line)
    front = f"http://127.0.0.1:{FRONT + region.offset}"
    sts = boto3.Session(**credentials, region_name="us-east-1").client("sts", endpoint_url=front, config=ONCE)
    nodes = [node for node in region.status() if node.startswith("dynamo-node")]

    def opens(token, endpoint):
        client = boto3.Session(
            token["AccessKeyId"], token["SecretAccessKey"], token["SessionToken"], region_name="us-east-1",
        ).client("dynamodb", endpoint_url=endpoint, config=ONCE)
        return outcome(client.get_item, TableName="kept", Key={"pk": {"S": "a"}}) == "OK"

    tokens = {}

    def sealed_with():
        token = sts.get_session_token()["Credentials"]
        number = int.from_bytes(base64.b64decode(token["SessionToken"])[1:5], "big")
        if number not in tokens:
            tokens[number] = token
            # At once, everywhere: it was known before it sealed.
            assert all(opens(token, endpoint) for endpoint in [front, *map(region.front_of, nodes)]), number
        return number

    for node in nodes:
        wait_for("its first keys", lambda: opens(sts.get_session_token()["Credentials"], region.front_of(node)))
    # Numbers may be missing between: a slow machine asks less often than keys change.
    until(lambda: sealed_with() and len(tokens), lambda seen: seen >= 3, seconds=60)
    # What an older key has sealed is still good.
    assert all(opens(token, region.front_of(nodes[0])) for token in tokens.values())
