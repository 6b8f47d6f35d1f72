"""Who comes with nothing but a token of an OpenID Connect provider."""

import hashlib
import hmac
import json
import uuid

import boto3
import jwt
import pytest
from botocore.exceptions import ClientError
from calls import error_of, outcome, until
from cryptography.hazmat.primitives import serialization
from identities import NOBODY, ONCE, allow, name, policy, remove_role, sample, session_of, settles
from identity_provider import Key, Provider, base64url, thumbprint


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


def test_a_trust_policy_may_ask_for_the_roles_tags_and_account(iam, nobody, account, known):
    asked = {"aws:ResourceTag/open": "yes", "aws:ResourceAccount": account}
    iam.update_assume_role_policy(RoleName=known.role, PolicyDocument=policy(
        {**known.trust, "Condition": {"StringEquals": asked}}))
    ask = known.ask(known.provider.token())
    settles(nobody.assume_role_with_web_identity, "AccessDenied", **ask)
    iam.tag_role(RoleName=known.role, Tags=[{"Key": "open", "Value": "yes"}])
    settles(nobody.assume_role_with_web_identity, "OK", **ask)


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
    assert {what: codes for what, codes in got.items() if codes[0] != codes[1]} == {}
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


def test_a_stranger_with_a_key_of_his_own_locks_nobody_out_while_the_provider_fails(nobody, known):
    provider, call = known.provider, nobody.assume_role_with_web_identity
    settles(call, "OK", **known.ask(provider.token()))
    provider.redirect = "https://127.0.0.1:1/"
    # He makes each node ask the provider, which fails; the keys that they have stay good.
    settles(call, "InvalidIdentityToken", **known.ask(provider.token(key=Key())))
    settles(call, "OK", **known.ask(provider.token()))


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


def test_a_token_brings_session_tags_and_a_source_identity(iam, session, nobody, account):
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
    assert answer["SourceIdentity"] == "ann@example" and answer["PackedPolicySize"] > 0
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
    trail = session.client("cloudtrail")

    def asked(operation, role):
        pages = trail.get_paginator("lookup_events").paginate(
            LookupAttributes=[{"AttributeKey": "ResourceName", "AttributeValue": role}])
        records = [json.loads(e["CloudTrailEvent"]) for page in pages for e in page["Events"]]
        return [r["requestParameters"] for r in records if r["eventName"] == operation and "errorCode" not in r]

    told = until(lambda: [r for r in asked("AssumeRoleWithWebIdentity", known.role_arn) if "sourceIdentity" in r], len)[0]
    assert told["principalTags"] == {"team": "blue"} and told["transitiveTagKeys"] == ["team"]
    assert told["sourceIdentity"] == "ann@example"
    told = until(lambda: asked("AssumeRole", arn), len)[0]
    assert told["incomingTransitiveTags"] == {"team": "blue"} and told["sourceIdentity"] == "ann@example"
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
        ("AssumeRoleWithSAML", "ValidationError"), ("AssumeRoleWithWebIdentity", "InvalidIdentityToken")]
