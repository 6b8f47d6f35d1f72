"""Who comes with nothing but an assertion of a SAML provider."""

import base64
import datetime
import hashlib
import json

import boto3
import pytest
from calls import outcome, until
from identities import ONCE, name, policy, remove_role, settles
from lxml import etree
from saml_provider import ASSERTION, PROTOCOL, SIGN_IN, SamlProvider, packed
from signxml import CanonicalizationMethod, DigestAlgorithm, SignatureMethod

SIGNATURE = "http://www.w3.org/2000/09/xmldsig#"


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
        assert '"sAMLAssertion"' not in json.dumps(record)
        assert record["requestParameters"]["roleSessionName"] == "visit"


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
    yield "no success", signed(status="urn:oasis:names:tc:SAML:2.0:status:Responder"), "IDPRejectedClaim"
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
    assert {what: codes for what, codes in got.items() if codes[0] != codes[1]} == {}
    good = packed(saml.provider.signed(saml.response()))
    for what, text in {
        "no base64": "<samlp:Response/>", "no XML": base64.b64encode(b"nothing").decode(), "cut": good[: len(good) // 2],
        "a DTD": base64.b64encode(b'<!DOCTYPE a [<!ENTITY b "c">]>' + base64.b64decode(good)).decode(),
        "deep": base64.b64encode(b"<a>" * 10_000 + b"</a>" * 10_000).decode(),
        "namespaces": base64.b64encode(
            b"<a %b>%b</a>" % (b"".join(b' xmlns:p%d="u"' % i for i in range(2_000)), b"<b xmlns='u'/>" * 2_000)).decode(),
        "attributes": base64.b64encode(
            b'<a xmlns:p="%b"%b/>' % (b"u" * 20_000, b"".join(b' p:a%d=""' % i for i in range(3_000)))).decode(),
    }.items():
        asked = {**saml.ask(saml.response()), "SAMLAssertion": text}
        assert outcome(nobody.assume_role_with_saml, **asked) == "InvalidIdentityToken", what
    asked = saml.ask(saml.provider.signed(saml.response()), PrincipalArn=saml.arn + "x")
    assert outcome(nobody.assume_role_with_saml, **asked) == "InvalidIdentityToken"


def test_an_assertion_says_how_long_and_with_which_tags(iam, session, nobody):
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
    tagged = saml.response(attributes={"PrincipalTag:team": "blue"})
    assertion = tagged.find(".//{urn:oasis:names:tc:SAML:2.0:assertion}Assertion").get("ID")
    assert outcome(nobody.assume_role_with_saml, **saml.ask(saml.provider.signed(tagged))) == "OK"

    def told():
        pages = session.client("cloudtrail").get_paginator("lookup_events").paginate(
            LookupAttributes=[{"AttributeKey": "EventName", "AttributeValue": "AssumeRoleWithSAML"}])
        asked = [json.loads(e["CloudTrailEvent"])["requestParameters"] for page in pages for e in page["Events"]]
        return [one for one in asked if one and one.get("sAMLAssertionID") == assertion]

    assert until(told, len)[0]["principalTags"] == {"team": "blue"}
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
