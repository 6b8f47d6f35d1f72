"""A browser before the running region's console (AWS_PROFILE, BREAKWATER_ROOT, BREAKWATER_NAME)."""

import os
import pathlib
import shutil
import sys
import tempfile

import boto3
import pytest
from botocore.config import Config
from selenium import webdriver
from selenium.webdriver.chrome.options import Options
from selenium.webdriver.chrome.service import Service

sys.path.insert(0, str(pathlib.Path(__file__).parents[1] / "clients"))
ONCE = Config(retries={"total_max_attempts": 1}, read_timeout=20)
FLAGS = (
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync", "--window-size=1200,900",
)


@pytest.fixture(scope="session")
def session():
    return boto3.Session(profile_name=os.environ.get("AWS_PROFILE", "breakwater"))


@pytest.fixture(scope="session")
def iam(session):
    return session.client("iam", config=ONCE)


@pytest.fixture(scope="session")
def endpoint(iam):
    return iam.meta.endpoint_url


@pytest.fixture(scope="session")
def account(session):
    return session.client("sts").get_caller_identity()["Account"]


@pytest.fixture(scope="session")
def operator():
    return pathlib.Path(os.environ["BREAKWATER_ROOT"]) / os.environ.get("BREAKWATER_NAME", "breakwater") / "operator"


def browser(*more):
    options = Options()
    options.binary_location = "/usr/bin/chromium"
    directory = tempfile.mkdtemp(prefix="console-browser-")
    for flag in (*FLAGS, f"--user-data-dir={directory}", *more):
        options.add_argument(flag)
    driver = webdriver.Chrome(options=options, service=Service("/usr/bin/chromedriver"))
    driver.set_page_load_timeout(30)
    return driver, directory


@pytest.fixture
def driver():
    driver, directory = browser()
    yield driver
    driver.quit()
    shutil.rmtree(directory, ignore_errors=True)
