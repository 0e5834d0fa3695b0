"What the site lists has an example in its docstring, and each gives what stands below it."

import doctest
import importlib
import sys
from pathlib import Path

import jax
import matplotlib.pyplot as plt
import numpy as np
import pytest
import torch
import xarray

import adapool

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "tools"))
from notebooks import module_of, notebooks

MODULES = list(dict.fromkeys(filter(None, map(module_of, notebooks()))))


def listed(name):
    "What the page of a module shows: each public name that can be called, with its examples."
    module, parser = importlib.import_module(f"adapool.{name}"), doctest.DocTestParser()
    things = {public: thing for public in module.__all__ if callable(thing := getattr(module, public))}
    names = {"adapool": adapool, "np": np, "torch": torch, "xarray": xarray, "jax": jax}
    return {public: parser.get_doctest(thing.__doc__, dict(names), public, None, 0) for public, thing in things.items()}


def test_modules_are_those_of_the_site():
    assert {"arithmetic", "windows", "functional", "kernels", "export", "plot", "explore"} <= set(MODULES)


@pytest.mark.parametrize("name", MODULES)
def test_what_is_listed_has_an_example_and_its_result(name):
    without = [public for public, test in listed(name).items() if not any(e.want or e.exc_msg for e in test.examples)]
    assert without == []


@pytest.mark.parametrize("name", MODULES)
def test_examples(name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("ADAPOOL_CACHE_DIR", raising=False)
    runner, said = doctest.DocTestRunner(verbose=False, optionflags=doctest.ELLIPSIS), []
    for test in listed(name).values(): runner.run(test, out=said.append)
    plt.close("all")
    assert runner.summarize(verbose=False).failed == 0, "".join(said)
