"""HTTPS on the same ports, with certificates of the region's CA, which the profile names."""

import os
import pathlib
import socket
import ssl
import subprocess
import sys
from urllib.parse import urlsplit

import pytest
from botocore.config import Config
from botocore.exceptions import SSLError
from conftest import PROFILE

CA = pathlib.Path(os.environ["BREAKWATER_ROOT"]) / os.environ.get("BREAKWATER_NAME", "breakwater") / "operator/ca.pem"


@pytest.fixture(autouse=True)
def the_profile_alone_names_the_ca(monkeypatch):
    for variable in ["AWS_CA_BUNDLE", "REQUESTS_CA_BUNDLE"]:
        monkeypatch.delenv(variable, raising=False)


@pytest.fixture(scope="module")
def address(dynamodb):
    url = urlsplit(dynamodb.meta.endpoint_url)
    return url.hostname, url.port


@pytest.mark.parametrize("name", ["127.0.0.1", "localhost"])
def test_boto3_speaks_https(session, address, hash_table, key, name):
    client = session.client("dynamodb", endpoint_url=f"https://{name}:{address[1]}")
    client.put_item(TableName=hash_table, Item={"pk": {"S": key}, "v": {"N": "1"}})
    assert client.get_item(TableName=hash_table, Key={"pk": {"S": key}}, ConsistentRead=True)["Item"]["v"] == {"N": "1"}


def test_the_cli_speaks_https(address, hash_table):
    aws = pathlib.Path(sys.executable).with_name("aws")
    command = [aws, "--profile", PROFILE, "--endpoint-url", f"https://127.0.0.1:{address[1]}", "dynamodb", "list-tables"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    assert hash_table in done.stdout


def test_who_doesnt_know_the_ca_refuses_the_region(session, address):
    client = session.client(
        "dynamodb", endpoint_url=f"https://127.0.0.1:{address[1]}", verify=ssl.get_default_verify_paths().openssl_cafile,
        config=Config(retries={"total_max_attempts": 1}))
    with pytest.raises(SSLError, match="certificate verify failed"):
        client.list_tables()


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_versions_of_tls(address, version):
    context = ssl.create_default_context(cafile=CA)
    context.minimum_version = context.maximum_version = version
    with socket.create_connection(address, timeout=10) as tcp:
        with context.wrap_socket(tcp, server_hostname="localhost") as tls:
            assert tls.version() == {"TLSv1_2": "TLSv1.2", "TLSv1_3": "TLSv1.3"}[version.name]
            assert tls.getpeercert()["subjectAltName"]


def test_http_and_https_share_a_port_with_what_is_neither(address):
    for begin in [b"\x16\x03\x01\x00\x02\xff\xff", b"\x16" + bytes(64), b"\x00\x01\x02", b"\x80\x2e\x01"]:
        with socket.create_connection(address, timeout=10) as tcp:
            tcp.sendall(begin)
            tcp.shutdown(socket.SHUT_WR)
            while tcp.recv(4096):
                pass
