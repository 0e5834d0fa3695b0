"The commonest plans: what machine code says of a shape is what the plan says, number by number; who has a first call."

import math
import random

import pytest
import torch

import adapool.functional as F
from adapool.kernels import COMPUTE, can_compile, jobs, plan, quick
from adapool.tensors import memory, route
from adapool.tensors.ordinary import sizes_of

pytestmark = pytest.mark.skipif(not can_compile(), reason="there is no compiler that the plans would be made by")
CALLS = 1200


@pytest.fixture(autouse=True)
def at_once(monkeypatch): monkeypatch.setattr(quick, "WITHOUT", 0)


def some(r, low, high): return int(math.exp(r.uniform(math.log(low), math.log(high + 0.99))))


def call(r):
    "Kind, type, shape, sizes and what `fixed_plan` is told, at random."
    d = r.choice((1, 2, 2, 3))
    cells = [some(r, 1, r.choice((12, 30, 80, 200))) for _ in range(d)]
    batch = [some(r, 1, 70), some(r, 1, 9)][:r.choice((1, 2))]
    if r.random() < 0.5:
        sizes, fixed = [r.choice((1, some(r, 1, 2*n), some(r, 1, n), n, some(r, 1, 20*n))) for n in cells], None
    else:
        kernel = [some(r, 1, 7) for _ in cells] if r.random() < 0.5 else [some(r, 1, 4)] * d
        stride, padding = [some(r, 1, 4) for _ in cells], [r.randint(0, k // 2) for k in kernel]
        fixed = *kernel, *stride, *padding, r.randint(0, 1), r.randint(0, 1), r.choice((0, 0, 5))
        sizes = sizes_of(cells, fixed)
    kind = r.choice(("mean", "max") if fixed else ("mean", "max", "avg_backward"))
    return kind, r.choice(("f4", "f8", "bf")), (*batch, *cells), sizes, fixed


def by_the_plan(kind, code, shape, sizes, fixed):
    "The same job by `make_plan`."
    d, strides = len(sizes), memory.dense(shape)
    backward = kind == "avg_backward"
    windows = memory.plan_of(sizes if backward else shape[-d:], shape[-d:] if backward else sizes, fixed)
    batch = ((1, 0), (1, 0), *zip(shape[:-d], strides))[-2:]
    made = plan.make_plan(kind, (code, code, COMPUTE[code]), batch, tuple((w, strides[i]) for i, w in windows), 1)
    return made and jobs.Job(made)


def numbers(job, many):
    "The first numbers of the geometry and the tables of a job."
    begin, _ = job.numbers.buffer_info()
    return list(job.numbers[(job.g - begin) // 8:])[:many]


@pytest.mark.parametrize("seed", range(3))
def test_a_plan_made_at_once_is_the_plan(seed):
    r, found = random.Random(seed), []
    for _ in range(CALLS // 3):
        told = call(r)
        if min(told[3]) < 1: continue
        mine = jobs.quick_job(*told)
        if mine is None: continue
        want = by_the_plan(*told)
        for name in ("function", "total", "unit", "work", "indices", "table", "bytes"):
            assert getattr(mine, name) == getattr(want, name), (told, name)
        assert numbers(mine, len(want.numbers)) == list(want.numbers), told
        found.append(mine.function.address)
    assert len(found) > CALLS // 10 and len(set(found)) >= 3


def test_what_is_known_of_a_shape_changes_nothing(monkeypatch):
    "The same bits whether a plan is made at once or at length, in every way that a call is told."
    monkeypatch.setattr(route, "SMALL_NS", dict.fromkeys(("avg", "max"), (0, 0)))
    seen, made = [], jobs.quick_job
    monkeypatch.setattr(route, "quick_job", lambda *told: seen.append(made(*told)) or seen[-1])
    pools = [lambda x: F.adaptive_avg_pool2d(x, 7), lambda x: F.adaptive_max_pool2d(x, (5, 3)),
             lambda x: F.adaptive_avg_pool2d(x, 1), lambda x: F.avg_pool2d(x, 3, 2, 1, count_include_pad=False),
             lambda x: F.max_pool2d(x, 2), lambda x: F.avg_pool2d(x, 5, 1, 2, divisor_override=7),
             lambda x: F.avg_pool2d(x, 3, 2, 1, ceil_mode=True), lambda x: F.adaptive_avg_pool3d(x, (2, 3, 2)),
             lambda x: F.adaptive_avg_pool1d(x[0], 4)]
    for shape in ((2, 5, 12, 40), (3, 16, 25, 110), (1, 2, 9, 14)):
        x = torch.randn(shape, generator=torch.Generator().manual_seed(1))
        for pool in pools:
            given = []
            for without in (0, 10**9):
                monkeypatch.setattr(quick, "WITHOUT", without)
                memory.KNOWN.clear()
                given.append(pool(x))
            assert torch.equal(*given)
            assert given[0].stride() == given[1].stride()
    assert len(list(filter(None, seen))) > 15


@pytest.mark.parametrize("size", [0, -1, 2.5, (7, 7, 7), (None, 7)])
def test_what_is_no_common_size_is_told_as_ever(size):
    x = torch.randn(1, 70, 20, 21)
    try: want = torch.nn.functional.adaptive_avg_pool2d(x, size)
    except Exception as error:
        with pytest.raises(type(error)): F.adaptive_avg_pool2d(x, size)
    else: torch.testing.assert_close(F.adaptive_avg_pool2d(x, size), want)


def test_the_first_shapes_are_planned_at_length(monkeypatch):
    "Who pools a few shapes waits for no compiler."
    monkeypatch.setattr(quick, "WITHOUT", 2)
    monkeypatch.setattr(quick, "_seen", [])
    told = "mean", "f4", (1, 8, 20, 30), (7, 7)
    assert [jobs.quick_job(*told) is None for _ in range(4)] == [True, True, False, False]
