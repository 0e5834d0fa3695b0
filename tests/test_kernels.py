"The compiled kernels: right for every layout and type, with a compiler and without."

import itertools
import os
import subprocess
import sys
from types import SimpleNamespace

import numpy as np
import pytest
import torch
import torch.nn.functional as T
from conformance import nothing_left_to_torch
from quick import some

import adapool
import adapool.functional as F
from adapool import pooling
from adapool.kernels import compile as compiling
from adapool.kernels import jobs, plan, threads


@pytest.fixture(autouse=True)
def kernels_alone(monkeypatch):
    monkeypatch.setattr(pooling, "_SMALL", 0)
    with nothing_left_to_torch(): yield


def run(code, **environment):
    env = {**os.environ, **environment}
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=env)
    assert out.returncode == 0, out.stderr
    return out.stdout.strip()


@pytest.mark.parametrize("kind", ["avg", "max"])
@pytest.mark.parametrize("size", [(9, 30), (2, 2)])  # windows of few cells, and of many
def test_channels_of_several_blocks(kind, size):
    "Side by side they are pooled as one behind the other."
    x = torch.randn(1, plan.BLOCK + 3, 12, 40)
    pool = getattr(F, f"adaptive_{kind}_pool2d")
    torch.testing.assert_close(pool(x.contiguous(memory_format=torch.channels_last), size), pool(x, size))


# shape, output size: dividing, remainders 1 and m - 1, up, 1, prime, long windows, many planes and few, tiles
SIZES = [
    ((2, 9, 14, 14), (7, 7)), ((3, 5, 13, 13), (6, 6)), ((2, 8, 7, 7), (1, 1)), ((2, 8, 7, 7), (2, 2)),
    ((1, 3, 8, 9), (5, 7)), ((1, 16, 100, 70), (2, 1)), ((2, 4, 5, 4), (7, 9)), ((1, 1, 5, 5), (3, 3)),
    ((2, 17, 3, 129), (2, 100)), ((1, 2, 300, 300), (3, 7)), ((1, 9, 40, 40), (40, 1)), ((1, 9, 40, 40), (1, 40)),
    ((1, 3, 1, 1), (4, 4)), ((1, 2, 2100, 3), (5, 2)), ((1, 9, 3, 2100), (2, 1500)), ((2, 3, 200, 300), (1, 1)),
    ((2, 3, 200, 300), (3, 2)), ((1, 12, 200, 130), (1, 2)), ((1, 10, 600, 40), (2, 3)), ((2, 3, 9, 66), (4, 33)),
    ((1, 2, 70, 256), (7, 16)), ((1, 3, 8, 144), (8, 18)), ((1, 2, 3, 80), (5, 20)), ((0, 3, 4, 4), (2, 2)),
    ((2, 3, 12, 400), (5, 3)), ((1, 9, 40, 300), (2, 3)), ((2, 5, 2, 3), (7, 11)),
]


def layouts(x):
    yield x
    yield x.contiguous(memory_format=torch.channels_last)
    yield x.transpose(2, 3).contiguous().transpose(2, 3)
    yield torch.cat([x, x], -1)[..., :x.shape[-1]]
    yield torch.cat([x, x], 1)[:, :x.shape[1]]
    yield x[:, :1].expand(x.shape)


def values(shape, dtype, seed):
    "Numbers of which some are equal, some not finite."
    g = torch.Generator().manual_seed(seed)
    x = torch.randn(shape, generator=g, dtype=torch.float64).to(dtype)
    special = torch.tensor([0, 0, 1, 1, float("nan"), float("inf"), -float("inf")], dtype=dtype)
    picked = special[torch.randint(7, shape, generator=g)]
    return torch.where(torch.rand(shape, generator=g) < 0.05, picked, x)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.float16, torch.bfloat16])
def test_every_layout_gives_what_torch_gives(dtype):
    for seed, (shape, size) in enumerate(SIZES if dtype in (torch.float32, torch.bfloat16) else SIZES[::3]):
        for x in layouts(values(shape, dtype, seed)):
            y = F.adaptive_avg_pool2d(x, size)
            torch.testing.assert_close(y, T.adaptive_avg_pool2d(x.double(), size).to(dtype), equal_nan=True)
            assert y.stride() == T.adaptive_avg_pool2d(x, size).stride()
            best, places = F.adaptive_max_pool2d(x, size, return_indices=True)
            theirs = T.adaptive_max_pool2d(x, size, return_indices=True)
            assert torch.equal(places, theirs[1])
            torch.testing.assert_close(best, theirs[0], rtol=0, atol=0, equal_nan=True)
            torch.testing.assert_close(F.adaptive_max_pool2d(x, size), best, rtol=0, atol=0, equal_nan=True)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("name", ["adaptive_avg_pool2d", "adaptive_max_pool2d"])
def test_gradients_in_every_layout(name, dtype):
    for seed, (shape, size) in enumerate(SIZES):
        for x in layouts(torch.randn(shape, generator=torch.Generator().manual_seed(seed)).to(dtype)):
            ours, theirs = x.detach().clone().requires_grad_(), x.detach().double().requires_grad_()
            out = getattr(F, name)(ours, size)
            g = torch.randn(out.shape, generator=torch.Generator().manual_seed(seed)).to(dtype)
            mine, = torch.autograd.grad(out, ours, g)
            want, = torch.autograd.grad(getattr(T, name)(theirs, size), theirs, g.double())
            tolerance = {} if dtype == torch.float32 or "avg" in name else {"rtol": 0.05, "atol": 0.05}
            torch.testing.assert_close(mine, want.to(dtype), **tolerance)
            if x.numel() and theirs.stride() == ours.stride(): assert mine.stride() == want.stride()


@pytest.mark.parametrize("d, shape, size", [
    (1, (3, 70, 499), 50), (3, (2, 9, 7, 9, 8), (3, 4, 5)),
    (3, (1, 3, 4, 30, 40), (6, 1, 1)), (3, (9, 5, 6, 7), (5, 9, 2))])
def test_one_and_three_dimensions(d, shape, size):
    x = torch.randn(shape, generator=torch.Generator().manual_seed(d))
    for name in (f"adaptive_avg_pool{d}d", f"adaptive_max_pool{d}d"):
        ours, theirs = x.clone().requires_grad_(), x.clone().requires_grad_()
        a, b = getattr(F, name)(ours, size), getattr(T, name)(theirs, size)
        torch.testing.assert_close(a, b)
        g = torch.randn(a.shape, generator=torch.Generator().manual_seed(1))
        a.backward(g)
        b.backward(g)
        torch.testing.assert_close(ours.grad, theirs.grad)


@pytest.mark.parametrize("dtype", ["?", "u1", "u8", "i8", "f2"])
@pytest.mark.parametrize("reduction", ["mean", "sum", "max", "min"])
def test_arrays(dtype, reduction, monkeypatch):
    rng = np.random.default_rng(0)
    low, high = {"?": (0, 2), "u8": (2**63 - 50, 2**63 + 50)}.get(dtype, (0, 100))
    cases = ((3, 9, 20, 30), (7, 4), (2, 3)), ((30, 41, 9), (4, 50), (0, 1)), ((6, 50, 7, 2), (3, 5), (0, 2))
    for shape, size, axes in cases:
        x = rng.integers(low, high, shape, "u8").astype(dtype)
        other = x.astype(x.dtype.newbyteorder())
        for v in (x, np.asfortranarray(x), x[..., ::-1], other, np.repeat(x, 2, -1)[..., ::2]):
            monkeypatch.setattr(pooling, "_SMALL", 0)
            fast = adapool.adaptive_pool(v, size, reduction, axes)
            monkeypatch.setattr(pooling, "_SMALL", 2**60)
            plain = adapool.adaptive_pool(v, size, reduction, axes)
            np.testing.assert_allclose(fast, plain, rtol=1e-3 if dtype == "f2" else 1e-12, strict=True)
            assert fast.flags.c_contiguous


def test_places_in_arrays(monkeypatch):
    x = np.random.default_rng(0).integers(0, 9, (3, 9, 20, 30)).astype("i4")
    for axes in ((2, 3), (3, 1), (0, 1)):
        found = []
        for small in (0, 2**60):
            monkeypatch.setattr(pooling, "_SMALL", small)
            found.append(adapool.adaptive_max_pool(x, (5, 4), True, axes))
        for a, b in zip(*found): np.testing.assert_array_equal(a, b, strict=True)


def test_read_only_and_unaligned_arrays():
    x = np.random.default_rng(0).random((40, 50)).astype("f4")
    want = adapool.adaptive_pool(x, (7, 9))
    odd = np.frombuffer(b"\0" + x.tobytes(), np.uint8)[1:].view("f4").reshape(40, 50)
    assert not odd.flags.aligned and not odd.flags.writeable
    np.testing.assert_array_equal(adapool.adaptive_pool(odd, (7, 9)), want, strict=True)


def test_no_more_threads_in_teams_than_processors():
    teams = threads._Teams()
    teams.most = 4
    assert [teams.enter(call, 2) for call in "abc"] == [True, True, False]
    del teams.calls["a"]
    assert teams.enter("d", 2) and not teams.enter("e", 1)
    teams.calls.clear()
    assert teams.enter("f", 64)  # alone, as many as the caller asked for


def test_without_the_threads_of_torch(monkeypatch, tmp_path):
    "A torch that links no OpenMP, or another one, or lies in no library at all."
    library = tmp_path / "library"
    library.write_bytes(b"text")
    for torch_like in (SimpleNamespace(), SimpleNamespace(_C=SimpleNamespace(__file__=str(library)))):
        with monkeypatch.context() as patch:
            patch.setitem(sys.modules, "torch", torch_like)
            assert threads.openmp.__wrapped__(True) is None


def test_with_and_without_a_gradient_in_turns():
    x = torch.randn(4, 9, 40, 41, generator=torch.Generator().manual_seed(0))
    leaf = x.clone().requires_grad_()
    for name, _ in itertools.product(("adaptive_avg_pool2d", "adaptive_max_pool2d"), range(2)):
        plain, recorded = (getattr(F, name)(v, (7, 5)) for v in (x, leaf))
        with torch.no_grad(): silent = getattr(F, name)(leaf, (7, 5))
        assert [y.requires_grad for y in (plain, recorded, silent)] == [False, True, False]
        for y in (recorded, silent): torch.testing.assert_close(y, plain, rtol=0, atol=0)


@pytest.mark.parametrize("without", [
    "import os; os.environ['NUMBA_DISABLE_JIT'] = '1'",
    "import sys; sys.modules['llvmlite'] = sys.modules['numba'] = None"])
def test_without_a_compiler(without):
    code = f"""
{without}
import numpy as np, torch, adapool, adapool.functional as F, torch.nn.functional as T
from adapool.kernels.compile import _loaded
x = torch.randn(8, 9, 40, 50, generator=torch.Generator().manual_seed(0))
torch.testing.assert_close(F.adaptive_avg_pool2d(x, (7, 9)), T.adaptive_avg_pool2d(x, (7, 9)))
theirs = T.adaptive_max_pool2d(x, (7, 9), True)
for a, b in zip(F.adaptive_max_pool2d(x, (7, 9), True), theirs): assert torch.equal(a, b)
np.testing.assert_allclose(adapool.adaptive_pool(x.numpy(), (7, 9), "max"), theirs[0])
print(set(_loaded.values()))"""
    assert run(code) == "{None}"


@pytest.mark.parametrize("shape, size", [((1, 4, 10**6), 1), ((1, 4, 10**6), 2), ((2, 500, 2000), 1),
                                         ((1, 8, 1000, 1000), 1), ((1, 9, 10**6, 3), (1, 3))])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float16, torch.bfloat16])
def test_windows_of_a_million_cells_are_as_accurate_as_torch(shape, size, dtype):
    x = torch.rand(shape, generator=torch.Generator().manual_seed(0)).to(dtype)
    ours, theirs = (getattr(lib, f"adaptive_avg_pool{len(shape) - 2}d") for lib in (F, T))
    exact = theirs(x.double(), size)
    for laid in [x] if len(shape) == 3 else [x, x.contiguous(memory_format=torch.channels_last)]:
        off, torch_off = ((pool(laid, size).double() - exact).abs().max() for pool in (ours, theirs))
        assert off <= max(torch_off, torch.finfo(dtype).eps / 2)


def test_large_results_are_ordinary_tensors():
    "Their memory is torch's own, and may be given back or grow."
    x = torch.ones(1, 64, 150, 150, requires_grad=True)
    y = F.adaptive_avg_pool2d(x, 140)
    y.sum().backward()
    best, places = F.adaptive_max_pool2d(x.detach(), 140, True)
    for large in (y.detach(), x.grad, best, places):
        assert large.nbytes >= 2**22 and large.untyped_storage().resizable()


NOT_EVERYWHERE = "mmap.MADV_HUGEPAGE", "os.sched_getaffinity", "os.register_at_fork"


@pytest.mark.parametrize("gone", some([", ".join(NOT_EVERYWHERE), *NOT_EVERYWHERE], 1))
def test_a_python_built_without(gone):
    "What some systems, or the headers that a Python was built with, do not have."
    code = f"""import mmap, os, numpy as np, torch
del {gone}
import adapool, adapool.functional as F
x = torch.arange(49.0).expand(64, 256, 49).reshape(64, 256, 7, 7)
up, places = F.adaptive_avg_pool2d(x, 14), F.adaptive_max_pool2d(x, 14, True)[1]
print(up.nbytes >= 2**22 and torch.equal(up[..., ::2, ::2], x) and torch.equal(places[..., ::2, ::2], x.long()),
      (adapool.adaptive_pool(x.numpy(), (14, 14)) == up.numpy()).all())"""
    assert run(code) == "True True"


def test_no_more_helpers_than_threads():
    code = """import numpy as np, adapool
from adapool.kernels import threads
for _ in range(3): adapool.adaptive_pool(np.ones((8, 1024, 1024), 'f4'), (7, 7))
print(len(threads._helpers))"""
    for many in (1, 3): assert run(code, OMP_NUM_THREADS=str(many)) == str(many - 1)


def test_new_shapes_do_not_pile_up():
    for n in range(20, 700): adapool.adaptive_pool(np.ones((9, n), "f4"), 7)
    assert jobs.job.cache_info().currsize <= jobs.job.cache_info().maxsize
    assert len(compiling._loaded) < 200


@pytest.mark.parametrize("kind, d", list(itertools.product(("avg", "max"), (1, 2, 3))))
def test_an_output_size_of_nothing(kind, d):
    "As torch's, whose gradient is an error; for inputs of any size and format."
    name = f"adaptive_{kind}_pool{d}d"
    for n, size in itertools.product((4, 64), {(0,) * d, (0, 5, 5)[:d], (5, 5, 0)[-d:]}):
        x = torch.ones(2, n, *[20] * d, requires_grad=True)
        for laid in (x, x.movedim(1, -1).contiguous().movedim(-1, 1), x[0]):
            mine, theirs = (torch.utils._pytree.tree_leaves(getattr(lib, name)(laid, size)) for lib in (F, T))
            described = [[(y.shape, y.stride(), y.dtype) for y in found] for found in (mine, theirs)]
            assert described[0] == described[1]
            with pytest.raises(RuntimeError, match="Expected grad_output to have non-zero"): mine[0].sum().backward()
        with torch.no_grad(): assert getattr(F, name)(x, size).shape == (2, n, *size)


def test_an_empty_batch():
    for kind, n in itertools.product(("avg", "max"), (1, 9)):
        assert getattr(F, f"adaptive_{kind}_pool2d")(torch.ones(0, n, 40, 40), 5).shape == (0, n, 5, 5)


@pytest.mark.parametrize("name", ["adaptive_avg_pool2d", "adaptive_max_pool2d"])
def test_a_default_device_elsewhere_does_not_move_the_result(name):
    x = torch.rand(4, 64, 40, 40, generator=torch.Generator().manual_seed(0)).requires_grad_()
    g = torch.ones(4, 64, 7, 7)
    with torch.device("meta"):
        y = getattr(F, name)(x, 7)
        gradient, = torch.autograd.grad(y, x, g)
        plain = getattr(F, name)(x.detach(), 7)
    assert y.device == plain.device == gradient.device == torch.device("cpu")
    torch.testing.assert_close(plain, getattr(T, name)(x.detach(), 7))


def test_more_than_two_to_the_31_cells():
    x = np.zeros((2**16 + 1, 2**15), np.uint8)  # never written to, it takes no memory
    x[-1, -1] = 9
    best, place = adapool.adaptive_max_pool(x, (1, 2), return_indices=True)
    assert best.tolist() == [[0, 9]] and place.tolist() == [[0, x.size - 1]]
    row = torch.arange(40_000.0)
    wide = row.expand(1, 60_000, 40_000)
    means = T.adaptive_avg_pool1d(row[None].double(), 3).float()
    torch.testing.assert_close(F.adaptive_avg_pool2d(wide, (2, 3)), means.expand(2, 3)[None])
    place = F.adaptive_max_pool2d(wide, (2, 1), return_indices=True)[1]
    assert place.tolist() == [[[39_999], [30_000 * 40_000 + 39_999]]]
