"What holds for every test: how threads wait, and how much of a large family is quick."

import os
import sys
from pathlib import Path

import pytest
from hypothesis import settings

# Threads that wait for work sleep. By default they keep processors busy, and several test processes share a few.
# Set before torch is loaded, here and in every process that a test starts.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "tools"))
from once import keep_what_is_loaded, leave_out_grammars, read_torchlib_once

leave_out_grammars()


def pytest_configure(config):
    "A property is tried with a few examples, and with many where slow tests are wanted too (`make test-all`)."
    few = "not slow" in config.option.markexpr
    settings.register_profile("adapool", deadline=None, derandomize=True, max_examples=40 if few else 150)
    settings.load_profile("adapool")


def pytest_collection_modifyitems(items):
    "Each process finds the same tests: no name holds where something lies in memory."
    named = [item.nodeid for item in items if " at 0x" in item.nodeid]
    if named: raise pytest.UsageError(f"tests are named after an address: {named[:3]}")


def pytest_collection_finish():
    "In each process that runs tests, when their modules have been loaded."
    if "torch" in sys.modules: read_torchlib_once()
    keep_what_is_loaded()
