"""Who may do what: users, groups and policies through the official clients, in force at every front door."""

import json
import pathlib
import re
import time
import uuid

import boto3
import pytest
from botocore.exceptions import ClientError
from calls import error_of, make_table, outcome, until
from identities import (
    EVERYWHERE, ONCE, Device, Person, allow, name, policy, remove_role, role_for, sample, session_of, settles, trust,
)
from own_region import FRONT, OwnRegion, create, retried, wait_for


def test_a_user_in_a_group_reads_one_table_and_one_leading_key(iam, session, dynamodb, table, person):
    client = person.client("dynamodb")
    mine = {"TableName": table, "Key": {"pk": {"S": "mine"}}, "ConsistentRead": True}
    yours = {**mine, "Key": {"pk": {"S": "yours"}}}
    # Known at once or a moment later, but with nothing allowed.
    settles(client.get_item, "AccessDeniedException", **mine)
    group = name("group")
    iam.create_group(GroupName=group)
    arn = f"arn:aws:dynamodb:{session.region_name}:*:table/{table}"
    only_mine = {"ForAllValues:StringEquals": {"dynamodb:LeadingKeys": ["mine"]}}
    iam.put_group_policy(
        GroupName=group, PolicyName="read",
        PolicyDocument=policy(allow(["dynamodb:GetItem", "dynamodb:BatchGetItem", "dynamodb:Query"], arn, Condition=only_mine)),
    )
    iam.add_user_to_group(GroupName=group, UserName=person.name)
    settles(client.get_item, "OK", **mine)
    assert outcome(client.get_item, **yours) == "AccessDeniedException"
    item = {"TableName": table, "Item": {"pk": {"S": "mine"}}}
    with pytest.raises(ClientError) as info:
        client.put_item(**item)
    account = person.arn.split(":")[4]
    assert error_of(info) == (
        "AccessDeniedException",
        f"User: {person.arn} is not authorized to perform: dynamodb:PutItem on resource: "
        f"arn:aws:dynamodb:{session.region_name}:{account}:table/{table} because no identity-based policy allows the "
        "dynamodb:PutItem action",
    )
    query = {"TableName": table, "KeyConditionExpression": "#k = :k", "ExpressionAttributeNames": {"#k": "pk"}}
    assert outcome(client.query, **query, ExpressionAttributeValues={":k": {"S": "mine"}}) == "OK"
    assert outcome(client.query, **query, ExpressionAttributeValues={":k": {"S": "yours"}}) == "AccessDeniedException"
    legacy = lambda key: {"pk": {"ComparisonOperator": "EQ", "AttributeValueList": [{"S": key}]}}
    assert outcome(client.query, TableName=table, KeyConditions=legacy("mine")) == "OK"
    assert outcome(client.query, TableName=table, KeyConditions=legacy("yours")) == "AccessDeniedException"
    keys = lambda *names: {table: {"Keys": [{"pk": {"S": n}} for n in names]}}
    assert outcome(client.batch_get_item, RequestItems=keys("mine")) == "OK"
    assert outcome(client.batch_get_item, RequestItems=keys("mine", "yours")) == "AccessDeniedException"
    assert outcome(client.list_tables) == "AccessDeniedException"
    # Out of the group, nothing is left.
    iam.remove_user_from_group(GroupName=group, UserName=person.name)
    settles(client.get_item, "AccessDeniedException", **mine)
    iam.delete_group_policy(GroupName=group, PolicyName="read")
    iam.delete_group(GroupName=group)


def test_a_deny_wins_and_a_boundary_bounds(iam, session, table, person):
    client = person.client("dynamodb")
    item = {"TableName": table, "Item": {"pk": {"S": "mine"}}}
    key = {"TableName": table, "Key": {"pk": {"S": "mine"}}}
    iam.attach_user_policy(UserName=person.name, PolicyArn="arn:aws:iam::aws:policy/AmazonDynamoDBFullAccess")
    settles(client.put_item, "OK", **item)
    iam.put_user_policy(
        UserName=person.name, PolicyName="not-this",
        PolicyDocument=policy({"Effect": "Deny", "Action": "dynamodb:Put*", "Resource": "*"}),
    )
    settles(client.put_item, "AccessDeniedException", **item)
    with pytest.raises(ClientError) as info:
        client.put_item(**item)
    assert error_of(info)[1].endswith("with an explicit deny in an identity-based policy")
    assert outcome(client.get_item, **key) == "OK"
    bound = iam.create_policy(
        PolicyName=name("bound"), PolicyDocument=policy(allow("dynamodb:Describe*", "*"))
    )["Policy"]["Arn"]
    iam.put_user_permissions_boundary(UserName=person.name, PermissionsBoundary=bound)
    settles(client.get_item, "AccessDeniedException", **key)
    with pytest.raises(ClientError) as info:
        client.get_item(**key)
    assert "because no permissions boundary allows the dynamodb:GetItem action" in error_of(info)[1]
    assert outcome(client.describe_table, TableName=table) == "OK"
    assert outcome(iam.delete_policy, PolicyArn=bound) == "DeleteConflict"
    iam.delete_user_permissions_boundary(UserName=person.name)
    settles(client.get_item, "OK", **key)
    iam.delete_policy(PolicyArn=bound)


def test_a_managed_policys_new_version_is_in_force_everywhere(iam, table, person):
    client = person.client("dynamodb")
    key = {"TableName": table, "Key": {"pk": {"S": "mine"}}}
    arn = iam.create_policy(PolicyName=name("p"), PolicyDocument=policy(allow("dynamodb:GetItem", "*")))["Policy"]["Arn"]
    iam.attach_user_policy(UserName=person.name, PolicyArn=arn)
    settles(client.get_item, "OK", **key)
    iam.create_policy_version(
        PolicyArn=arn, PolicyDocument=policy(allow("dynamodb:Query", "*")), SetAsDefault=True
    )
    settles(client.get_item, "AccessDeniedException", **key)
    versions = iam.list_policy_versions(PolicyArn=arn)["Versions"]
    assert [(v["VersionId"], v["IsDefaultVersion"]) for v in versions] == [("v2", True), ("v1", False)]
    iam.set_default_policy_version(PolicyArn=arn, VersionId="v1")
    settles(client.get_item, "OK", **key)
    assert iam.get_policy_version(PolicyArn=arn, VersionId="v2")["PolicyVersion"]["Document"]["Statement"][0]["Action"] == "dynamodb:Query"
    assert [u["UserName"] for u in iam.list_entities_for_policy(PolicyArn=arn)["PolicyUsers"]] == [person.name]
    assert iam.get_policy(PolicyArn=arn)["Policy"]["AttachmentCount"] == 1
    assert outcome(iam.delete_policy, PolicyArn=arn) == "DeleteConflict"
    iam.detach_user_policy(UserName=person.name, PolicyArn=arn)
    assert outcome(iam.delete_policy, PolicyArn=arn) == "DeleteConflict"
    iam.delete_policy_version(PolicyArn=arn, VersionId="v2")
    iam.delete_policy(PolicyArn=arn)
    assert outcome(iam.get_policy, PolicyArn=arn) == "NoSuchEntity"


def test_access_keys_rotate(iam, person):
    second = iam.create_access_key(UserName=person.name)["AccessKey"]
    assert outcome(iam.create_access_key, UserName=person.name) == "LimitExceeded"
    old, new = person.client("sts"), person.client("sts", second)
    settles(new.get_caller_identity, "OK")
    assert new.get_caller_identity()["Arn"] == person.arn
    iam.update_access_key(UserName=person.name, AccessKeyId=person.key["AccessKeyId"], Status="Inactive")
    settles(old.get_caller_identity, "InvalidClientTokenId")
    old_items, new_items = person.client("dynamodb"), person.client("dynamodb", second)
    settles(old_items.list_tables, "UnrecognizedClientException")
    settles(new_items.list_tables, "AccessDeniedException")
    iam.update_access_key(UserName=person.name, AccessKeyId=person.key["AccessKeyId"], Status="Active")
    settles(old.get_caller_identity, "OK")
    iam.delete_access_key(UserName=person.name, AccessKeyId=second["AccessKeyId"])
    settles(new.get_caller_identity, "InvalidClientTokenId")
    settles(new_items.list_tables, "UnrecognizedClientException")


def test_a_user_without_policies_may_do_nothing_but_ask_who_she_is(person):
    iam, sts = person.client("iam"), person.client("sts")
    settles(sts.get_caller_identity, "OK")
    for call, arguments in [
        (iam.list_users, {}), (iam.get_user, {}), (iam.create_user, {"UserName": "x"}),
        (iam.create_access_key, {}), (iam.attach_user_policy, {
            "UserName": person.name, "PolicyArn": "arn:aws:iam::aws:policy/AdministratorAccess"}),
    ]:
        with pytest.raises(ClientError) as info:
            call(**arguments)
        assert error_of(info)[0] == "AccessDenied", call
        assert info.value.response["ResponseMetadata"]["HTTPStatusCode"] == 403
        assert f"User: {person.arn} is not authorized to perform: iam:" in error_of(info)[1]


def test_who_may_not_tag_makes_nothing_with_tags(iam, session, person, account):
    """Else she could give herself, or a role that she may assume, what policies go by."""
    own, trails = person.client("iam"), person.client("cloudtrail")
    document, root = policy(allow("s3:GetObject", "*")), policy(trust(account))
    tagged = {"Tags": [{"Key": "team", "Value": "blue"}]}
    made = [
        (own.create_user, "iam:TagUser", {"UserName": name("user")}, lambda n: iam.delete_user(UserName=n)),
        (own.create_role, "iam:TagRole", {"RoleName": name("role"), "AssumeRolePolicyDocument": root},
         lambda n: iam.delete_role(RoleName=n)),
        (own.create_policy, "iam:TagPolicy", {"PolicyName": name("p"), "PolicyDocument": document},
         lambda n: iam.delete_policy(PolicyArn=f"arn:aws:iam::{account}:policy/{n}")),
        (own.create_instance_profile, "iam:TagInstanceProfile", {"InstanceProfileName": name("profile")},
         lambda n: iam.delete_instance_profile(InstanceProfileName=n)),
        (own.create_virtual_mfa_device, "iam:TagMFADevice", {"VirtualMFADeviceName": name("mfa")},
         lambda n: iam.delete_virtual_mfa_device(SerialNumber=f"arn:aws:iam::{account}:mfa/{n}")),
    ]
    iam.put_user_policy(UserName=person.name, PolicyName="make", PolicyDocument=policy(
        allow(["iam:Create*", "iam:UploadServerCertificate", "cloudtrail:CreateTrail"], "*")))
    settles(own.create_user, "EntityAlreadyExists", UserName="administrator")
    for call, action, arguments, remove in made:
        with pytest.raises(ClientError) as info:
            call(**arguments, **tagged)
        code, message = error_of(info)
        assert code == "AccessDenied" and f"is not authorized to perform: {action} on resource: arn:aws:iam::" in message
    provider = {"Url": "https://idp.example/x", "ThumbprintList": ["a" * 40], "ClientIDList": ["app"]}
    trail = {"Name": name("t"), "S3BucketName": name("logs")}
    saml = {"Name": name("saml"), "SAMLMetadataDocument": "x" * 1_000}
    certificate = {"ServerCertificateName": name("c"), "CertificateBody": "x", "PrivateKey": "x"}
    for call, action, arguments, tags in [
        (own.create_open_id_connect_provider, "iam:TagOpenIDConnectProvider", provider, tagged),
        (own.create_saml_provider, "iam:TagSAMLProvider", saml, tagged),
        (own.upload_server_certificate, "iam:TagServerCertificate", certificate, tagged),
        (trails.create_trail, "cloudtrail:AddTags", trail, {"TagsList": tagged["Tags"]}),
    ]:
        with pytest.raises(ClientError) as info:
            call(**arguments, **tags)
        assert action in error_of(info)[1], info.value
    # Without tags she may; and with them, once she may tag.
    for call, action, arguments, remove in made:
        call(**arguments)
        remove(next(iter(arguments.values())))
    iam.put_user_policy(UserName=person.name, PolicyName="tag", PolicyDocument=policy(allow("iam:Tag*", "*", Condition={
        "StringEquals": {"aws:RequestTag/team": "blue"}})))
    user = name("user")
    until(lambda: outcome(own.create_user, UserName=user, **tagged), lambda got: got in ("OK", "EntityAlreadyExists"))
    settles(own.create_user, "EntityAlreadyExists", UserName=user, **tagged)
    settles(own.create_user, "AccessDenied", UserName=user, Tags=[{"Key": "team", "Value": "red"}])
    assert iam.list_user_tags(UserName=user)["Tags"] == tagged["Tags"]
    iam.delete_user(UserName=user)


def test_a_role_is_assumed_with_an_external_id_and_bounds_its_session(iam, table, person):
    account = person.arn.split(":")[4]
    role = role_for(iam, trust(person.arn, Condition={"StringEquals": {"sts:ExternalId": "12345"}}), MaxSessionDuration=7200)
    iam.put_role_policy(RoleName=role, PolicyName="items", PolicyDocument=policy(
        allow(["dynamodb:GetItem", "dynamodb:PutItem"], "*"), allow("iam:GetRole", "*")))
    arn = iam.get_role(RoleName=role)["Role"]["Arn"]
    own = person.client("sts")
    ask = {"RoleArn": arn, "RoleSessionName": "visit", "ExternalId": "12345"}
    settles(own.assume_role, "OK", **ask)
    assert outcome(own.assume_role, **{**ask, "ExternalId": "wrong"}) == "AccessDenied"
    assert outcome(own.assume_role, RoleArn=arn, RoleSessionName="visit") == "AccessDenied"
    assert outcome(own.assume_role, **{**ask, "RoleArn": arn + "x"}) == "AccessDenied"
    assert outcome(own.assume_role, **ask, DurationSeconds=8000) == "ValidationError"
    # Nobody but whom it trusts, whatever her policies.
    assert outcome(person.session.client("sts", config=ONCE).assume_role, **ask) == "AccessDenied"
    # Session tags are a right of their own.
    assert outcome(own.assume_role, **ask, Tags=[{"Key": "a", "Value": "b"}]) == "AccessDenied"
    answer = own.assume_role(**ask)
    assert answer["AssumedRoleUser"]["Arn"] == f"arn:aws:sts::{account}:assumed-role/{role}/visit"
    visit = session_of(answer)
    who = person.client("sts", visit).get_caller_identity()
    assert (who["Arn"], who["UserId"]) == (answer["AssumedRoleUser"]["Arn"], answer["AssumedRoleUser"]["AssumedRoleId"])
    items = person.client("dynamodb", visit)
    key = {"TableName": table, "Key": {"pk": {"S": "mine"}}}
    settles(items.get_item, "OK", **key)
    with pytest.raises(ClientError) as info:
        items.delete_item(**key)
    assert f"User: {who['Arn']} is not authorized to perform: dynamodb:DeleteItem" in error_of(info)[1]
    assert outcome(person.client("iam", visit).get_role, RoleName=role) == "OK"
    # With a session policy it may do what both allow.
    less = person.client("dynamodb", session_of(own.assume_role(**ask, Policy=policy(allow("dynamodb:GetItem", "*")))))
    settles(less.get_item, "OK", **key)
    with pytest.raises(ClientError) as info:
        less.put_item(TableName=table, Item={"pk": {"S": "mine"}})
    assert "because no session policy allows the dynamodb:PutItem action" in error_of(info)[1]
    # Revoked as AWS does it.
    iam.put_role_policy(RoleName=role, PolicyName="revoke", PolicyDocument=policy({
        "Effect": "Deny", "Action": "*", "Resource": "*",
        "Condition": {"DateLessThan": {"aws:TokenIssueTime": "2999-01-01T00:00:00Z"}}}))
    settles(items.get_item, "AccessDeniedException", **key)
    iam.delete_role_policy(RoleName=role, PolicyName="revoke")
    settles(items.get_item, "OK", **key)
    iam.update_assume_role_policy(RoleName=role, PolicyDocument=policy(trust(f"arn:aws:iam::{account}:user/administrator")))
    settles(own.assume_role, "AccessDenied", **ask)
    # Who comes back under the role's name is somebody else.
    remove_role(iam, role)
    settles(items.get_item, "UnrecognizedClientException", **key)
    iam.create_role(RoleName=role, AssumeRolePolicyDocument=policy(trust(person.arn)))
    iam.put_role_policy(RoleName=role, PolicyName="items", PolicyDocument=policy(allow("*", "*")))
    settles(own.assume_role, "OK", RoleArn=arn, RoleSessionName="visit")
    assert outcome(items.get_item, **key) == "UnrecognizedClientException"
    remove_role(iam, role)


def test_an_account_that_is_trusted_hands_on_by_policy(iam, person):
    account = person.arn.split(":")[4]
    role = role_for(iam, trust(account), trust(account, Action=["sts:TagSession", "sts:SetSourceIdentity"]))
    arn = iam.get_role(RoleName=role)["Role"]["Arn"]
    own = person.client("sts")
    ask = {"RoleArn": arn, "RoleSessionName": "visit"}
    settles(own.assume_role, "AccessDenied", **ask)
    iam.put_user_policy(UserName=person.name, PolicyName="assume", PolicyDocument=policy(
        allow(["sts:AssumeRole", "sts:TagSession", "sts:SetSourceIdentity"], arn)))
    settles(own.assume_role, "OK", **ask)
    iam.put_role_policy(RoleName=role, PolicyName="tagged", PolicyDocument=policy(
        allow("dynamodb:ListTables", "*", Condition={"StringEquals": {"aws:PrincipalTag/team": "red", "aws:SourceIdentity": "ann"}})))
    plain = person.client("dynamodb", session_of(own.assume_role(**ask)))
    red = own.assume_role(**ask, Tags=[{"Key": "team", "Value": "red"}], SourceIdentity="ann")
    settles(person.client("dynamodb", session_of(red)).list_tables, "OK")
    assert red["SourceIdentity"] == "ann"
    assert outcome(plain.list_tables) == "AccessDeniedException"
    remove_role(iam, role)


def test_attributes_and_select_are_asked_of_policies(iam, table, person):
    """A policy that grants some attributes by name, as DynamoDB's guide writes it."""
    some = {
        "ForAllValues:StringEquals": {"dynamodb:Attributes": ["pk", "shown"]},
        "StringEqualsIfExists": {
            "dynamodb:Select": "SPECIFIC_ATTRIBUTES", "dynamodb:ReturnValues": ["NONE", "UPDATED_OLD", "UPDATED_NEW"],
        },
    }
    reads_and_writes = [f"dynamodb:{action}" for action in ("GetItem", "Query", "PutItem", "UpdateItem")]
    iam.put_user_policy(
        UserName=person.name, PolicyName="some", PolicyDocument=policy(allow(reads_and_writes, "*", Condition=some))
    )
    client = person.client("dynamodb")
    item = {"pk": {"S": "attributes"}, "shown": {"S": "yes"}}
    settles(client.put_item, "OK", TableName=table, Item=item)
    denied = "AccessDeniedException"
    assert outcome(client.put_item, TableName=table, Item={**item, "hidden": {"S": "no"}}) == denied
    key = {"TableName": table, "Key": {"pk": item["pk"]}}
    assert outcome(client.get_item, **key, ProjectionExpression="pk, shown") == "OK"
    assert outcome(client.get_item, **key, ProjectionExpression="pk, hidden") == denied
    assert outcome(client.get_item, **key, ProjectionExpression="#h", ExpressionAttributeNames={"#h": "hidden"}) == denied
    query = {
        "TableName": table, "KeyConditionExpression": "pk = :k", "ExpressionAttributeValues": {":k": item["pk"]},
        "ProjectionExpression": "shown",
    }
    assert outcome(client.query, **query, Select="SPECIFIC_ATTRIBUTES") == "OK"
    assert outcome(client.query, **query, FilterExpression="attribute_exists(hidden)") == denied
    every = {k: v for k, v in query.items() if k != "ProjectionExpression"}
    assert outcome(client.query, **every, Select="ALL_ATTRIBUTES") == denied
    assert outcome(client.query, **every, Select="COUNT") == denied
    update = {**key, "UpdateExpression": "SET shown = :s", "ExpressionAttributeValues": {":s": {"S": "new"}}}
    assert outcome(client.update_item, **update) == "OK"
    assert outcome(client.update_item, **update, ReturnValues="UPDATED_NEW") == "OK"
    assert outcome(client.update_item, **update, ReturnValues="ALL_NEW") == denied


def test_nothing_is_left_to_a_user_who_is_gone(iam, table, person):
    """Her key, her session and her rights end with her, also if another takes her name."""
    role = role_for(iam, trust(person.arn))
    arn = iam.get_role(RoleName=role)["Role"]["Arn"]
    rights = {"PolicyName": "all", "PolicyDocument": policy(allow("*", "*"))}
    iam.put_user_policy(UserName=person.name, **rights)
    own = person.client("sts")
    settles(own.get_session_token, "OK")
    visit = session_of(own.get_session_token())
    key = {"TableName": table, "Key": {"pk": {"S": "mine"}}}
    items = person.client("dynamodb", visit)
    settles(items.get_item, "OK", **key)
    ask = {"RoleArn": arn, "RoleSessionName": "visit"}
    assert outcome(person.client("sts", visit).assume_role, **ask) == "OK"
    person.remove()
    settles(items.get_item, "UnrecognizedClientException", **key)
    settles(own.get_caller_identity, "InvalidClientTokenId")
    iam.create_user(UserName=person.name)
    iam.put_user_policy(UserName=person.name, **rights)
    settles(items.get_item, "UnrecognizedClientException", **key)
    settles(person.client("sts", visit).assume_role, "InvalidClientTokenId", **ask)
    person.key = iam.create_access_key(UserName=person.name)["AccessKey"]
    # The role trusts the user by her id, not by her name.
    settles(person.client("sts").get_caller_identity, "OK")
    settles(person.client("dynamodb").get_item, "OK", **key)
    remove_role(iam, role)


def test_session_tokens_are_the_users_rights_for_a_while(iam, table, person):
    iam.put_user_policy(UserName=person.name, PolicyName="all", PolicyDocument=policy(allow(["dynamodb:*", "iam:*"], "*")))
    own = person.client("sts")
    settles(own.get_session_token, "OK")
    visit = session_of(own.get_session_token(DurationSeconds=900))
    items = person.client("dynamodb", visit)
    settles(items.list_tables, "OK")
    assert person.client("sts", visit).get_caller_identity()["Arn"] == person.arn
    assert outcome(person.client("sts", visit).get_session_token) in ("AccessDenied", "InvalidClientTokenId")
    assert outcome(person.client("iam", visit).list_users) == "InvalidClientTokenId"
    assert outcome(own.get_session_token, DurationSeconds=200_000) == "ValidationError"
    for wrong in [
        {**visit, "SessionToken": visit["SessionToken"][:-8] + "AAAAAAA="},
        {**visit, "SessionToken": "x"},
        {**visit, "SecretAccessKey": "x" * 40},
        {k: v for k, v in visit.items() if k != "SessionToken"},
        {**person.key, "SessionToken": visit["SessionToken"]},
    ]:
        got = outcome(person.client("dynamodb", wrong).list_tables)
        assert got in ("UnrecognizedClientException", "InvalidSignatureException"), wrong
    # Of a user who is gone, nothing is left.
    iam.delete_user_policy(UserName=person.name, PolicyName="all")
    settles(items.list_tables, "AccessDeniedException")


def test_a_table_is_deleted_only_by_who_holds_her_device(iam, dynamodb, person):
    iam.put_user_policy(UserName=person.name, PolicyName="mfa", PolicyDocument=policy(
        allow("dynamodb:*", "*"),
        {"Effect": "Deny", "Action": "dynamodb:DeleteTable", "Resource": "*",
         "Condition": {"BoolIfExists": {"aws:MultiFactorAuthPresent": "false"}}},
        {"Effect": "Deny", "Action": "dynamodb:DeleteTable", "Resource": "*",
         "Condition": {"NumericGreaterThanIfExists": {"aws:MultiFactorAuthAge": "300"}}},
    ))
    device = Device(iam)
    device.enable(person)
    doomed = make_table(dynamodb)
    own = person.client("sts")
    settles(person.client("dynamodb").describe_table, "OK", TableName=doomed)
    assert outcome(person.client("dynamodb").delete_table, TableName=doomed) == "AccessDeniedException"
    visit = person.client("dynamodb", session_of(own.get_session_token()))
    settles(visit.describe_table, "OK", TableName=doomed)
    assert outcome(visit.delete_table, TableName=doomed) == "AccessDeniedException"
    mine = {"SerialNumber": device.serial}
    wrong = next(code for code in ("000000", "111111", "222222") if code not in [device.code(n) for n in range(-3, 4)])
    for bad, code in [
        ({**mine, "TokenCode": wrong}, "AccessDenied"), ({**mine, "TokenCode": device.code(-1)}, "AccessDenied"),
        (mine, "AccessDenied"), ({"TokenCode": device.code(0)}, "AccessDenied"),
        ({"SerialNumber": mine["SerialNumber"] + "x", "TokenCode": device.code(0)}, "AccessDenied"),
        ({**mine, "TokenCode": "12345a"}, "ValidationError"),
    ]:
        assert outcome(own.get_session_token, **bad) == code, bad
    answer = own.get_session_token(**mine, TokenCode=device.code(0))
    with pytest.raises(ClientError) as info:
        own.get_session_token(**mine, TokenCode=device.code(0))
    assert error_of(info) == ("AccessDenied", "MultiFactorAuthentication failed with invalid MFA one time pass code.")
    proven = session_of(answer)
    assert outcome(person.client("dynamodb", proven).delete_table, TableName=doomed) == "OK"
    # A session with it may use IAM as far as the user may.
    iam.put_user_policy(UserName=person.name, PolicyName="self", PolicyDocument=policy(allow("iam:ListMFADevices", "*")))
    settles(person.client("iam", proven).list_mfa_devices, "OK")
    device.remove(person)


def test_a_role_asks_for_the_device_of_who_assumes_it(iam, person):
    holds = {"Condition": {"Bool": {"aws:MultiFactorAuthPresent": "true"}, "NumericLessThan": {"aws:MultiFactorAuthAge": "60"}}}
    role = role_for(iam, trust(person.arn, **holds))
    ask = {"RoleArn": iam.get_role(RoleName=role)["Role"]["Arn"], "RoleSessionName": "visit"}
    device = Device(iam)
    device.enable(person)
    own = person.client("sts")
    settles(own.assume_role, "AccessDenied", **ask)
    visit = own.assume_role(**ask, SerialNumber=device.serial, TokenCode=device.code(0))
    assert outcome(own.assume_role, **ask, SerialNumber=device.serial, TokenCode=device.code(0)) == "AccessDenied"
    iam.put_role_policy(RoleName=role, PolicyName="all", PolicyDocument=policy(allow("iam:GetRole", "*", Condition={
        "Bool": {"aws:MultiFactorAuthPresent": "true"}})))
    settles(person.client("iam", session_of(visit)).get_role, "OK", RoleName=role)
    remove_role(iam, role)
    device.remove(person)


def test_mfa_devices_and_their_errors(iam, session, person):
    if person.door != "control":
        pytest.skip("IAM is at the control nodes' front doors alone")
    device = Device(iam, Path="/team/", Tags=[{"Key": "a", "Value": "1"}])
    account = person.arn.split(":")[4]
    assert device.serial.startswith(f"arn:aws:iam::{account}:mfa/team/mfa-")
    assert device.picture.startswith(b"\x89PNG\r\n") and len(device.seed) == 40
    own_name = device.serial.rsplit("/", 1)[1]
    assert outcome(iam.create_virtual_mfa_device, VirtualMFADeviceName=own_name) == "EntityAlreadyExists"
    assert outcome(iam.create_virtual_mfa_device, VirtualMFADeviceName="a/b") == "ValidationError"
    codes = lambda a, b: {"AuthenticationCode1": device.code(a), "AuthenticationCode2": device.code(b)}
    enable = {"UserName": person.name, "SerialNumber": device.serial}
    assert outcome(iam.enable_mfa_device, **enable, **codes(-1, -1)) == "InvalidAuthenticationCode"
    assert outcome(iam.enable_mfa_device, **{**enable, "UserName": "nobody-here"}, **codes(-1, 0)) == "NoSuchEntity"
    assert outcome(iam.enable_mfa_device, **{**enable, "SerialNumber": device.serial + "x"}, **codes(-1, 0)) == "NoSuchEntity"
    mine = lambda **more: [d["SerialNumber"] for d in iam.list_virtual_mfa_devices(MaxItems=1000, **more)["VirtualMFADevices"]]
    assert device.serial in mine(AssignmentStatus="Unassigned") and device.serial not in mine(AssignmentStatus="Assigned")
    assert iam.list_mfa_devices(UserName=person.name)["MFADevices"] == []
    iam.enable_mfa_device(**enable, **codes(-2, -1))
    with pytest.raises(ClientError) as info:
        iam.enable_mfa_device(**enable, **codes(0, 1))
    assert error_of(info)[0] == "EntityAlreadyExists"
    listed = iam.list_mfa_devices(UserName=person.name)["MFADevices"]
    assert [(d["UserName"], d["SerialNumber"]) for d in listed] == [(person.name, device.serial)]
    assert iam.get_mfa_device(UserName=person.name, SerialNumber=device.serial)["EnableDate"] == listed[0]["EnableDate"]
    assert device.serial in mine() and device.serial in mine(AssignmentStatus="Assigned")
    shown = next(d for d in iam.list_virtual_mfa_devices(MaxItems=1000)["VirtualMFADevices"] if d["SerialNumber"] == device.serial)
    assert shown["User"]["UserName"] == person.name and "Base32StringSeed" not in shown
    assert outcome(iam.delete_virtual_mfa_device, SerialNumber=device.serial) == "DeleteConflict"
    for key in iam.list_access_keys(UserName=person.name)["AccessKeyMetadata"]:
        iam.delete_access_key(UserName=person.name, AccessKeyId=key["AccessKeyId"])
    with pytest.raises(ClientError) as info:
        iam.delete_user(UserName=person.name)
    assert error_of(info) == ("DeleteConflict", "Cannot delete entity, must delete MFA device first.")
    # A device whose clock went wrong by an hour.
    assert outcome(iam.resync_mfa_device, **enable, **codes(118, 120)) == "InvalidAuthenticationCode"
    iam.resync_mfa_device(**enable, **codes(119, 120))
    iam.tag_mfa_device(SerialNumber=device.serial, Tags=[{"Key": "b", "Value": "2"}])
    iam.untag_mfa_device(SerialNumber=device.serial, TagKeys=["A"])
    assert iam.list_mfa_device_tags(SerialNumber=device.serial)["Tags"] == [{"Key": "b", "Value": "2"}]
    iam.deactivate_mfa_device(**enable)
    assert outcome(iam.deactivate_mfa_device, **enable) == "NoSuchEntity"
    assert iam.list_mfa_devices(UserName=person.name)["MFADevices"] == []
    iam.delete_virtual_mfa_device(SerialNumber=device.serial)
    assert outcome(iam.delete_virtual_mfa_device, SerialNumber=device.serial) == "NoSuchEntity"


def test_the_accounts_alias_and_summary(iam, person):
    if person.door != "control":
        pytest.skip("IAM is at the control nodes' front doors alone")
    first, second = name("alias"), name("alias")
    iam.create_account_alias(AccountAlias=first)
    assert iam.list_account_aliases()["AccountAliases"] == [first]
    iam.create_account_alias(AccountAlias=second)
    assert iam.list_account_aliases()["AccountAliases"] == [second]
    for call, alias, code in [
        (iam.delete_account_alias, first, "NoSuchEntity"), (iam.create_account_alias, "a--b", "ValidationError"),
        (iam.create_account_alias, second, "OK"),
    ]:
        assert outcome(call, AccountAlias=alias) == code, alias
    iam.delete_account_alias(AccountAlias=second)
    assert iam.list_account_aliases()["AccountAliases"] == []
    before = iam.get_account_summary()["SummaryMap"]
    assert before["UsersQuota"] == 5000 and before["Users"] >= 2 and before["PolicySizeQuota"] == 6144
    device = Device(iam)
    device.enable(person)
    now = iam.get_account_summary()["SummaryMap"]
    assert (now["MFADevices"], now["MFADevicesInUse"]) == (before["MFADevices"] + 1, before["MFADevicesInUse"] + 1)
    device.remove(person)
    role = role_for(iam, trust(person.arn))
    assert iam.update_role_description(RoleName=role, Description="visits")["Role"]["Description"] == "visits"
    assert outcome(iam.update_role_description, RoleName=role, Description="x" * 1001) == "ValidationError"
    remove_role(iam, role)


def test_administration_is_delegated_by_boundary(iam, person):
    """As IAM's guide has it: who makes users must give each the boundary, and can't take it away."""
    if person.door != "control":
        pytest.skip("IAM is at the control nodes' front doors alone")
    bound = iam.create_policy(PolicyName=name("bound"), PolicyDocument=policy(allow("dynamodb:*", "*")))["Policy"]["Arn"]
    bounded = {"Condition": {"StringEquals": {"iam:PermissionsBoundary": bound}}}
    iam.put_user_policy(UserName=person.name, PolicyName="delegate", PolicyDocument=policy(
        allow(["iam:CreateUser", "iam:AttachUserPolicy", "iam:PutUserPolicy", "iam:PutUserPermissionsBoundary"], "*", **bounded),
        allow("iam:TagUser", "*", Condition={
            "ForAllValues:StringEquals": {"aws:TagKeys": ["team"]}, "StringLike": {"aws:RequestTag/team": "blue*"}}),
    ))
    own, made = person.client("iam"), name("made")
    settles(own.create_user, "AccessDenied", UserName=made)
    settles(own.put_user_policy, "AccessDenied", UserName=person.name, PolicyName="more", PolicyDocument=policy(allow("*", "*")))
    end = time.monotonic() + EVERYWHERE
    while outcome(own.create_user, UserName=made, PermissionsBoundary=bound) == "AccessDenied":
        assert time.monotonic() < end
    admin = "arn:aws:iam::aws:policy/AdministratorAccess"
    settles(own.attach_user_policy, "OK", UserName=made, PolicyArn=admin)
    assert outcome(own.put_user_permissions_boundary, UserName=made, PermissionsBoundary=admin) == "AccessDenied"
    assert outcome(own.delete_user_permissions_boundary, UserName=made) == "AccessDenied"
    assert outcome(own.tag_user, UserName=made, Tags=[{"Key": "team", "Value": "blue-1"}]) == "OK"
    assert outcome(own.tag_user, UserName=made, Tags=[{"Key": "team", "Value": "red"}]) == "AccessDenied"
    assert outcome(own.tag_user, UserName=made, Tags=[{"Key": "team", "Value": "blue"}, {"Key": "x", "Value": ""}]) == "AccessDenied"
    iam.tag_policy(PolicyArn=bound, Tags=[{"Key": "k", "Value": "v"}])
    assert iam.list_policy_tags(PolicyArn=bound)["Tags"] == iam.get_policy(PolicyArn=bound)["Policy"]["Tags"] == [
        {"Key": "k", "Value": "v"}]
    iam.untag_policy(PolicyArn=bound, TagKeys=["k"])
    iam.detach_user_policy(UserName=made, PolicyArn=admin)
    iam.delete_user(UserName=made)
    iam.delete_policy(PolicyArn=bound)


def test_policy_variables_name_the_caller(iam, person):
    iam.put_user_policy(UserName=person.name, PolicyName="own-keys", PolicyDocument=policy(
        allow("iam:*AccessKey*", "arn:aws:iam::*:user/${aws:username}")))
    own = person.client("iam")
    settles(own.list_access_keys, "OK")
    assert outcome(own.list_access_keys, UserName="administrator") == "AccessDenied"


def test_entities_and_their_errors(iam):
    user, group = name("u"), name("g")
    made = iam.create_user(UserName=user, Path="/a/b/", Tags=[{"Key": "k", "Value": "v"}])["User"]
    assert made["Arn"].endswith(f":user/a/b/{user}") and made["UserId"].startswith("AIDA") and len(made["UserId"]) == 21
    assert iam.get_user(UserName=user.upper())["User"]["UserName"] == user
    with pytest.raises(ClientError) as info:
        iam.create_user(UserName=user.upper())
    assert error_of(info) == ("EntityAlreadyExists", f"User with name {user.upper()} already exists.")
    iam.tag_user(UserName=user, Tags=[{"Key": "K", "Value": "w"}, {"Key": "n", "Value": ""}])
    assert iam.list_user_tags(UserName=user)["Tags"] == [{"Key": "k", "Value": "w"}, {"Key": "n", "Value": ""}]
    iam.untag_user(UserName=user, TagKeys=["N"])
    assert iam.get_user(UserName=user)["User"]["Tags"] == [{"Key": "k", "Value": "w"}]
    assert user in [u["UserName"] for u in iam.list_users(PathPrefix="/a/")["Users"]]
    assert user not in [u["UserName"] for u in iam.list_users(PathPrefix="/b/")["Users"]]
    iam.create_group(GroupName=group)
    iam.add_user_to_group(GroupName=group, UserName=user)
    assert [u["UserName"] for u in iam.get_group(GroupName=group)["Users"]] == [user]
    for call, arguments, code in [
        (iam.delete_group, {"GroupName": group}, "DeleteConflict"),
        (iam.delete_user, {"UserName": user}, "DeleteConflict"),
        (iam.get_user, {"UserName": "nobody"}, "NoSuchEntity"),
        (iam.add_user_to_group, {"GroupName": "none", "UserName": user}, "NoSuchEntity"),
        (iam.create_user, {"UserName": "a b"}, "ValidationError"),
        (iam.create_user, {"UserName": "a" * 65}, "ValidationError"),
        (iam.create_user, {"UserName": "x", "Path": "no/"}, "ValidationError"),
        (iam.put_user_policy, {"UserName": user, "PolicyName": "p", "PolicyDocument": "{"}, "MalformedPolicyDocument"),
        (iam.put_user_policy, {"UserName": user, "PolicyName": "p", "PolicyDocument": policy(
            allow(["s3:Get" + "x" * 40] * 60, "*"))}, "LimitExceeded"),
        (iam.get_user_policy, {"UserName": user, "PolicyName": "none"}, "NoSuchEntity"),
        (iam.attach_user_policy, {"UserName": user, "PolicyArn": "arn:aws:iam::aws:policy/None"}, "NoSuchEntity"),
        (iam.detach_user_policy, {"UserName": user, "PolicyArn": "arn:aws:iam::aws:policy/ReadOnlyAccess"}, "NoSuchEntity"),
        (iam.delete_access_key, {"UserName": user, "AccessKeyId": "AKIA" + "A" * 16}, "NoSuchEntity"),
        (iam.list_organizations_features, {}, "InvalidAction"),
        (iam.create_role, {"RoleName": "r", "AssumeRolePolicyDocument": policy(allow("sts:AssumeRole", "*"))}, "MalformedPolicyDocument"),
    ]:
        assert outcome(call, **arguments) == code, (call, arguments)
    iam.remove_user_from_group(GroupName=group, UserName=user)
    iam.delete_group(GroupName=group)
    iam.delete_user(UserName=user)
    assert outcome(iam.get_user, UserName=user) == "NoSuchEntity"


def test_lists_come_in_pages(iam):
    path = f"/{uuid.uuid4().hex[:8]}/"
    names = sorted(name("page") for _ in range(5))
    for one in names:
        iam.create_user(UserName=one, Path=path)
    pages = list(iam.get_paginator("list_users").paginate(PathPrefix=path, PaginationConfig={"PageSize": 2}))
    assert [len(page["Users"]) for page in pages] == [2, 2, 1]
    assert [u["UserName"] for page in pages for u in page["Users"]] == names
    for one in names:
        iam.delete_user(UserName=one)


def test_wrong_signatures_get_the_query_protocols_errors(session, person):
    wrong = {"AccessKeyId": person.key["AccessKeyId"], "SecretAccessKey": "x" * 40}
    assert outcome(person.client("iam", wrong).list_users) == "SignatureDoesNotMatch"
    unknown = {"AccessKeyId": "AKIA" + "B" * 16, "SecretAccessKey": "x" * 40}
    assert outcome(person.client("sts", unknown).get_caller_identity) == "InvalidClientTokenId"


def test_who_am_i(sts):
    me = sts.get_caller_identity()
    assert me["Arn"].endswith(":user/administrator") and me["UserId"].startswith("AIDA")
    until(sts.get_caller_identity, lambda answer: answer["Account"] == me["Arn"].split(":")[4])


@pytest.fixture
def own_region(request):
    region = OwnRegion()
    try:
        region.up()
        yield region
    finally:
        region.down()
    if request.node.passed:
        region.remove()


def test_policies_hold_while_every_control_node_is_down(own_region):
    region = own_region
    admin = region.dynamodb()
    create(admin, "kept")
    retried(lambda: admin.put_item(TableName="kept", Item={"pk": {"S": "a"}}))
    credentials = dict(
        line.split(" = ") for line in
        (region.root / region.name / "operator/credentials").read_text().splitlines() if " = " in line)
    session = boto3.Session(**credentials, region_name="us-east-1")
    iam = session.client("iam", endpoint_url=f"http://127.0.0.1:{FRONT + region.offset}", config=ONCE)
    iam.create_user(UserName="ann")
    iam.put_user_policy(UserName="ann", PolicyName="read", PolicyDocument=policy(allow("dynamodb:GetItem", "*")))
    key = iam.create_access_key(UserName="ann")["AccessKey"]
    nodes = [name for name in region.status() if name.startswith("dynamo-node")]
    doors = [
        boto3.Session(key["AccessKeyId"], key["SecretAccessKey"], region_name="us-east-1").client(
            "dynamodb", endpoint_url=region.front_of(node), config=ONCE)
        for node in nodes
    ]
    get = {"TableName": "kept", "Key": {"pk": {"S": "a"}}}
    for door in doors:
        wait_for("ann is known", lambda: outcome(door.get_item, **get) == "OK")
    region.chaos("kill", "control-node")

    def holds(door):
        return [outcome(door.get_item, **get), outcome(door.delete_item, **get)] == ["OK", "AccessDeniedException"]

    assert all(holds(door) for door in doors)
    region.chaos("kill", nodes[0])
    region.chaos("restart", nodes[0])
    wait_for("it starts on what it kept", lambda: region.status()[nodes[0]]["ready"])
    wait_for("its groups' leaders", lambda: outcome(doors[0].get_item, **get) == "OK")
    assert holds(doors[0])


# What AWS answers without a permission.
OPEN = {"sts": {"GetCallerIdentity", "GetSessionToken"}}
# Open to who has no credentials yet; they have tests of their own.
FEDERATED = {"AssumeRoleWithSAML", "AssumeRoleWithWebIdentity"}
UNKNOWN = {"InvalidAction", "UnknownOperationException"}
# The calls that are no management calls.
DATA = {
    "BatchExecuteStatement", "BatchGetItem", "BatchWriteItem", "DeleteItem", "ExecuteStatement", "ExecuteTransaction",
    "GetItem", "PutItem", "Query", "Scan", "TransactGetItems", "TransactWriteItems", "UpdateItem",
}


def covered(service):
    """What the coverage table, which is written from the lists that requests are routed by, says that a service can do."""
    table = (pathlib.Path(__file__).parents[1] / "coverage.md").read_text()
    part = table.split(f"\n## {service}: ")[1].split("\nMissing: ")[0]
    return set(re.findall(r"^\| ([A-Z]\w+) \|", part, re.MULTILINE))


# What allows nothing, and asks for condition keys: an operation that sets one that it doesn't list has an internal error.
IN_VAIN = allow("*", "*", Condition={"StringEquals": {"aws:PrincipalArn": "nobody"}})


@pytest.mark.parametrize("rights", [(), (IN_VAIN,)], ids=["no policy", "a condition that never holds"])
def test_no_operation_is_reached_without_a_policy_and_each_refusal_leaves_an_event(
        iam, session, table, person, rights):
    if rights:
        iam.put_user_policy(UserName=person.name, PolicyName="in-vain", PolicyDocument=policy(*rights))
    denied, reached = {}, []
    for service in ("dynamodb", "iam", "sts", "cloudtrail"):
        client = person.client(service)
        model = client.meta.service_model
        settles(person.client("sts").get_caller_identity, "OK")
        methods = {operation: method for method, operation in client.meta.method_to_api_mapping.items()}
        for operation in model.operation_names:
            shape = model.operation_model(operation).input_shape
            arguments = sample(shape, table) if shape else {}
            optional = {"Tags", "PermissionsBoundary", "ReturnConsumedCapacity"} & set(shape.members if shape else ())
            arguments |= {member: sample(shape.members[member], table, member) for member in optional}
            if operation == "Query":
                arguments |= {"KeyConditionExpression": "pk = :k", "ExpressionAttributeValues": {":k": {"S": "mine"}}}
            if operation == "CreateTable":
                arguments["TableName"] = "t-" + uuid.uuid4().hex[:8]
                arguments["KeySchema"] = [{"AttributeName": "pk", "KeyType": "HASH"}]
                arguments["AttributeDefinitions"] = [{"AttributeName": "pk", "AttributeType": "S"}]
            if operation in ("CreateTable", "UpdateTable"):
                arguments["BillingMode"] = "PAY_PER_REQUEST"
            if operation in FEDERATED:
                continue
            got = outcome(getattr(client, methods[operation]), **arguments)
            if got in UNKNOWN:
                continue
            if operation in OPEN.get(service, ()):
                assert got == "OK", (service, operation, got)
            elif got in ("AccessDenied", "AccessDeniedException"):
                denied.setdefault(service, []).append(operation)
            else:
                reached.append((service, operation, got))
    assert not reached
    for service, operations in denied.items():
        assert set(operations) == covered(service) - OPEN.get(service, set()) - FEDERATED, service
    management = {(s, o) for s, operations in denied.items() for o in operations if not (s == "dynamodb" and o in DATA)}
    management |= {("sts", operation) for operation in OPEN["sts"]}
    pages = session.client("cloudtrail").get_paginator("lookup_events")
    attribute = {"AttributeKey": "Username", "AttributeValue": person.name}

    def told():
        found = [json.loads(e["CloudTrailEvent"]) for e in
                 pages.paginate(LookupAttributes=[attribute]).search("Events")]
        return [(r["eventSource"].split(".")[0], r["eventName"], r.get("errorCode")) for r in found]

    events = until(told, lambda events: {(s, o) for s, o, _ in events} >= management)
    for service, operation, error in events:
        assert (service, operation) in management
        is_open = operation in OPEN.get(service, ())
        assert error in ({None, "InvalidClientTokenIdException"} if is_open else {"AccessDenied"}), (operation, error)


def test_instance_profiles_hold_one_role_that_may_be_passed_on(iam, session):
    profile, role, other = name("profile"), name("role"), name("role")
    trust = policy({"Effect": "Allow", "Action": "sts:AssumeRole", "Principal": {"Service": "ec2.amazonaws.com"}})
    for each in (role, other):
        iam.create_role(RoleName=each, Path="/hosts/", AssumeRolePolicyDocument=trust)
    made = iam.create_instance_profile(InstanceProfileName=profile, Path="/web/", Tags=[{"Key": "a", "Value": "1"}])
    made = made["InstanceProfile"]
    assert made["Arn"].endswith(f":instance-profile/web/{profile}") and made["InstanceProfileId"].startswith("AIPA")
    assert made["Roles"] == [] and made["Tags"] == [{"Key": "a", "Value": "1"}]
    assert outcome(iam.create_instance_profile, InstanceProfileName=profile) == "EntityAlreadyExists"
    add = {"InstanceProfileName": profile, "RoleName": role}
    assert outcome(iam.add_role_to_instance_profile, **add | {"RoleName": "nobody"}) == "NoSuchEntity"
    # Whoever adds a role needs leave to pass it on.
    adder = Person(iam, session)
    rights = [allow("iam:AddRoleToInstanceProfile", "*")]
    iam.put_user_policy(UserName=adder.name, PolicyName="add", PolicyDocument=policy(*rights))
    mine = adder.client("iam")
    settles(mine.add_role_to_instance_profile, "AccessDenied", **add)
    with pytest.raises(ClientError) as refused:
        mine.add_role_to_instance_profile(**add)
    assert "iam:PassRole on resource: arn:aws:iam::111122223333:role/hosts/" + role in error_of(refused)[1]
    rights.append(allow("iam:PassRole", f"arn:aws:iam::*:role/hosts/{role}"))
    iam.put_user_policy(UserName=adder.name, PolicyName="add", PolicyDocument=policy(*rights))
    # The first that may adds it; there is room for one.
    settles(mine.add_role_to_instance_profile, "LimitExceeded", **add)
    assert outcome(mine.add_role_to_instance_profile, **add | {"RoleName": other}) == "AccessDenied"
    assert outcome(iam.add_role_to_instance_profile, **add | {"RoleName": other}) == "LimitExceeded"
    got = iam.get_instance_profile(InstanceProfileName=profile)["InstanceProfile"]
    assert [r["RoleName"] for r in got["Roles"]] == [role] and got["Roles"][0]["AssumeRolePolicyDocument"]
    of_role = iam.list_instance_profiles_for_role(RoleName=role)["InstanceProfiles"]
    assert [p["InstanceProfileName"] for p in of_role] == [profile]
    assert iam.list_instance_profiles_for_role(RoleName=other)["InstanceProfiles"] == []
    listed = iam.list_instance_profiles(PathPrefix="/web/")["InstanceProfiles"]
    assert profile in [p["InstanceProfileName"] for p in listed]
    iam.tag_instance_profile(InstanceProfileName=profile, Tags=[{"Key": "b", "Value": "2"}])
    iam.untag_instance_profile(InstanceProfileName=profile, TagKeys=["a"])
    assert iam.list_instance_profile_tags(InstanceProfileName=profile)["Tags"] == [{"Key": "b", "Value": "2"}]
    for delete in (lambda: iam.delete_role(RoleName=role), lambda: iam.delete_instance_profile(InstanceProfileName=profile)):
        with pytest.raises(ClientError) as refused:
            delete()
        assert error_of(refused)[0] == "DeleteConflict"
    assert outcome(iam.remove_role_from_instance_profile, **add | {"RoleName": other}) == "NoSuchEntity"
    iam.remove_role_from_instance_profile(**add)
    for each in (role, other):
        iam.delete_role(RoleName=each)
    iam.delete_instance_profile(InstanceProfileName=profile)
    adder.remove()
    assert outcome(iam.get_instance_profile, InstanceProfileName=profile) == "NoSuchEntity"
