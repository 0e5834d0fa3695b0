"Core ML: programs that coremltools converts give eager's numbers, as an interpreter of MIL operators runs them."

import mil
import pytest
import torch
import torch.nn.functional as T
from layers import EXAMPLE, FIXED, HW, OPEN, SIZES, Of, numbers
from torch import nn

from adapool.export import portable, program

ct = pytest.importorskip("coremltools", reason="coremltools is not installed: make test-runtimes installs it")
PRECISE = {"compute_precision": ct.precision.FLOAT32}


def converted(layer, x, shapes=None, target="coreml", finite=True, **options):
    found = program(layer.eval(), x, shapes, target=target, finite=finite)
    if target is None: found = found.run_decompositions({})
    return ct.convert(found, convert_to="milinternal", **options)


def same(layer, found, x, rtol=1e-5, atol=1e-6):
    wanted = layer(x)
    for a, b in zip(wanted if isinstance(wanted, tuple) else [wanted], mil.run(found, x), strict=True):
        torch.testing.assert_close(b.to(a.dtype), a, rtol=rtol, atol=atol, equal_nan=True)


@pytest.mark.parametrize("target", [None, "coreml"])
@pytest.mark.parametrize("name", FIXED)
def test_fixed_sizes(name, target):
    layer, shape = FIXED[name]
    same(layer, converted(layer, numbers(*shape), target=target, **PRECISE), numbers(*shape))


@pytest.mark.parametrize("name", OPEN)
def test_open_sizes(name):
    found = converted(OPEN[name], numbers(*EXAMPLE), HW, **PRECISE)
    for size in SIZES: same(OPEN[name], found, numbers(*EXAMPLE[:2], *size))


@pytest.mark.parametrize("shapes", [None, ({2: "height"},)])
@pytest.mark.parametrize("release", ["iOS15", "iOS16", "iOS18"])
def test_older_and_newer_releases(release, shapes):
    "A place beside the maximum; NaN too."
    x, layer = numbers(1, 3, 12, 14), nn.AdaptiveMaxPool2d((5, 4), return_indices=True)
    target = getattr(ct.target, release)
    found = converted(layer, x, shapes, finite=False, minimum_deployment_target=target, **PRECISE)
    x[0, 0, 2, 3], x[0, 1, 7, 0] = torch.nan, torch.inf
    same(layer, found, x)


@pytest.mark.parametrize("layer, sizes", [
    (Of(lambda x: T.adaptive_avg_pool1d(x, x.shape[2] // 2)), (100, 131, 4999)),
    (nn.AdaptiveAvgPool1d(400), (300, 900, 3001)), (nn.AdaptiveMaxPool1d(5, return_indices=True), (30, 15001)),
])
def test_cells_are_counted_in_whole_numbers(layer, sizes):
    "By default all floats have 16 bits, which hold whole numbers up to 2048; these numbers are halves already."
    found = converted(layer, numbers(1, 2, 100), ({2: "length"},))
    for n in sizes: same(layer, found, numbers(1, 2, n).half().float(), rtol=1e-2, atol=1e-2)


def test_places_among_more_cells_than_16_bits_count():
    "From iOS 17 on what is gathered has 16 bits by default."
    layer, x = nn.AdaptiveMaxPool3d((2, 3, 1), return_indices=True), torch.zeros(1, 1, 3, 300, 300)
    x[..., 290, 7] = 1
    same(layer, converted(layer, x, minimum_deployment_target=ct.target.iOS17), x)


@pytest.mark.parametrize("shapes", [None, ({2: "length"},)])
def test_nan_among_numbers_of_16_bits(shapes):
    layer, x = nn.AdaptiveMaxPool1d(5, return_indices=True), numbers(1, 2, 17).half()
    found = converted(layer, x, shapes, finite=False, minimum_deployment_target=ct.target.iOS17)
    x[0, 0, 3], x[0, 1, 16] = torch.nan, torch.inf
    same(layer, found, x)


def test_quotients_stay_when_a_program_is_decomposed_again():
    layer = Of(lambda x: T.adaptive_avg_pool1d(x, x.shape[2] // 2))
    found = program(layer, numbers(1, 2, 100), ({2: "length"},), target="coreml").run_decompositions({})
    found = ct.convert(found, convert_to="milinternal")
    same(layer, found, numbers(1, 2, 4999).half().float(), rtol=1e-2, atol=1e-2)


def test_open_sizes_above_16_bits_without_the_pass_that_the_page_names():
    pipeline, layer = ct.PassPipeline.DEFAULT, nn.AdaptiveMaxPool1d(7, return_indices=True)
    pipeline.remove_passes({"common::add_int16_cast"})
    found = converted(layer, numbers(1, 1, 100), ({2: "length"},), pass_pipeline=pipeline,
                      minimum_deployment_target=ct.target.iOS17)
    same(layer, found, numbers(1, 1, 40001).half().float())


@pytest.mark.parametrize("layer", [nn.AdaptiveAvgPool2d((8, 18)), nn.AdaptiveMaxPool2d(5, return_indices=True)])
def test_open_sizes_without_a_batch(layer):
    found = converted(layer, numbers(2, 30, 20), ({1: "height"},), **PRECISE)
    for n in (10, 30, 41): same(layer, found, numbers(2, n, 20))


def test_a_trace_has_operators_that_it_knows():
    x = numbers(1, 1, 18)
    assert "movedim" not in str(torch.jit.trace(portable(nn.AdaptiveAvgPool1d(13), x), x).inlined_graph)


class Network(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv, self.norm, self.act = nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.ReLU(True)
        self.head = nn.Linear(4, 5)

    def forward(self, x):
        y = T.dropout(self.act(self.norm(self.conv(x))), training=self.training)
        y = T.adaptive_avg_pool2d(y, (4, 5)).flatten(2).transpose(1, 2)
        return self.head(T.scaled_dot_product_attention(y, y, y))


@pytest.mark.parametrize("shapes", [None, HW])
def test_a_network_is_converted_as_it_is(shapes, tmp_path):
    model = ct.convert(program(Network(), numbers(1, 3, 21, 17), shapes, target="coreml"))
    model.save(str(tmp_path / "model.mlpackage"))
    assert model.get_spec().WhichOneof("Type") == "mlProgram"
