"JupyterLab, started as README says: the front page, and an exercise answered wrong and right."

import json

import pytest
from selenium.common.exceptions import StaleElementReferenceException
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.support.ui import WebDriverWait

FIND = """
const panel = jupyterapp.shell.currentWidget.content;
const at = panel.widgets.findIndex(cell => cell.model.sharedModel.getSource().includes(arguments[0]));
if (at < 0) return 'none';
panel.activeCellIndex = at;
panel.scrollToItem(at, 'center');
const node = panel.widgets[at].node;
return node.isConnected && panel.widgets[at].placeholder === false ? node : null;"""
IDLE = "const s = jupyterapp.shell.currentWidget?.sessionContext; return s?.session?.kernel?.status === 'idle'"


# Generous, since a busy machine takes minutes for what an idle one does in seconds.
def wait(browser, what, seconds=300):
    "What `what(browser)` returns when it is something; a part of the page that is just being replaced is asked again."
    return WebDriverWait(browser, seconds, ignored_exceptions=[StaleElementReferenceException]).until(what)


def open_notebook(browser, lab, name):
    "Open a notebook of a running JupyterLab, and wait for its kernel."
    browser.get(lab.format(f"lab/tree/{name}"))
    shown = f"return window.jupyterapp?.shell.currentWidget?.context?.path === '{name}'"
    wait(browser, lambda b: b.execute_script(shown))
    wait(browser, lambda b: b.execute_script(IDLE))


def command(browser, name):
    "Do what a menu entry of JupyterLab does, to the end."
    start = "window.done = false; jupyterapp.commands.execute(arguments[0]).then(() => { window.done = true })"
    browser.execute_script(start, name)
    wait(browser, lambda b: b.execute_script("return window.done"))


def cell(browser, text):
    "Go to the first cell whose source holds `text`, and wait until JupyterLab has drawn it."
    found = wait(browser, lambda b: b.execute_script(FIND, text))
    assert found != "none", f"no cell holds {text!r}"
    return found


ASKED = 'check("arithmetic-1", answer)'


@pytest.fixture(scope="module")
def arithmetic(browser, lab):
    "learn/01_sizes in a fresh kernel, at its first exercise."
    open_notebook(browser, lab, "learn/01_sizes.ipynb")
    cell(browser, ASKED)
    return browser


def test_the_front_page_is_the_index(browser, lab):
    browser.get(lab.format(""))
    wait(browser, lambda b: "lab/tree/index.ipynb" in b.current_url)
    def titles(b): return [h.text for h in b.find_elements(By.CSS_SELECTOR, ".jp-RenderedMarkdown h1")]
    wait(browser, lambda b: any(title.startswith("adapool") for title in titles(b)))
    assert browser.find_elements(By.CSS_SELECTOR, ".jp-Notebook img")


def answer(browser, line):
    "Type an answer over the line of the exercise that has a place for it, run it, and return what it says."
    exercise = cell(browser, ASKED)
    before = exercise.find_element(By.CSS_SELECTOR, ".jp-OutputArea-output").text
    lines = exercise.find_elements(By.CSS_SELECTOR, ".cm-line")
    browser.press(next(line for line in lines if line.text.startswith("answer = ")))
    keys = browser.switch_to.active_element
    keys.send_keys(Keys.HOME, Keys.SHIFT + Keys.END)
    keys.send_keys(line)
    browser.switch_to.active_element.send_keys(Keys.CONTROL + Keys.ENTER)
    def said(b):
        found = cell(b, ASKED).find_elements(By.CSS_SELECTOR, ".jp-OutputArea-output")
        return found[0].text if found and found[0].text != before else None
    return wait(browser, said)


def test_an_exercise_is_answered_wrong_and_right(arithmetic):
    exercise = cell(arithmetic, ASKED)
    stored = exercise.find_element(By.CSS_SELECTOR, ".jp-OutputArea-output").text
    assert stored.startswith("Not answered yet")
    assert "too large by 1" in answer(arithmetic, "answer = 16")
    assert "without the padding" in answer(arithmetic, "answer = 12")
    assert answer(arithmetic, "answer = 15") == "Right."


def test_its_solution_is_folded(arithmetic):
    solution = cell(arithmetic, "answer = 15\n```")
    details = solution.find_element(By.CSS_SELECTOR, "details")
    assert not details.find_element(By.CSS_SELECTOR, "pre").is_displayed()
    arithmetic.press(details.find_element(By.CSS_SELECTOR, "summary"))
    assert details.find_element(By.CSS_SELECTOR, "pre").is_displayed()
    assert details.find_element(By.CSS_SELECTOR, "mjx-container")


def test_a_page_that_is_run_and_saved_changes_in_its_outputs_alone(browser, lab, tree):
    path = tree / "nbs/inside/08_checks.ipynb"
    def without_outputs():
        nb = json.loads(path.read_text(encoding="utf-8"))
        for found in nb["cells"]: found.pop("outputs", None)
        return nb
    before, written = without_outputs(), path.stat().st_mtime_ns
    open_notebook(browser, lab, "inside/08_checks.ipynb")
    command(browser, "notebook:run-all-cells")
    wait(browser, lambda b: b.execute_script(IDLE))
    command(browser, "docmanager:save")
    assert path.stat().st_mtime_ns > written and without_outputs() == before
