"Means with gaps, weights and true area: the numbers of arrays, in every mode of torch."

import math
import random
import warnings

import numpy as np
import pytest
import torch
from quick import some

import adapool
from adapool import nn
from adapool.functional import adaptive_avg_pool2d, adaptive_mean


def options(rng, shape, k):
    "What is asked of a mean, for the arrays and for the tensors, whose weights are tensors."
    told, random = dict(edges=rng.choice(["whole", "area"]), skipna=rng.random() < 0.6), np.random.default_rng(
        rng.getrandbits(32))
    if told["skipna"] and rng.random() < 0.4: told["min_valid"] = rng.choice([0.3, 0.5, 1])
    def draw(*shape): return np.where(random.random(shape) < 0.1, 0, random.random(shape))
    kind, axes = rng.choice(["none", "axes", "each"]), range(-k, 0)
    if kind == "axes":
        by = {a + rng.choice([0, len(shape)]): draw(shape[a]) for a in axes if rng.random() < 0.7}
        return dict(told, weights=by), dict(told, weights={a: torch.tensor(w) for a, w in by.items()})
    if kind == "each":
        each = draw(*[n if rng.random() < 0.7 else 1 for n in shape])[(0,) * rng.choice([0, 1])]
        return dict(told, weights=each), dict(told, weights=torch.tensor(each))
    return told, told


@pytest.mark.parametrize("seed", range(60))
def test_the_numbers_of_arrays(seed):
    "Random shapes, sizes, types, gaps and options; sizes above those of the input, and such as divide."
    rng = random.Random(seed)
    shape = tuple(rng.choice([1, 2, 3, 5, 6, 7, 12, 13]) for _ in range(rng.choice([1, 2, 3, 4])))
    k = rng.randrange(1, len(shape) + 1)
    sizes = tuple(rng.choice([1, 2, 3, 4, 7, 14, None]) for _ in range(k))
    x = np.random.default_rng(seed).normal(size=shape)
    x[np.random.default_rng(seed).random(shape) < rng.choice([0, 0.3, 0.8])] = np.nan
    if rng.random() < 0.2: x.flat[-1] = np.inf
    mine, theirs = options(rng, shape, k)
    want = adapool.adaptive_pool(x, sizes, **mine)
    y = adaptive_mean(torch.tensor(x), sizes, **theirs)
    np.testing.assert_allclose(y.numpy(), want, rtol=1e-12, atol=1e-13, strict=True)
    single = adaptive_mean(torch.tensor(x).float(), sizes, **theirs)
    assert single.dtype is torch.float32
    np.testing.assert_allclose(single.double().numpy(), want, rtol=1e-4, atol=1e-5, strict=True)


@pytest.mark.parametrize("n, m", [(10, 7), (7, 10), (12, 4), (4, 12), (13, 5), (5, 5), (97, 96), (5, 1)])
def test_area_conserves(n, m):
    x = torch.rand(3, n, generator=torch.Generator().manual_seed(n), dtype=torch.float64)
    torch.testing.assert_close(adaptive_mean(x, m, edges="area").sum(-1) * n / m, x.sum(-1))
    torch.testing.assert_close(adaptive_mean(x.T, (m, 2), edges="area").sum() * n * 3 / (m * 2), x.sum())


HOLES = torch.tensor([[1, 2, math.nan, 4, 5, 6, math.nan], [math.nan] * 5 + [8, 9]], dtype=torch.float64)
ASKED = [dict(), dict(edges="area"), dict(skipna=True), dict(skipna=True, min_valid=0.6),
         dict(edges="area", skipna=True),
         dict(edges="area", skipna=True, weights={-1: [1, 2, 0, 0, 3, 1, 1]})]


@pytest.mark.parametrize("told", ASKED, ids=str)
@pytest.mark.parametrize("m", [3, 7, 9])
def test_gradients_of_both_orders_and_forward(told, m):
    "Of cells and of weights; of all cells where NaN is left out, of such as have no gap where it is not."
    x = (HOLES if told.get("skipna") else HOLES.nan_to_num(3)).clone().requires_grad_()
    def pool(x): return adaptive_mean(x, m, **told).nan_to_num(0)
    def seen(z): return pool(z if not told.get("skipna") else torch.where(HOLES.isnan(), math.nan, z))
    z = x.detach().nan_to_num(0.5).requires_grad_()
    assert torch.autograd.gradcheck(seen, z, check_forward_ad=True, check_batched_grad=True)
    assert torch.autograd.gradgradcheck(lambda z: seen(z).square(), z)
    w = torch.linspace(0.5, 2, 14, dtype=torch.float64).reshape(2, 7).requires_grad_()
    told = {**told, "weights": w}
    def weighed(w): return adaptive_mean(x.detach(), m, **{**told, "weights": w}).nan_to_num(0)
    assert torch.autograd.gradcheck(weighed, w, check_forward_ad=True)
    assert torch.autograd.gradgradcheck(weighed, w)
    by_axis = torch.linspace(0.5, 2, 7, dtype=torch.float64).requires_grad_()
    assert torch.autograd.gradcheck(lambda w: weighed({-1: w}), by_axis)


def test_no_gradient_of_what_does_not_count():
    "Neither a NaN through the branch that is not taken, nor one of a window without cells that count."
    for told in ASKED[2:5]:
        x, w = HOLES.clone().requires_grad_(), torch.ones(2, 7, dtype=torch.float64)
        w[0, :2] = 0
        y = adaptive_mean(x, 3, weights=w.requires_grad_(), **told)
        assert y.isnan().any()
        for g in torch.autograd.grad(y.sum(), [x, w], retain_graph=True):
            assert g.isfinite().all() and not g[HOLES.isnan()].any()
        again, = torch.autograd.grad(y.sum(), x, torch.tensor(math.nan, dtype=torch.float64))
        assert not again[1, :2].any() and not again[HOLES.isnan()].any()
    x = HOLES[1].clone().requires_grad_()
    y = adaptive_mean(x, 7, skipna=True)
    y.nansum().backward()
    assert y.isnan().tolist() == [True] * 5 + [False] * 2 and x.grad.tolist() == [0] * 5 + [1] * 2


@pytest.mark.parametrize("bad", [math.nan, math.inf])
def test_a_cell_without_a_value_stays_in_its_windows(bad):
    x = torch.ones(10)
    x[0] = bad
    for edges in ("whole", "area"):
        y = adaptive_mean(x, 7, edges=edges)
        assert not y[0].isfinite() and y[1:].tolist() == pytest.approx([1] * 6)
        x.requires_grad_()
        assert torch.autograd.grad(adaptive_mean(x, 7, edges=edges).sum(), x)[0].isfinite().all()
        x = x.detach()


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_types_are_computed_in_single_and_rounded_once(dtype):
    x = (torch.rand(3, 50, 23, generator=torch.Generator().manual_seed(0)) * 300 + 60000 * (dtype == torch.float16)
         ).to(dtype)
    x[0, :3] = math.nan
    for told in ASKED[1:5]:
        y, want = adaptive_mean(x, (7, 5), **told), adaptive_mean(x.double(), (7, 5), **told)
        assert y.dtype is dtype and y[1:].isfinite().all()
        torch.testing.assert_close(y.double(), want, rtol=0.51 * torch.finfo(dtype).eps, atol=0, equal_nan=True)


def test_a_share_that_is_just_met_is_enough():
    "Whatever quotients round to; compared in double, so that one a little above is not."
    for total in (7, 10, 39, 49):
        for k in range(1, total):
            x = torch.where(torch.arange(total) < k, 1.0, math.nan)
            assert adaptive_mean(x, 1, skipna=True, min_valid=k/total).item() == 1, (k, total)
            assert adaptive_mean(x, 1, skipna=True, min_valid=k/total + 1e-8).isnan(), (k, total)


def test_nothing_asked_is_the_average():
    x = torch.rand(2, 3, 2, 9, 8, generator=torch.Generator().manual_seed(0))
    assert torch.equal(adaptive_mean(x[0], (4, 5)), adaptive_avg_pool2d(x[0], (4, 5)))
    assert torch.equal(adaptive_mean(x, (4, 5)), adaptive_avg_pool2d(x.flatten(0, 2), (4, 5)).reshape(2, 3, 2, 4, 5))
    assert torch.equal(adaptive_mean(x[0, 0, 0], (4, None)), adaptive_avg_pool2d(x[0, 0, :1], (4, 8))[0])
    for sizes in (2, (1, 2, 1, 2), (2, 2, 1, 3, 3)):
        np.testing.assert_allclose(adaptive_mean(x, sizes), adapool.adaptive_pool(x.numpy(), sizes), rtol=1e-6)
    assert adaptive_mean(x[:0], (4, 5, 6)).shape == (0, 3, 4, 5, 6)
    assert adaptive_mean(x[:, :0], 3, edges="area", skipna=True).shape == (2, 0, 2, 9, 3)


def rows(x): return torch.linspace(1, 2, 9, dtype=x.dtype, device=x.device)


POOLS = {
    "area": lambda x: adaptive_mean(x, (4, 5), edges="area"),
    "gaps": lambda x: adaptive_mean(x, (4, 5), skipna=True, min_valid=0.5),
    "all": lambda x: adaptive_mean(x, (4, 5), edges="area", skipna=True, weights={-2: rows(x)}, min_valid=0.2),
    "each": lambda x: adaptive_mean(x, 3, edges="area", skipna=True, weights=rows(x)[:, None]),
    "plain": lambda x: adaptive_mean(x, (4, 5)),
}


def picture(**like):
    x = torch.rand(2, 3, 9, 8, generator=torch.Generator().manual_seed(0), **like)
    x[0, 0, :4, :3] = math.nan
    return x


@pytest.mark.parametrize("name", some(POOLS, ["all", "plain"]))
def test_every_mode_of_torch(name):
    "Captured, without numbers, for each sample, under autocast; the same numbers and gradients."
    pool, x = POOLS[name], picture()
    want = pool(x)
    def same(y): torch.testing.assert_close(y, want, equal_nan=True)
    class Model(torch.nn.Module):
        def forward(self, x): return pool(x)
    same(torch.vmap(pool)(x))
    same(torch.export.export(Model(), (x,)).module()(x))
    batch = torch.export.Dim("batch")
    same(torch.export.export(Model(), (x,), dynamic_shapes=({0: batch},)).module()(x))
    graph = torch.compile(pool, backend="aot_eager", fullgraph=True)
    same(graph(x))
    leaves = [x.clone().requires_grad_() for _ in range(2)]
    grads = [torch.autograd.grad(f(a).nansum(), a)[0] for f, a in zip((pool, graph), leaves)]
    torch.testing.assert_close(*grads, equal_nan=True)
    torch.testing.assert_close(torch.func.grad(lambda x: pool(x).nansum())(x), grads[0], equal_nan=True)
    assert pool(x.to("meta")).shape == want.shape and pool(x.to("meta")).is_meta
    with torch._subclasses.FakeTensorMode() as mode: assert pool(torch.empty(2, 3, 9, 8)).shape == want.shape, mode
    with torch.autocast("cpu", torch.bfloat16): same(pool(x))
    with torch.autocast("cpu", torch.bfloat16): assert pool(x.bfloat16()).dtype is torch.bfloat16
    same(pool(x.contiguous(memory_format=torch.channels_last)))
    same(pool(x.expand(4, 2, 3, 9, 8))[2])


def exported(name, x, path, **told):
    "The mean as a file, made from `x`: a function of arrays."
    ort = pytest.importorskip("onnxruntime")
    from adapool.export import to_onnx

    class Model(torch.nn.Module):
        def forward(self, x): return POOLS[name](x)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        to_onnx(Model(), (x,), path, progress=False, **told)
    return lambda x: ort.InferenceSession(path).run(None, {"x": x.numpy()})[0]


@pytest.mark.parametrize("name", some(["area", "gaps", "all", "each"], ["all"]))
def test_files_of_fixed_sizes(name, tmp_path):
    found = exported(name, picture(), tmp_path / "mean.onnx")(picture())
    np.testing.assert_allclose(found, POOLS[name](picture()), rtol=1e-5)


@pytest.mark.parametrize("name, shape", some(
    [("area", (9, 8)), ("gaps", (9, 8)), ("area", (8, 9)), ("gaps", (8, 15)), ("area", (4, 5))], [("area", (8, 9))]))
def test_files_of_open_sizes(name, shape, tmp_path):
    "Made from a size that the windows divide, that they keep, or neither: none is special in the file."
    open_axes = ({0: "batch", 2: "height", 3: "width"},)
    model = exported(name, torch.rand(2, 3, *shape), tmp_path / "mean.onnx", dynamic_shapes=open_axes)
    for height, width in (shape, (9, 8), (4, 5), (1, 13), (24, 25), (2, 64)):
        x = torch.rand(1, 3, height, width).masked_fill(torch.rand(1, 3, height, width) < 0.3, math.nan)
        np.testing.assert_allclose(model(x), POOLS[name](x), rtol=1e-5)


def test_the_layer():
    layer = nn.AdaptiveMean((4, None), edges="area", skipna=True, min_valid=0.5)
    want = adaptive_mean(picture(), (4, None), edges="area", skipna=True, min_valid=0.5)
    torch.testing.assert_close(layer(picture()), want, equal_nan=True)
    assert repr(layer) == "AdaptiveMean((4, None), edges='area', skipna=True, min_valid=0.5)"


WRONG = [
    (TypeError, "input", dict(input=[1.0, 2.0])), (NotImplementedError, "input", dict(input=torch.arange(4))),
    (NotImplementedError, "input", dict(input=torch.ones(3, 4).to_sparse())),
    (NotImplementedError, "input", dict(input=torch.ones(3, 4).to(torch.float8_e4m3fn))),
    (NotImplementedError, "input", dict(input=torch.nested.nested_tensor([torch.ones(4), torch.ones(3)]))),
    (RuntimeError, "output_size", dict(output_size=0)), (RuntimeError, "output_size", dict(output_size=-1)),
    (RuntimeError, "output_size", dict(output_size=())), (RuntimeError, "output_size", dict(output_size=(1, 2, 3))),
    (TypeError, "output_size", dict(output_size=2.5)), (TypeError, "output_size", dict(output_size="2")),
    (RuntimeError, "output_size", dict(output_size=2**62)), (RuntimeError, "input", dict(input=torch.ones(3, 0))),
    (ValueError, "edges", dict(edges="half")), (TypeError, "skipna", dict(skipna=1)),
    (ValueError, "min_valid", dict(min_valid=0.5)), (ValueError, "min_valid", dict(min_valid=2, skipna=True)),
    (ValueError, "weights", dict(weights=torch.ones(3))), (ValueError, "weights", dict(weights=torch.ones(1, 3, 4))),
    (ValueError, "weights", dict(weights=-torch.ones(4))), (ValueError, "weights", dict(weights=[1, 2, math.nan, 1])),
    (ValueError, "weights", dict(weights={0: torch.ones(3)})),
    (ValueError, "weights", dict(weights={1: torch.ones(3)})),
    (ValueError, "weights", dict(weights={-1: torch.ones(4), 1: torch.ones(4)})),
    (TypeError, "weights", dict(weights={"x": torch.ones(4)})), (TypeError, "weights", dict(weights="latitude")),
    (TypeError, "weights", dict(weights=torch.ones(4, dtype=torch.complex64))),
    (RuntimeError, "weights", dict(weights=torch.ones(4, device="meta"))),
]


@pytest.mark.parametrize("error, name, told", WRONG, ids=lambda v: f"{v!r:.40}")
def test_wrong_calls(error, name, told):
    with pytest.raises(error, match=name): adaptive_mean(**{"input": torch.ones(3, 4), "output_size": 2, **told})
