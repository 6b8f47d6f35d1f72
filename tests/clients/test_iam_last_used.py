"""When keys, users and roles were last used, at whichever front door; reports of it, and of all credentials."""

import csv
import datetime
import io

import pytest
from botocore.exceptions import ClientError
from calls import error_of, make_table, outcome, until
from identities import Person, allow, name, policy, settles

# Uses are handed on every ten seconds, by data nodes to control nodes and by those to the store.
PATIENCE = 60


def recent(time):
    return abs((datetime.datetime.now(datetime.timezone.utc) - time).total_seconds()) < 300


@pytest.mark.parametrize("door", ["control", "data"])
def test_a_keys_last_use_is_told_wherever_it_was(iam, session, dynamodb, door):
    table = make_table(dynamodb)
    person = Person(iam, session, door)
    last = iam.get_access_key_last_used(AccessKeyId=person.key["AccessKeyId"])
    assert last["UserName"] == person.name
    assert last["AccessKeyLastUsed"] == {"ServiceName": "N/A", "Region": "N/A"}
    # Denied calls count as well.
    client = person.client("dynamodb")
    settles(client.get_item, "AccessDeniedException", TableName=table, Key={"pk": {"S": "x"}})

    def used():
        return iam.get_access_key_last_used(AccessKeyId=person.key["AccessKeyId"])["AccessKeyLastUsed"]

    last = until(used, lambda last: "LastUsedDate" in last, PATIENCE)
    assert (last["ServiceName"], last["Region"]) == ("dynamodb", session.region_name) and recent(last["LastUsedDate"])
    with pytest.raises(ClientError) as info:
        iam.get_access_key_last_used(AccessKeyId="AKIA" + "A" * 16)
    assert error_of(info)[0] == "NoSuchEntity"
    person.remove()
    dynamodb.delete_table(TableName=table)


def finished(iam, **arguments):
    job = iam.generate_service_last_accessed_details(**arguments)["JobId"]
    return job, iam.get_service_last_accessed_details(JobId=job)


def service(report, namespace):
    return next((s for s in report["ServicesLastAccessed"] if s["ServiceNamespace"] == namespace), None)


def test_services_are_told_with_their_last_use(iam, session, sts):
    person, group, role = Person(iam, session), name("group"), name("role")
    managed = iam.create_policy(PolicyName=name("policy"), PolicyDocument=policy(allow(["iam:Get*", "sns:*"], "*")))
    arn = managed["Policy"]["Arn"]
    iam.create_group(GroupName=group)
    iam.attach_group_policy(GroupName=group, PolicyArn=arn)
    iam.add_user_to_group(GroupName=group, UserName=person.name)
    settles(person.client("iam").get_account_summary, "OK")
    account = person.arn.split(":")[4]
    trust = {"Effect": "Allow", "Action": "sts:AssumeRole", "Principal": {"AWS": account}}
    made = iam.create_role(RoleName=role, AssumeRolePolicyDocument=policy(trust))["Role"]
    iam.attach_role_policy(RoleName=role, PolicyArn=arn)
    assert iam.get_role(RoleName=role)["Role"]["RoleLastUsed"] == {}
    settles(sts.assume_role, "OK", RoleArn=made["Arn"], RoleSessionName="one")
    credentials = sts.assume_role(RoleArn=made["Arn"], RoleSessionName="one")["Credentials"]
    settles(person.client("iam", key=credentials).get_account_summary, "OK")

    def about(of):
        return finished(iam, Arn=of, Granularity="ACTION_LEVEL")[1]

    for of, entity in ((person.arn, person.arn), (made["Arn"], made["Arn"]), (f"arn:aws:iam::{account}:group/{group}", person.arn)):
        report = until(lambda: about(of), lambda r: service(r, "iam")["TotalAuthenticatedEntities"] == 1, PATIENCE)
        used = service(report, "iam")
        assert used["LastAuthenticatedEntity"] == entity and recent(used["LastAuthenticated"])
        assert used["ServiceName"] == "AWS Identity and Access Management"
        assert [a["ActionName"] for a in used["TrackedActionsLastAccessed"]] == ["GetAccountSummary"]
        # What is open and wasn't used is there without a time; what isn't open isn't there.
        assert service(report, "sns")["TotalAuthenticatedEntities"] == 0 and "LastAuthenticated" not in service(report, "sns")
        assert service(report, "dynamodb") is None
        assert report["JobStatus"] == "COMPLETED" and report["JobType"] == "ACTION_LEVEL"
    job, report = finished(iam, Arn=arn)
    assert service(report, "iam")["TotalAuthenticatedEntities"] == 2
    entities = iam.get_service_last_accessed_details_with_entities(JobId=job, ServiceNamespace="iam")["EntityDetailsList"]
    assert {e["EntityInfo"]["Arn"] for e in entities} == {person.arn, made["Arn"]}
    assert all("LastAuthenticated" in e for e in entities)
    page = iam.get_service_last_accessed_details(JobId=job, MaxItems=1)
    assert page["IsTruncated"] and len(page["ServicesLastAccessed"]) == 1
    last = iam.get_role(RoleName=role)["Role"]["RoleLastUsed"]
    assert recent(last["LastUsedDate"]) and last["Region"] == "us-east-1"
    # Another's job isn't there.
    iam.put_user_policy(UserName=person.name, PolicyName="p", PolicyDocument=policy(allow("iam:Get*", "*")))
    settles(person.client("iam").get_service_last_accessed_details, "NoSuchEntity", JobId=job)
    assert outcome(iam.generate_service_last_accessed_details, Arn=person.arn + "x") == "NoSuchEntity"
    granting = iam.list_policies_granting_service_access(Arn=person.arn, ServiceNamespaces=["sns", "iam", "s3"])
    by_space = {g["ServiceNamespace"]: g["Policies"] for g in granting["PoliciesGrantingServiceAccess"]}
    assert by_space["s3"] == [] and [p["PolicyArn"] for p in by_space["sns"]] == [arn]
    assert {"PolicyName": "p", "PolicyType": "INLINE", "EntityType": "USER", "EntityName": person.name} in by_space["iam"]
    iam.detach_role_policy(RoleName=role, PolicyArn=arn)
    iam.delete_role(RoleName=role)
    person.remove()
    iam.detach_group_policy(GroupName=group, PolicyArn=arn)
    iam.delete_group(GroupName=group)
    iam.delete_policy(PolicyArn=arn)


def test_the_credential_report_has_every_user(iam, session):
    state = iam.generate_credential_report()["State"]
    assert state in ("STARTED", "COMPLETE")
    assert iam.generate_credential_report()["State"] == "COMPLETE"
    report = iam.get_credential_report()
    assert report["ReportFormat"] == "text/csv"
    rows = list(csv.DictReader(io.StringIO(report["Content"].decode())))
    by_name = {row["user"]: row for row in rows}
    root, administrator = by_name["<root_account>"], by_name["administrator"]
    assert root["arn"].endswith(":root") and root["password_enabled"] == "not_supported"
    assert administrator["access_key_1_active"] == "true" and administrator["access_key_2_active"] == "false"
    assert administrator["access_key_2_last_used_date"] == "N/A" and administrator["mfa_active"] in ("true", "false")
    assert datetime.datetime.fromisoformat(administrator["user_creation_time"])
    assert list(rows[0])[:4] == ["user", "arn", "user_creation_time", "password_enabled"]
