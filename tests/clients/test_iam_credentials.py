"""Certificates, SSH keys, credentials of single services, and roles that belong to services."""

import base64
import datetime
import hashlib
import subprocess

import pytest
from botocore.exceptions import ClientError
from calls import error_of, outcome, until
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from identities import Person, allow, name, policy, settles


def openssl(*words, given=None):
    return subprocess.run(["openssl", *words], input=given, capture_output=True, check=True, text=True).stdout


def expired():
    """A key and a certificate that ended yesterday."""
    key = ec.generate_private_key(ec.SECP256R1())
    called = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "expired")])
    now = datetime.datetime.now(datetime.timezone.utc)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(called).issuer_name(called).public_key(key.public_key()).serial_number(7)
        .not_valid_before(now - datetime.timedelta(days=2)).not_valid_after(now - datetime.timedelta(days=1))
        .sign(key, hashes.SHA256())
    )
    pem = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    return pem.decode(), certificate.public_bytes(Encoding.PEM).decode()


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A root, and a leaf that it has signed; a certificate and key of another."""
    at = tmp_path_factory.mktemp("pem")
    path = lambda file: str(at / file)
    for who in ("root", "other"):
        openssl("req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "30", "-subj", f"/CN={who}",
                "-keyout", path(f"{who}.key"), "-out", path(f"{who}.pem"))
    openssl("req", "-newkey", "rsa:2048", "-nodes", "-subj", "/CN=leaf", "-keyout", path("leaf.key"), "-out", path("leaf.csr"))
    openssl("x509", "-req", "-in", path("leaf.csr"), "-CA", path("root.pem"), "-CAkey", path("root.key"), "-days", "30",
            "-CAcreateserial", "-out", path("leaf.pem"))
    openssl("ecparam", "-name", "prime256v1", "-genkey", "-noout", "-out", path("ec.key"))
    openssl("req", "-x509", "-key", path("ec.key"), "-days", "30", "-subj", "/CN=ec", "-out", path("ec.pem"))
    key, certificate = expired()
    (at / "expired.key").write_text(key)
    (at / "expired.pem").write_text(certificate)
    openssl("rsa", "-in", path("leaf.key"), "-pubout", "-out", path("leaf.pub"))
    return {file.name: file.read_text() for file in at.iterdir()}


def test_server_certificates(iam, session, made):
    one, new = name("certificate"), name("new")
    upload = {"ServerCertificateName": one, "CertificateBody": made["leaf.pem"], "PrivateKey": made["leaf.key"]}
    for wrong, code in [
        ({"PrivateKey": made["other.key"]}, "KeyPairMismatch"),
        ({"CertificateBody": "nothing"}, "MalformedCertificate"),
        ({"PrivateKey": made["leaf.pem"]}, "MalformedCertificate"),
        ({"CertificateBody": made["leaf.pem"] + made["root.pem"]}, "MalformedCertificate"),
        # A key that came along by mistake would be told with the certificate.
        ({"CertificateBody": made["leaf.key"] + made["leaf.pem"]}, "MalformedCertificate"),
        ({"CertificateBody": made["expired.pem"], "PrivateKey": made["expired.key"]}, "MalformedCertificate"),
        ({"CertificateChain": made["other.pem"]}, "MalformedCertificate"),
        ({"CertificateChain": made["root.pem"] + made["other.pem"]}, "MalformedCertificate"),
    ]:
        assert outcome(iam.upload_server_certificate, **upload | wrong) == code
    before = iam.get_account_summary()["SummaryMap"]["ServerCertificates"]
    answer = iam.upload_server_certificate(
        **upload, Path="/web/", CertificateChain=made["root.pem"], Tags=[{"Key": "a", "Value": "1"}])
    metadata = answer["ServerCertificateMetadata"]
    assert metadata["Arn"].endswith(f":server-certificate/web/{one}") and metadata["ServerCertificateId"].startswith("ASCA")
    assert answer["Tags"] == [{"Key": "a", "Value": "1"}]
    assert iam.get_account_summary()["SummaryMap"]["ServerCertificates"] == before + 1
    assert outcome(iam.upload_server_certificate, **upload) == "EntityAlreadyExists"
    found = iam.get_server_certificate(ServerCertificateName=one)["ServerCertificate"]
    assert found["CertificateBody"] == made["leaf.pem"] and found["CertificateChain"] == made["root.pem"]
    assert "PRIVATE" not in str(found)
    listed = iam.list_server_certificates(PathPrefix="/web/")["ServerCertificateMetadataList"]
    assert one in [c["ServerCertificateName"] for c in listed]
    iam.tag_server_certificate(ServerCertificateName=one, Tags=[{"Key": "b", "Value": "2"}])
    iam.untag_server_certificate(ServerCertificateName=one, TagKeys=["a"])
    assert iam.list_server_certificate_tags(ServerCertificateName=one)["Tags"] == [{"Key": "b", "Value": "2"}]
    # Policies see it at its path, and with its tags.
    for resource, tag, wanted in (("server-certificate/web/*", "2", "OK"), ("server-certificate/web/*", "3", "AccessDenied"),
                                  ("server-certificate/" + one, "2", "AccessDenied")):
        person = Person(iam, session)
        iam.put_user_policy(UserName=person.name, PolicyName="p", PolicyDocument=policy(
            allow("iam:GetServerCertificate", f"arn:aws:iam::*:{resource}", Condition={"StringEquals": {"aws:ResourceTag/b": tag}})))
        settles(person.client("iam").get_server_certificate, wanted, ServerCertificateName=one)
        person.remove()
    iam.update_server_certificate(ServerCertificateName=one, NewServerCertificateName=new, NewPath="/")
    assert outcome(iam.get_server_certificate, ServerCertificateName=one) == "NoSuchEntity"
    assert iam.get_server_certificate(ServerCertificateName=new)["ServerCertificate"]["CertificateChain"] == made["root.pem"]
    iam.delete_server_certificate(ServerCertificateName=new)
    assert outcome(iam.delete_server_certificate, ServerCertificateName=new) == "NoSuchEntity"
    iam.upload_server_certificate(ServerCertificateName=one, CertificateBody=made["ec.pem"], PrivateKey=made["ec.key"])
    iam.delete_server_certificate(ServerCertificateName=one)


def test_signing_certificates(iam, made):
    user = name("user")
    iam.create_user(UserName=user)
    first = iam.upload_signing_certificate(UserName=user, CertificateBody=made["leaf.pem"])["Certificate"]
    assert first["Status"] == "Active" and 24 <= len(first["CertificateId"]) <= 128
    upload = lambda body: outcome(iam.upload_signing_certificate, UserName=user, CertificateBody=body)
    assert iam.get_account_summary()["SummaryMap"]["SigningCertificatesPerUserQuota"] == 2
    assert upload(made["expired.pem"]) == "InvalidCertificate"
    assert upload(made["leaf.pem"]) == "DuplicateCertificate"
    assert upload("x") == "MalformedCertificate"
    assert upload(made["other.pem"]) == "OK" and upload(made["root.pem"]) == "LimitExceeded"
    change = {"UserName": user, "CertificateId": first["CertificateId"]}
    iam.update_signing_certificate(**change, Status="Inactive")
    certificates = iam.list_signing_certificates(UserName=user)["Certificates"]
    assert {c["CertificateBody"]: c["Status"] for c in certificates} == {
        made["leaf.pem"]: "Inactive", made["other.pem"]: "Active"}
    with pytest.raises(ClientError) as info:
        iam.delete_user(UserName=user)
    assert error_of(info) == ("DeleteConflict", "Cannot delete entity, must delete certificates first.")
    # Another name moves nothing, and loses nothing.
    iam.update_user(UserName=user, NewUserName=user + "-2")
    assert len(iam.list_signing_certificates(UserName=user + "-2")["Certificates"]) == 2
    for certificate in certificates:
        iam.delete_signing_certificate(UserName=user + "-2", CertificateId=certificate["CertificateId"])
    assert outcome(iam.delete_signing_certificate, **change | {"UserName": user + "-2"}) == "NoSuchEntity"
    iam.delete_user(UserName=user + "-2")


def test_ssh_public_keys(iam, made):
    user = name("user")
    iam.create_user(UserName=user)
    key = iam.upload_ssh_public_key(UserName=user, SSHPublicKeyBody=made["leaf.pub"])["SSHPublicKey"]
    assert key["SSHPublicKeyId"].startswith("APKA") and key["SSHPublicKeyBody"] == made["leaf.pub"]
    get = {"UserName": user, "SSHPublicKeyId": key["SSHPublicKeyId"]}
    as_ssh = iam.get_ssh_public_key(**get, Encoding="SSH")["SSHPublicKey"]["SSHPublicKeyBody"]
    digest = hashlib.md5(base64.b64decode(as_ssh.split()[1])).hexdigest()
    assert key["Fingerprint"] == ":".join(digest[n:n + 2] for n in range(0, 32, 2))
    assert iam.get_ssh_public_key(**get, Encoding="PEM")["SSHPublicKey"]["SSHPublicKeyBody"] == made["leaf.pub"]
    upload = lambda body: outcome(iam.upload_ssh_public_key, UserName=user, SSHPublicKeyBody=body)
    assert upload(as_ssh + " ann@host") == "DuplicateSSHPublicKey"
    assert upload("ssh-dss AAAA") == "UnrecognizedPublicKeyEncoding"
    assert upload("ssh-rsa AAAA") == "InvalidPublicKey"
    iam.update_ssh_public_key(**get, Status="Inactive")
    assert [k["Status"] for k in iam.list_ssh_public_keys(UserName=user)["SSHPublicKeys"]] == ["Inactive"]
    with pytest.raises(ClientError) as info:
        iam.delete_user(UserName=user)
    assert error_of(info) == ("DeleteConflict", "Cannot delete entity, must remove referenced objects first.")
    iam.delete_ssh_public_key(**get)
    assert outcome(iam.get_ssh_public_key, **get, Encoding="SSH") == "NoSuchEntity"
    iam.delete_user(UserName=user)


def test_credentials_of_single_services(iam):
    user = name("user")
    iam.create_user(UserName=user)
    git = {"UserName": user, "ServiceName": "codecommit.amazonaws.com"}
    first = iam.create_service_specific_credential(**git)["ServiceSpecificCredential"]
    second = iam.create_service_specific_credential(**git)["ServiceSpecificCredential"]
    assert first["ServiceUserName"].startswith(f"{user}-at-") and second["ServiceUserName"].startswith(f"{user}+1-at-")
    assert len(first["ServicePassword"]) >= 40 and first["ServicePassword"] != second["ServicePassword"]
    assert outcome(iam.create_service_specific_credential, **git) == "LimitExceeded"
    assert outcome(iam.create_service_specific_credential, UserName=user, ServiceName="s3.amazonaws.com") == "NotSupportedService"
    logs = {"UserName": user, "ServiceName": "logs.amazonaws.com", "CredentialAgeDays": 30}
    key = iam.create_service_specific_credential(**logs)["ServiceSpecificCredential"]
    assert (key["ExpirationDate"] - key["CreateDate"]).days == 30 and key["ServiceCredentialSecret"]
    listed = iam.list_service_specific_credentials(UserName=user)["ServiceSpecificCredentials"]
    assert len(listed) == 3 and "Password" not in str(listed) and "Secret" not in str(listed)
    of_git = iam.list_service_specific_credentials(**git)["ServiceSpecificCredentials"]
    assert len(of_git) == 2
    of_all = iam.list_service_specific_credentials(AllUsers=True)["ServiceSpecificCredentials"]
    assert {c["ServiceSpecificCredentialId"] for c in listed} <= {c["ServiceSpecificCredentialId"] for c in of_all}
    change = {"UserName": user, "ServiceSpecificCredentialId": first["ServiceSpecificCredentialId"]}
    reset = iam.reset_service_specific_credential(**change)["ServiceSpecificCredential"]
    assert reset["ServicePassword"] != first["ServicePassword"] and reset["ServiceUserName"] == first["ServiceUserName"]
    iam.update_service_specific_credential(**change, Status="Inactive")
    states = {c["ServiceSpecificCredentialId"]: c["Status"] for c in
              iam.list_service_specific_credentials(UserName=user)["ServiceSpecificCredentials"]}
    assert states[first["ServiceSpecificCredentialId"]] == "Inactive"
    assert outcome(iam.delete_user, UserName=user) == "DeleteConflict"
    for one in listed:
        iam.delete_service_specific_credential(UserName=user, ServiceSpecificCredentialId=one["ServiceSpecificCredentialId"])
    iam.delete_user(UserName=user)


def test_no_secret_of_these_is_in_the_audit_trail(iam, made, session):
    user, one = name("user"), name("certificate")
    iam.create_user(UserName=user)
    secret = iam.create_service_specific_credential(
        UserName=user, ServiceName="cassandra.amazonaws.com")["ServiceSpecificCredential"]
    key = iam.create_service_specific_credential(
        UserName=user, ServiceName="bedrock.amazonaws.com")["ServiceSpecificCredential"]
    iam.upload_server_certificate(ServerCertificateName=one, CertificateBody=made["leaf.pem"], PrivateKey=made["leaf.key"])
    trail = session.client("cloudtrail")
    told = ""
    for operation, mark, count in (("CreateServiceSpecificCredential", user, 2), ("UploadServerCertificate", one, 1)):
        events = lambda: [e["CloudTrailEvent"] for e in trail.lookup_events(
            LookupAttributes=[{"AttributeKey": "EventName", "AttributeValue": operation}])["Events"]]
        found = until(events, lambda events: sum(mark in event for event in events) >= count)
        told += str(found)
    assert secret["ServicePassword"] not in told and made["leaf.key"][40:80] not in told
    assert key["ServiceCredentialAlias"] in told and key["ServiceCredentialSecret"] not in told
    iam.delete_server_certificate(ServerCertificateName=one)
    for each in (secret, key):
        iam.delete_service_specific_credential(
            UserName=user, ServiceSpecificCredentialId=each["ServiceSpecificCredentialId"])
    iam.delete_user(UserName=user)


def test_roles_of_services_are_theirs(iam):
    service = "autoscaling.amazonaws.com"
    suffix = name("s")[-8:]
    role = iam.create_service_linked_role(AWSServiceName=service, CustomSuffix=suffix, Description="d")["Role"]
    role_name = f"AWSServiceRoleForAutoScaling_{suffix}"
    assert role["RoleName"] == role_name and role["Arn"].endswith(f":role/aws-service-role/{service}/{role_name}")
    assert role["AssumeRolePolicyDocument"]["Statement"][0]["Principal"] == {"Service": service}
    attached = iam.list_attached_role_policies(RoleName=role_name)["AttachedPolicies"]
    assert [p["PolicyName"] for p in attached] == ["AutoScalingServiceRolePolicy"]
    own, profile = {"RoleName": role_name}, name("profile")
    iam.create_instance_profile(InstanceProfileName=profile)
    any_policy = "arn:aws:iam::aws:policy/ReadOnlyAccess"
    protected = [
        (iam.delete_role, {}),
        (iam.attach_role_policy, {"PolicyArn": any_policy}),
        (iam.detach_role_policy, {"PolicyArn": attached[0]["PolicyArn"]}),
        (iam.put_role_policy, {"PolicyName": "p", "PolicyDocument": policy(allow("*", "*"))}),
        (iam.update_assume_role_policy, {"PolicyDocument": policy(
            {"Effect": "Allow", "Action": "sts:AssumeRole", "Principal": {"AWS": "*"}})}),
        (iam.put_role_permissions_boundary, {"PermissionsBoundary": any_policy}),
        (iam.delete_role_permissions_boundary, {}),
        (iam.delete_role_policy, {"PolicyName": "p"}),
        (iam.update_role, {"MaxSessionDuration": 7200}),
        (iam.add_role_to_instance_profile, {"InstanceProfileName": profile}),
    ]
    for call, more in protected:
        assert outcome(call, **own, **more) == "UnmodifiableEntity", call
    iam.update_role(**own, Description="another")
    assert outcome(iam.create_service_linked_role, AWSServiceName=service, CustomSuffix=suffix) == "InvalidInput"
    assert outcome(iam.create_service_linked_role, AWSServiceName="nobody.amazonaws.com") == "InvalidInput"
    assert outcome(iam.create_service_linked_role, AWSServiceName="rds.amazonaws.com", CustomSuffix="x") == "InvalidInput"
    user = name("user")
    iam.create_user(UserName=user)
    services = attached[0]["PolicyArn"]
    assert outcome(iam.attach_user_policy, UserName=user, PolicyArn=services) == "PolicyNotAttachable"
    bound = {"UserName": user, "PermissionsBoundary": services}
    assert outcome(iam.put_user_permissions_boundary, **bound) == "PolicyNotAttachable"
    iam.delete_instance_profile(InstanceProfileName=profile)
    # AWS's own policies are told apart by their ids, too.
    known = list(iam.get_paginator("list_policies").paginate(Scope="AWS").search("Policies"))
    assert len({p["PolicyId"] for p in known}) == len(known) > 40
    iam.delete_user(UserName=user)
    task = iam.delete_service_linked_role(**own)["DeletionTaskId"]
    assert task.startswith(f"task/aws-service-role/{service}/{role_name}/")
    assert iam.get_service_linked_role_deletion_status(DeletionTaskId=task)["Status"] == "SUCCEEDED"
    assert outcome(iam.get_role, **own) == "NoSuchEntity"
    assert outcome(iam.get_service_linked_role_deletion_status, DeletionTaskId=task[:-1] + "z") == "NoSuchEntity"
    assert outcome(iam.get_service_linked_role_deletion_status, DeletionTaskId="x") == "InvalidInput"


def test_preferences_of_tokens(iam):
    for version, number in (("v2Token", 2), ("v1Token", 1)):
        iam.set_security_token_service_preferences(GlobalEndpointTokenVersion=version)
        assert iam.get_account_summary()["SummaryMap"]["GlobalEndpointTokenVersion"] == number
    assert outcome(iam.set_security_token_service_preferences, GlobalEndpointTokenVersion="v3Token") == "ValidationError"
