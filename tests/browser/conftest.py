"A headless Chromium, the site that was built, and a JupyterLab that was started as README says."

import json
import os
import re
import secrets
import shutil
import signal
import socket
import subprocess
import time
import urllib.request
from pathlib import Path

import pytest
from selenium import webdriver
from selenium.webdriver.chrome.service import Service
from selenium.webdriver.common.action_chains import ActionChains
from selenium.webdriver.support.ui import WebDriverWait

ROOT = Path(__file__).resolve().parents[2]
FLAGS = ("--headless=new --no-sandbox --disable-gpu --disable-quic --no-first-run --disable-background-networking "
         "--disable-component-update --disable-sync --disable-dev-shm-usage --window-size=1400,1000")


# Bring an element into sight, and say so once the page is loaded and the element stood still for five pictures.
STILL = """
const [element, done] = arguments;
let before, pictures = 0;
const look = () => {
  element.scrollIntoView({block: 'center', behavior: 'instant'});
  const {left, top} = element.getBoundingClientRect(), place = `${left} ${top} ${document.readyState}`;
  pictures = place === before && document.readyState === 'complete' ? pictures + 1 : 0;
  before = place;
  pictures < 5 ? requestAnimationFrame(look) : done();
};
look()"""


class Chromium(webdriver.Chrome):
    "Chromium that remembers what it was asked for and what went wrong."
    def press(self, element):
        "Click on an element that stands still: a page that is still being laid out moves it away from the pointer."
        self.execute_async_script(STILL, element)
        element.click()

    def point_at(self, element):
        "Move the pointer onto an element that stands still, and see that it is there."
        def there(browser):
            browser.execute_async_script(STILL, element)
            ActionChains(browser).move_by_offset(1, 0).move_to_element(element).perform()
            return browser.execute_script("return arguments[0].matches(':hover')", element)
        WebDriverWait(self, 30).until(there)

    def complaints(self):
        "Errors and warnings of the console since the last call."
        return [entry["message"] for entry in self.get_log("browser") if entry["level"] in ("SEVERE", "WARNING")]

    def requests(self):
        "`(urls asked for, what failed)` since the last call."
        events = [json.loads(entry["message"])["message"] for entry in self.get_log("performance")]
        asked = [e["params"]["request"]["url"] for e in events if e["method"] == "Network.requestWillBeSent"]
        failed = [e["params"] for e in events if e["method"] == "Network.loadingFailed"]
        answers = [e["params"]["response"] for e in events if e["method"] == "Network.responseReceived"]
        return asked, failed + [a["url"] for a in answers if a["status"] >= 400]


@pytest.fixture(scope="session")
def browser(tmp_path_factory):
    options = webdriver.ChromeOptions()
    options.binary_location = shutil.which("chromium")
    for flag in (*FLAGS.split(), f"--user-data-dir={tmp_path_factory.mktemp('chromium')}"): options.add_argument(flag)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    driver = Chromium(options=options, service=Service(shutil.which("chromedriver")))
    driver.set_script_timeout(120)
    yield driver
    driver.quit()


@pytest.fixture(scope="session")
def site():
    folder = ROOT / "_build/site"
    assert (folder / "index.html").exists(), "`make site` builds it"
    return folder


def copy_of_the_tree(to):
    "The files that git knows or would know, and the installed .venv; JupyterLab may write into it as it likes."
    listing = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    for name in subprocess.run(listing, cwd=ROOT, check=True, capture_output=True, text=True).stdout.split("\0"):
        if not (ROOT / name).is_file(): continue
        (to / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(ROOT / name, to / name)
    (to / ".venv").symlink_to(ROOT / ".venv")


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


@pytest.fixture(scope="session")
def tree(tmp_path_factory):
    "The folder that JupyterLab is started in."
    folder = tmp_path_factory.mktemp("lab") / "adapool"
    folder.mkdir()
    copy_of_the_tree(folder)
    return folder


@pytest.fixture(scope="session")
def lab(tree):
    "The address of a JupyterLab, as a format with a place for the path."
    port, token = free_port(), secrets.token_hex(8)
    args = f"--no-browser --port {port} --IdentityProvider.token={token} --expose-app-in-browser"
    with open(tree.parent / "log", "w") as log:
        command = ["make", "lab", f"LAB_ARGS={args}"]
        server = subprocess.Popen(command, cwd=tree, stdout=log, stderr=log, start_new_session=True)
    address = f"http://127.0.0.1:{port}/{{}}?token={token}"
    try:
        for _ in range(600):
            try: urllib.request.urlopen(address.format("api/status"))
            except OSError: time.sleep(0.5)
            else: break
            assert server.poll() is None, (tree.parent / "log").read_text()
        yield address
    finally:
        os.killpg(server.pid, signal.SIGTERM)
        server.wait(30)


def pages():
    "The pages of the site, by name."
    found = sorted(p.relative_to(ROOT / "_build/site").as_posix() for p in (ROOT / "_build/site").rglob("*.html"))
    return [name for name in found if not re.search(r"(^|/)_static/", name)]


def pytest_generate_tests(metafunc):
    if "page" in metafunc.fixturenames: metafunc.parametrize("page", pages())
