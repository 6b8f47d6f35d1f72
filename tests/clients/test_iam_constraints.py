"""What IAM and STS take and refuse before they look at anything: empty lists, sizes, callers who are no users."""

import pytest
from botocore import xform_name
from botocore.config import Config
from botocore.exceptions import ClientError
from calls import error_of, outcome
from identities import allow, name, policy, remove_role, role_for, session_of, settles, trust

UNCHECKED = Config(parameter_validation=False, retries={"total_max_attempts": 1})


@pytest.mark.parametrize("service", ["iam", "sts"])
def test_an_empty_list_is_a_list_for_every_operation(session, service):
    """boto3 sends `Tags=[]` as `Tags=`."""
    client = session.client(service, config=UNCHECKED)
    model, tried = client.meta.service_model, 0
    for operation in model.operation_names:
        shape = model.operation_model(operation).input_shape
        lists = [member for member, of in (shape.members if shape else {}).items() if of.type_name == "list"]
        for member in lists:
            call = getattr(client, xform_name(operation))
            assert outcome(call, **{member: []}) != "MalformedInput", f"{operation}({member}=[])"
            tried += 1
    assert tried >= {"iam": 20, "sts": 6}[service]


def test_what_is_made_and_assumed_with_empty_lists(iam, person):
    user = name("user")
    iam.create_user(UserName=user, Tags=[])
    iam.tag_user(UserName=user, Tags=[])
    iam.untag_user(UserName=user, TagKeys=[])
    assert iam.list_user_tags(UserName=user)["Tags"] == []
    iam.delete_user(UserName=user)
    role = role_for(iam, trust(person.arn), Tags=[])
    iam.put_user_policy(UserName=person.name, PolicyName="p", PolicyDocument=policy(allow("sts:AssumeRole", "*")))
    settles(person.client("sts").assume_role, "OK", RoleArn=iam.get_role(RoleName=role)["Role"]["Arn"],
            RoleSessionName="s1", PolicyArns=[], Tags=[], TransitiveTagKeys=[])
    remove_role(iam, role)


def test_white_space_is_bounded_though_no_quota_counts_it(iam):
    spaced = policy(trust("111122223333")).replace(":", ":" + " " * 900_000, 1)
    assert outcome(iam.create_role, RoleName=name("role"), AssumeRolePolicyDocument=spaced) == "ValidationError"
    user = name("user")
    iam.create_user(UserName=user)
    spaced = policy(allow("s3:GetObject", "*")).replace(":", ":" + " " * 130_000, 1)
    outcomes = [outcome(iam.put_user_policy, UserName=user, PolicyName=f"p{n}", PolicyDocument=spaced) for n in range(9)]
    assert outcomes == ["OK"] * 8 + ["LimitExceeded"]
    for n in range(8):
        iam.delete_user_policy(UserName=user, PolicyName=f"p{n}")
    iam.delete_user(UserName=user)


def test_one_inline_policy_over_the_quota_is_refused_as_their_sum_is(iam):
    user = name("user")
    iam.create_user(UserName=user)
    long = policy(allow("s3:" + "x" * 2_100, "*"))
    with pytest.raises(ClientError) as info:
        iam.put_user_policy(UserName=user, PolicyName="one", PolicyDocument=long)
    assert error_of(info) == ("LimitExceeded", f"Maximum policy size of 2048 bytes exceeded for user {user}")
    iam.delete_user(UserName=user)


def test_who_calls_as_a_role_must_name_the_user(iam, person):
    role = role_for(iam, trust(person.arn))
    iam.put_role_policy(RoleName=role, PolicyName="p", PolicyDocument=policy(allow("iam:*", "*")))
    iam.put_user_policy(UserName=person.name, PolicyName="p", PolicyDocument=policy(allow("sts:AssumeRole", "*")))
    assume = {"RoleArn": iam.get_role(RoleName=role)["Role"]["Arn"], "RoleSessionName": "s1"}
    mine = person.client("sts")
    settles(mine.assume_role, "OK", **assume)
    session = person.client("iam", session_of(mine.assume_role(**assume)))
    calls = [session.get_user, session.create_access_key, session.list_access_keys, session.list_mfa_devices,
             session.list_ssh_public_keys, session.get_login_profile]
    for call in calls:
        with pytest.raises(ClientError) as info:
            call()
        assert error_of(info) == ("ValidationError", "Must specify userName when calling with non-User credentials")
    assert session.get_user(UserName=person.name)["User"]["UserName"] == person.name
    remove_role(iam, role)


def test_long_values_are_refused_before_policies_are_asked(person):
    """No pattern of a policy is compared with a megabyte: the answer is the same for who may do nothing."""
    mine = person.client("iam")
    mine.meta.config.parameter_validation = False
    long = "x" * 500_000
    tags, user = [{"Key": "k", "Value": long}], {"UserName": person.name}
    for call, arguments in [
        (mine.create_user, {"UserName": name("user"), "Tags": tags}),
        (mine.create_user, {"UserName": name("user"), "PermissionsBoundary": long}),
        (mine.tag_user, {**user, "Tags": tags}),
        (mine.untag_user, {**user, "TagKeys": [long]}),
        (mine.attach_user_policy, {**user, "PolicyArn": long}),
        (mine.put_user_permissions_boundary, {**user, "PermissionsBoundary": long}),
    ]:
        with pytest.raises(ClientError) as info:
            call(**arguments)
        code, message = error_of(info)
        assert code == "ValidationError" and len(message) < 300, (call, code)
    assert outcome(mine.tag_user, **user, Tags=[{"Key": "k", "Value": "v"}]) == "AccessDenied"
