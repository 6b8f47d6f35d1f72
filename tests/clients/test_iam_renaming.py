"""Users and groups get other names and paths, and everything that is theirs follows."""

import threading

import pytest
from botocore.exceptions import ClientError
from calls import error_of, outcome
from identities import Person, allow, name, policy, settles


def test_a_user_keeps_everything_under_another_name(iam, session):
    person = Person(iam, session)
    group, new = name("group"), name("new")
    iam.create_group(GroupName=group)
    iam.add_user_to_group(GroupName=group, UserName=person.name)
    iam.put_user_policy(UserName=person.name, PolicyName="p", PolicyDocument=policy(allow("iam:Get*", "*")))
    iam.attach_user_policy(UserName=person.name, PolicyArn="arn:aws:iam::aws:policy/AmazonSNSReadOnlyAccess")
    second = iam.create_access_key(UserName=person.name)["AccessKey"]
    iam.update_access_key(UserName=person.name, AccessKeyId=second["AccessKeyId"], Status="Inactive")
    device = iam.create_virtual_mfa_device(VirtualMFADeviceName=name("device"))["VirtualMFADevice"]
    before = iam.get_user(UserName=person.name)["User"]
    mine = person.client("iam")
    settles(mine.get_user, "OK")
    token = person.client("sts").get_session_token()["Credentials"]
    token = {**token, "AccessKeyId": token["AccessKeyId"]}
    old, person.name = person.name, new
    iam.update_user(UserName=old, NewUserName=new, NewPath="/there/")
    after = iam.get_user(UserName=new)["User"]
    assert after["UserId"] == before["UserId"] and after["Path"] == "/there/"
    assert after["Arn"] == before["Arn"].replace(f"user/{old}", f"user/there/{new}")
    assert outcome(iam.get_user, UserName=old) == "NoSuchEntity"
    assert [g["GroupName"] for g in iam.list_groups_for_user(UserName=new)["Groups"]] == [group]
    assert [u["UserName"] for u in iam.get_group(GroupName=group)["Users"]] == [new]
    assert iam.list_user_policies(UserName=new)["PolicyNames"] == ["p"]
    assert len(iam.list_attached_user_policies(UserName=new)["AttachedPolicies"]) == 1
    states = {k["AccessKeyId"]: k["Status"] for k in iam.list_access_keys(UserName=new)["AccessKeyMetadata"]}
    assert states == {person.key["AccessKeyId"]: "Active", second["AccessKeyId"]: "Inactive"}
    # Her key signs for her under the new name, and her sessions go on.
    settles(mine.get_user, "OK")
    assert mine.get_user()["User"]["UserName"] == new
    assert person.client("sts").get_caller_identity()["Arn"] == after["Arn"]
    session_client = person.client("sts", key=token)
    assert session_client.get_caller_identity()["UserId"] == before["UserId"]
    iam.update_access_key(UserName=new, AccessKeyId=second["AccessKeyId"], Status="Active")
    settles(person.client("iam", key=second).get_user, "OK")
    # Names are one in any case; another's isn't to be had.
    iam.update_user(UserName=new, NewUserName=new.upper())
    assert iam.get_user(UserName=new)["User"]["UserName"] == new.upper()
    other = name("other")
    iam.create_user(UserName=other)
    with pytest.raises(ClientError) as info:
        iam.update_user(UserName=other, NewUserName=new)
    assert error_of(info) == ("EntityAlreadyExists", f"User with name {new} already exists.")
    assert outcome(iam.update_user, UserName=old, NewPath="/x/") == "NoSuchEntity"
    assert outcome(iam.update_user, UserName=other, NewPath="x") == "ValidationError"
    iam.delete_user(UserName=other)
    iam.delete_virtual_mfa_device(SerialNumber=device["SerialNumber"])
    person.remove()
    iam.delete_group(GroupName=group)


def test_a_group_keeps_its_members_and_rights_under_another_name(iam, session):
    person = Person(iam, session)
    group, new = name("group"), name("new")
    iam.create_group(GroupName=group)
    iam.put_group_policy(GroupName=group, PolicyName="p", PolicyDocument=policy(allow("iam:ListUsers", "*")))
    iam.add_user_to_group(GroupName=group, UserName=person.name)
    mine = person.client("iam")
    settles(mine.list_users, "OK")
    iam.update_group(GroupName=group, NewGroupName=new, NewPath="/teams/")
    found = iam.get_group(GroupName=new)
    assert found["Group"]["Arn"].endswith(f":group/teams/{new}")
    assert [u["UserName"] for u in found["Users"]] == [person.name]
    assert outcome(iam.get_group, GroupName=group) == "NoSuchEntity"
    settles(mine.list_users, "OK")
    iam.delete_group_policy(GroupName=new, PolicyName="p")
    settles(mine.list_users, "AccessDenied")
    person.remove()
    iam.delete_group(GroupName=new)


def test_both_names_have_to_be_allowed(iam, session):
    person, victim = Person(iam, session), name("victim")
    iam.create_user(UserName=victim)
    one = f"arn:aws:iam::*:user/{victim}"
    iam.put_user_policy(UserName=person.name, PolicyName="p", PolicyDocument=policy(allow("iam:UpdateUser", one)))
    mine = person.client("iam")
    settles(mine.update_user, "OK", UserName=victim)
    assert outcome(mine.update_user, UserName=victim, NewUserName=name("free")) == "AccessDenied"
    assert outcome(mine.update_user, UserName=victim, NewPath="/elsewhere/") == "AccessDenied"
    iam.delete_user(UserName=victim)
    person.remove()


def test_changes_at_the_same_time_lose_nothing(iam):
    user, groups = name("user"), [name("group") for _ in range(4)]
    iam.create_user(UserName=user)
    for group in groups:
        iam.create_group(GroupName=group)
    names = [user, user + "-b"]
    problems = []

    def rename():
        for _ in range(5):
            for a, b in (names, names[::-1]):
                try:
                    iam.update_user(UserName=a, NewUserName=b)
                except ClientError as e:
                    problems.append(e)

    def join(group):
        for _ in range(60):
            for one in names:
                got = outcome(iam.add_user_to_group, GroupName=group, UserName=one)
                if got == "OK":
                    return
                if got not in ("NoSuchEntity", "ConcurrentModification"):
                    problems.append(got)
        problems.append("never joined")

    threads = [threading.Thread(target=rename)] + [threading.Thread(target=join, args=(g,)) for g in groups]
    [t.start() for t in threads]
    [t.join() for t in threads]
    assert not problems
    assert sorted(g["GroupName"] for g in iam.list_groups_for_user(UserName=user)["Groups"]) == sorted(groups)
    for group in groups:
        assert [u["UserName"] for u in iam.get_group(GroupName=group)["Users"]] == [user]
        iam.remove_user_from_group(GroupName=group, UserName=user)
        iam.delete_group(GroupName=group)
    iam.delete_user(UserName=user)
