"""Who may call: requests that are unsigned, wrongly signed, late or by a stranger."""

import datetime
import json
import urllib.error
import urllib.request

import boto3
import pytest
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.config import Config
from botocore.credentials import Credentials
from botocore.exceptions import ClientError
from calls import error_of


def post(url, headers, body=b"{}"):
    request = urllib.request.Request(url, data=body, headers=headers, method="POST")
    try:
        with urllib.request.urlopen(request) as answer:
            return answer.status, json.load(answer)
    except urllib.error.HTTPError as error:
        return error.code, json.load(error)


def kind(body):
    return body["__type"].split("#")[1]


@pytest.fixture(scope="module")
def endpoint(dynamodb):
    return dynamodb.meta.endpoint_url


HEADERS = {"X-Amz-Target": "DynamoDB_20120810.ListTables", "Content-Type": "application/x-amz-json-1.0"}


def signed(session, endpoint, body=b"{}", when=None):
    request = AWSRequest("POST", endpoint + "/", data=body, headers=dict(HEADERS))
    signer = SigV4Auth(session.get_credentials(), "dynamodb", session.region_name)
    if when is None:
        signer.add_auth(request)
        return dict(request.headers)
    import botocore.auth

    real = botocore.auth.get_current_datetime
    botocore.auth.get_current_datetime = lambda *a, **k: when
    try:
        signer.add_auth(request)
    finally:
        botocore.auth.get_current_datetime = real
    return dict(request.headers)


def test_no_signature(endpoint):
    status, body = post(endpoint + "/", HEADERS)
    assert (status, kind(body)) == (400, "MissingAuthenticationTokenException")


def test_right_signature(session, endpoint):
    status, _ = post(endpoint + "/", signed(session, endpoint))
    assert status == 200


def test_an_address_that_is_signed_beforehand_says_who_calls(session):
    """As EKS's tokens are: a GET, with everything in the address."""
    sts = session.client("sts")
    address = sts.generate_presigned_url("get_caller_identity", HttpMethod="GET")
    with urllib.request.urlopen(address) as answer:
        assert sts.get_caller_identity()["Arn"] in answer.read().decode()
    with pytest.raises(urllib.error.HTTPError) as info:
        urllib.request.urlopen(address.replace("X-Amz-Signature=", "X-Amz-Signature=0"))
    assert info.value.code == 403 and "SignatureDoesNotMatch" in info.value.read().decode()
    with pytest.raises(urllib.error.HTTPError) as info:
        urllib.request.urlopen(address.split("&X-Amz-Signature")[0])
    assert info.value.code in (400, 403)


def test_changed_body(session, endpoint):
    status, body = post(endpoint + "/", signed(session, endpoint), b'{"Limit": 1}')
    assert (status, kind(body)) == (400, "InvalidSignatureException")


def test_old_signature(session, endpoint):
    when = datetime.datetime.now(datetime.timezone.utc) - datetime.timedelta(hours=1)
    status, body = post(endpoint + "/", signed(session, endpoint, when=when))
    assert (status, kind(body)) == (400, "InvalidSignatureException")
    assert body["message"].startswith("Signature expired: ")


def test_malformed_authorization(endpoint):
    status, body = post(endpoint + "/", {**HEADERS, "Authorization": "AWS4-HMAC-SHA256 Credential=x"})
    assert (status, kind(body)) == (400, "IncompleteSignatureException")


def test_a_stranger(session, endpoint):
    stranger = boto3.client(
        "dynamodb",
        endpoint_url=endpoint,
        region_name=session.region_name,
        aws_access_key_id="AKIAIOSFODNN7EXAMPLE",
        aws_secret_access_key="wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY",
        config=Config(retries={"total_max_attempts": 1}),
    )
    with pytest.raises(ClientError) as info:
        stranger.list_tables()
    assert error_of(info) == (
        "UnrecognizedClientException",
        "The security token included in the request is invalid.",
    )


def test_a_wrong_secret(session, endpoint):
    own = session.get_credentials()
    liar = boto3.client(
        "dynamodb",
        endpoint_url=endpoint,
        region_name=session.region_name,
        aws_access_key_id=own.access_key,
        aws_secret_access_key="x" * 40,
        config=Config(retries={"total_max_attempts": 1}),
    )
    with pytest.raises(ClientError) as info:
        liar.list_tables()
    assert error_of(info)[0] == "InvalidSignatureException"


def test_a_session_token_is_refused(session, endpoint):
    own = session.get_credentials()
    request = AWSRequest("POST", endpoint + "/", data=b"{}", headers=dict(HEADERS))
    SigV4Auth(Credentials(own.access_key, own.secret_key, "token"), "dynamodb", session.region_name).add_auth(request)
    status, body = post(endpoint + "/", dict(request.headers))
    assert (status, kind(body)) == (400, "UnrecognizedClientException")


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"[]",
        b'{"Limit": "x"}',
        b'{"Limit": {"a": 1}}',
        b"[" * 100_000,
        b'{"a":' * 100_000,
        b"\xff\xfe",
    ],
)


def test_malformed_bodies(session, endpoint, body):
    status, answer = post(endpoint + "/", signed(session, endpoint, body), body)
    assert status in (200, 400)
    if status == 400:
        assert kind(answer) in ("SerializationException", "ValidationException")
