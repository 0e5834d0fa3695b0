"""Every n and m up to 24 in ONNX Runtime, and layers drawn at random.

`ADAPOOL_LAYERS=100 make test-all PYTEST_ARGS="-k random_layer"` draws a hundred instead of sixteen.
"""

import os
import random

import onnxruntime
import pytest
import torch
import torch.nn.functional as T
from quick import slow, some

from adapool.export import to_onnx


class Every(torch.nn.Module):
    "One axis to 1 ... 24 cells, or to every so many of these, every way."
    def __init__(self, indices, step):
        super().__init__()
        self.indices, self.sizes = indices, range(1, 25, step)

    def forward(self, x):
        averages = [T.adaptive_avg_pool1d(x, m) for m in self.sizes]
        return averages + [T.adaptive_max_pool1d(x, m, self.indices) for m in self.sizes]


def flat(outputs): return [t for y in outputs for t in (y if isinstance(y, tuple) else (y,))]


def check(file, model, x):
    session = onnxruntime.InferenceSession(file, providers=["CPUExecutionProvider"])
    wanted, got = flat(model(x)), session.run(None, {session.get_inputs()[0].name: x.numpy()})
    for i, (a, b) in enumerate(zip(wanted, map(torch.from_numpy, got), strict=True)):
        exact = dict(rtol=0, atol=0) if i >= len(model.sizes) else {}
        torch.testing.assert_close(b, a, **exact)


def whole_numbers(n): return torch.randint(0, 5, (2, 3, n), generator=torch.Generator().manual_seed(n)).float()


@pytest.mark.parametrize("n, step", [(10, 5), (21, 5), *(slow((n, 1)) for n in range(1, 25))])
def test_every_pair_of_fixed_sizes(n, step, tmp_path):
    "Small whole numbers: ties abound; averages are thirds and the like. Indices for every third n."
    model = Every(n % 3 == 1, step)
    to_onnx(model, whole_numbers(n), tmp_path / "a.onnx", progress=False)
    check(tmp_path / "a.onnx", model, whole_numbers(n))


@pytest.mark.parametrize("step", some([8, 1], 1))
def test_every_pair_of_open_sizes(step, tmp_path):
    model = Every(True, step)
    to_onnx(model, whole_numbers(10), tmp_path / "a.onnx", dynamic_shapes=({2: "n"},), progress=False)
    for n in range(1, 65): check(tmp_path / "a.onnx", model, whole_numbers(n))


def random_layer(seed):
    "A layer, the shape of its input, its type, and which axes are open."
    r = random.Random(seed)
    d, kind = r.randint(1, 3), r.choice(["Avg", "Max"])
    top = r.choice([8, 24, 40]) if d < 3 else 14
    sizes = [r.randint(1, top) for _ in range(d)]
    wanted = [min(r.choice([1, 2, 3, 6, 7, r.randint(1, 30)]), top) for _ in range(d)]
    if d > 1: wanted = [m if r.random() < 0.85 else None for m in wanted]
    indices = (r.random() < 0.4,) if kind == "Max" else ()
    layer = getattr(torch.nn, f"Adaptive{kind}Pool{d}d")(tuple(wanted) if d > 1 else wanted[0], *indices)
    lead = [r.randint(1, 4)] if r.random() < 0.15 else [r.randint(1, 3), r.randint(1, 4)]
    open_axes = [a for a in range(len(lead) + d) if a >= len(lead) or r.random() < 0.5]
    return layer, [*lead, *sizes], r.choice([torch.float32] * 4 + [torch.float64, torch.float16]), open_axes


@pytest.mark.parametrize("seed", some(range(int(os.environ.get("ADAPOOL_LAYERS", 16))), [15]))
def test_random_layer(seed, tmp_path):
    "`to_onnx` itself compares, at the example and at ten other sizes, and raises."
    layer, shape, dtype, open_axes = random_layer(seed)
    x = torch.randn(shape, generator=torch.Generator().manual_seed(seed)).to(dtype)
    fixed = to_onnx(layer, x, tmp_path / "a.onnx", progress=False)
    names = ({a: f"axis{a}" for a in open_axes},)
    dynamic = to_onnx(layer, x, tmp_path / "a.onnx", dynamic_shapes=names, progress=False)
    assert len(fixed.sizes) == 1 and len(dynamic.sizes) == 11 and not dynamic.refused
    assert max(fixed.error, dynamic.error) < {torch.float16: 2e-3, torch.float32: 1e-5, torch.float64: 1e-12}[dtype]
