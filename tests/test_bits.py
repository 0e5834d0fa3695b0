"The same input gives the same bits of output and gradient: however many threads, however often."

import contextlib
import itertools

import pytest
import torch
from conformance import ADAPTIVE, DTYPES, KINDS, LAYOUTS
from quick import some

import adapool.functional as F
from adapool import nn
from adapool.kernels import jobs

# Large enough for a team of threads; axes that shrink and grow, by sizes that do not divide.
SHAPES = {1: ((4, 20, 900), 70), 2: ((2, 20, 43, 41), (7, 50)), 3: ((2, 10, 9, 22, 17), (5, 4, 20))}
LIKE_NOBODY = ("zero batch",)  # has no bits


@pytest.fixture(autouse=True)
def deterministic():
    "torch's switch; with it on, torch also fills new memory with NaN, so that what is read unwritten is seen."
    threads = torch.get_num_threads()
    torch.use_deterministic_algorithms(True)
    try: yield
    finally:
        torch.use_deterministic_algorithms(False)
        torch.set_num_threads(threads)


@pytest.fixture(params=["torch's threads", "our threads"])
def crew(request, monkeypatch):
    if request.param == "our threads":
        monkeypatch.setattr("adapool.kernels.jobs.openmp", lambda imported: None)
        monkeypatch.setattr(jobs, "WAKE_OURS", 1)
    return request.param


def numbers(d, dtype, layout):
    "Of all sizes, so that the order of a sum shows in its last bits."
    g = torch.Generator().manual_seed(d)
    x = torch.randn(SHAPES[d][0], generator=g) * 10 ** torch.randint(-2, 3, SHAPES[d][0], generator=g)
    return LAYOUTS[layout](x.to(dtype))


def pool(kind, d, x):
    options = {"return_indices": True} if kind.endswith("with indices") else {}
    if kind.startswith("ordinary"): return getattr(F, f"{kind.split()[1]}_pool{d}d")(x, 3, 2, 1, **options)
    return getattr(F, f"adaptive_{kind[:3]}_pool{d}d")(x, SHAPES[d][1], **options)


def results(kind, d, x, leaf):
    "Output without and with a gradient to come, places, and the gradient."
    plain, y = pool(kind, d, x), pool(kind, d, leaf)
    best, *places = (*y,) if isinstance(y, tuple) else (y,)
    weights = torch.linspace(-1, 1, 997, dtype=torch.float64).to(x.dtype)
    g = weights.repeat(-(-best.numel() // 997))[:best.numel()].reshape(best.shape)
    first = [plain] if torch.is_tensor(plain) else [*plain]
    return [*first, best.detach(), *places, *torch.autograd.grad(best, leaf, g)]


def bits(t): return t.view({2: torch.int16, 4: torch.int32, 8: torch.int64}[t.itemsize])


def same(a, b):
    return all(torch.equal(bits(u), bits(v)) and u.stride() == v.stride() for u, v in zip(a, b, strict=True))


@pytest.mark.parametrize("d", SHAPES)
@pytest.mark.parametrize("kind", some(KINDS, ADAPTIVE))
@pytest.mark.parametrize("repeats", some([4, 100], 1))
def test_the_same_bits_on_one_two_and_three_threads_however_often(repeats, kind, d, crew, monkeypatch):
    teams = []
    for place, name in ((jobs, "run_in_team"), (jobs.Job, "run")):
        inner = getattr(place, name)
        monkeypatch.setattr(place, name, lambda *args, f=inner, n=name: teams.append(n) or f(*args))
    if crew == "our threads": repeats = max(2, repeats // 10)
    for dtype, layout in itertools.product(DTYPES, LAYOUTS):
        if layout in LIKE_NOBODY: continue
        x = numbers(d, DTYPES[dtype], layout)
        leaf, wanted = x.detach().requires_grad_(), None
        for threads in (1, 2, 3):
            torch.set_num_threads(threads)
            for _ in range(1 if threads == 1 else repeats // 2):
                found = results(kind, d, x, leaf)
                wanted = wanted or found
                assert same(found, wanted), (dtype, layout, threads)
        assert not any(t.isnan().any() for t in wanted)
    assert "run_in_team" in teams if crew == "torch's threads" else "run_in_team" not in teams


@pytest.mark.parametrize("d", SHAPES)
def test_who_does_a_call_does_not_depend_on_the_number_of_threads(d):
    "Small calls are left to torch's operators, which give other bits than the kernels: they must be the same calls."
    g = torch.Generator().manual_seed(d)
    for planes, cells in itertools.product((1, 2, 3, 20), (100, 400, 1600, 6400, 25_000, 50_000, 200_000)):
        n = round((cells / planes) ** (1 / d)) + 1
        for size in (1, 2, max(1, n // 3), n + 1):
            if planes * size**d > 100_000: continue
            x = torch.randn(1, planes, *[n] * d, generator=g)
            found = []
            for threads in (1, 2, 3):
                torch.set_num_threads(threads)
                leaf = x.detach().requires_grad_()
                pools = [getattr(F, f"adaptive_{kind}_pool{d}d") for kind in ("avg", "max")]
                found.append([pool(v, size).detach() for pool in pools for v in (x, leaf)])
            assert all(same(other, found[0]) for other in found), (planes, n, size)


@pytest.mark.parametrize("d", SHAPES)
def test_layouts_do_not_change_a_maximum(d):
    "Its output and places are the same for all layouts of the same numbers; of a mean only up to rounding."
    x = numbers(d, torch.float32, "contiguous")
    best, places = pool("max with indices", d, x)
    for layout in ("channels_last", "transposed", "sliced"):
        other = pool("max with indices", d, LAYOUTS[layout](x))
        assert torch.equal(other[0], best) and torch.equal(other[1], places)


@pytest.mark.parametrize("shape", [(16, 64, 30, 41), (1, 1, 1100, 1000), (2, 3, 400, 500)])
@pytest.mark.parametrize("last", [False, True])
def test_many_planes_and_few_large_ones(shape, last, crew):
    x = torch.randn(shape, generator=torch.Generator().manual_seed(0))
    if last: x = x.contiguous(memory_format=torch.channels_last)
    found = []
    for threads in (1, 2, 3, 2):
        torch.set_num_threads(threads)
        leaf = x.detach().clone(memory_format=torch.preserve_format).requires_grad_()
        for kind in ("avg", "max"):
            getattr(F, f"adaptive_{kind}_pool2d")(leaf, (5, 7)).sin().sum().backward()
        means = [F.adaptive_avg_pool2d(x, size) for size in ((5, 7), 1)]
        found.append([*means, *F.adaptive_max_pool2d(x, 6, True), leaf.grad])
    assert all(same(other, found[0]) for other in found[1:])


@pytest.mark.parametrize("shape", [(1, 1, 40_000), (1, 1, 200, 200), (1, 1, 34, 34, 34)])
@pytest.mark.parametrize("recorded", [False, True])
def test_one_sum_that_threads_could_share(shape, recorded, crew):
    x = torch.randn(shape, generator=torch.Generator().manual_seed(0)).requires_grad_(recorded)
    found = []
    for threads in (1, 2, 3):
        torch.set_num_threads(threads)
        found.append(getattr(F, f"adaptive_avg_pool{len(shape) - 2}d")(x, 1).detach())
    assert all(same(other, found[0]) for other in found[1:])


@contextlib.contextmanager
def seeded():
    with torch.random.fork_rng():
        torch.manual_seed(0)
        yield


@pytest.mark.parametrize("kind", ["Avg", "Max"])
def test_a_step_of_training_is_the_same_step(kind, monkeypatch):
    def step(threads):
        torch.set_num_threads(threads)
        with seeded(): model = torch.nn.Sequential(
            getattr(nn, f"Adaptive{kind}Pool2d")((5, 40)), torch.nn.Flatten(), torch.nn.Linear(20 * 5 * 40, 3))
        x = numbers(2, torch.float32, "contiguous").requires_grad_()
        pooled = model[0](x)
        g = torch.linspace(-1, 1, pooled.numel()).reshape(pooled.shape)
        return [pooled.detach(), torch.autograd.grad(pooled, x, g)[0]]
    assert same(step(1), step(2)) and same(step(1), step(3))


@pytest.mark.parametrize("size", [7, (7, 7), (7, None)])
@pytest.mark.parametrize("kind", ["avg", "max"])
def test_small_calls_are_torchs_own(kind, size):
    name, x = f"adaptive_{kind}_pool2d", torch.zeros(1, 3, 12, 12, requires_grad=True)
    ours, theirs = (getattr(lib, name)(x, size).grad_fn.name() for lib in (F, torch.nn.functional))
    assert ours == theirs
    x = torch.zeros(8, 64, 40, 40, requires_grad=True)
    assert getattr(F, name)(x, size).grad_fn.name() != theirs
