"`export.program`: one captured program without adaptive pools, for every runtime that starts from torch.export."

import io

import pytest
import torch
import torch.nn.functional as T
from runtimes.layers import HW, Of, numbers
from torch import nn
from torch.export import Dim

from adapool.export import capture, decompositions, portable, program, programs
from adapool.export.inline import without_adaptive
from adapool.export.targets import TARGETS


class Inner(nn.Module):
    "A convolution and a pool of a type of their own; autocast, if it is given, makes it that of the convolution."
    def __init__(self, dtype, autocast=None):
        super().__init__()
        self.conv, self.pool = nn.Conv2d(3, 4, 3, dtype=dtype), nn.AdaptiveAvgPool2d(6)
        self.dtype, self.cast = dtype, torch.autocast("cpu", autocast, enabled=autocast is not None)

    def forward(self, x):
        with self.cast: y = self.pool(self.conv(x.to(self.dtype)))
        return y.to(x.dtype) * torch.tensor(2.0)


class Mixed(nn.Module):
    "Several pools, one in a part of its own, with a parameter, a buffer and a constant of its own."
    def __init__(self):
        super().__init__()
        self.conv, self.norm = nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4)
        self.pool = nn.AdaptiveMaxPool2d((5, 3), return_indices=True)

    def forward(self, x, *, scale):
        y = self.norm(self.conv(x)) * torch.tensor([2.0, 3, 4, 5])[:, None, None]
        best, places = self.pool(y)
        with torch.autocast("cpu", enabled=False): low = T.adaptive_avg_pool2d(y, (4, 7))
        area = T.interpolate(y, (9, 8), mode="area")
        return {"best": best * scale, "places": places, "low": low.float(), "area": area}


FIXED = [
    (nn.AdaptiveAvgPool1d(5), (2, 3, 17)), (nn.AdaptiveAvgPool1d(9), (3, 4)), (nn.AdaptiveAvgPool2d(7), (2, 3, 15, 11)),
    (nn.AdaptiveAvgPool2d((4, 6)), (1, 3, 10, 15)), (nn.AdaptiveAvgPool2d((None, 1)), (1, 3, 10, 15)),
    (nn.AdaptiveAvgPool3d((3, 2, 4)), (1, 2, 7, 5, 9)), (nn.AdaptiveMaxPool1d(5, return_indices=True), (2, 3, 17)),
    (nn.AdaptiveMaxPool2d((4, 6), return_indices=True), (2, 3, 15, 11)), (nn.AdaptiveMaxPool2d(7), (3, 5, 5)),
    (nn.AdaptiveMaxPool3d((3, 2, 4)), (1, 2, 7, 5, 9)), (Of(lambda x: T.interpolate(x, 6, mode="area")), (1, 2, 16)),
]
OPEN = [nn.AdaptiveAvgPool2d(7), nn.AdaptiveAvgPool2d((None, 3)), nn.AdaptiveMaxPool2d((4, 6)), nn.AdaptiveAvgPool2d(1),
        nn.AdaptiveMaxPool2d(5, return_indices=True), Of(lambda x: T.adaptive_avg_pool2d(x, [x.shape[2] // 2, 3])),
        Of(lambda x: T.interpolate(x, (x.shape[3], 3), mode="area"))]


FOLDED = {"aten.arange.default", "aten.arange.start", "aten.where.self", "aten.floor_divide.default"}


def operators(found):
    return {str(node.target) for part in capture.graphs(found.graph_module) for node in part.graph.nodes}


def saved(found):
    file = io.BytesIO()
    torch.export.save(found, file)
    file.seek(0)
    return torch.export.load(file)


@pytest.mark.parametrize("layer, shape", FIXED)
def test_fixed_sizes_leave_pools_and_constants_only(layer, shape):
    found, x = program(layer, numbers(*shape)), numbers(*shape)
    assert not operators(found) & FOLDED
    assert not any("adaptive" in name for name in operators(found))
    assert all(value.is_contiguous() for value in found.constants.values())
    for runs in (found, found.run_decompositions(), saved(found)):
        torch.testing.assert_close(runs.module()(x), layer(x), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("layer", OPEN)
def test_open_sizes_are_computed_where_it_runs(layer):
    found = program(layer, numbers(1, 3, 12, 14), HW)
    assert not any("adaptive" in name for name in operators(found))
    for h, w in [(2, 3), (7, 30), (13, 1), (31, 7)]:
        x = numbers(1, 3, h, w)
        torch.testing.assert_close(found.module(check_guards=False)(x), layer(x), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("sizes", [
    lambda n: {"size": n // 2}, lambda n: {"size": [n + 1]}, lambda n: {"scale_factor": 0.4}])
def test_areas_of_one_open_axis(sizes):
    model = Of(lambda x: T.interpolate(x, **sizes(x.shape[2]), mode="area"))
    found, x = program(model, numbers(1, 2, 9), ({2: "w"},)), numbers(1, 2, 23)
    torch.testing.assert_close(found.module(check_guards=False)(x), model(x), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("target", [None, "tvm"])
def test_an_output_size_that_is_one_in_the_example_stays_open(target):
    model = Of(lambda x: T.adaptive_avg_pool2d(x, (2, x.shape[3] // 3)))
    found, x = program(model, numbers(1, 3, 4, 5), ({3: "w"},), target=target), numbers(1, 3, 4, 13)
    torch.testing.assert_close(found.module(check_guards=False)(x), model(x), rtol=1e-5, atol=1e-6)


def test_a_size_that_torch_takes_for_one_of_the_example_only_is_said():
    "torch.export keeps the output of one row, for inputs of up to three rows, and allows no others."
    model, shapes = Of(lambda x: T.adaptive_avg_pool3d(x, (x.shape[2] // 4 + 1, 2, 2))), ({2: "t", 3: "h", 4: "w"},)
    with pytest.raises(RuntimeError, match="take a larger example"): program(model, numbers(1, 2, 2, 4, 5), shapes)
    found, x = program(model, numbers(1, 2, 9, 4, 5), shapes), numbers(1, 2, 3, 8, 5)
    torch.testing.assert_close(found.module(check_guards=False)(x), model(x), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("target", TARGETS)
def test_every_target_gives_the_numbers_of_the_model(target):
    "Three axes whose windows are gathered, indices, a mean with NaN: `program` compares, and the test again."
    uneven = nn.AdaptiveAvgPool3d(5), nn.AdaptiveMaxPool3d((5, 7, 4), return_indices=True)
    for layer in uneven:
        x = numbers(2, 3, 12, 12, 13)
        torch.testing.assert_close(program(layer, x, target=target).module()(x), layer(x), rtol=1e-5, atol=1e-6)
    torn = numbers(1, 3, 12, 14)
    torn[0, 0, 2, 3] = torch.nan
    found = program(OPEN[0], torn, HW if TARGETS[target].open else None, finite=False, target=target)
    torch.testing.assert_close(found.module(check_guards=False)(torn), OPEN[0](torn), equal_nan=True)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
@pytest.mark.parametrize("layer, shape", [FIXED[3], FIXED[5], (nn.AdaptiveAvgPool3d(2), (2, 4, 6, 8))])
def test_averages_along_three_axes_in_half_precision(layer, shape, dtype):
    "Of which torch has the adaptive one on the CPU, and no ordinary one."
    x = numbers(*shape).to(dtype)
    for found in (program(layer, x, target="aoti").module(), portable(layer, x)):
        torch.testing.assert_close(found(x), layer(x), rtol=1e-2, atol=1e-2)


@pytest.mark.parametrize("model, dtype, limit", [
    (Inner(torch.float16), torch.float32, 1e-2), (Inner(torch.float32, torch.bfloat16), torch.float32, 5e-2),
    (Inner(torch.float32), torch.float64, 1e-4), (Inner(torch.float64), torch.float64, 1e-9),
    (Inner(torch.float32), torch.float32, 1e-4), *[(layer.double(), torch.float64, 1e-9) for layer in OPEN[:3]],
])
def test_the_coarsest_type_that_is_computed_in_sets_the_limit(model, dtype, limit, monkeypatch):
    limits = []
    monkeypatch.setattr(programs, "judged", lambda what, run, calls, limit, finite: limits.append(limit))
    program(model.eval(), numbers(1, 3, 15, 20).to(dtype), HW)
    assert limits == [limit]


@pytest.mark.parametrize("target, words", [
    ("none", "target must be None or one of onnx.*'none'$"), ([], "target must be"), ("tflite", "'litert' is the one"),
    ("Core ML", "'coreml' is the one"), ("LiteRT-int8", "'litert_int8' is the one"),
    ("AOTInductor", "'aoti' is the one"), ("litert", "has none open")])
def test_a_target_that_is_not_there(target, words):
    with pytest.raises(ValueError, match=words): program(OPEN[0], numbers(1, 3, 12, 14), HW, target=target)


def test_a_model_keeps_its_weights_names_and_outputs():
    model = Mixed().eval()
    x, scale = numbers(2, 3, 20, 21), torch.tensor(2.0)
    found = program(model, x, {"x": {0: "batch", 2: "height"}}, kwargs={"scale": scale})
    assert not any("adaptive" in name for name in operators(found))
    assert {name: value.data_ptr() for name, value in model.named_parameters()} == {
        name: found.state_dict[name].data_ptr() for name, _ in model.named_parameters()}
    for shape in [(2, 3, 20, 21), (1, 3, 9, 21), (5, 3, 33, 21)]:
        x = numbers(*shape)
        torch.testing.assert_close(found.module()(x, scale=scale), model(x, scale=scale), rtol=1e-4, atol=1e-5)


def test_a_range_is_kept():
    found = program(nn.AdaptiveAvgPool2d(3), numbers(1, 2, 12, 9), ({2: Dim("h", min=4, max=40)},))
    with pytest.raises(Exception, match="40"): found.module()(numbers(1, 2, 41, 9))


def test_inf_and_nan_stay_where_they_are_read():
    x = numbers(1, 2, 15, 11)
    x[0, 0, 3, 3], x[0, 1, 7, 0] = torch.inf, torch.nan
    for layer in (nn.AdaptiveAvgPool2d(7), nn.AdaptiveMaxPool2d(7)):
        found = program(layer, numbers(1, 2, 15, 11), finite=False)
        torch.testing.assert_close(found.module()(x), layer(x), equal_nan=True)


def test_wrong_numbers_are_refused(monkeypatch):
    "Right at the example, and at no other size."
    def fixed(found, terms):
        for node in found.graph.nodes:
            if node.target is torch.ops.aten.adaptive_avg_pool2d.default:
                node.target, node.args = torch.ops.aten.avg_pool2d.default, (node.args[0], [2, 2])
        return without_adaptive(found, terms)

    monkeypatch.setattr(programs, "without_adaptive", fixed)
    program(nn.AdaptiveAvgPool2d(7), numbers(1, 3, 14, 14))
    with pytest.raises(RuntimeError, match="the program differs from the eager one at"):
        program(nn.AdaptiveAvgPool2d(7), numbers(1, 3, 14, 14), HW)


def numbers_decide(x): return T.adaptive_avg_pool2d(x, int(x.sum().abs()) + 1)


class SumOf(nn.Module):
    "The sum of what is pooled, from a dict of inputs."
    def forward(self, d): return T.adaptive_avg_pool2d(d["a"], 3) + T.adaptive_max_pool2d(d["b"], 3)


X = numbers(1, 2, 9, 9)
CAPTURED = torch.export.export(nn.AdaptiveAvgPool2d(5), (X,))


@pytest.mark.parametrize("model, args, shapes, error, words", [
    (nn.AdaptiveAvgPool2d(3), 5, None, TypeError, "args must be a tensor"),
    (5, numbers(2), None, TypeError, "model must be"),
    (Of(numbers_decide), numbers(1, 2, 5, 5), None, ValueError, "from the numbers in its input"),
    (nn.AdaptiveAvgPool2d(3), numbers(1, 2, 9, 9), ({-1: "w"},), ValueError, "must name axes in"),
    (nn.AdaptiveAvgPool2d(3), numbers(1, 2, 9, 9), 3, TypeError, "dynamic_shapes must be a tuple"),
    (CAPTURED, X, None, TypeError, "captured by torch.export already"),
    (CAPTURED.module(), X, None, TypeError, "captured by torch.export already"),
    (nn.Sequential(CAPTURED.module(), nn.ReLU()), X, None, TypeError, "captured by torch.export already"),
    (nn.AdaptiveAvgPool2d(3), X.to("meta"), None, ValueError, "must hold numbers"),
    (SumOf(), ({"a": X, "b": X},), {"d": {"a": {2: "h"}, "b": None}}, RuntimeError, "a static shape of 9 for"),
])
def test_what_is_wrong_is_said(model, args, shapes, error, words):
    with pytest.raises(error, match=words): program(model, args, shapes)


def test_what_is_captured_already_has_its_way():
    "The one that the error names."
    found = CAPTURED.run_decompositions(decompositions())
    assert not any("adaptive" in name for name in operators(found))
    torch.testing.assert_close(found.module()(X), T.adaptive_avg_pool2d(X, 5), rtol=1e-5, atol=1e-6)
