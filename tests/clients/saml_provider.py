"""A SAML provider: real assertions, signed by signxml, which is no part of the region."""

import base64
import datetime
import textwrap
import uuid

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from identity_provider import certificate, pem, private_pem
from lxml import etree
from signxml import CanonicalizationMethod, DigestAlgorithm, SignatureMethod
from signxml.signer import XMLSigner

ASSERTION, PROTOCOL = "urn:oasis:names:tc:SAML:2.0:assertion", "urn:oasis:names:tc:SAML:2.0:protocol"
SIGN_IN = "https://signin.aws.amazon.com/saml"
ATTRIBUTES = "https://aws.amazon.com/SAML/Attributes/"
EXCLUSIVE = CanonicalizationMethod.EXCLUSIVE_XML_CANONICALIZATION_1_0


def at(seconds=0):
    time = datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(seconds=seconds)
    return time.strftime("%Y-%m-%dT%H:%M:%SZ")


class SamlProvider:
    def __init__(self):
        self.entity = f"https://{uuid.uuid4().hex}.example/saml"
        self.key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
        self.certificate = certificate("a SAML provider", self.key)

    def metadata(self):
        der = self.certificate.public_bytes(serialization.Encoding.DER)
        return textwrap.dedent(f"""\
            <?xml version="1.0" encoding="UTF-8"?>
            <md:EntityDescriptor xmlns:md="urn:oasis:names:tc:SAML:2.0:metadata" entityID="{self.entity}">
              <md:IDPSSODescriptor WantAuthnRequestsSigned="false" protocolSupportEnumeration="{PROTOCOL}">
                <md:KeyDescriptor use="signing">
                  <ds:KeyInfo xmlns:ds="http://www.w3.org/2000/09/xmldsig#"><ds:X509Data>
                    <ds:X509Certificate>{base64.b64encode(der).decode()}</ds:X509Certificate>
                  </ds:X509Data></ds:KeyInfo>
                </md:KeyDescriptor>
                <md:SingleSignOnService Binding="urn:oasis:names:tc:SAML:2.0:bindings:HTTP-POST" Location="{self.entity}"/>
              </md:IDPSSODescriptor>
            </md:EntityDescriptor>
            """)

    def response(self, role, provider, **more):
        """The response with its assertion, unsigned, as a tree."""
        given = {
            "issuer": self.entity, "audience": SIGN_IN, "recipient": SIGN_IN, "issued": 0, "ends": 300, "starts": -60,
            "name": "visit", "attributes": {}, "status": "urn:oasis:names:tc:SAML:2.0:status:Success", "subject": "ann",
            "session_ends": 7200, **more,
        }
        attributes = {"Role": f"{role},{provider}", "RoleSessionName": given["name"], **given["attributes"]}
        attributes = "".join(
            f'<saml:Attribute Name="{ATTRIBUTES}{name}">' + "".join(
                f"<saml:AttributeValue>{value}</saml:AttributeValue>"
                for value in (values if isinstance(values, list) else [values])) + "</saml:Attribute>"
            for name, values in attributes.items() if values is not None)
        return etree.fromstring(textwrap.dedent(f"""\
            <samlp:Response xmlns:samlp="{PROTOCOL}" ID="_{uuid.uuid4().hex}" Version="2.0" IssueInstant="{at(given["issued"])}"
                Destination="{SIGN_IN}">
              <saml:Issuer xmlns:saml="{ASSERTION}">{given["issuer"]}</saml:Issuer>
              <samlp:Status><samlp:StatusCode Value="{given["status"]}"/></samlp:Status>
              <saml:Assertion xmlns:saml="{ASSERTION}" xmlns:xs="http://www.w3.org/2001/XMLSchema"
                  ID="_{uuid.uuid4().hex}" Version="2.0" IssueInstant="{at(given["issued"])}">
                <saml:Issuer>{given["issuer"]}</saml:Issuer>
                <saml:Subject>
                  <saml:NameID Format="urn:oasis:names:tc:SAML:2.0:nameid-format:persistent">{given["subject"]}</saml:NameID>
                  <saml:SubjectConfirmation Method="urn:oasis:names:tc:SAML:2.0:cm:bearer">
                    <saml:SubjectConfirmationData NotOnOrAfter="{at(given["ends"])}" Recipient="{given["recipient"]}"/>
                  </saml:SubjectConfirmation>
                </saml:Subject>
                <saml:Conditions NotBefore="{at(given["starts"])}" NotOnOrAfter="{at(given["ends"])}">
                  <saml:AudienceRestriction><saml:Audience>{given["audience"]}</saml:Audience></saml:AudienceRestriction>
                </saml:Conditions>
                <saml:AuthnStatement AuthnInstant="{at()}" SessionNotOnOrAfter="{at(given["session_ends"])}">
                  <saml:AuthnContext><saml:AuthnContextClassRef>urn:oasis:names:tc:SAML:2.0:ac:classes:Password</saml:AuthnContextClassRef></saml:AuthnContext>
                </saml:AuthnStatement>
                <saml:AttributeStatement>{attributes}</saml:AttributeStatement>
              </saml:Assertion>
            </samlp:Response>
            """).encode())

    def sign(self, element, digest=DigestAlgorithm.SHA256, method=SignatureMethod.RSA_SHA256, c14n=EXCLUSIVE, key=None):
        """The element with its signature in it."""
        signer = XMLSigner(c14n_algorithm=c14n, digest_algorithm=digest, signature_algorithm=method)
        return signer.sign(
            element, key=private_pem(key or self.key), cert=pem(self.certificate).decode(),
            reference_uri="#" + element.get("ID"), id_attribute="ID")

    def signed(self, response, whole=False, **how):
        """The tree, with its assertion signed, or all of it."""
        if whole:
            return self.sign(response, **how)
        assertion = response.find(f"{{{ASSERTION}}}Assertion")
        response.replace(assertion, self.sign(assertion, **how))
        return response


def packed(response):
    return base64.b64encode(etree.tostring(response)).decode()
