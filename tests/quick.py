"""What of a large family of cases is quick, and run by `make test`; `make test-all` runs the slow rest too.

Chosen so that each property is tried once, and a fault in it seen; the rest tries it at every size, type and layout.
"""

import pytest


def case_of(values, *marks):
    "A case for `pytest.mark.parametrize`; a tuple holds a value for each parameter, also where there is only one."
    return pytest.param(*(values if isinstance(values, tuple) else (values,)), marks=marks)


def slow(values): return case_of(values, pytest.mark.slow)


def some(cases, quick):
    "The cases for `pytest.mark.parametrize`: those in `quick`, or so many spread evenly, are quick, the rest slow."
    cases = list(cases)
    evenly = [i*quick % len(cases) < quick for i in range(len(cases))] if isinstance(quick, int) else None
    return [(case_of if (evenly[i] if evenly else case in quick) else slow)(case) for i, case in enumerate(cases)]
