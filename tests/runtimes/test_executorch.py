"ExecuTorch: every layer at fixed and at open sizes, by its own kernels and with parts handed to XNNPACK."

import pytest
import torch
import torch.nn.functional as T
from layers import EXAMPLE, FIXED, OPEN, SIZES, Of, OfOne, Together, numbers
from torch import nn
from torch.export import Dim

from adapool.export import program

pytest.importorskip("executorch.exir", reason="ExecuTorch is not installed")
from executorch.backends.xnnpack.partition.xnnpack_partitioner import XnnpackPartitioner
from executorch.exir import to_edge_transform_and_lower
from executorch.runtime import Runtime

WAYS = {"kernels": ("executorch", []), "parts": ("executorch", [XnnpackPartitioner()]),
        "xnnpack": ("xnnpack", [XnnpackPartitioner()]), "default": (None, [XnnpackPartitioner()])}
ways = pytest.mark.parametrize("target, partitioner", WAYS.values(), ids=WAYS)


def open_to(most, *axes, of=""):
    "Sizes open up to a bound, for which ExecuTorch plans its memory."
    return {axis: Dim(f"size{axis}{of}", min=1, max=most) for axis in axes}


def converted(found, partitioner=()):
    return to_edge_transform_and_lower(found, partitioner=list(partitioner)).to_executorch()


def runner(lowered):
    "What runs a lowered program; the program stays as long as its method."
    loaded = Runtime.get().load_program(lowered.buffer)
    method = loaded.load_method("forward")
    def run(*inputs, loaded=loaded): return [y.clone() for y in method.execute(inputs)]
    return run


def called(lowered):
    "The operators of a lowered program that are no bookkeeping, by name."
    names = [str(node.target) for node in lowered.exported_program().graph.nodes if node.op == "call_function"]
    return [name for name in names if not any(word in name for word in ("alloc", "getitem", "function view"))]


def same(model, run, *inputs):
    "Whether every output is that of the model; an error names the first layer that differs, where there are several."
    wanted, got = model(*inputs), run(*inputs)
    for i, (a, b) in enumerate(zip([wanted] if isinstance(wanted, torch.Tensor) else wanted, got, strict=True)):
        exact = not a.is_floating_point()
        torch.testing.assert_close(b, a, equal_nan=True, **({"rtol": 0, "atol": 0} if exact else {}),
                                   msg=lambda said, i=i: f"output {i} of {model}: {said}")


@ways
def test_fixed_sizes(target, partitioner):
    model, inputs = Together([layer for layer, _ in FIXED.values()]), [numbers(*shape) for _, shape in FIXED.values()]
    run = runner(converted(program(model, tuple(inputs), target=target), partitioner))
    same(model, run, *map(torch.randn_like, inputs))


@ways
def test_open_sizes(target, partitioner):
    model = OfOne(OPEN.values())
    run = runner(converted(program(model, numbers(*EXAMPLE), (open_to(64, 2, 3),), target=target), partitioner))
    for size in SIZES: same(model, run, numbers(*EXAMPLE[:2], *size))


PYRAMID = Of(lambda x: torch.cat([T.adaptive_avg_pool2d(x, n).flatten(1) for n in (1, 2, 3, 6)], 1))
OTHERS = [
    (nn.AdaptiveAvgPool2d(7), (3, 20, 17), (), torch.float32),
    (nn.AdaptiveAvgPool2d(7), (1, 3, 20, 14), (), torch.float16),
    (nn.AdaptiveMaxPool2d((4, 6), return_indices=True), (1, 3, 20, 17), (), torch.float16),
    (nn.AdaptiveAvgPool3d(4), (1, 2, 10, 14, 10), (), torch.float32),
    (nn.AdaptiveMaxPool3d(4, return_indices=True), (1, 2, 10, 14, 10), (), torch.float32),
    (nn.AdaptiveMaxPool1d(1), (2, 3, 17), (2,), torch.float32),
    (nn.AdaptiveMaxPool1d(5, return_indices=True), (2, 3, 17), (0, 2), torch.float32),
    (nn.AdaptiveAvgPool3d((3, 2, 4)), (1, 2, 7, 5, 9), (2, 3, 4), torch.float32),
    (nn.AdaptiveMaxPool2d(7, return_indices=True), (3, 20, 17), (1, 2), torch.float32),
    (PYRAMID, (2, 3, 20, 10), (0, 2, 3), torch.float32),
]


@ways
def test_other_layers(target, partitioner):
    "Some of fixed size, some of open sizes, as one model."
    layers, shapes, axes, types = zip(*OTHERS)
    def inputs(n=None):
        return [numbers(*(n if n and axis in open else size for axis, size in enumerate(shape))).to(dtype)
                for shape, open, dtype in zip(shapes, axes, types)]
    sizes = tuple(open_to(32, *open, of=f"of{i}") or None for i, open in enumerate(axes))
    model = Together(layers)
    run = runner(converted(program(model, tuple(inputs()), (sizes,), target=target), partitioner))
    for n in (None, 1, 3, 31): same(model, run, *inputs(n))


@ways
def test_inf_and_nan_stay_where_they_are_read(target, partitioner):
    "Averages apart that the default makes one pool: XNNPACK's takes no NaN."
    layers = [nn.AdaptiveMaxPool2d(7, return_indices=True), nn.AdaptiveAvgPool2d((7, 9))]
    model, x = OfOne(layers if target else layers[:1]), numbers(1, 3, 20, 15)
    x[0, 0, 3, 3], x[0, 1, 7, 0], x[0, 2, 19, 14] = torch.inf, torch.nan, -torch.inf
    same(model, runner(converted(program(model, numbers(1, 3, 20, 15), finite=False, target=target), partitioner)), x)


@ways
@pytest.mark.parametrize("sizes", [None, (open_to(64, 2, 3),)], ids=["fixed", "open"])
def test_channels_last(target, partitioner, sizes):
    model = OfOne([nn.AdaptiveMaxPool2d((4, 6)), nn.AdaptiveMaxPool2d(7, return_indices=True), nn.AdaptiveAvgPool2d(9)])
    x = numbers(2, 3, 15, 13).contiguous(memory_format=torch.channels_last)
    same(model, runner(converted(program(model, x, sizes, target=target), partitioner)), x)


class Network(nn.Module):
    def __init__(self, pool, cells):
        super().__init__()
        self.features = nn.Sequential(nn.Conv2d(3, 8, 3, 2), nn.BatchNorm2d(8), nn.ReLU(), nn.Conv2d(8, 8, 3))
        self.pool, self.head = pool, nn.Linear(8 * cells, 5)

    def forward(self, x): return self.head(self.pool(self.features(x)).flatten(1))


@ways
def test_a_network(target, partitioner):
    model = Network(nn.AdaptiveMaxPool2d((4, 5)), 20).eval().requires_grad_(False)
    run = runner(converted(program(model, numbers(1, 3, 33, 33), target=target), partitioner))
    same(model, run, numbers(1, 3, 33, 33))


def test_a_network_is_one_part_in_place_of_two():
    model, x = Network(nn.AdaptiveAvgPool2d(7), 49).eval().requires_grad_(False), numbers(1, 3, 33, 33)
    def parts(found): return sum("delegate" in name for name in called(converted(found, [XnnpackPartitioner()])))
    assert parts(torch.export.export(model, (x,))) == 2
    lowered = converted(program(model, x, target="xnnpack"), [XnnpackPartitioner()])
    assert ["delegate" in name for name in called(lowered)] == [True]
    same(model, runner(lowered), x)


def test_its_own_average_is_kept():
    kept = [of for name, of in FIXED.items() if name.startswith("avg2d") or name == "area2d_grows"]
    model, inputs = Together([layer for layer, _ in kept]), tuple(numbers(*shape) for _, shape in kept)
    assert len(called(converted(program(model, inputs, target="executorch")))) == len(kept)


def test_a_pool_alone_is_not_handed_over():
    found = program(nn.AdaptiveAvgPool2d(7), numbers(1, 3, 14, 14), target="xnnpack")
    lowered = converted(found, [XnnpackPartitioner()])
    assert not any("delegate" in name for name in called(lowered))
