"Every exercise: alone in its cell, without its answer; its solution, folded below, is right, and its slips are wrong."

import itertools
import re
import sys
from pathlib import Path

import nbformat
import pytest

from adapool import answers
from adapool.answers.subjects import SUBJECTS, about
from adapool.exercises import Exercise

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "tools"))
from notebooks import notebooks

TEACHING = [path for path in notebooks() if "## Exercises" in path.read_text(encoding="utf-8")]
# All that a cell with a question may hold: there is no room for what is right, nor for what another cell has to define.
ALONE = re.compile(r"""from adapool\.answers import check

(?P<open>answer = [.,\[\] ]+|def answer\([\w, ]+\): return \.\.\.)

check\("(?P<name>[a-z]+-\d+)", answer\)""")


def section(path):
    "The cells under the heading Exercises."
    cells = nbformat.read(path, as_version=4).cells
    start = next(i for i, cell in enumerate(cells) if cell.source == "## Exercises")
    stop = next((i for i, cell in enumerate(cells) if i > start and cell.source.startswith("## ")), len(cells))
    return cells[start:stop]


def asked(path):
    "`(number, the cell as a match of ALONE, the solution)` for each exercise but the proof, which has no cell."
    cells = section(path)
    for i, cell in enumerate(cells):
        if cell.cell_type != "code": continue
        number = re.match(r"\*\*Exercise (\d+)\.", cells[i - 1].source)[1]
        solution = re.search(r"^```python\n(.*?)^```", cells[i + 1].source, re.MULTILINE | re.DOTALL)[1]
        yield number, ALONE.fullmatch(cell.source), solution


def run_alone(source):
    "What the last line of a cell shows, where nothing has been run before."
    first, last = source.rsplit("\n", 1)
    names = {}
    exec(first, names)
    return eval(last, names)


def wrong(expected):
    "An answer that is not `expected`."
    if callable(expected): return lambda *args: None
    if hasattr(expected, "tolist"): expected = expected.tolist()
    if isinstance(expected, bool): return not expected
    if isinstance(expected, (int, float)): return expected + 1
    if isinstance(expected, str): return expected + "x"
    if isinstance(expected, set): return {*expected, "x"}
    return [wrong(expected[0]), *list(expected)[1:]]


@pytest.mark.parametrize("path", TEACHING, ids=lambda p: p.stem)
def test_an_exercise_is_a_question_and_one_line(path):
    "No answer stands in the cell or in what it shows, and each runs in a fresh kernel."
    for number, cell, _ in asked(path):
        assert cell, f"{path.stem}, exercise {number}: more than a place for the answer, and `check`"
        assert run_alone(cell[0]).right is None, cell["name"]
    shown = [output.data["text/plain"] for cell in section(path) for output in cell.get("outputs", [])]
    assert set(shown) == {"Not answered yet: put your answer in place of the ... and run the cell again."}


def test_every_exercise_is_asked_on_one_page():
    names = [cell["name"] for path in TEACHING for _, cell, _ in asked(path)]
    assert sorted(names) == sorted(name for subject in SUBJECTS for name in about(subject))


@pytest.mark.parametrize("path", TEACHING, ids=lambda p: p.stem)
def test_the_solution_put_in_is_right(path):
    for _, cell, solution in asked(path):
        assert ("def answer" in solution) == cell["open"].startswith("def")
        assert run_alone(cell[0].replace(cell["open"], solution)).right is True, f"{cell['name']}: a wrong solution"


@pytest.mark.parametrize("subject", SUBJECTS)
def test_wrong_answers_get_the_hint_and_slips_what_they_tell(subject):
    exercises = about(subject)
    assert len(exercises) >= 6
    for name, exercise in exercises.items():
        verdict = answers.check(name, wrong(exercise.expected))
        assert verdict.right is False and verdict.text.endswith(f"Hint: {exercise.hint}"), name
        for slip, told in exercise.slips: assert told in answers.check(name, slip).text, f"{name}: {slip} is no slip"


@pytest.mark.parametrize("path", TEACHING, ids=lambda p: p.stem)
def test_the_last_exercise_is_a_proof_and_every_one_has_a_solution(path):
    cells = section(path)
    questions = [i for i, cell in enumerate(cells) if cell.source.startswith("**Exercise ")]
    assert [cells[i].source.split(".")[0] for i in questions] == [f"**Exercise {k + 1}" for k in range(len(questions))]
    for i in questions: assert "<details>" in cells[i + 1].source or "<details>" in cells[i + 2].source
    assert "Prove that" in cells[questions[-1]].source and "∎" in cells[questions[-1] + 1].source


def test_a_function_that_changes_what_it_is_given_spoils_nothing():
    "Neither what is right for a case nor the case, the next time."
    exercise = Exercise(lambda x: x[0], cases=[([3, 1],), ([5, 2],)])
    def first(x):
        x.sort(reverse=True)
        return x[0]
    def smallest(x): return x.sort() or x[0]
    for _ in range(2):
        assert exercise.check(first).right is True
        assert exercise.check(smallest).text == "Not yet: for answer([3, 1],), 1 is too small by 2."


@pytest.mark.parametrize("answer", [10**4000, "x" * 5000, range(10**5), {(i,) for i in range(999)}, itertools.count()])
def test_a_long_answer_is_not_repeated_as_a_whole(answer):
    hint = "round down."
    for exercise in Exercise(15, hint), Exercise({15}, hint), Exercise(len, hint, cases=[("",)]):
        verdict = exercise.check(answer if exercise.cases == [] else lambda x, answer=answer: answer)
        assert verdict.right is False and len(verdict.text) < 250 and verdict.text.endswith(" Hint: round down.")
