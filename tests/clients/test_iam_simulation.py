"""What would be allowed: the simulator answers as the front door decides, and says which statement it was."""

import json

import pytest
from botocore.exceptions import ClientError
from calls import error_of, outcome
from identities import Person, allow, name, policy, settles

TABLE = "arn:aws:dynamodb:us-east-1:111122223333:table/t"


def deny(action, resource, **more):
    return {**allow(action, resource, **more), "Effect": "Deny"}


def entry(key, kind, *values):
    return {"ContextKeyName": key, "ContextKeyType": kind, "ContextKeyValues": list(values)}


def decisions(answer):
    return [r["EvalDecision"] for r in answer["EvaluationResults"]]


def test_statements_that_decide_are_named_with_their_place(iam):
    document = '{\n  "Version": "2012-10-17",\n  "Statement": {\n    "Effect": "Allow",\n    "Action": "dynamodb:*",\n    "Resource": "*"\n  }\n}'
    denies = policy(allow("*", "*"), deny("dynamodb:DeleteItem", TABLE))
    answer = iam.simulate_custom_policy(
        PolicyInputList=[document, denies], ActionNames=["dynamodb:GetItem", "dynamodb:DeleteItem", "iam:GetUser"],
        ResourceArns=[TABLE])
    assert decisions(answer) == ["allowed", "explicitDeny", "allowed"]
    first, second, third = answer["EvaluationResults"]
    assert first["EvalResourceName"] == TABLE and first["MissingContextValues"] == []
    assert first["MatchedStatements"][0] == {
        "SourcePolicyId": "PolicyInputList.1", "SourcePolicyType": "none",
        "StartPosition": {"Line": 3, "Column": 16}, "EndPosition": {"Line": 7, "Column": 4}}
    assert [s["SourcePolicyId"] for s in first["MatchedStatements"]] == ["PolicyInputList.1", "PolicyInputList.2"]
    # A denial is the only one named.
    start = denies.index('{"Effect": "Deny"')
    assert second["MatchedStatements"] == [{
        "SourcePolicyId": "PolicyInputList.2", "SourcePolicyType": "none",
        "StartPosition": {"Line": 1, "Column": start + 1}, "EndPosition": {"Line": 1, "Column": len(denies) - 1}}]
    assert third["ResourceSpecificResults"][0]["EvalResourceDecision"] == "allowed"


CONDITIONS = [
    ("string", "StringEquals", ["a"], "a", "b"),
    ("numeric", "NumericLessThan", ["10"], "9", "11"),
    ("boolean", "Bool", ["true"], "true", "false"),
    ("ip", "IpAddress", ["10.0.0.0/8"], "10.1.2.3", "11.0.0.1"),
    ("date", "DateLessThan", ["2026-01-01T00:00:00Z"], "2025-12-31T00:00:00Z", "2026-01-02T00:00:00Z"),
    ("binary", "BinaryEquals", ["QUJD"], "QUJD", "QUJE"),
]


@pytest.mark.parametrize("kind,operator,wanted,good,bad", CONDITIONS, ids=[c[0] for c in CONDITIONS])
def test_context_entries_of_every_type(iam, kind, operator, wanted, good, bad):
    one = policy(allow("s3:*", "*", Condition={operator: {"my:Key": wanted}}))
    ask = {"PolicyInputList": [one], "ActionNames": ["s3:GetObject"]}
    get = lambda *entries: iam.simulate_custom_policy(**ask, ContextEntries=list(entries))
    assert decisions(get(entry("my:Key", kind, good))) == ["allowed"]
    assert decisions(get(entry("My:KEY", kind, bad))) == ["implicitDeny"]
    # Without a value it isn't allowed, and the answer says what was missing.
    answer = iam.simulate_custom_policy(**ask)
    assert decisions(answer) == ["implicitDeny"]
    assert answer["EvaluationResults"][0]["MissingContextValues"] == ["my:Key"]
    several = policy(allow("s3:*", "*", Condition={f"ForAllValues:{operator}": {"my:Key": wanted}}))
    ask["PolicyInputList"] = [several]
    assert decisions(get(entry("my:Key", kind + "List", good, good))) == ["allowed"]
    assert decisions(get(entry("my:Key", kind + "List", good, bad))) == ["implicitDeny"]
    if kind != "string":
        assert outcome(iam.simulate_custom_policy, **ask, ContextEntries=[entry("my:Key", kind, "what?")]) == "InvalidInput"
    assert outcome(iam.simulate_custom_policy, **ask, ContextEntries=[entry("my:Key", kind, good, good)]) == "InvalidInput"


def test_keys_that_policies_look_at_are_told(iam):
    one = policy(
        allow("s3:*", "arn:aws:s3:::b/${aws:username}/*", Condition={"StringLike": {"s3:prefix": "x", "aws:UserAgent": "y"}}),
        allow("s3:*", "*", Condition={"Null": {"AWS:USERNAME": "true"}}))
    assert iam.get_context_keys_for_custom_policy(PolicyInputList=[one])["ContextKeyNames"] == [
        "aws:username", "s3:prefix", "aws:UserAgent"]
    assert outcome(iam.get_context_keys_for_custom_policy, PolicyInputList=["{"]) == "InvalidInput"
    assert iam.get_context_keys_for_custom_policy(PolicyInputList=[])["ContextKeyNames"] == []
    empty = {"ResourceArns": [], "ContextEntries": [entry("my:List", "stringList")]}
    assert decisions(iam.simulate_custom_policy(PolicyInputList=[], ActionNames=["s3:GetObject"], **empty)) == ["implicitDeny"]
    missing = iam.simulate_custom_policy(
        PolicyInputList=[one], ActionNames=["s3:GetObject"], ResourceArns=["arn:aws:s3:::b/ann/x"])
    result = missing["EvaluationResults"][0]
    assert result["ResourceSpecificResults"][0]["MissingContextValues"] == ["aws:username", "s3:prefix", "aws:UserAgent"]


def test_boundaries_and_resource_policies_weigh_in(iam):
    every = policy(allow("*", "*"))
    only_s3 = policy(allow("s3:*", "*"))
    answer = iam.simulate_custom_policy(
        PolicyInputList=[every], PermissionsBoundaryPolicyInputList=[only_s3],
        ActionNames=["s3:GetObject", "iam:GetUser"])
    assert decisions(answer) == ["allowed", "implicitDeny"]
    details = [r["PermissionsBoundaryDecisionDetail"]["AllowedByPermissionsBoundary"] for r in answer["EvaluationResults"]]
    assert details == [True, False]
    two = [only_s3, only_s3]
    assert outcome(iam.simulate_custom_policy, PolicyInputList=[every], ActionNames=["s3:GetObject"],
                   PermissionsBoundaryPolicyInputList=two) == "InvalidInput"
    ann = "arn:aws:iam::111122223333:user/ann"
    bucket = "arn:aws:s3:::b/x"
    grant = json.dumps({"Version": "2012-10-17", "Statement": [
        {"Effect": "Allow", "Principal": {"AWS": ann}, "Action": "s3:GetObject", "Resource": "arn:aws:s3:::b/*"}]})
    ask = {"PolicyInputList": [policy(allow("iam:*", "*"))], "ActionNames": ["s3:GetObject"], "ResourceArns": [bucket],
           "ResourcePolicy": grant}
    assert outcome(iam.simulate_custom_policy, **ask) == "InvalidInput"
    answer = iam.simulate_custom_policy(**ask, CallerArn=ann)
    assert decisions(answer) == ["allowed"]
    assert answer["EvaluationResults"][0]["MatchedStatements"][0]["SourcePolicyType"] == "resource"
    assert decisions(iam.simulate_custom_policy(**ask, CallerArn=ann[:-3] + "bob")) == ["implicitDeny"]
    # Across accounts both have to agree, and each one's word is told.
    answer = iam.simulate_custom_policy(**ask, CallerArn=ann, ResourceOwner="444455556666")
    result = answer["EvaluationResults"][0]
    assert result["EvalDecision"] == "implicitDeny"
    assert result["EvalDecisionDetails"] == {"IAM Policy": "implicitDeny", "Resource Policy": "allowed"}
    for bad in ("arn:aws:iam::111122223333:role/r", "ann", "arn:aws:sts::111122223333:assumed-role/r/s"):
        assert outcome(iam.simulate_custom_policy, **ask, CallerArn=bad) == "InvalidInput"


def test_the_simulator_agrees_with_the_front_door(iam, session):
    person = Person(iam, session)
    group, bound = name("group"), name("bound")
    iam.create_group(GroupName=group)
    iam.add_user_to_group(GroupName=group, UserName=person.name)
    iam.put_group_policy(GroupName=group, PolicyName="read", PolicyDocument=policy(allow(["iam:List*", "iam:Get*"], "*")))
    iam.put_user_policy(UserName=person.name, PolicyName="no", PolicyDocument=policy(deny("iam:ListRoles", "*")))
    boundary = iam.create_policy(PolicyName=bound, PolicyDocument=policy(allow("iam:List*", "*")))["Policy"]["Arn"]
    iam.put_user_permissions_boundary(UserName=person.name, PermissionsBoundary=boundary)
    account = person.arn.split(":")[4]
    calls = {
        "iam:ListUsers": ("list_users", f"arn:aws:iam::{account}:user/"),
        "iam:ListRoles": ("list_roles", f"arn:aws:iam::{account}:role/"),
        "iam:GetAccountSummary": ("get_account_summary", "*"),
        "iam:CreateUser": ("create_user", f"arn:aws:iam::{account}:user/x"),
    }
    mine = person.client("iam")
    settles(mine.list_users, "OK")
    settles(mine.get_account_summary, "AccessDenied")
    for action, (method, resource) in calls.items():
        answer = iam.simulate_principal_policy(PolicySourceArn=person.arn, ActionNames=[action], ResourceArns=[resource])
        result = answer["EvaluationResults"][0]
        arguments = {"UserName": "x"} if method == "create_user" else {}
        really = outcome(getattr(mine, method), **arguments) == "OK"
        assert (result["EvalDecision"] == "allowed") == really, action
    answer = iam.simulate_principal_policy(PolicySourceArn=person.arn, ActionNames=["iam:ListUsers", "iam:ListRoles"])
    allowed, denied = answer["EvaluationResults"]
    assert [s["SourcePolicyId"] for s in allowed["MatchedStatements"]] == [f"group_{group}_read"]
    assert [(s["SourcePolicyId"], s["SourcePolicyType"]) for s in denied["MatchedStatements"]] == [
        (f"user_{person.name}_no", "user")]
    # More policies than she has, and another boundary than hers.
    answer = iam.simulate_principal_policy(
        PolicySourceArn=person.arn, ActionNames=["sns:Publish"], PolicyInputList=[policy(allow("sns:*", "*"))],
        PermissionsBoundaryPolicyInputList=[policy(allow("*", "*"))])
    assert decisions(answer) == ["allowed"]
    assert iam.get_context_keys_for_principal_policy(PolicySourceArn=person.arn)["ContextKeyNames"] == []
    for arn, code in ((person.arn + "x", "NoSuchEntity"), (f"arn:aws:iam::{account}:mfa/some-device", "InvalidInput"),
                      (person.arn.replace("user/", "user/else/"), "NoSuchEntity")):
        assert outcome(iam.simulate_principal_policy, PolicySourceArn=arn, ActionNames=["iam:GetUser"]) == code
    iam.delete_user_permissions_boundary(UserName=person.name)
    person.remove()
    iam.delete_policy(PolicyArn=boundary)
    iam.delete_group_policy(GroupName=group, PolicyName="read")
    iam.delete_group(GroupName=group)


def test_results_come_in_pages(iam):
    actions = [f"s3:Do{n}" for n in range(7)]
    resources = [f"arn:aws:s3:::b/{n}" for n in range(9)]
    ask = {"PolicyInputList": [policy(allow("s3:*", "arn:aws:s3:::b/3"))], "ActionNames": actions, "ResourceArns": resources}
    pages = list(iam.get_paginator("simulate_custom_policy").paginate(**ask, PaginationConfig={"PageSize": 10}))
    assert [len(p["EvaluationResults"]) for p in pages] == [10] * 6 + [3]
    got = [(r["EvalActionName"], r["EvalResourceName"]) for p in pages for r in p["EvaluationResults"]]
    assert got == [(a, r) for a in actions for r in resources]
    assert sum(r["EvalDecision"] == "allowed" for p in pages for r in p["EvaluationResults"]) == 7
    for wrong in ({"Marker": "x"}, {"ActionNames": ["s3:*"]}, {"ActionNames": ["what"]}, {"ResourceArns": ["b"]},
                  {"ResourceHandlingOption": "EC2-Nowhere"}, {"ResourceHandlingOption": "EC2-VPC-EBS"},
                  {"PolicyInputList": ["{}"]}, {"ResourceOwner": "me"}):
        assert outcome(iam.simulate_custom_policy, **{**ask, **wrong}) == "InvalidInput", wrong


def test_who_may_simulate(iam, session):
    person = Person(iam, session)
    iam.put_user_policy(UserName=person.name, PolicyName="p", PolicyDocument=policy(
        allow("iam:SimulatePrincipalPolicy", "arn:aws:iam::*:user/${aws:username}")))
    mine = person.client("iam")
    settles(mine.simulate_principal_policy, "OK", PolicySourceArn=person.arn, ActionNames=["iam:GetUser"])
    other = person.arn.rsplit("/", 1)[0] + "/administrator"
    with pytest.raises(ClientError) as info:
        mine.simulate_principal_policy(PolicySourceArn=other, ActionNames=["iam:GetUser"])
    assert error_of(info)[0] == "AccessDenied" and "iam:SimulatePrincipalPolicy on resource: " + other in error_of(info)[1]
    person.remove()
