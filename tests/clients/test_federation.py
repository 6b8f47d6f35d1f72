"""Who comes with nothing but an identity provider's word: OpenID Connect, SAML, federated users, and the keys that seal
their sessions."""

import base64
import datetime
import hashlib
import hmac
import json
import os
import time
import uuid

import boto3
import jwt
import pytest
from botocore import UNSIGNED
from botocore.config import Config
from botocore.exceptions import ClientError
from conftest import error_of, make_table, outcome, until
from cryptography.hazmat.primitives import serialization
from identity_provider import Key, Provider, base64url, thumbprint
from lxml import etree
from own_region import FRONT, OwnRegion, create, retried, wait_for
from saml_provider import ASSERTION, PROTOCOL, SIGN_IN, SamlProvider, packed
from signxml import CanonicalizationMethod, DigestAlgorithm, SignatureMethod
from test_iam import Person, allow, name, policy, remove_role, sample, session_of, settles, trust

SIGNATURE = "http://www.w3.org/2000/09/xmldsig#"
# A second while all nodes are healthy; more for a machine that is busy with a build.
REVOKED = 1 if not os.environ.get("BREAKWATER_BUSY") else 15
NOBODY = Config(retries={"total_max_attempts": 1}, read_timeout=20, signature_version=UNSIGNED)
ONCE = Config(retries={"total_max_attempts": 1}, read_timeout=20)


@pytest.fixture(scope="module")
def iam(session):
    return session.client("iam", config=ONCE)


@pytest.fixture(scope="module")
def account(session):
    return session.client("sts", config=ONCE).get_caller_identity()["Account"]


@pytest.fixture(scope="module")
def nobody(session):
    """STS for who has no credentials at all."""
    return session.client("sts", config=NOBODY)


@pytest.fixture(scope="module")
def table(dynamodb):
    table = make_table(dynamodb)
    dynamodb.put_item(TableName=table, Item={"pk": {"S": "mine"}})
    yield table
    dynamodb.delete_table(TableName=table)


@pytest.fixture(params=["control", "data"])
def person(iam, session, request):
    person = Person(iam, session, request.param)
    yield person
    person.remove()


class Known:
    """A provider that the account knows, and a role that trusts its people."""

    def __init__(self, iam, *algorithms, clients=("app",), condition=None, actions=("sts:AssumeRoleWithWebIdentity",)):
        self.iam, self.provider = iam, Provider(*algorithms)
        self.arn = iam.create_open_id_connect_provider(
            Url=self.provider.issuer, ClientIDList=list(clients), ThumbprintList=[thumbprint(self.provider.authority)],
        )["OpenIDConnectProviderArn"]
        url = self.provider.url
        condition = condition or {"StringEquals": {f"{url}:aud": "app"}, "StringLike": {f"{url}:sub": "ann*"}}
        self.role = name("role")
        self.trust = {"Effect": "Allow", "Action": list(actions), "Principal": {"Federated": self.arn}}
        self.role_arn = iam.create_role(
            RoleName=self.role, AssumeRolePolicyDocument=policy({**self.trust, "Condition": condition}))["Role"]["Arn"]

    def ask(self, token, **more):
        return {"RoleArn": self.role_arn, "RoleSessionName": "visit", "WebIdentityToken": token, **more}

    def close(self):
        remove_role(self.iam, self.role)
        self.iam.delete_open_id_connect_provider(OpenIDConnectProviderArn=self.arn)
        self.provider.close()


@pytest.fixture
def known(iam):
    known = Known(iam)
    yield known
    known.close()


@pytest.mark.parametrize("algorithm", ["RS256", "RS384", "RS512", "ES256", "ES384", "ES512"])
def test_a_token_of_a_trusted_provider_assumes_a_role(iam, session, nobody, account, algorithm):
    known = Known(iam, algorithm)
    provider, ask = known.provider, known.ask
    settles(nobody.assume_role_with_web_identity, "OK", **ask(provider.token()))
    answer = nobody.assume_role_with_web_identity(**ask(provider.token(), DurationSeconds=900))
    assert answer["SubjectFromWebIdentityToken"] == "ann" and answer["Audience"] == "app"
    assert answer["Provider"] == known.arn == f"arn:aws:iam::{account}:oidc-provider/{provider.url}"
    assert answer["AssumedRoleUser"]["Arn"] == f"arn:aws:sts::{account}:assumed-role/{known.role}/visit"
    # Its trust policy asks for this audience, and for somebody else.
    assert outcome(nobody.assume_role_with_web_identity, **ask(provider.token(sub="bob"))) == "AccessDenied"
    with pytest.raises(ClientError) as info:
        nobody.assume_role_with_web_identity(**ask(provider.token(), RoleArn=known.role_arn + "x"))
    assert error_of(info) == ("AccessDenied", "Not authorized to perform sts:AssumeRoleWithWebIdentity")
    assert outcome(nobody.assume_role_with_web_identity, **ask(provider.token(), DurationSeconds=7200)) == "ValidationError"
    known.close()


def test_a_web_identitys_session_is_the_roles_and_leaves_events(iam, session, nobody, table, person, known):
    provider = known.provider
    url = provider.url
    iam.put_role_policy(RoleName=known.role, PolicyName="items", PolicyDocument=policy(
        allow("dynamodb:GetItem", "*", Condition={
            "StringEquals": {f"{url}:sub": "ann", "aws:FederatedProvider": known.arn}})))
    settles(nobody.assume_role_with_web_identity, "OK", **known.ask(provider.token()))
    answer = nobody.assume_role_with_web_identity(**known.ask(provider.token()))
    items = person.client("dynamodb", session_of(answer))
    key = {"TableName": table, "Key": {"pk": {"S": "mine"}}}
    settles(items.get_item, "OK", **key)
    assert outcome(items.delete_item, **key) == "AccessDeniedException"
    other = nobody.assume_role_with_web_identity(**known.ask(provider.token(sub="anna")))
    settles(person.client("dynamodb", session_of(other)).get_item, "AccessDeniedException", **key)
    less = nobody.assume_role_with_web_identity(**known.ask(provider.token(), Policy=policy(allow("s3:*", "*"))))
    settles(person.client("dynamodb", session_of(less)).get_item, "AccessDeniedException", **key)
    assert outcome(nobody.assume_role_with_web_identity, **known.ask("not.a.token")) == "InvalidIdentityToken"
    pages = session.client("cloudtrail").get_paginator("lookup_events")
    attribute = {"AttributeKey": "EventName", "AttributeValue": "AssumeRoleWithWebIdentity"}

    def told(wanted):
        found = pages.paginate(LookupAttributes=[attribute]).search("Events")
        records = [json.loads(e["CloudTrailEvent"]) for e in found]
        return [r for r in records if wanted(r)]

    done = until(lambda: told(lambda r: known.role_arn in str(r) and "errorCode" not in r), len)[0]
    who = done["userIdentity"]
    assert (who["type"], who["identityProvider"]) == ("WebIdentityUser", known.arn)
    assert who["userName"] in ("ann", "anna") and who["principalId"] == f"{known.arn}:app:{who['userName']}"
    assert "webIdentityToken" not in str(done) and "secretAccessKey" not in str(done)
    refused = until(lambda: told(lambda r: r.get("errorCode") == "InvalidIdentityTokenException"), len)[0]
    assert refused["userIdentity"] == {"type": "Unknown"}


def bad_tokens(provider):
    key, claims = provider.keys[0], provider.claims()
    encoded = [base64url(json.dumps(part).encode()) for part in ({"alg": "none", "kid": key.id}, claims)]
    yield "alg none", ".".join(encoded) + ".", "InvalidIdentityToken"
    # The public key is no secret.
    public = key.private.public_key().public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    signed = ".".join(
        base64url(json.dumps(part).encode()) for part in ({"alg": "HS256", "typ": "JWT", "kid": key.id}, claims))
    signature = base64url(hmac.new(public, signed.encode(), hashlib.sha256).digest())
    yield "HS256 with the public key", f"{signed}.{signature}", "InvalidIdentityToken"
    yield "PS256", jwt.encode(claims, key.private, "PS256", headers={"kid": key.id}), "InvalidIdentityToken"
    yield "wrong audience", provider.token(aud="other"), "InvalidIdentityToken"
    yield "several audiences", provider.token(aud=["app", "other"]), "InvalidIdentityToken"
    yield "for another party", provider.token(azp="other"), "InvalidIdentityToken"
    yield "no audience", provider.token(aud=None), "InvalidIdentityToken"
    yield "unknown key", provider.token(key=Key()), "InvalidIdentityToken"
    forger = Key()
    forger.id = key.id
    yield "another's key under the same id", provider.token(key=forger), "InvalidIdentityToken"
    now = claims["iat"]
    yield "expired", provider.token(exp=now - 301, iat=now - 900), "ExpiredTokenException"
    yield "not yet valid", provider.token(nbf=now + 400), "InvalidIdentityToken"
    yield "of the future", provider.token(iat=now + 400, exp=now + 900), "InvalidIdentityToken"
    yield "no end", provider.token(exp=None), "InvalidIdentityToken"
    yield "no subject", provider.token(sub=None), "InvalidIdentityToken"
    yield "wrong issuer", provider.token(iss="https://elsewhere.example"), "InvalidIdentityToken"
    yield "plain issuer", provider.token(iss=provider.issuer.replace("https", "http")), "InvalidIdentityToken"
    good = provider.token()
    head, body, tail = good.split(".")
    other = base64url(json.dumps({**claims, "sub": "anna"}).encode())
    yield "changed", f"{head}.{other}.{tail}", "InvalidIdentityToken"
    yield "cut", good[:-10], "InvalidIdentityToken"
    yield "its own key", provider.token(key=Key(), headers={"jwk": Key().public()}), "InvalidIdentityToken"


def test_bad_tokens_assume_nothing(nobody, known):
    settles(nobody.assume_role_with_web_identity, "OK", **known.ask(known.provider.token()))
    got = {what: (outcome(nobody.assume_role_with_web_identity, **known.ask(token)), code)
           for what, token, code in bad_tokens(known.provider)}
    assert all(code == wanted for code, wanted in got.values()), got
    assert outcome(nobody.assume_role_with_web_identity, **known.ask(known.provider.token())) == "OK"


def test_a_provider_changes_its_keys(nobody, known):
    provider = known.provider
    settles(nobody.assume_role_with_web_identity, "OK", **known.ask(provider.token()))
    asked = len(provider.asked)
    assert outcome(nobody.assume_role_with_web_identity, **known.ask(provider.token())) == "OK"
    assert len(provider.asked) == asked, "keys are kept"
    old = provider.keys[0]
    provider.keys = [Key("ES256")]
    settles(nobody.assume_role_with_web_identity, "OK", **known.ask(provider.token()))
    settles(nobody.assume_role_with_web_identity, "InvalidIdentityToken", **known.ask(provider.token(key=old)))


def test_a_provider_that_misbehaves(iam, nobody, known):
    provider, call = known.provider, nobody.assume_role_with_web_identity
    provider.padding = 1 << 20
    settles(call, "InvalidIdentityToken", **known.ask(provider.token()))
    provider.padding, provider.redirect = 0, "https://127.0.0.1:1/"
    settles(call, "InvalidIdentityToken", **known.ask(provider.token()))
    provider.redirect = None
    settles(call, "OK", **known.ask(provider.token()))
    # One that nobody vouches for, and one that isn't there any more.
    iam.update_open_id_connect_provider_thumbprint(OpenIDConnectProviderArn=known.arn, ThumbprintList=["0" * 40])
    settles(call, "InvalidIdentityToken", **known.ask(provider.token()))
    with pytest.raises(ClientError) as info:
        call(**known.ask(provider.token()))
    assert "HTTPS certificate doesn't match configured thumbprint" in error_of(info)[1]
    # Its own certificate will do as well.
    iam.update_open_id_connect_provider_thumbprint(
        OpenIDConnectProviderArn=known.arn, ThumbprintList=[thumbprint(provider.certificate)])
    settles(call, "OK", **known.ask(provider.token()))


def test_a_provider_that_hangs_or_is_gone(iam, nobody):
    known = Known(iam)
    provider, call = known.provider, nobody.assume_role_with_web_identity
    provider.answers.clear()
    until(lambda: outcome(call, **known.ask(provider.token())), lambda code: code == "IDPCommunicationError", 20)
    provider.answers.set()
    settles(call, "OK", **known.ask(provider.token()))
    gone = Known(iam)
    gone.provider.close()
    settles(call, "IDPCommunicationError", **gone.ask(gone.provider.token()))
    gone.close()
    known.close()


def test_a_token_brings_session_tags_and_a_source_identity(iam, nobody, account):
    known = Known(iam)
    url, call = known.provider.url, nobody.assume_role_with_web_identity
    tags = {"https://aws.amazon.com/tags": {"principal_tags": {"team": ["blue"]}, "transitive_tag_keys": ["team"]}}
    settles(call, "OK", **known.ask(known.provider.token()))
    # They are rights of their own.
    assert outcome(call, **known.ask(known.provider.token(**tags))) == "AccessDenied"
    iam.update_assume_role_policy(RoleName=known.role, PolicyDocument=policy({
        **known.trust, "Action": ["sts:AssumeRoleWithWebIdentity", "sts:TagSession", "sts:SetSourceIdentity"],
        "Condition": {"StringEquals": {f"{url}:aud": "app"}, "StringEqualsIfExists": {"aws:RequestTag/team": "blue"}}}))
    settles(call, "OK", **known.ask(known.provider.token(**tags)))
    tags["https://aws.amazon.com/source_identity"] = "ann@example"
    answer = call(**known.ask(known.provider.token(**tags)))
    assert answer["SourceIdentity"] == "ann@example"
    # The tag goes on to the next role, where nothing replaces it, and so does the source identity.
    next_role = name("role")
    arn = iam.create_role(RoleName=next_role, AssumeRolePolicyDocument=policy({
        "Effect": "Allow", "Action": ["sts:AssumeRole", "sts:TagSession", "sts:SetSourceIdentity"],
        "Principal": {"AWS": known.role_arn},
        "Condition": {"StringEquals": {"aws:PrincipalTag/team": "blue", "aws:SourceIdentity": "ann@example"}}},
    ))["Role"]["Arn"]
    iam.put_role_policy(RoleName=next_role, PolicyName="p", PolicyDocument=policy(
        allow("iam:GetRole", "*", Condition={"StringEquals": {"aws:PrincipalTag/team": "blue"}})))
    iam.put_role_policy(RoleName=known.role, PolicyName="p", PolicyDocument=policy(
        allow(["sts:AssumeRole", "sts:TagSession", "sts:SetSourceIdentity"], "*")))
    endpoint = nobody.meta.endpoint_url

    def signed(service, answer):
        key = answer["Credentials"]
        return boto3.Session(key["AccessKeyId"], key["SecretAccessKey"], key["SessionToken"], region_name="us-east-1").client(
            service, endpoint_url=endpoint, config=ONCE)

    first = signed("sts", answer)
    ask = {"RoleArn": arn, "RoleSessionName": "next"}
    settles(first.assume_role, "OK", **ask)
    second = first.assume_role(**ask)
    assert second["SourceIdentity"] == "ann@example"
    settles(signed("iam", second).get_role, "OK", RoleName=next_role)
    assert outcome(first.assume_role, **ask, Tags=[{"Key": "Team", "Value": "red"}]) == "ValidationError"
    assert outcome(first.assume_role, **ask, SourceIdentity="bob") == "AccessDenied"
    assert outcome(first.assume_role, **ask, DurationSeconds=3601) == "ValidationError"
    remove_role(iam, next_role)
    known.close()


def test_openid_connect_providers_and_their_errors(iam, account):
    url, prints = f"https://{uuid.uuid4().hex}.example/tenant", ["A" * 40]
    make = lambda **more: iam.create_open_id_connect_provider(**{"Url": url, "ThumbprintList": prints, **more})
    made = make(ClientIDList=["a"], Tags=[{"Key": "k", "Value": "v"}])
    arn = made["OpenIDConnectProviderArn"]
    assert arn == f"arn:aws:iam::{account}:oidc-provider/{url.removeprefix('https://')}"
    one = {"OpenIDConnectProviderArn": arn}
    with pytest.raises(ClientError) as info:
        make()
    assert error_of(info) == ("EntityAlreadyExists", f"Provider with url {url} already exists.")
    got = iam.get_open_id_connect_provider(**one)
    assert (got["Url"], got["ClientIDList"], got["ThumbprintList"]) == (url.removeprefix("https://"), ["a"], ["a" * 40])
    assert got["Tags"] == [{"Key": "k", "Value": "v"}]
    assert {"Arn": arn} in iam.list_open_id_connect_providers()["OpenIDConnectProviderList"]
    for client in ("b", "b", "c"):
        iam.add_client_id_to_open_id_connect_provider(**one, ClientID=client)
    iam.remove_client_id_from_open_id_connect_provider(**one, ClientID="a")
    iam.update_open_id_connect_provider_thumbprint(**one, ThumbprintList=["b" * 40, "c" * 40])
    iam.tag_open_id_connect_provider(**one, Tags=[{"Key": "l", "Value": "w"}])
    iam.untag_open_id_connect_provider(**one, TagKeys=["k"])
    assert iam.list_open_id_connect_provider_tags(**one)["Tags"] == [{"Key": "l", "Value": "w"}]
    got = iam.get_open_id_connect_provider(**one)
    assert (got["ClientIDList"], got["ThumbprintList"]) == (["b", "c"], ["b" * 40, "c" * 40])
    for bad, code in [
        ({"Url": "http://plain.example"}, "InvalidInput"), ({"Url": "https://a.example?q=1"}, "InvalidInput"),
        ({"Url": "https://b.example", "ThumbprintList": ["x" * 40]}, "ValidationError"),
        ({"Url": "https://b.example", "ThumbprintList": [f"{n:040x}" for n in range(6)]}, "InvalidInput"),
        ({"Url": "https://b.example", "ClientIDList": [str(n) for n in range(101)]}, "LimitExceeded"),
        # Nobody is there whose certificate could be looked at.
        ({"Url": "https://127.0.0.1:1", "ThumbprintList": []}, "OpenIdIdpCommunicationError"),
    ]:
        assert outcome(make, **bad) == code, bad
    iam.delete_open_id_connect_provider(**one)
    iam.delete_open_id_connect_provider(**one)
    with pytest.raises(ClientError) as info:
        iam.get_open_id_connect_provider(**one)
    assert error_of(info) == ("NoSuchEntity", f"OpenIDConnect Provider not found for arn {arn}")
    # Without a thumbprint it becomes that of the highest certificate which the server shows.
    provider = Provider()
    arn = make(Url=provider.issuer, ThumbprintList=[])["OpenIDConnectProviderArn"]
    got = iam.get_open_id_connect_provider(OpenIDConnectProviderArn=arn)
    assert got["ThumbprintList"] == [thumbprint(provider.authority)]
    iam.delete_open_id_connect_provider(OpenIDConnectProviderArn=arn)
    provider.close()


def test_nothing_is_reached_without_a_signature_but_what_aws_leaves_open(session, table):
    reached = []
    for service in ("dynamodb", "iam", "sts", "cloudtrail"):
        client = session.client(service, config=NOBODY)
        model = client.meta.service_model
        for method, operation in client.meta.method_to_api_mapping.items():
            shape = model.operation_model(operation).input_shape
            code = outcome(getattr(client, method), **(sample(shape, table) if shape else {}))
            if code not in ("MissingAuthenticationToken", "MissingAuthenticationTokenException", "InvalidAction",
                            "UnknownOperationException"):
                reached.append((operation, code))
    assert sorted(reached) == [
        ("AssumeRoleWithSAML", "InvalidIdentityToken"), ("AssumeRoleWithWebIdentity", "InvalidIdentityToken")]


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
    bare = session_of(own.get_federation_token(Name="guest"))
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


@pytest.fixture
def rotating_region(request):
    region = OwnRegion()
    region.settings = "session_key_period_s = 2"
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
    until(sealed_with, lambda number: number >= 4, seconds=60)
    assert sorted(tokens) == list(range(min(tokens), max(tokens) + 1))
    # What an older key has sealed is still good.
    assert all(opens(token, region.front_of(nodes[0])) for token in tokens.values())


class KnownSaml:
    """A SAML provider that the account knows, and a role that trusts its people."""

    def __init__(self, iam, actions=("sts:AssumeRoleWithSAML",), **condition):
        self.iam, self.provider, self.name = iam, SamlProvider(), name("saml")
        self.arn = iam.create_saml_provider(
            Name=self.name, SAMLMetadataDocument=self.provider.metadata())["SAMLProviderArn"]
        self.role = name("role")
        self.role_arn = iam.create_role(RoleName=self.role, AssumeRolePolicyDocument=policy({
            "Effect": "Allow", "Action": list(actions), "Principal": {"Federated": self.arn},
            "Condition": {"StringEquals": {"saml:aud": SIGN_IN, **condition}}}))["Role"]["Arn"]

    def response(self, **more):
        return self.provider.response(self.role_arn, self.arn, **more)

    def ask(self, response, **more):
        return {"RoleArn": self.role_arn, "PrincipalArn": self.arn, "SAMLAssertion": packed(response), **more}

    def close(self):
        remove_role(self.iam, self.role)
        self.iam.delete_saml_provider(SAMLProviderArn=self.arn)


@pytest.fixture
def saml(iam):
    saml = KnownSaml(iam)
    yield saml
    saml.close()


@pytest.mark.parametrize("how", ["assertion", "response", "both", "sha512"])
def test_an_assertion_of_a_trusted_provider_assumes_a_role(session, nobody, account, saml, how):
    def response():
        tree = saml.response()
        if how in ("assertion", "both"):
            tree = saml.provider.signed(tree)
        if how in ("response", "both"):
            tree = saml.provider.signed(tree, whole=True)
        if how == "sha512":
            tree = saml.provider.signed(tree, digest=DigestAlgorithm.SHA512, method=SignatureMethod.RSA_SHA512)
        return tree

    settles(nobody.assume_role_with_saml, "OK", **saml.ask(response()))
    answer = nobody.assume_role_with_saml(**saml.ask(response()))
    assert answer["AssumedRoleUser"]["Arn"] == f"arn:aws:sts::{account}:assumed-role/{saml.role}/visit"
    assert (answer["Subject"], answer["SubjectType"], answer["Audience"]) == ("ann", "persistent", SIGN_IN)
    assert answer["Issuer"] == saml.provider.entity
    hashed = hashlib.sha1(f"{saml.provider.entity}{account}/{saml.name}".encode()).digest()
    assert answer["NameQualifier"] == base64.b64encode(hashed).decode()
    key = answer["Credentials"]
    who = boto3.Session(key["AccessKeyId"], key["SecretAccessKey"], key["SessionToken"], region_name="us-east-1").client(
        "sts", endpoint_url=nobody.meta.endpoint_url, config=ONCE).get_caller_identity()
    assert who["Arn"] == answer["AssumedRoleUser"]["Arn"]
    if how == "assertion":
        attribute = {"AttributeKey": "EventName", "AttributeValue": "AssumeRoleWithSAML"}
        pages = session.client("cloudtrail").get_paginator("lookup_events")

        def told():
            events = pages.paginate(LookupAttributes=[attribute]).search("Events")
            records = [json.loads(event["CloudTrailEvent"]) for event in events]
            return [r for r in records if saml.role_arn in str(r) and "errorCode" not in r]

        record = until(told, len)[0]
        qualifier = answer["NameQualifier"]
        assert record["userIdentity"] == {
            "type": "SAMLUser", "principalId": f"{qualifier}:ann", "userName": "ann", "identityProvider": qualifier}
        assert "sAMLAssertion" not in str(record)


def bad_responses(saml):
    provider = saml.provider

    def signed(**more):
        return provider.signed(saml.response(**more))

    yield "unsigned", saml.response(), "InvalidIdentityToken"
    changed = signed()
    changed.find(f".//{{{ASSERTION}}}NameID").text = "root"
    yield "changed", changed, "InvalidIdentityToken"
    changed = signed()
    changed.find(f".//{{{SIGNATURE}}}SignatureValue").text = "AAAA"
    yield "another signature", changed, "InvalidIdentityToken"
    yield "another's key", provider.signed(saml.response(), key=SamlProvider().key), "InvalidIdentityToken"
    for wrapped in wrappings(saml):
        yield wrapped
    yield "expired", signed(issued=-1000, ends=-900), "ExpiredTokenException"
    yield "conditions expired", signed(ends=-100), "ExpiredTokenException"
    yield "session over", signed(session_ends=-1), "ExpiredTokenException"
    yield "not yet valid", signed(starts=200), "InvalidIdentityToken"
    yield "wrong audience", signed(audience="https://elsewhere.example"), "InvalidIdentityToken"
    yield "sent to somebody else", signed(recipient="https://elsewhere.example"), "InvalidIdentityToken"
    yield "another issuer", signed(issuer="https://elsewhere.example"), "InvalidIdentityToken"
    yield "no success", signed(status="urn:oasis:names:tc:SAML:2.0:status:Responder"), "InvalidIdentityToken"
    yield "no name", signed(name=None), "InvalidIdentityToken"
    yield "another role", signed(attributes={"Role": f"{saml.role_arn}x,{saml.arn}"}), "AccessDenied"
    yield "another provider", signed(attributes={"Role": f"{saml.role_arn},{saml.arn}x"}), "AccessDenied"
    inclusive = CanonicalizationMethod.CANONICAL_XML_1_1
    yield "unknown canonicalization", provider.signed(saml.response(), c14n=inclusive), "InvalidIdentityToken"
    commented = signed()
    name_id = commented.find(f".//{{{ASSERTION}}}NameID")
    # Canonical form leaves it out: the signature stays good, and readers differ in what the name is.
    name_id.text, comment = "an", etree.Comment("x")
    comment.tail = "n"
    name_id.append(comment)
    yield "a comment in the name", commented, "InvalidIdentityToken"


def wrappings(saml):
    """A good signature, of something else than what would be read."""
    forged = lambda: saml.response(subject="root").find(f"{{{ASSERTION}}}Assertion")
    # The forged assertion first, or last, beside the signed one.
    for place in (0, 3):
        tree = saml.provider.signed(saml.response())
        tree.insert(place, forged())
        yield f"beside at {place}", tree, "InvalidIdentityToken"
    # The signed one put into the forged one's signature, under its own id, or the forged one's under the same.
    for same in (False, True):
        tree = saml.provider.signed(saml.response())
        good = tree.find(f"{{{ASSERTION}}}Assertion")
        evil = forged()
        if same:
            evil.set("ID", good.get("ID"))
        signature = good.find(f"{{{SIGNATURE}}}Signature")
        moved = etree.fromstring(etree.tostring(signature))
        tree.replace(good, evil)
        holder = etree.SubElement(moved, f"{{{SIGNATURE}}}Object")
        holder.append(good)
        evil.insert(1, moved)
        yield f"in an object, same id {same}", tree, "InvalidIdentityToken"
    # The signed one hidden in an extension, its signature kept in the forged one.
    tree = saml.provider.signed(saml.response())
    good = tree.find(f"{{{ASSERTION}}}Assertion")
    evil = forged()
    evil.insert(1, etree.fromstring(etree.tostring(good.find(f"{{{SIGNATURE}}}Signature"))))
    tree.replace(good, evil)
    etree.SubElement(tree, f"{{{PROTOCOL}}}Extensions").append(good)
    yield "in an extension", tree, "InvalidIdentityToken"


def test_bad_assertions_assume_nothing(nobody, saml):
    settles(nobody.assume_role_with_saml, "OK", **saml.ask(saml.provider.signed(saml.response())))
    got = {what: (outcome(nobody.assume_role_with_saml, **saml.ask(response)), code)
           for what, response, code in bad_responses(saml)}
    assert all(code == wanted for code, wanted in got.values()), got
    good = packed(saml.provider.signed(saml.response()))
    for what, text in {
        "no base64": "<samlp:Response/>", "no XML": base64.b64encode(b"nothing").decode(), "cut": good[: len(good) // 2],
        "a DTD": base64.b64encode(b'<!DOCTYPE a [<!ENTITY b "c">]>' + base64.b64decode(good)).decode(),
        "deep": base64.b64encode(b"<a>" * 10_000 + b"</a>" * 10_000).decode(),
    }.items():
        asked = {**saml.ask(saml.response()), "SAMLAssertion": text}
        assert outcome(nobody.assume_role_with_saml, **asked) == "InvalidIdentityToken", what
    asked = saml.ask(saml.provider.signed(saml.response()), PrincipalArn=saml.arn + "x")
    assert outcome(nobody.assume_role_with_saml, **asked) == "InvalidIdentityToken"


def test_an_assertion_says_how_long_and_with_which_tags(iam, nobody):
    saml = KnownSaml(iam, actions=("sts:AssumeRoleWithSAML", "sts:TagSession"), **{"saml:sub_type": "persistent"})
    ask = lambda **attributes: saml.ask(saml.provider.signed(saml.response(attributes=attributes)))
    settles(nobody.assume_role_with_saml, "OK", **ask())

    def lasts(**more):
        expires = nobody.assume_role_with_saml(**more)["Credentials"]["Expiration"]
        return round((expires - datetime.datetime.now(datetime.timezone.utc)).total_seconds(), -2)

    assert lasts(**ask()) == 3600
    assert lasts(**ask(SessionDuration="1800")) == 1800
    assert lasts(**saml.ask(saml.provider.signed(saml.response(session_ends=1000)))) == 1000
    assert lasts(**{**ask(SessionDuration="1800"), "DurationSeconds": 900}) == 900
    assert outcome(nobody.assume_role_with_saml, **ask(SessionDuration="5")) == "InvalidIdentityToken"
    assert outcome(nobody.assume_role_with_saml, **ask(**{"PrincipalTag:team": "blue"})) == "OK"
    assert outcome(nobody.assume_role_with_saml, **ask(SourceIdentity="ann")) == "AccessDenied"
    saml.close()


def test_saml_providers_and_their_errors(iam, account):
    provider, saml_name = SamlProvider(), name("saml")
    make = lambda **more: iam.create_saml_provider(**{
        "Name": saml_name, "SAMLMetadataDocument": provider.metadata(), **more})
    arn = make(Tags=[{"Key": "k", "Value": "v"}])["SAMLProviderArn"]
    assert arn == f"arn:aws:iam::{account}:saml-provider/{saml_name}"
    one = {"SAMLProviderArn": arn}
    assert outcome(make) == "EntityAlreadyExists"
    got = iam.get_saml_provider(**one)
    assert got["SAMLMetadataDocument"] == provider.metadata() and got["Tags"] == [{"Key": "k", "Value": "v"}]
    assert arn in [listed["Arn"] for listed in iam.list_saml_providers()["SAMLProviderList"]]
    other = SamlProvider().metadata()
    assert iam.update_saml_provider(**one, SAMLMetadataDocument=other)["SAMLProviderArn"] == arn
    assert iam.get_saml_provider(**one)["SAMLMetadataDocument"] == other
    iam.tag_saml_provider(**one, Tags=[{"Key": "l", "Value": "w"}])
    iam.untag_saml_provider(**one, TagKeys=["k"])
    assert iam.list_saml_provider_tags(**one)["Tags"] == [{"Key": "l", "Value": "w"}]
    for bad, code in [
        ({"Name": "a b"}, "ValidationError"), ({"Name": name("x"), "SAMLMetadataDocument": "x" * 2000}, "InvalidInput"),
        ({"Name": name("x"), "SAMLMetadataDocument": other.replace("X509Certificate", "X509Nothing")}, "InvalidInput"),
    ]:
        assert outcome(make, **bad) == code, bad
    iam.delete_saml_provider(**one)
    assert outcome(iam.get_saml_provider, **one) == "NoSuchEntity"
    assert outcome(iam.delete_saml_provider, **one) == "NoSuchEntity"
