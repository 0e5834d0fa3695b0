"Exercises on the site: what is typed is read, and told what `check` tells it in Python."

import base64
import json
from pathlib import Path

import pytest
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys

from adapool import answers
from adapool.answers.subjects import SUBJECTS, about
from adapool.exercises import _as_lists

SCRIPT = (Path(__file__).resolve().parents[2] / "docs/_static/exercises.js").read_text(encoding="utf-8")
WAITING = "Not answered yet"
BOX = "[data-name='pooling-2'] form"


@pytest.fixture(scope="module")
def script(browser):
    "`[right, text]` for each of many (exercise, text) pairs, by the script of the site."
    browser.get("about:blank")
    browser.execute_script(SCRIPT)
    return lambda pairs: browser.execute_script(
        "return arguments[0].map(([exercise, text]) => adapoolVerdict(JSON.parse(exercise), text))", pairs)


def exercises():
    "`(name, exercise)` for all that ask for a value."
    for subject in SUBJECTS:
        for name, exercise in about(subject).items():
            if exercise.to_json(): yield name, exercise


def near(value):
    "`value`, and answers that are wrong in one place, or altogether."
    yield value
    yield from (0, -3, 2.5, 2e-5, 1e-7, 3e20, 2**70, float("nan"), float("-inf"))
    yield from ("two", "it's", True, None, [], [1, 2.0], {7}, 10**250, "long" * 90, list(range(100)))
    if isinstance(value, bool): yield not value
    elif isinstance(value, (int, float)): yield from (value + 1, value - 2, value + 0.25, float(value), 3 * value)
    elif isinstance(value, str): yield value + "x"
    elif isinstance(value, set):
        yield from ({*value, 10**6}, set(list(value)[1:]), list(value), {*value, (1, 2), "x"}, {*value, (1,)})
    elif isinstance(value, list):
        yield from (value[:-1], [*value, 1], tuple(value))
        for i, v in enumerate(value): yield from ([*value[:i], other, *value[i + 1:]] for other in near(v))


def test_the_page_says_what_python_says(script):
    cases = [(name, answer) for name, exercise in exercises()
             for known in (exercise.expected, *(slip for slip, _ in exercise.slips))
             for answer in near(_as_lists(known))]
    assert len(cases) > 2000
    said = script([(about(name.rpartition("-")[0])[name].to_json(), repr(answer)) for name, answer in cases])
    for (name, answer), (right, text) in zip(cases, said, strict=True):
        verdict = answers.check(name, answer)
        assert (right, text) == (verdict.right, verdict.text), f"{name}: {answer!r}"
    assert {right for right, _ in said} == {True, False}


@pytest.mark.parametrize("typed, expected", [
    ("16 * 5 * 7", 560), ("2**24", 2**24), ("−3", -3), ("7 // 2 - -1", 4), ("-7 // 2", -4), ("-7 % 3", 2),
    ("1_000", 1000), ("1/4", 0.25), ("2**-1", 0.5), ("(1 + 2) * .5", 1.5), ("1e3", 1000.0),
    ("1, 2", [1, 2]), ("(1, 2)", [1, 2]),
    ("[1, 2,]", [1, 2]), ("[(0, 1), [2, 3]]", [[0, 1], [2, 3]]), ("(4,)", [4]), ("(4)", 4), ("{1, 2}", {1, 2}),
    ("2, 1", {1, 2}), ("float64, 'uint64', \"uint8\"", ["float64", "uint64", "uint8"]), (" True ", True),
    ("None", None), ("5 × 7", 35), ("answer = 35", 35), ("“max”", "max"), ("‘max’", "max")])
def test_an_answer_may_be_written_in_several_ways(script, typed, expected):
    exercise = json.dumps(dict(expected=repr(expected), hint="", slips=[]))
    assert script([(exercise, typed)]) == [[True, "Right."]]
    assert script([(exercise, "271828")])[0][0] is False


@pytest.mark.parametrize("typed", [
    "", "  ", "...", "[1, ...]", "(", "1,,2", "[1", "1 2", "1/0", "9**9**9", "'", "<b>", "a + 1", "{1: 2}", "💥",
    "1" * 1500 + "**9"])
def test_nonsense_is_no_answer(script, typed):
    (right, text), = script([(about("pooling")["pooling-2"].to_json(), typed)])
    assert right is None and text.startswith((WAITING, "This cannot be read", "This cannot be worked out: "))


def asked(site):
    "The page that asks pooling-2."
    return next(p for p in site.rglob("*.html") if "data-name=\"pooling-2\"" in p.read_text(encoding="utf-8"))


def test_typed_by_keys_on_a_page(browser, site):
    browser.get(asked(site).as_uri())
    form = browser.find_element(By.CSS_SELECTOR, BOX)
    field, status = form.find_element(By.TAG_NAME, "input"), form.find_element(By.CSS_SELECTOR, "[role=status]")
    assert field.accessible_name.startswith("Your answer to exercise ") and status.text == ""
    height = form.size["height"]
    said = {}
    for typed in ("", "[0.5, 1.5, 3.5, 4.5]", "0.5, 2, 3.5, 5", "[0.5, 1.5, 3.5, 4]", "banana ("):
        field.clear()
        field.send_keys(typed, Keys.ENTER)
        said[typed] = form.get_attribute("data-right"), status.text
    assert said[""][0] == "null" and said[""][1].startswith(WAITING)
    assert said["[0.5, 1.5, 3.5, 4.5]"] == ("true", "Right.")
    for typed in ((0.5, 2, 3.5, 5), (0.5, 1.5, 3.5, 4)):
        text = [t for k, (_, t) in said.items() if k.strip("[]") == ", ".join(map(str, typed))]
        assert text == [answers.check("pooling-2", typed).text]
    assert said["banana ("][1].startswith("This cannot be read")
    field.clear()
    field.send_keys("0.5, 1.5, 3.5, 4.5", Keys.TAB, Keys.SPACE)
    assert status.text == "Right." and form.size["height"] <= 2 * height


def test_nothing_beside_a_question_tells_the_answer(site):
    "What is right, and hints, stand in no attribute and no text of a page as they are."
    page = asked(site).read_text(encoding="utf-8")
    exercise = about("pooling")["pooling-2"]
    coded = base64.b64encode(exercise.to_json().encode()).decode()
    assert coded in page and exercise.hint not in page and exercise.slips[0][1] not in page


def test_a_question_for_a_function_runs_in_the_notebook(browser, site):
    browser.get(asked(site).as_uri())
    cell, = (e for e in browser.find_elements(By.CSS_SELECTOR, "div.cell") if 'check("pooling-8"' in e.text)
    assert "def answer" in cell.text and "a Python of your own" in cell.find_element(By.XPATH, "preceding::p[1]").text
    assert "Not answered yet" not in browser.find_element(By.ID, "exercises").text
