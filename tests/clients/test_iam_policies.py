"""Documents that are no policies; AWS's own policies; what policies are used for; tags of resources in conditions; the
account's details."""

import json
import time

import pytest
from botocore.exceptions import ClientError
from calls import error_of, make_table, outcome, until
from identities import Person, allow, name, policy, settles


def statement(**elements):
    return json.dumps({"Version": "2012-10-17", "Statement": [
        {"Effect": "Allow", "Action": "s3:GetObject", "Resource": "*", **elements}]})


SYNTAX = "Syntax errors in policy."
BAD = [
    ("{", SYNTAX),
    ("[" * 200 + "]" * 200, SYNTAX),
    ('{"Version":"2012-10-17","Statement":' + "[" * 5_000 + "]" * 5_000 + "}", SYNTAX),
    ('{"Version":"2012-10-17","Version":"2012-10-17","Statement":[]}', SYNTAX),
    ('{"Version":"2012-10-17","Statement":[]}', SYNTAX),
    (statement(Effect="Maybe"), SYNTAX),
    (statement(Colour="red"), SYNTAX),
    (statement(NotAction="s3:*"), SYNTAX),
    (statement(Condition={"StringSame": {"aws:username": "x"}}), "Invalid Condition type : StringSame."),
    (statement(Condition={"ForSome:StringLike": {"aws:username": "x"}}), "Invalid Condition type : ForSome:StringLike."),
    (statement(Condition={"StringLike": "x"}), SYNTAX),
    (statement(Condition={"NumericEquals": {"a:b": "one"}}), "The policy failed legacy parsing"),
    (statement(Condition={"IpAddress": {"aws:SourceIp": "10.0.0.0/99"}}), "The policy failed legacy parsing"),
    (statement(Resource="bucket"), 'Resource bucket must be in ARN format or "*".'),
    (statement(Resource="arn:nowhere:s3:::b"), 'Partition "nowhere" is not valid for resource "arn:nowhere:s3:*:*:b".'),
    (statement(Resource="arn:aws:iam:us-east-1:1:user/x"),
     "IAM resource arn:aws:iam:us-east-1:1:user/x cannot contain region information."),
    (statement(Resource=[]), "Policy statement must contain resources."),
    (statement(Action=[]), "Policy statement must contain actions."),
    (statement(Action="GetObject"), "Actions/Conditions must be prefaced by a vendor, e.g., iam, sdb, ec2, etc."),
    (statement(Action="s3:Get:Object"), "Actions/Condition can contain only one colon."),
    (statement(Principal="*"), "Policy document should not specify a principal."),
    (json.dumps({"Version": "2008-10-17", "Statement": {"Effect": "Allow", "Action": "*", "Resource": "*"}}),
     "Policy document must be version 2012-10-17 or greater."),
    (json.dumps({"Version": "2012-10-17", "Statement": [{"Sid": "a", "Effect": "Allow", "Action": "*", "Resource": "*"}] * 2}),
     "Statement IDs (SID) in a single policy must be unique."),
]


@pytest.mark.parametrize("document,message", BAD, ids=[str(n) for n in range(len(BAD))])
def test_what_is_no_policy_is_refused_in_awss_words(iam, document, message):
    with pytest.raises(ClientError) as info:
        iam.create_policy(PolicyName=name("p"), PolicyDocument=document)
    if len(document) > 6_144:
        assert error_of(info)[0] in ("LimitExceeded", "MalformedPolicyDocument")
    else:
        assert error_of(info) == ("MalformedPolicyDocument", message)


def test_older_versions_of_the_language_are_for_policies_that_are_not_managed(iam):
    user, role = name("user"), name("role")
    iam.create_user(UserName=user)
    old = {"Statement": {"Effect": "Allow", "Action": "s3:*", "Resource": "arn:aws:s3:::${aws:username}"}}
    for document in (old, {"Version": "2008-10-17", **old}):
        iam.put_user_policy(UserName=user, PolicyName="old", PolicyDocument=json.dumps(document))
        with pytest.raises(ClientError) as info:
            iam.create_policy(PolicyName=name("p"), PolicyDocument=json.dumps(document))
        assert error_of(info)[0] == "MalformedPolicyDocument"
    trust = {"Effect": "Allow", "Action": "sts:AssumeRole", "Principal": {"AWS": "111122223333"}}
    iam.create_role(RoleName=role, AssumeRolePolicyDocument=json.dumps({"Statement": trust}))
    iam.delete_role(RoleName=role)
    iam.delete_user_policy(UserName=user, PolicyName="old")
    iam.delete_user(UserName=user)


def test_a_role_can_not_trust_everybody_but_some(iam):
    for effect in ("Allow", "Deny"):
        trust = {"Effect": effect, "Action": "sts:AssumeRole", "NotPrincipal": {"AWS": "111122223333"}}
        document = json.dumps({"Version": "2012-10-17", "Statement": trust})
        with pytest.raises(ClientError) as info:
            iam.create_role(RoleName=name("role"), AssumeRolePolicyDocument=document)
        assert error_of(info) == ("MalformedPolicyDocument", "Has prohibited field NotPrincipal")


def test_sizes_of_documents_are_bounded(iam):
    user = name("user")
    iam.create_user(UserName=user)
    assert outcome(iam.create_policy, PolicyName=name("p"), PolicyDocument=statement(Sid="x" * 7_000)) == "LimitExceeded"
    assert outcome(iam.create_policy, PolicyName=name("p"), PolicyDocument=" " * 131_073) == "ValidationError"
    # A megabyte isn't read at all.
    assert outcome(iam.create_policy, PolicyName=name("p"), PolicyDocument=" " * (1 << 20)) in (
        "RequestEntityTooLarge", "413", "ValidationError")
    # White space doesn't count; what is written into a user counts together.
    spaced = statement(Sid="x" * 900).replace(":", ":" + " " * 2_000, 1)
    iam.put_user_policy(UserName=user, PolicyName="one", PolicyDocument=spaced)
    with pytest.raises(ClientError) as info:
        iam.put_user_policy(UserName=user, PolicyName="two", PolicyDocument=statement(Sid="y" * 1_200))
    assert error_of(info) == ("LimitExceeded", f"Maximum policy size of 2048 bytes exceeded for user {user}")
    iam.put_user_policy(UserName=user, PolicyName="one", PolicyDocument=statement())
    iam.put_user_policy(UserName=user, PolicyName="two", PolicyDocument=statement(Sid="y" * 1_200))
    for one in ("one", "two"):
        iam.delete_user_policy(UserName=user, PolicyName=one)
    iam.delete_user(UserName=user)


NAMES = """
    AdministratorAccess PowerUserAccess ReadOnlyAccess IAMFullAccess IAMReadOnlyAccess SecurityAudit
    AmazonDynamoDBFullAccess AmazonDynamoDBReadOnlyAccess AWSCloudTrail_FullAccess AWSCloudTrail_ReadOnlyAccess
    CloudWatchFullAccess CloudWatchReadOnlyAccess AmazonSNSFullAccess AmazonSNSReadOnlyAccess SecretsManagerReadWrite
    AWSConfigUserAccess AmazonSSMFullAccess AmazonSSMReadOnlyAccess AmazonRDSFullAccess AmazonRDSReadOnlyAccess
    AmazonElastiCacheFullAccess AmazonElastiCacheReadOnlyAccess AWSKeyManagementServicePowerUser
    AWSCloudFormationFullAccess AWSCloudFormationReadOnlyAccess AdministratorAccess-AWSElasticBeanstalk
    AWSElasticBeanstalkReadOnly AmazonEC2FullAccess AmazonEC2ReadOnlyAccess AmazonS3FullAccess AmazonS3ReadOnlyAccess
""".split()


def test_awss_policies_are_there_by_name(iam):
    pages = iam.get_paginator("list_policies").paginate(Scope="AWS", PaginationConfig={"PageSize": 7})
    listed = {p["PolicyName"]: p for page in pages for p in page["Policies"]}
    assert set(NAMES) <= set(listed)
    for one in NAMES:
        arn = f"arn:aws:iam::aws:policy/{one}"
        found = iam.get_policy(PolicyArn=arn)["Policy"]
        assert found["Arn"] == arn and found["IsAttachable"]
        version = iam.get_policy_version(PolicyArn=arn, VersionId=found["DefaultVersionId"])["PolicyVersion"]
        assert version["Document"]["Version"] == "2012-10-17"
    # Read only is read only: the simulator says so of each.
    writes = ["dynamodb:PutItem", "iam:CreateUser", "sns:Publish", "s3:PutObject", "ec2:RunInstances", "kms:Decrypt",
              "rds:CreateDBInstance", "ssm:SendCommand", "secretsmanager:GetSecretValue", "cloudtrail:StopLogging"]
    for one in [n for n in NAMES if "ReadOnly" in n or n == "SecurityAudit"]:
        version = iam.get_policy_version(PolicyArn=f"arn:aws:iam::aws:policy/{one}", VersionId="v1")["PolicyVersion"]
        answer = iam.simulate_custom_policy(PolicyInputList=[json.dumps(version["Document"])], ActionNames=writes)
        allowed = [r["EvalActionName"] for r in answer["EvaluationResults"] if r["EvalDecision"] == "allowed"]
        assert not allowed, (one, allowed)


def test_uses_as_a_boundary_are_counted_apart(iam):
    user, role, aws = name("user"), name("role"), "arn:aws:iam::aws:policy/AmazonEC2ReadOnlyAccess"
    own = iam.create_policy(PolicyName=name("p"), PolicyDocument=statement())["Policy"]["Arn"]
    iam.create_user(UserName=user, PermissionsBoundary=own)
    iam.create_role(RoleName=role, PermissionsBoundary=own, AssumeRolePolicyDocument=policy(
        {"Effect": "Allow", "Action": "sts:AssumeRole", "Principal": {"Service": "ec2.amazonaws.com"}}))
    iam.attach_user_policy(UserName=user, PolicyArn=own)
    iam.attach_role_policy(RoleName=role, PolicyArn=aws)

    def counts(arn):
        found = iam.get_policy(PolicyArn=arn)["Policy"]
        return found["AttachmentCount"], found["PermissionsBoundaryUsageCount"]

    until(lambda: counts(own), lambda got: got == (1, 2))
    before = counts(aws)
    assert before[0] >= 1
    every = iam.list_entities_for_policy(PolicyArn=own)
    assert [u["UserName"] for u in every["PolicyUsers"]] == [user] and len(every["PolicyRoles"]) == 1
    bounds = iam.list_entities_for_policy(PolicyArn=own, PolicyUsageFilter="PermissionsBoundary")
    assert len(bounds["PolicyUsers"]) == 1 and len(bounds["PolicyRoles"]) == 1
    permissions = iam.list_entities_for_policy(PolicyArn=own, PolicyUsageFilter="PermissionsPolicy")
    assert len(permissions["PolicyUsers"]) == 1 and permissions["PolicyRoles"] == []
    filtered = iam.list_policies(Scope="Local", PolicyUsageFilter="PermissionsBoundary")["Policies"]
    assert own in [p["Arn"] for p in filtered]
    assert outcome(iam.delete_policy, PolicyArn=own) == "DeleteConflict"
    iam.detach_user_policy(UserName=user, PolicyArn=own)
    iam.delete_user(UserName=user)
    iam.detach_role_policy(RoleName=role, PolicyArn=aws)
    iam.delete_role(RoleName=role)
    until(lambda: counts(own), lambda got: got == (0, 0))
    iam.delete_policy(PolicyArn=own)


def test_tags_of_resources_decide(iam, session, dynamodb):
    person, blue, red = Person(iam, session), name("blue"), name("red")
    for one, team in ((blue, "blue"), (red, "red")):
        iam.create_user(UserName=one, Tags=[{"Key": "team", "Value": team}])
    table = make_table(dynamodb, Tags=[{"Key": "team", "Value": "blue"}])
    other = make_table(dynamodb, Tags=[{"Key": "team", "Value": "red"}])
    iam.put_user_policy(UserName=person.name, PolicyName="p", PolicyDocument=policy(
        allow("iam:GetUser", "*", Condition={"StringEquals": {"iam:ResourceTag/team": "blue"}}),
        allow(["iam:ListUserTags", "dynamodb:*"], "*", Condition={"StringEquals": {"aws:ResourceTag/team": "blue"}}),
        allow("iam:ListGroupsForUser", "*", Condition={"StringEquals": {"aws:ResourceAccount": "${aws:PrincipalAccount}"}}),
        # These keys aren't there at all.
        allow("iam:ListRoles", "*", Condition={"Null": {"aws:PrincipalOrgID": "true", "aws:CalledViaFirst": "true"}})))
    mine = person.client("iam")
    settles(mine.get_user, "OK", UserName=blue)
    assert outcome(mine.get_user, UserName=red) == "AccessDenied"
    assert outcome(mine.list_user_tags, UserName=blue) == "OK"
    assert outcome(mine.list_user_tags, UserName=red) == "AccessDenied"
    assert outcome(mine.list_groups_for_user, UserName=red) == "OK"
    assert outcome(mine.list_roles) == "OK"
    items = person.client("dynamodb")
    get = {"TableName": table, "Key": {"pk": {"S": "x"}}}
    settles(items.get_item, "OK", **get)
    assert outcome(items.get_item, **get | {"TableName": other}) == "AccessDeniedException"
    # A tag that changes changes the right.
    iam.tag_user(UserName=red, Tags=[{"Key": "team", "Value": "blue"}])
    settles(mine.get_user, "OK", UserName=red)
    arn = dynamodb.describe_table(TableName=table)["Table"]["TableArn"]
    dynamodb.untag_resource(ResourceArn=arn, TagKeys=["team"])
    settles(items.get_item, "AccessDeniedException", **get)
    person.remove()
    for one in (blue, red):
        iam.delete_user(UserName=one)
    for one in (table, other):
        dynamodb.delete_table(TableName=one)


def test_an_accounts_details_are_whole(iam):
    user, group, role, profile = (name(kind) for kind in ("user", "group", "role", "profile"))
    own = iam.create_policy(PolicyName=name("p"), PolicyDocument=statement())["Policy"]["Arn"]
    iam.create_group(GroupName=group)
    iam.put_group_policy(GroupName=group, PolicyName="in", PolicyDocument=statement())
    iam.create_user(UserName=user, Path="/a/", Tags=[{"Key": "k", "Value": "v"}], PermissionsBoundary=own)
    iam.add_user_to_group(GroupName=group, UserName=user)
    iam.create_role(RoleName=role, AssumeRolePolicyDocument=policy(
        {"Effect": "Allow", "Action": "sts:AssumeRole", "Principal": {"Service": "ec2.amazonaws.com"}}))
    iam.attach_role_policy(RoleName=role, PolicyArn=own)
    iam.create_instance_profile(InstanceProfileName=profile)
    iam.add_role_to_instance_profile(InstanceProfileName=profile, RoleName=role)

    def details(**arguments):
        lists = {"UserDetailList": [], "GroupDetailList": [], "RoleDetailList": [], "Policies": []}
        pages = iam.get_paginator("get_account_authorization_details").paginate(**arguments, PaginationConfig={"PageSize": 3})
        for page in pages:
            assert sum(len(page[kind]) for kind in lists) <= 3
            for kind in lists:
                lists[kind] += page[kind]
        return lists

    found = details()
    one = next(u for u in found["UserDetailList"] if u["UserName"] == user)
    assert one["GroupList"] == [group] and one["PermissionsBoundary"]["PermissionsBoundaryArn"] == own
    assert one["Tags"] == [{"Key": "k", "Value": "v"}] and one["UserPolicyList"] == []
    one = next(g for g in found["GroupDetailList"] if g["GroupName"] == group)
    assert one["GroupPolicyList"][0]["PolicyDocument"] == json.loads(statement())
    one = next(r for r in found["RoleDetailList"] if r["RoleName"] == role)
    assert [p["InstanceProfileName"] for p in one["InstanceProfileList"]] == [profile]
    assert [p["PolicyArn"] for p in one["AttachedManagedPolicies"]] == [own]
    one = next(p for p in found["Policies"] if p["Arn"] == own)
    assert one["PolicyVersionList"][0]["Document"] == json.loads(statement())
    arns = [p["Arn"] for p in found["Policies"]]
    assert "arn:aws:iam::aws:policy/AdministratorAccess" in arns
    only = details(Filter=["Group", "LocalManagedPolicy"])
    assert only["UserDetailList"] == only["RoleDetailList"] == [] and only["GroupDetailList"]
    assert not [p for p in only["Policies"] if ":aws:policy/" in p["Arn"]]
    assert outcome(iam.get_account_authorization_details, Filter=["Cat"]) == "ValidationError"
    iam.remove_role_from_instance_profile(InstanceProfileName=profile, RoleName=role)
    iam.delete_instance_profile(InstanceProfileName=profile)
    iam.detach_role_policy(RoleName=role, PolicyArn=own)
    iam.delete_role(RoleName=role)
    iam.remove_user_from_group(GroupName=group, UserName=user)
    iam.delete_user(UserName=user)
    iam.delete_group_policy(GroupName=group, PolicyName="in")
    iam.delete_group(GroupName=group)
    iam.delete_policy(PolicyArn=own)


@pytest.mark.parametrize("door", ["control", "data"])
def test_changes_hold_everywhere_within_a_second(iam, session, dynamodb, door):
    """The median of several: a machine that is busy with a build may be late once."""
    table = make_table(dynamodb)
    person = Person(iam, session, door)
    client = person.client("dynamodb")
    get = {"TableName": table, "Key": {"pk": {"S": "x"}}}
    settles(client.get_item, "AccessDeniedException", **get)
    took = []

    def awaited(wanted):
        begun = last_wrong = time.monotonic()
        row = 0
        while row < 6:
            row = row + 1 if outcome(client.get_item, **get) == wanted else 0
            if not row:
                last_wrong = time.monotonic()
            assert last_wrong - begun < 30
        took.append(last_wrong - begun)

    for _ in range(4):
        iam.put_user_policy(UserName=person.name, PolicyName="p", PolicyDocument=policy(allow("dynamodb:GetItem", "*")))
        awaited("OK")
        iam.delete_user_policy(UserName=person.name, PolicyName="p")
        awaited("AccessDeniedException")
    iam.delete_access_key(UserName=person.name, AccessKeyId=person.key["AccessKeyId"])
    awaited("UnrecognizedClientException")
    assert sorted(took)[len(took) // 2] < 1, took
    person.remove()
    dynamodb.delete_table(TableName=table)
