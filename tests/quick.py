"What of a large family of cases is quick, and run by `make test`; `make test-all` runs the slow rest too."

import pytest


def slow(case):
    "A case for `pytest.mark.parametrize`, marked slow; a tuple holds a value for each parameter."
    return pytest.param(*(case if isinstance(case, tuple) else (case,)), marks=pytest.mark.slow)


def some(cases, k):
    "The cases for `pytest.mark.parametrize`: k of them, spread evenly, are quick, and the rest are slow."
    cases = list(cases)
    return [case if i*k % len(cases) < k else slow(case) for i, case in enumerate(cases)]
