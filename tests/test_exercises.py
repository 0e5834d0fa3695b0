"Every exercise: no answer fails nothing, the solution that is folded below is right, and the slips are wrong."

import re
import sys
from pathlib import Path

import nbformat
import numpy as np
import pytest

import adapool

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "tools"))
from notebooks import notebooks

TEACHING = [path for path in notebooks() if re.match(r"0[0-7]_", path.name)]


def section(path):
    "The cells under the heading Exercises."
    cells = nbformat.read(path, as_version=4).cells
    start = next(i for i, cell in enumerate(cells) if cell.source == "## Exercises")
    stop = next((i for i, cell in enumerate(cells) if i > start and cell.source.startswith("## ")), len(cells))
    return cells[start:stop]


def wrong(expected):
    "An answer that is not `expected`."
    if callable(expected): return lambda *args: None
    if hasattr(expected, "tolist"): expected = expected.tolist()
    if isinstance(expected, bool): return not expected
    if isinstance(expected, (int, float)): return expected + 1
    if isinstance(expected, str): return expected + "x"
    if isinstance(expected, set): return {*expected, "x"}
    return [wrong(expected[0]), *list(expected)[1:]]


def solved(path):
    "`(name, arguments of check)` for each exercise of a notebook, answered by its solution; proofs have none."
    calls = []
    names = {"np": np, "adapool": adapool}
    exec(f"from adapool.{path.stem[3:]} import *", names)
    for i, cell in enumerate(cells := section(path)):
        if cell.cell_type != "code": continue
        if "check(answer" not in cell.source:
            exec(cell.source, names)
            names["check"] = lambda *args, **kwargs: calls.append((args, kwargs))
            continue
        solution = re.search(r"^```python\n(.*?)^```", cells[i + 1].source, re.MULTILINE | re.DOTALL)[1]
        head, rest = re.fullmatch(r"((?:answer = |def answer).*?\n)\n(.*)", cell.source, re.DOTALL).groups()
        assert "..." in head and solution.startswith(head[:6])
        exec(f"{solution}\n{rest}", names)
        yield cells[i - 1].source[:15], calls.pop()


@pytest.mark.parametrize("path", TEACHING, ids=lambda p: p.stem)
def test_exercises(path):
    exercises = list(solved(path))
    for name, ((answer, expected, hint), more) in exercises:
        check = adapool.exercises.check
        assert check(answer, expected, hint, **more).right is True, f"{name}: the solution is wrong"
        assert check(..., expected, hint, **more).right is None, name
        verdict = check(wrong(expected), expected, hint, **more)
        assert verdict.right is False and verdict.text.endswith(f"Hint: {hint}"), name
        for slip, told in more.get("slips", ()):
            assert told in check(slip, expected, hint, **more).text, f"{name}: {slip} is no slip"
    assert len(exercises) >= 6


@pytest.mark.parametrize("path", TEACHING, ids=lambda p: p.stem)
def test_the_last_exercise_is_a_proof_and_every_one_has_a_solution(path):
    cells = section(path)
    questions = [i for i, cell in enumerate(cells) if cell.source.startswith("**Exercise ")]
    assert [cells[i].source.split(".")[0] for i in questions] == [f"**Exercise {k + 1}" for k in range(len(questions))]
    for i in questions: assert "<details>" in cells[i + 1].source or "<details>" in cells[i + 2].source
    assert "Prove that" in cells[questions[-1]].source and "∎" in cells[questions[-1] + 1].source
