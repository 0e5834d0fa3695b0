"Examples in docstrings give what stands below them; a public function has one, where two lines can show it."

import doctest
import importlib

import matplotlib.pyplot as plt
import numpy as np
import pytest
import torch

import adapool
from adapool.explore import Panel

MODULES = ("arithmetic", "windows", "pooling", "functional", "nn", "networks", "export", "plot", "explore",
           "flashcards", "checks", "exercises", "answers")
# A film is played, and records are returned by functions that have an example; what returns a panel is left out, too.
NOT_IN_TWO_LINES = {
    "plot": {"Film"},
    "explore": {"Answer", "Panel"},
    "networks": {"Row", "Trace"}, "export": {"Report"}, "flashcards": {"Picture", "Card", "Cards"},
    "functional": {"enable"}, "checks": {"needs"},
}


@pytest.mark.parametrize("name", MODULES)
def test_examples(name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    module, without, said = importlib.import_module(f"adapool.{name}"), set(), []
    parser, runner = doctest.DocTestParser(), doctest.DocTestRunner(verbose=False, optionflags=doctest.ELLIPSIS)
    for public in module.__all__:
        if not callable(thing := getattr(module, public)): continue
        test = parser.get_doctest(thing.__doc__, {"adapool": adapool, "np": np, "torch": torch}, public, None, 0)
        if test.examples: runner.run(test, out=said.append)
        elif getattr(thing, "__annotations__", {}).get("return") is not Panel: without.add(public)
    plt.close("all")
    assert runner.summarize(verbose=False).failed == 0, "".join(said)
    assert without == NOT_IN_TWO_LINES.get(name, set())
