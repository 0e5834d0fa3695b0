"LiteRT: every layer converts and gives eager's numbers; several sizes in one file, with one set of weights."

import numpy as np
import pytest
import torch
import torch.nn.functional as T
from torch import nn

litert_torch = pytest.importorskip("litert_torch", reason="litert-torch is not installed: make test-runtimes has it")

from ai_edge_litert.interpreter import Interpreter  # noqa: E402
from layers import FIXED, Of, numbers  # noqa: E402

from adapool.export import portable, program  # noqa: E402


class Net(nn.Module):
    "A small network with pools of several kinds, indices among its outputs."
    def __init__(self):
        super().__init__()
        self.conv, self.norm, self.head = nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8), nn.Linear(8 * (4 * 6 + 25), 10)
        self.best = nn.AdaptiveMaxPool2d(5, return_indices=True)

    def forward(self, x):
        y = T.relu(self.norm(self.conv(x)))
        best, places = self.best(T.adaptive_avg_pool2d(y, (11, 13)))
        rows = T.adaptive_avg_pool2d(y, (4, 6))
        return self.head(torch.cat([rows.flatten(1), best.flatten(1)], 1)), places


OTHERS = {
    "avg3d_one": (nn.AdaptiveAvgPool3d(1), (2, 3, 5, 6, 7)),
    "max3d_one": (nn.AdaptiveMaxPool3d(1), (2, 3, 5, 6, 7)),
    "avg2d_large": (nn.AdaptiveAvgPool2d(3), (1, 2, 301, 257)),
    "avg2d_no_batch": (nn.AdaptiveAvgPool2d((5, 3)), (3, 16, 11)),
    "avg1d_no_batch": (nn.AdaptiveAvgPool1d(4), (3, 11)),
    "max2d_indices_one": (nn.AdaptiveMaxPool2d(1, return_indices=True), (3, 2, 9, 8)),
    "max2d_grows": (nn.AdaptiveMaxPool2d((11, 3), return_indices=True), (2, 3, 5, 7)),
    "avg2d_padded": (nn.AdaptiveAvgPool2d(3), (2, 3, 11, 17)),
    "avg2d_padded_divides": (nn.AdaptiveAvgPool2d(3), (2, 3, 11, 12)),
    "avg1d_padded": (nn.AdaptiveAvgPool1d(3), (2, 3, 11)),
    "avg3d_padded": (nn.AdaptiveAvgPool3d((5, 3, 4)), (2, 3, 16, 11, 9)),
    "max2d_padded": (nn.AdaptiveMaxPool2d((5, 3)), (2, 3, 16, 11)),
    "max3d_padded": (nn.AdaptiveMaxPool3d((5, 3, 4)), (2, 3, 16, 11, 9)),
    "avg2d_one_row": (nn.AdaptiveAvgPool2d((1, 8)), (1, 64, 5, 27)),
    "avg2d_one_column": (nn.AdaptiveAvgPool2d((8, 1)), (1, 64, 27, 5)),
    "avg3d_one_row": (nn.AdaptiveAvgPool3d((1, 1, 8)), (1, 4, 3, 5, 27)),
    "avg1d_of_a_row": (Of(lambda x: T.adaptive_avg_pool1d(x.squeeze(2), 8)[:, :, None]), (1, 40, 1, 27)),
    "max2d_indices_of_one": (nn.AdaptiveMaxPool2d((5, 36), return_indices=True), (2, 3, 13, 12)),
    "net": (Net().eval(), (2, 3, 29, 31)),
}


def close(wanted, given):
    "LiteRT's indices are int32 or int64."
    wanted, given = ([x] if not isinstance(x, (tuple, list)) else x for x in (wanted, given))
    for a, b in zip(wanted, given, strict=True):
        if a.is_floating_point(): np.testing.assert_allclose(a.detach().numpy(), b, 1e-5, 1e-5, strict=True)
        else: np.testing.assert_array_equal(a.numpy(), b)


@pytest.mark.parametrize("target", [None, "litert"])
@pytest.mark.parametrize("name", [*FIXED, *OTHERS])
def test_a_layer_gives_eagers_numbers(name, target):
    layer, shape = (FIXED | OTHERS)[name]
    x, other = numbers(*shape), numbers(*shape)
    made = litert_torch.convert(program(layer, x, target=target).module(), (x,))
    for numbers_in in (x, other): close(layer(numbers_in), made(numbers_in))


@pytest.mark.parametrize("target", ["litert", "litert_int8"])
@pytest.mark.parametrize("batch", [1, 2])
def test_reshapes_around_a_product(batch, target):
    "The converter's optimizer joins them with the product, whose rank is wrong then."
    model = Of(lambda x: T.adaptive_avg_pool2d(x.reshape(batch, -1, 5, 27), (None, 8)).reshape(1, 40, 1, 8))
    x = numbers(1, 40, 1, 27)
    close(model(x), litert_torch.convert(program(model, x, target=target).module(), (x,))(x))


@pytest.mark.parametrize("target", [None, "litert"])
@pytest.mark.parametrize("name", ["avg2d_divides", "avg2d_blocks", "max1d_indices"])
def test_half_precision(name, target):
    layer, shape = FIXED[name]
    x = numbers(*shape).half()
    made = litert_torch.convert(program(layer, x, target=target).module(), (x,))(x)
    for a, b in zip(*([y] if not isinstance(y, (tuple, list)) else y for y in (layer(x), made)), strict=True):
        np.testing.assert_allclose(a.numpy(), b, 1e-3, 1e-3)


def test_averages_to_one_cell_are_one_product():
    "In integers each product is rounded."
    found = program(nn.AdaptiveAvgPool3d((2, 1, 1)), numbers(1, 4, 5, 7, 9), target="litert_int8")
    assert [str(node.target) for node in found.graph.nodes].count("aten.conv2d.default") == 2


def test_another_size_is_refused_where_strict(tmp_path):
    "Without `strict` the interpreter runs a file at any size, ordinary pools with other numbers: the page says so."
    layer, x = nn.AdaptiveAvgPool2d(7), numbers(1, 3, 14, 14)
    path = str(tmp_path / "pool.tflite")
    litert_torch.convert(program(layer, x, target="litert").module(), (x,)).export(path)
    made = Interpreter(path)
    with pytest.raises(RuntimeError, match="Attempting to resize dimension 2"):
        made.resize_tensor_input(made.get_input_details()[0]["index"], (1, 3, 17, 17), strict=True)
        made.allocate_tensors()


@pytest.mark.parametrize("shape, size", [((1, 64, 5, 27), (1, 8)), ((1, 64, 27, 5), (8, 1))])
def test_one_row_as_linear_layers(shape, size):
    model, x = nn.AdaptiveAvgPool2d(size), numbers(*shape)
    close(model(x), litert_torch.convert(program(model, x, target="litert_int8").module(), (x,))(x))


@pytest.mark.parametrize("target", [None, "litert", "litert_int8"])
@pytest.mark.parametrize("shape, size", [((2, 3, 16, 16), (8, 4)), ((2, 3, 13, 17), (6, 8))])
def test_nan_stays_in_its_windows(shape, size, target):
    model, x = nn.AdaptiveAvgPool2d(size), numbers(*shape)
    x[0, 0, 3, 5], x[1, 2, 4, 6], x[1, 2, 4, 7] = torch.nan, torch.inf, -torch.inf
    close(model(x), litert_torch.convert(program(model, x, target=target, finite=False).module(), (x,))(x))


def test_several_sizes_in_one_file(tmp_path):
    "Three signatures, each right, and the weights, most of the file, in it once."
    model = nn.Sequential(nn.Conv2d(3, 64, 3), nn.ReLU(), nn.AdaptiveAvgPool2d(7), nn.Flatten(), nn.Linear(64 * 49, 32))
    examples = [numbers(1, 3, n, n + 3) for n in (16, 23, 40)]
    copies = portable(model.eval(), examples, target="litert")
    one = litert_torch.convert(copies[0], (examples[0],))
    several = litert_torch
    for copy, x in zip(copies, examples, strict=True): several = several.signature(f"s{x.shape[2]}", copy, (x,))
    several = several.convert()
    for x in examples: close(model(x), several(x, signature_name=f"s{x.shape[2]}"))
    for made, name in ((one, "one"), (several, "several")): made.export(str(tmp_path / name))
    size_of_one, size = ((tmp_path / name).stat().st_size for name in ("one", "several"))
    assert size < 1.2 * size_of_one


def test_open_sizes_are_refused_in_words():
    with pytest.raises(ValueError, match="target='litert', which has none open: convert one program for each size"):
        program(nn.AdaptiveAvgPool2d(7), numbers(1, 3, 14, 14), ({2: "height"},), target="litert")
