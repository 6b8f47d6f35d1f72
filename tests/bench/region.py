"""A local region of a measurement's own, beside any other."""

import json
import os
import pathlib
import subprocess

import boto3
from botocore.config import Config

ROOT = pathlib.Path(__file__).resolve().parents[2]
BREAKWATER = os.environ.get("BREAKWATER_BIN", str(ROOT / "target/release/breakwater"))


def breakwater(*words, check=True):
    return subprocess.run([BREAKWATER, *words], check=check, timeout=120, capture_output=True, text=True).stdout


def hosts():
    # Ends with 1 while a host isn't well.
    return json.loads(breakwater("status", "--json", check=False))["hosts"]


def client(**config):
    session = boto3.Session(profile_name=os.environ["AWS_PROFILE"])
    return session.client("dynamodb", config=Config(**config))


def make_table(dynamodb, name):
    dynamodb.create_table(
        TableName=name,
        KeySchema=[{"AttributeName": "pk", "KeyType": "HASH"}],
        AttributeDefinitions=[{"AttributeName": "pk", "AttributeType": "S"}],
        BillingMode="PAY_PER_REQUEST",
    )
    dynamodb.get_waiter("table_exists").wait(TableName=name, WaiterConfig={"Delay": 1, "MaxAttempts": 60})
