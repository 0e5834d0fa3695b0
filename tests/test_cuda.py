"""Tensors on a GPU of NVIDIA's: the same results as torch's, gradients in the same bits each time, every way to call.

    pytest tests/test_cuda.py -n 0      skipped where torch sees no such GPU
"""

import pytest
import torch
import torch.nn.functional as T
from conformance import DTYPES, KINDS, LAYOUTS, OPERATIONS, SLOW, WORKS, Case, agree, gradient, outcome, sample

import adapool.functional as F
from adapool import nn

if not torch.cuda.is_available(): pytest.skip("needs a GPU that torch can use by CUDA", allow_module_level=True)

# what is of the CPU's memory or of another device, or is asked for by the tests below
ELSEWHERE = ("autocast", "meta", "copied when written", "saved elsewhere", "a tensor of two",
             "a tensor that holds another")
AS_TORCH = [("gradient asked for twice", kind) for kind in ("max", "max with indices")]  # on the CPU, too
ROWS = [(operation, kind, d) for operation in OPERATIONS if operation not in ELSEWHERE
        for kind in KINDS for d in (1, 2, 3)]


@pytest.mark.parametrize("operation, kind, d", ROWS)
def test_as_torch_on_the_gpu(operation, kind, d):
    found = {}
    for dtype, layout in (("float32", "contiguous"), ("float16", "channels_last"), ("float64", "sliced")):
        x = sample(d, DTYPES[dtype], layout).cuda()
        do = OPERATIONS[operation], OPERATIONS["forward" if operation in SLOW else operation]
        # in rows: of a padded average with channels innermost torch's own gradient is wrong (pytorch #188344)
        mine = outcome(do[0], Case(True, kind, d), x)
        theirs = outcome(do[1], Case(False, kind, d), x.contiguous())
        # what torch raises an error for, having kept more than it needs: so does what is left to its operator
        raises = operation in WORKS and (kind.startswith("ordinary") or (operation, kind) in AS_TORCH)
        if operation in WORKS and not (raises and isinstance(mine, type)):
            theirs = outcome(WORKS[operation], Case(False, kind, d), x.contiguous())
        if not isinstance(mine, type): mine, theirs = ([v.contiguous() for v in y] for y in (mine, theirs))
        if (isinstance(mine, type) and not raises) or not agree(operation, kind, DTYPES[dtype], mine, theirs):
            found[dtype, layout] = mine, theirs
    assert found == {}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("d", (1, 2, 3))
@pytest.mark.parametrize("layout", LAYOUTS)
def test_the_gpu_gives_what_the_cpu_gives(kind, d, layout):
    x, case = sample(d, torch.float64, layout), Case(True, kind, d)
    for do in (lambda pool, x: pool(x), gradient):
        here, there = (outcome(do, case, x.to(device)) for device in ("cpu", "cuda"))
        here, there = ([v.cpu().contiguous() for v in y] for y in (here, there))
        assert agree("backward", kind, torch.float64, here, there)


MORE = {
    "pyramid avg": lambda x: F.pyramid_avg_pool2d(x, (1, 2, 3, 6)),
    "pyramid max": lambda x: F.pyramid_max_pool2d(x, (1, 3, 4)),
    "pyramid flat": lambda x: F.pyramid_avg_pool2d(x, (1, 2, 5), flatten=True),
    "concat": lambda x: F.adaptive_concat_pool2d(x, (2, 3)), "lp": lambda x: F.lp_pool2d(x, 2, 3, 2),
    "gem": lambda x: F.gem_pool(x, (3, 2), p=2.5), "soft": lambda x: F.soft_pool(x, kernel_size=3, stride=2),
    "mean": lambda x: F.adaptive_mean(x, (4, 5), edges="area", skipna=True, weights={-1: range(1, 12)}, min_valid=0.5),
    "unpool": lambda x: F.adaptive_max_unpool2d(*F.adaptive_max_pool2d(x, (4, 3), return_indices=True), x.shape[-2:]),
    "max_unpool": lambda x: F.max_unpool2d(*F.max_pool2d(x, 2, return_indices=True), 2, output_size=x.shape[-2:])}


@pytest.mark.parametrize("dtype", (torch.float64, torch.float16))
@pytest.mark.parametrize("name", MORE)
def test_other_pools_give_what_they_give_on_the_cpu(name, dtype):
    "Values and gradients; in half precision to its last place."
    found, x = [], torch.randn(3, 5, 13, 11, generator=torch.Generator().manual_seed(2), dtype=torch.float64).to(dtype)
    for device in ("cpu", "cuda"):
        leaf = x.to(device, copy=True).requires_grad_()
        y = MORE[name](leaf)
        ys = y if isinstance(y, (list, tuple)) else [y]
        g, = torch.autograd.grad(sum((v * v).sum() for v in ys), leaf)
        found.append([v.detach().cpu().contiguous() for v in (*ys, g)])
    torch.testing.assert_close(*found, **{} if dtype is torch.float64 else dict(rtol=4e-3, atol=4e-3))


@pytest.mark.parametrize("kind", ("avg", "max"))
@pytest.mark.parametrize("d, shape, size", [
    (1, (8, 64, 5000), 777), (2, (8, 64, 113, 97), (31, 40)), (3, (2, 16, 30, 41, 37), (7, 9, 20))])
def test_gradients_have_the_same_bits_each_time(kind, d, shape, size):
    x = torch.randn(shape, device="cuda", requires_grad=True)
    pool = getattr(F, f"adaptive_{kind}_pool{d}d")
    g = torch.randn_like(pool(x, size))
    torch.use_deterministic_algorithms(True)
    try: grads = [torch.autograd.grad(pool(x, size), x, g)[0] for _ in range(20)]
    finally: torch.use_deterministic_algorithms(False)
    assert all(torch.equal(grads[0], other) for other in grads[1:])
    theirs = torch.autograd.grad(getattr(T, f"adaptive_{kind}_pool{d}d")(x.double(), size), x, g.double())[0]
    torch.testing.assert_close(grads[0], theirs, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("dtype", (torch.float16, torch.bfloat16))
def test_autocast(dtype):
    x = torch.randn(2, 8, 13, 17, device="cuda")
    conv = torch.nn.Conv2d(8, 4, 3).cuda()
    with torch.autocast("cuda", dtype):
        ours, theirs = (pool(conv(x), 5) for pool in (F.adaptive_avg_pool2d, T.adaptive_avg_pool2d))
    assert ours.dtype is theirs.dtype
    torch.testing.assert_close(ours, theirs, rtol=2e-2, atol=2e-2)


@pytest.mark.parametrize("dynamic", (False, True))
@pytest.mark.parametrize("kind", ("avg", "max"))
def test_compiled_by_inductor_with_its_gradient(kind, dynamic):
    pool = getattr(F, f"adaptive_{kind}_pool2d")
    torch._dynamo.reset()
    fast = torch.compile(lambda x: pool(x.sin(), (7, 5)).cos(), dynamic=dynamic)
    for shape in ((2, 9, 30, 41), (2, 9, 29, 16)):
        x = torch.randn(shape, device="cuda", requires_grad=True)
        ours, theirs = fast(x), getattr(T, f"adaptive_{kind}_pool2d")(x.sin(), (7, 5)).cos()
        torch.testing.assert_close(ours, theirs)
        torch.testing.assert_close(*(torch.autograd.grad(y.sum(), x)[0] for y in (ours, theirs)))


def test_a_model_on_the_gpu_is_converted_and_enabled():
    pools = torch.nn.AdaptiveMaxPool2d(9), torch.nn.AdaptiveAvgPool2d((4, 3))
    model = torch.nn.Sequential(torch.nn.Conv2d(3, 8, 3), *pools, torch.nn.Flatten(), torch.nn.Linear(96, 5)).cuda()
    x = torch.randn(4, 3, 33, 47, device="cuda")
    before = model(x)
    with F.enable(): enabled = model(x)
    torch.testing.assert_close(enabled, before)
    torch.testing.assert_close(nn.convert(model)(x), before)


def test_wrong_calls_are_torchs_on_the_gpu_too():
    x = torch.randn(2, 3, 8, 8, device="cuda")
    for size in (-1, (2, 3, 4), "7", 2.5, (None,)):
        ours, theirs = (outcome(pool, x, size) for pool in (F.adaptive_avg_pool2d, T.adaptive_avg_pool2d))
        assert isinstance(theirs, type) and issubclass(ours, (RuntimeError, TypeError, ValueError))
