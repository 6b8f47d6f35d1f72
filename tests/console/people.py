"""What a person does at the console, by what she sees: labels, buttons, headings."""

import time
import uuid

from selenium.webdriver.common.by import By
from selenium.webdriver.support.ui import Select, WebDriverWait

PASSWORD = "Correct-horse-1"


def name(kind="person"):
    return f"{kind}-{uuid.uuid4().hex[:10]}"


def step():
    return int(time.time()) // 30


class Browser:
    def __init__(self, driver, endpoint):
        self.driver, self.console = driver, f"{endpoint}/_console"

    def open(self, page=""):
        self.driver.get(f"{self.console}/{page}")

    def _leave(self, act):
        """Does what leads to another page, and waits for that page."""
        before = self.driver.find_element(By.TAG_NAME, "html")
        act()
        gone = lambda driver: driver.find_element(By.TAG_NAME, "html") != before
        WebDriverWait(self.driver, 20).until(gone)
        ready = lambda driver: driver.execute_script("return document.readyState") == "complete"
        WebDriverWait(self.driver, 20).until(ready)

    def field(self, label):
        return self.driver.find_element(By.XPATH, f"//label[starts-with(normalize-space(), '{label}')]//*[self::input or self::select]")

    def fill(self, **fields):
        for label, value in fields.items():
            field = self.field(label.replace("_", " "))
            if field.tag_name == "select":
                Select(field).select_by_visible_text(value)
            else:
                field.clear()
                field.send_keys(value)

    def press(self, button, within="//main"):
        self._leave(self.driver.find_element(By.XPATH, f"{within}//button[normalize-space()='{button}']").click)

    def open_up(self, summary):
        self.driver.find_element(By.XPATH, f"//main//summary[normalize-space()='{summary}']").click()

    def follow(self, link):
        self._leave(self.driver.find_element(By.LINK_TEXT, link).click)

    @property
    def title(self):
        return self.driver.find_element(By.TAG_NAME, "h1").text

    @property
    def notice(self):
        found = self.driver.find_elements(By.CSS_SELECTOR, ".notice")
        return found[0].text if found else ""

    def text(self, selector):
        return self.driver.find_element(By.CSS_SELECTOR, selector).text

    def rows(self, table):
        rows = self.driver.find_elements(By.CSS_SELECTOR, f"{table} tbody tr")
        return [[cell.text for cell in row.find_elements(By.TAG_NAME, "td")] for row in rows]

    def sign_in(self, account, user, password=PASSWORD, page="sign-in"):
        self.open(page)
        self.fill(Account_ID=account, User_name=user, Password=password)
        self.press("Sign in")

    def sign_out(self):
        self.press("Sign out", "//header")

    def session_cookie(self):
        cookies = self.driver.get_cookies()
        return next((cookie for cookie in cookies if cookie["name"].endswith("-session")), None)
