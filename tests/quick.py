"""What of a large family of cases is quick, and run by `make test`; `make test-all` runs the slow rest too.

Chosen so that each property is tried once, and a fault in it seen; the rest tries it at every size, type and layout.
"""

import itertools

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


def rotated(*families):
    """Every choice of one from each family, as cases for `pytest.mark.parametrize`; in the quick ones the second turns.

    So `rotated("abc", "xy")` has ax, by and cx quick, and the rest slow.
    """
    lists = [list(family) for family in families]
    def is_quick(places): return (places[0] + sum(places[2:])) % len(lists[1]) == places[1]
    return [(case_of if is_quick(places) else slow)(tuple(family[i] for family, i in zip(lists, places)))
            for places in itertools.product(*(range(len(family)) for family in lists))]
