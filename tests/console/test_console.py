"""The console as people use it, in a real browser: sign-in, MFA, access keys, who may not, and what is left of all that."""

import contextlib
import http.server
import json
import stat
import threading
import urllib.request
from base64 import b32decode

import boto3
import pytest
from calls import outcome, until
from conftest import ONCE
from identities import totp
from people import PASSWORD, Browser, name, step
from own_region import FRONT, OwnRegion
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys

ADMINISTRATOR = "arn:aws:iam::aws:policy/AdministratorAccess"


@pytest.fixture
def at(driver, endpoint):
    return Browser(driver, endpoint)


@pytest.fixture
def person(iam):
    """A user with a password, who may do everything."""
    user = name()
    iam.create_user(UserName=user)
    iam.create_login_profile(UserName=user, Password=PASSWORD)
    iam.attach_user_policy(UserName=user, PolicyArn=ADMINISTRATOR)
    yield user
    for device in iam.list_mfa_devices(UserName=user)["MFADevices"]:
        iam.deactivate_mfa_device(UserName=user, SerialNumber=device["SerialNumber"])
        iam.delete_virtual_mfa_device(SerialNumber=device["SerialNumber"])
    for key in iam.list_access_keys(UserName=user)["AccessKeyMetadata"]:
        iam.delete_access_key(UserName=user, AccessKeyId=key["AccessKeyId"])
    for attached in iam.list_attached_user_policies(UserName=user)["AttachedPolicies"]:
        iam.detach_user_policy(UserName=user, PolicyArn=attached["PolicyArn"])
    if outcome(iam.get_login_profile, UserName=user) == "OK":
        assert outcome(iam.delete_user, UserName=user) == "DeleteConflict"
        iam.delete_login_profile(UserName=user)
    iam.delete_user(UserName=user)


@pytest.fixture
def told(session):
    pages = session.client("cloudtrail", config=ONCE).get_paginator("lookup_events")

    def told(user, event):
        attribute = {"AttributeKey": "Username", "AttributeValue": user}
        found = pages.paginate(LookupAttributes=[attribute]).search("Events")
        records = [json.loads(e["CloudTrailEvent"]) for e in found if e["EventName"] == event]
        return records[::-1]

    return told


def code(seed, step):
    return totp(b32decode(seed), step)


def enrol(at, user):
    """Gives the seed, and the first step whose code wasn't used."""
    at.open(f"user?name={user}")
    at.press("Enrol MFA device")
    assert at.title == "Enrol an MFA device" and user in at.text("#whose")
    picture = at.driver.find_element(By.TAG_NAME, "img")
    assert picture.get_property("naturalWidth") > 200 and picture.get_dom_attribute("alt")
    at.driver.find_element(By.TAG_NAME, "summary").click()
    seed = at.text("#seed")
    at.fill(First_code="000000", Second_code="000000")
    at.press("Enrol")
    assert "Authentication code for device is not valid" in at.notice and at.driver.find_element(By.TAG_NAME, "img")
    now = step()
    at.fill(First_code=code(seed, now - 1), Second_code=code(seed, now))
    at.press("Enrol")
    assert at.notice.startswith("The MFA device was enrolled")
    told = at.driver.current_url
    at.driver.get(told.split("&mark=")[0] + "&mark=" + "0" * 32)
    assert at.title == user and "was enrolled" not in at.notice, "a link of anybody's says what was done"
    return seed, now + 1


def show_code(at, seed, unused):
    """A code counts once: the next one counts a step before its time at most."""
    until(step, lambda now: now + 1 >= unused, seconds=40)
    at.fill(MFA_code=code(seed, max(unused, step())))
    at.press("Submit")


def test_a_person_signs_in_enrols_mfa_and_makes_and_revokes_a_key(at, iam, person, account, session, told):
    at.open("users")
    assert at.title == "Sign in", "nobody sees a page without signing in"
    at.sign_in(account, person)
    assert at.title == "Who am I" and at.text("#arn") == f"arn:aws:iam::{account}:user/{person}"
    assert at.text("#factor") == "none" and "Enrol an MFA device" in at.notice
    cookie = at.session_cookie()
    assert cookie["httpOnly"] and cookie["sameSite"] == "Lax" and cookie["path"] == "/_console"
    assert at.driver.execute_script("return document.cookie") == ""

    at.follow("Users")
    assert person in [row[0] for row in at.rows("main table")]
    at.follow(person)
    seed, unused = enrol(at, person)
    assert [d["SerialNumber"] for d in iam.list_mfa_devices(UserName=person)["MFADevices"]] == [row[0] for row in at.rows("#devices")]
    at.sign_out()
    assert at.notice == "You have signed out."
    at.open("users")
    assert at.title == "Sign in"

    at.sign_in(account, person, page="roles")
    assert at.title == "Multi-factor authentication"
    at.open()
    assert at.title == "Sign in", "a password alone is not enough"
    at.open("second-factor")
    at.fill(MFA_code="000000")
    at.press("Submit")
    assert "code is wrong" in at.notice
    show_code(at, seed, unused)
    assert at.title == "Roles", "the page that was asked for first"
    at.follow("Who am I")
    assert at.text("#factor").startswith("MFA ")

    at.open(f"user?name={person}")
    at.press("Create access key")
    key, secret = at.text("#key"), at.text("#secret")
    assert secret not in at.driver.current_url
    client = boto3.Session(
        aws_access_key_id=key, aws_secret_access_key=secret, region_name=session.region_name
    ).client("sts", endpoint_url=iam.meta.endpoint_url, config=ONCE)
    until(lambda: outcome(client.get_caller_identity), lambda got: got == "OK")
    assert client.get_caller_identity()["Arn"].endswith(f"user/{person}")
    at.follow(f"Back to {person}")
    assert secret not in at.driver.page_source
    assert [row[:2] for row in at.rows("#keys")] == [[key, "Active"]]
    at.press("Deactivate")
    assert [row[:2] for row in at.rows("#keys")] == [[key, "Inactive"]]
    until(lambda: [outcome(client.get_caller_identity) for _ in range(6)], lambda got: set(got) == {"InvalidClientTokenId"})
    assert not at.driver.find_element(By.XPATH, "//button[.='Delete for good']").is_displayed(), "it isn't asked before"
    at.open_up("Delete")
    at.press("Delete for good")
    assert at.notice == "The access key was deleted." and not at.driver.find_elements(By.ID, "keys")
    assert iam.list_access_keys(UserName=person)["AccessKeyMetadata"] == []

    # What is left of it.
    logins = until(lambda: told(person, "ConsoleLogin"), lambda all: len(all) >= 3)
    assert [(r["responseElements"]["ConsoleLogin"], r["additionalEventData"]["MFAUsed"]) for r in logins] == [
        ("Success", "No"), ("Failure", "Yes"), ("Success", "Yes")]
    assert all(r["eventType"] == "AwsConsoleSignIn" and r["eventSource"] == "signin.amazonaws.com" for r in logins)
    assert logins[1]["errorMessage"] == "Failed authentication" and "errorMessage" not in logins[2]
    assert logins[2]["additionalEventData"]["MFAIdentifier"].endswith(f":mfa/{person}")
    assert until(lambda: told(person, "Logout"), len)[0]["responseElements"] == {"Logout": "Success"}
    made = until(lambda: told(person, "CreateAccessKey"), len)[0]
    assert made["sessionCredentialFromConsole"] == "true" and secret not in json.dumps(made)
    assert made["userIdentity"]["sessionContext"]["attributes"]["mfaAuthenticated"] == "true"
    assert seed not in json.dumps(told(person, "CreateVirtualMFADevice"))


def test_policies_ask_for_the_second_factor_of_who_is_signed_in(at, iam, person, account, told):
    iam.detach_user_policy(UserName=person, PolicyArn=ADMINISTRATOR)
    own = f"arn:aws:iam::{account}:user/${{aws:username}}"
    iam.put_user_policy(UserName=person, PolicyName="own", PolicyDocument=json.dumps({"Version": "2012-10-17", "Statement": [
        {"Effect": "Allow", "Action": ["iam:GetUser", "iam:ListMFADevices", "iam:EnableMFADevice", "iam:CreateVirtualMFADevice"],
         "Resource": [own, f"arn:aws:iam::{account}:mfa/${{aws:username}}"]},
        {"Effect": "Allow", "Action": ["iam:CreateAccessKey", "iam:ListAccessKeys"], "Resource": own,
         "Condition": {"Bool": {"aws:MultiFactorAuthPresent": "true"}}},
    ]}))
    try:
        at.sign_in(account, person)
        at.open(f"user?name={person}")
        assert "not authorized to perform: iam:ListAccessKeys" in at.driver.page_source
        at.open("users")
        assert "AccessDenied" in at.notice and "iam:ListUsers" in at.notice
        denied = until(lambda: told(person, "ListUsers"), len)[0]
        assert denied["errorCode"] == "AccessDenied"
        seed, unused = enrol(at, person)
        at.sign_out()
        at.sign_in(account, person)
        show_code(at, seed, unused)
        at.open(f"user?name={person}")
        at.press("Create access key")
        assert at.text("#key").startswith("AKIA")
    finally:
        iam.delete_user_policy(UserName=person, PolicyName="own")


def test_who_may_not_enrol_is_told_what_to_ask_for(at, iam, person, account):
    iam.detach_user_policy(UserName=person, PolicyArn=ADMINISTRATOR)
    at.sign_in(account, person)
    at.follow("Enrol an MFA device")
    assert at.title == person and not at.driver.find_elements(By.CSS_SELECTOR, ".notice")
    words = at.text("main")
    for asked_for in ("iam:CreateVirtualMFADevice", "iam:EnableMFADevice", f":user/{person}", f":mfa/{person}"):
        assert asked_for in words
    at.open("user?name=administrator")
    assert "don't let you see this user" in at.text("main") and "iam:GetUser" in at.text("main")


def test_what_is_of_nothing_or_cannot_be_looked_up_is_said_without_a_call(at, person, account, told):
    at.sign_in(account, person)
    for page in ("user", "user?name=", "user?name=%20", "role", "role?name=", "event", "event?id="):
        at.open(page)
        assert at.title == "Not found" and "There is no such page" in at.text("main"), page
        assert at.driver.title.startswith("Not found"), page
    for query, words in [
        ("from=yesterday", "From is a day such as 2026-11-24, which “yesterday” isn't"),
        ("to=2026-02-30", "“2026-02-30”"),
        ("by=ReadOnly&value=maybe", "Read-only is true or false"),
        ("by=Color&value=red", "“Color”"),
    ]:
        at.open(f"events?{query}")
        assert at.title == "Events" and words in at.notice and not at.driver.find_elements(By.ID, "events"), query
    assert at.field("Value").get_property("value") == "red"
    at.open("events?by=ReadOnly&value=false")
    assert at.notice == "" and at.rows("#events")
    # Recorded when it was answered, as those before it would have been.
    assert len(until(lambda: told(person, "LookupEvents"), len)) == 1
    for event in ("GetUser", "ListAccessKeys", "GetRole"):
        assert told(person, event) == [], event


def test_one_goes_on_with_the_page_that_was_asked_for(at, person, account):
    asked_for = f"events?by=Username&value={person}&from=2026-01-01"
    at.sign_in(account, person, "Wrong-horse-1", page=asked_for)
    assert at.notice.startswith("Your authentication information is incorrect")
    focus = at.driver.switch_to.active_element
    assert focus.get_property("name") == "password" and at.field("User name").get_property("value") == person
    focus.send_keys(PASSWORD)
    at.press("Sign in")
    assert at.title == "Events" and at.driver.current_url == f"{at.console}/{asked_for}"
    at.sign_out()
    at.open("users")
    assert at.title == "Sign in" and at.notice == "Sign in to go on."
    for elsewhere in ("//evil.example", "https://evil.example/", "%5C%5Cevil.example", "../../", "sign-out", "users/../x"):
        at.sign_in(account, person, page=f"sign-in?next={elsewhere}")
        assert at.title == "Who am I" and at.driver.current_url == f"{at.console}/", elsewhere
        at.sign_out()


def test_a_form_that_isnt_of_the_session_does_nothing(at, iam, person, account):
    at.sign_in(account, person)
    at.open(f"user?name={person}")
    field = "document.querySelector('form[action$=\"key/create\"] input[name=token]')"
    at.driver.execute_script(f"{field}.value = 'f'.repeat(32)")
    at.press("Create access key")
    assert at.title == "Not done"
    at.open(f"user?name={person}")
    at.driver.execute_script(f"{field}.remove()")
    at.press("Create access key")
    assert at.title == "Not done"
    # Another site's form, with the token even: on this host the browser sends the cookie along, from another it doesn't.
    at.open()
    token = at.driver.find_element(By.NAME, "token").get_property("value")
    with another_site(f"{at.console}/key/create", token=token, user=person) as port:
        for host in ("127.0.0.1", "localhost"):
            at.driver.get(f"http://{host}:{port}/")
            at._leave(at.driver.find_element(By.TAG_NAME, "button").click)
            assert at.title == "Not done" and "Another site sent this form" in at.driver.page_source
    with another_site(f"{at.console}/sign-in", form="0" * 32, account=account, user=person, password=PASSWORD) as port:
        at.driver.get(f"http://localhost:{port}/")
        at._leave(at.driver.find_element(By.TAG_NAME, "button").click)
        assert at.title == "Not done", "it would sign her in as somebody else"
    assert iam.list_access_keys(UserName=person)["AccessKeyMetadata"] == []
    at.open()
    assert at.title == "Who am I"


@contextlib.contextmanager
def another_site(action, **fields):
    """A page with a form for the console, on another port."""
    inputs = "".join(f"<input name='{field}' value='{value}'>" for field, value in fields.items())
    page = f"<!DOCTYPE html><form method=post action='{action}'>{inputs}<button>Win a prize</button></form>".encode()

    class Site(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            self.send_response(200)
            self.send_header("content-type", "text/html")
            self.end_headers()
            self.wfile.write(page)

        def log_message(self, *_):
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Site) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server.server_address[1]
        server.shutdown()


def test_a_session_ends_with_its_password_and_by_signing_out_everywhere(at, iam, person, account):
    at.sign_in(account, person)
    stolen = at.session_cookie()
    at.sign_out()
    at.driver.add_cookie({key: stolen[key] for key in ("name", "value", "path")})
    at.open("users")
    assert at.title == "Sign in" and at.notice.startswith("Your session has ended")
    at.sign_in(account, person)
    assert at.title == "Who am I"
    iam.update_login_profile(UserName=person, Password="Another-horse-2")
    at.follow("Users")
    assert at.title == "Sign in" and at.notice.startswith("Your session has ended")
    at.sign_in(account, person)
    assert at.notice.startswith("Your authentication information is incorrect")
    at.sign_in(account, person, "Another-horse-2")
    cookie = at.session_cookie()
    value = cookie["value"]
    middle = len(value) // 2
    for changed in (value[:-4], value[:middle] + ("A" if value[middle] != "A" else "B") + value[middle + 1:], "x"):
        at.driver.delete_cookie(cookie["name"])
        at.driver.add_cookie({"name": cookie["name"], "value": changed, "path": cookie["path"]})
        at.open("users")
        assert at.title == "Sign in", changed
    at.sign_in(account, person, "Another-horse-2")
    iam.delete_login_profile(UserName=person)
    at.follow("Users")
    assert at.title == "Sign in"


def test_a_password_that_has_to_be_changed_is_changed_first(at, iam, person, account, told):
    iam.update_login_profile(UserName=person, PasswordResetRequired=True)
    at.sign_in(account, person)
    assert at.title == "Change password" and "set a new password" in at.notice
    at.open("users")
    assert at.title == "Change password"
    for old, new, again, words in [
        ("Wrong-horse-1", "New-horse-2", "New-horse-2", "The old password was incorrect"),
        (PASSWORD, "New-horse-2", "New-horse-3", "not the same"),
        (PASSWORD, "short1!", "short1!", "PasswordPolicyViolation: Password should have a minimum length of 8"),
        (PASSWORD, PASSWORD, PASSWORD, "Password has been used before"),
    ]:
        old_field, new_field, again_field = at.driver.find_elements(By.CSS_SELECTOR, "main input[type=password]")
        old_field.send_keys(old)
        new_field.send_keys(new)
        again_field.send_keys(again)
        at.press("Change password")
        assert words in at.notice
    for field, value in zip(at.driver.find_elements(By.CSS_SELECTOR, "main input[type=password]"), (PASSWORD, "New-horse-2", "New-horse-2")):
        field.send_keys(value)
    at.press("Change password")
    assert at.title == "Who am I"
    assert iam.get_login_profile(UserName=person)["LoginProfile"]["PasswordResetRequired"] is False
    at.sign_out()
    at.sign_in(account, person)
    assert at.notice.startswith("Your authentication information is incorrect")
    at.sign_in(account, person, "New-horse-2")
    assert at.title == "Who am I"
    changed = json.dumps(until(lambda: told(person, "ChangePassword"), lambda all: len(all) >= 4))
    assert "horse" not in changed


def test_guessing_is_limited_and_tells_nothing(at, iam, person, account, told):
    nobody = name("nobody")
    answers = {}
    for user in (person, nobody):
        answers[user] = []
        for _ in range(6):
            at.sign_in(account, user, "Wrong-horse-1")
            answers[user].append(at.notice.split(".")[0])
    assert answers[person] == answers[nobody]
    assert answers[person] == ["Your authentication information is incorrect"] * 5 + ["There were too many attempts"]
    at.sign_in(account, person)
    assert "too many attempts" in at.notice, "not even with the right one, for now"
    failed = until(lambda: told(person, "ConsoleLogin"), lambda all: len(all) >= 5)
    assert [r["responseElements"]["ConsoleLogin"] for r in failed] == ["Failure"] * 5
    hidden = until(lambda: told("HIDDEN_DUE_TO_SECURITY_REASONS", "ConsoleLogin"), lambda all: len(all) >= 5)
    assert all(r["errorMessage"] == "No username found in supplied account" for r in hidden)
    assert nobody not in json.dumps(hidden)


def test_the_audit_trail_is_looked_up_and_paged(at, iam, person, account):
    role = name("role")
    trust = {"Version": "2012-10-17", "Statement": {"Effect": "Allow", "Action": "sts:AssumeRole", "Principal": {"AWS": account}}}
    iam.create_role(RoleName=role, AssumeRolePolicyDocument=json.dumps(trust), Description="for a test")
    at.sign_in(account, person)
    at.follow("Roles")
    at.follow(role)
    assert '"sts:AssumeRole"' in at.text("pre")
    for _ in range(30):
        outcome(iam.get_role, RoleName=role)
    iam.delete_role(RoleName=role)

    def looked_up():
        at.open("events")
        at.fill(Look_up_by="Resource name", Value=role)
        at.press("Look up")
        return at.rows("#events")

    rows = until(looked_up, lambda rows: len(rows) == 25 and rows[0][2] == "DeleteRole", 30)
    assert {row[5] for row in rows} == {role}
    at.follow("Older events")
    assert at.rows("#events")[-1][2] == "CreateRole"
    at.follow("CreateRole")
    record = json.loads(at.text("#record"))
    before = at.driver.current_url
    at.follow("Back to the events")
    assert at.rows("#events")[-1][2] == "CreateRole" and at.field("Value").get_property("value") == role
    at.driver.get(before)
    assert record["requestParameters"]["roleName"] == role and record["eventName"] == "CreateRole"
    at.open("events?by=EventName&value=ConsoleLogin&from=2001-01-01&to=2001-01-02")
    assert at.rows("#events") == []


def test_the_root_user_signs_in_for_emergencies(at, account, operator, told):
    kept = operator / "root-password"
    assert stat.S_IMODE(kept.stat().st_mode) == 0o600
    at.open("sign-in")
    at.driver.find_element(By.CSS_SELECTOR, "input[value=root]").click()
    at.fill(Account_ID=f"{account[:4]}-{account[4:8]}-{account[8:]}", Password=kept.read_text().strip())
    at.press("Sign in")
    assert at.text("#arn") == f"arn:aws:iam::{account}:root" and "root user" in at.notice
    at.follow("Users")
    assert "administrator" in [row[0] for row in at.rows("main table")]
    login = until(lambda: told("root", "ConsoleLogin"), len)[-1]
    assert login["userIdentity"]["type"] == "Root" and login["additionalEventData"]["MFAUsed"] == "No"
    at.sign_out()


def test_an_alias_names_the_account_and_everything_is_done_by_keyboard(at, iam, person):
    alias = name("alias")
    iam.create_account_alias(AccountAlias=alias)
    try:
        at.open("sign-in")
        # The first field has the focus; then one goes on by tab.
        keys = at.driver.switch_to.active_element
        keys.send_keys(alias, Keys.TAB)
        at.driver.switch_to.active_element.send_keys(person, Keys.TAB)
        at._leave(lambda: at.driver.switch_to.active_element.send_keys(PASSWORD, Keys.ENTER))
        assert at.title == "Who am I"
        at.driver.find_element(By.TAG_NAME, "body").send_keys(Keys.TAB)
        assert at.driver.switch_to.active_element.text == "Skip to the content"
        at._leave(lambda: at.driver.find_element(By.LINK_TEXT, "Events").send_keys(Keys.ENTER))
        assert at.title == "Events"
    finally:
        iam.delete_account_alias(AccountAlias=alias)


def test_pages_are_nobody_elses(at, person, account):
    at.sign_in(account, person)
    at.driver.get(f"data:text/html,<iframe src='{at.console}/' width=600 height=400></iframe>")
    at.driver.switch_to.frame(0)
    assert not at.driver.find_elements(By.ID, "arn"), "shown in a frame"
    at.driver.switch_to.default_content()
    at.open("users")
    logs = [entry for entry in at.driver.get_log("browser") if "Content Security" in entry["message"]]
    assert logs == [], "a page breaks its own policy"


@pytest.fixture
def own_region():
    region = OwnRegion()
    region.up()
    yield region
    region.remove()


def test_a_session_lasts_twelve_hours_on_every_node_and_through_a_restart(driver, own_region):
    endpoint = f"http://127.0.0.1:{FRONT + own_region.offset}"
    credentials = (own_region.root / own_region.name / "operator/credentials").read_text()
    values = dict(line.split(" = ") for line in credentials.splitlines() if " = " in line)
    iam = boto3.Session(**values, region_name="us-east-1").client("iam", endpoint_url=endpoint, config=ONCE)
    iam.create_login_profile(UserName="administrator", Password=PASSWORD)
    at = Browser(driver, endpoint)
    at.sign_in("111122223333", "administrator")
    cookie = at.session_cookie()
    for host, status in own_region.status().items():
        if host.startswith("control-node"):
            address = own_region.front_of(host).rsplit(":", 1)[0]
            answer = urllib.request.urlopen(urllib.request.Request(
                f"{address}:{FRONT}/_console/users", headers={"Cookie": f"{cookie['name']}={cookie['value']}"}))
            assert answer.url.endswith("/users") and b"administrator" in answer.read(), status
    # Of the account's policy, for later.
    iam.update_account_password_policy(MinimumPasswordLength=12, MaxPasswordAge=1, AllowUsersToChangePassword=True)
    for hours, title in [(11, "Users"), (13, "Sign in"), (30, "Sign in")]:
        own_region.down()
        own_region.settings = f"clock_offset_s = {hours * 3_600}"
        own_region.up()
        at.open("users")
        assert at.title == title
        assert title == "Users" or at.notice.startswith("Your session has ended") or hours == 30
    at.sign_in("111122223333", "administrator")
    assert at.title == "Change password", "it has expired"
    for field, value in zip(at.driver.find_elements(By.CSS_SELECTOR, "main input[type=password]"), (PASSWORD, "New-horse-2!", "New-horse-2!")):
        field.send_keys(value)
    at.press("Change password")
    assert at.title == "Who am I"
