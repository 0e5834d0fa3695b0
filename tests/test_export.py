"Layers in ONNX Runtime: as eager, at fixed and at open sizes; wrong calls; what is left behind when something fails."

import io
import itertools
import math

import onnx
import onnxruntime
import pytest
import torch
import torch.nn.functional as T
import tqdm.auto
from quick import some

import adapool.nn
from adapool.export import decompositions, portable, program, to_onnx, why_not, write
from adapool.export.calls import quiet

LAYERS = {
    "avg1d 10 to 7": (torch.nn.AdaptiveAvgPool1d(7), (2, 3, 10)),
    "avg2d (8, 9) to (5, 7)": (torch.nn.AdaptiveAvgPool2d((5, 7)), (1, 3, 8, 9)),
    "avg2d (5, 4) to 7": (torch.nn.AdaptiveAvgPool2d(7), (1, 3, 5, 4)),
    "avg2d (10, 9) to (None, 7)": (torch.nn.AdaptiveAvgPool2d((None, 7)), (1, 3, 10, 9)),
    "avg2d 14 to 7": (torch.nn.AdaptiveAvgPool2d(7), (1, 3, 14, 14)),
    "avg3d (7, 9, 8) to (3, 4, 5)": (torch.nn.AdaptiveAvgPool3d((3, 4, 5)), (1, 3, 7, 9, 8)),
    "max1d 10 to 7": (torch.nn.AdaptiveMaxPool1d(7), (2, 3, 10)),
    "max2d (8, 9) to (5, 7)": (torch.nn.AdaptiveMaxPool2d((5, 7)), (1, 3, 8, 9)),
    "max2d with indices": (torch.nn.AdaptiveMaxPool2d((5, 7), return_indices=True), (1, 3, 8, 9)),
    "max3d with indices": (torch.nn.AdaptiveMaxPool3d((3, 4, 5), return_indices=True), (1, 3, 7, 9, 8)),
    "max2d 14 to 7": (torch.nn.AdaptiveMaxPool2d(7), (1, 3, 14, 14)),
}
FEW = "avg2d (8, 9) to (5, 7)", "avg3d (7, 9, 8) to (3, 4, 5)", "max1d 10 to 7", "max2d with indices"


def numbers(shape, seed=0): return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def same(wanted, got):
    "Equal to rounding, integers exactly, maxima too."
    wanted = wanted if isinstance(wanted, tuple) else (wanted,)
    assert len(wanted) == len(got)
    for a, b in zip(wanted, map(torch.from_numpy, got)): torch.testing.assert_close(b, a)
    if len(wanted) == 2: assert torch.equal(torch.from_numpy(got[0]), wanted[0])


def opened(file):
    session = onnxruntime.InferenceSession(file, providers=["CPUExecutionProvider"])
    return lambda *xs: session.run(None, {i.name: x.numpy() for i, x in zip(session.get_inputs(), xs, strict=True)})


@pytest.mark.parametrize("name", some(LAYERS, FEW))
def test_layer_at_fixed_sizes(name, tmp_path):
    layer, shape = LAYERS[name]
    x = numbers(shape)
    report = to_onnx(layer, x, tmp_path / "a.onnx", progress=False)
    same(layer(x), opened(tmp_path / "a.onnx")(x))
    assert report.sizes == [[shape]]


@pytest.mark.parametrize("name", some(LAYERS, FEW))
def test_layer_by_the_older_exporter(name):
    layer, shape = LAYERS[name]
    x, file = numbers(shape), io.BytesIO()
    with quiet(): torch.onnx.export(portable(layer, x), (x,), file, dynamo=False)
    same(layer(x), opened(file.getvalue())(x))


@pytest.mark.parametrize("name", some(LAYERS, FEW[1:]))
def test_layer_at_twenty_other_sizes(name, tmp_path):
    layer, shape = LAYERS[name]
    axes = {0: "batch", **{i: f"axis{i}" for i in range(2, len(shape))}}
    to_onnx(layer, numbers(shape), tmp_path / "a.onnx", dynamic_shapes=(axes,), progress=False)
    run, generator = opened(tmp_path / "a.onnx"), torch.Generator().manual_seed(1)
    top = 65 if len(shape) < 5 else 25
    sizes = [[1] * (len(shape) - 2), [top - 1] * (len(shape) - 2)]
    sizes += [torch.randint(1, top, (len(shape) - 2,), generator=generator).tolist() for _ in range(18)]
    for i, size in enumerate(sizes):
        x = numbers((1 + i % 3, 3, *size), seed=i)
        same(layer(x), run(x))


class Everyday(torch.nn.Module):
    "What older opsets say otherwise, or not at all."
    def __init__(self):
        super().__init__()
        self.body = torch.nn.Sequential(torch.nn.Conv2d(3, 8, 3), torch.nn.BatchNorm2d(8), torch.nn.Hardswish())
        self.norm = torch.nn.LayerNorm(15, eps=0.1)
        self.pool = adapool.nn.AdaptiveMaxPool2d((None, 5), return_indices=True)

    def forward(self, x):
        y = T.pad(self.body(x), (1, 0, 2, 3), mode="reflect")
        y = torch.cat(T.interpolate(y, scale_factor=2.0, mode="bilinear").softmax(1).chunk(3, 1)[:2], 2)
        best, places = self.pool(x)
        return best.mean((1, 2)), y.amax(3), places, self.norm(T.adaptive_avg_pool2d(y, (7, 15))), y.cumsum(2)


@pytest.mark.parametrize("axes", [None, ({0: "batch", 2: "h", 3: "w"},)])
@pytest.mark.parametrize("opset", some([13, 14, 15, 16, 17], [13, 15]))
def test_older_opsets(opset, axes, tmp_path):
    report = to_onnx(Everyday(), numbers((1, 3, 14, 16)), tmp_path / "a.onnx", axes, opset, progress=False)
    model = onnx.load(tmp_path / "a.onnx")
    onnx.checker.check_model(model, full_check=True)
    assert [(i.domain, i.version) for i in model.opset_import] == [("", opset)]
    assert report.opset == opset and model.ir_version == (8 if opset > 14 else 7)
    assert len(report.sizes) == (11 if axes else 1) and "Constant" not in report.operators


def test_an_operator_that_an_older_opset_lacks(tmp_path):
    class Turned(torch.nn.Module):
        def forward(self, x, grid): return T.grid_sample(x, grid, align_corners=False)

    args, file = (numbers((1, 2, 5, 6)), numbers((1, 4, 4, 2))), tmp_path / "a.onnx"
    with pytest.raises(RuntimeError, match=r"opset 15 has nothing for GridSample .* opset=16 or newer"):
        to_onnx(Turned(), args, file, opset=15, progress=False)
    assert not list(tmp_path.iterdir())
    to_onnx(Turned(), args, file, opset=16, progress=False)


class Half(torch.nn.Module):
    def forward(self, x): return T.adaptive_max_pool1d(x, x.shape[2] // 2 + 1)


@pytest.mark.parametrize("layer", [torch.nn.AdaptiveAvgPool1d(7), torch.nn.AdaptiveMaxPool1d(4001), Half()])
def test_windows_are_divided_by_one_operator_and_exactly(layer, tmp_path):
    "Not every runtime has Mod; float32 would round 100003 * 4000 / 4001."
    report = to_onnx(layer, numbers((1, 1, 4321)), tmp_path / "a.onnx", ({2: "n"},), progress=False)
    assert not report.operators.keys() & {"Mod", "Floor", "Abs", "Cast"}
    x = numbers((1, 1, 100003))
    same(layer(x), opened(tmp_path / "a.onnx")(x))


def test_quotients_of_a_model_are_exact(tmp_path):
    class Quotients(torch.nn.Module):
        def forward(self, x): return [torch.div(x, 7, rounding_mode="trunc"), x.div(x, rounding_mode="floor"), x // 7]

    for x in (torch.tensor([-8, -7, 3, 2**31 - 1]), torch.tensor([-8.5, 7, 3, 100])):
        to_onnx(Quotients(), x, tmp_path / "a.onnx", progress=False)


@pytest.mark.parametrize("shape", some([((2, 10, 9),), ((1, 2, 15, 7),)], 1))
@pytest.mark.parametrize("kind, dtype", some(itertools.product(["Avg", "Max"], [torch.float16, torch.float64]), 1))
def test_other_types_unbatched_and_ours(kind, dtype, shape, tmp_path):
    layer = getattr(adapool.nn, f"Adaptive{kind}Pool2d")((5, 3))
    x = numbers(shape).to(dtype)
    for dynamic in (None, ({len(shape) - 2: "h", len(shape) - 1: "w"},)):
        to_onnx(layer, x, tmp_path / "a.onnx", dynamic_shapes=dynamic, progress=False)
        got = torch.from_numpy(opened(tmp_path / "a.onnx")(x)[0])
        torch.testing.assert_close(got, getattr(T, f"adaptive_{kind.lower()}_pool2d")(x, (5, 3)))


def test_an_open_batch_may_be_one_in_the_example(tmp_path):
    layer, x = torch.nn.AdaptiveMaxPool2d((None, 3), return_indices=True), numbers((1, 2, 1, 8))
    to_onnx(layer, x, tmp_path / "a.onnx", dynamic_shapes=({0: "n", 2: "h", 3: "w"},), progress=False)
    x = numbers((4, 2, 9, 11))
    same(layer(x), opened(tmp_path / "a.onnx")(x))


def test_shapes_that_the_file_states_stay_open(tmp_path):
    "A batch of one in the example is not written into what the file says of its outputs."
    class Two(torch.nn.Module):
        def forward(self, x, y): return T.adaptive_avg_pool2d(x, 5), y + 1

    batch = torch.export.Dim("batch")
    example = numbers((1, 1, 7, 7)), numbers((1, 1, 7, 9))
    to_onnx(Two(), example, tmp_path / "a.onnx", dynamic_shapes=({0: batch}, {0: batch}), progress=False)
    outputs = onnx.load(tmp_path / "a.onnx").graph.output
    assert [y.type.tensor_type.shape.dim[0].dim_param for y in outputs] == ["batch", "batch"]


def test_sizes_that_follow_from_another_shape(tmp_path):
    class Like(torch.nn.Module):
        def forward(self, x, y):
            size = y.shape[-2:]
            return torch.cat([T.adaptive_avg_pool2d(x, size), T.adaptive_max_pool2d(x, size), y], 1)

    names = ({2: "a", 3: "b"}, {2: "c", 3: "d"})
    example = numbers((1, 2, 9, 8)), numbers((1, 2, 4, 3))
    to_onnx(Like(), example, tmp_path / "a.onnx", dynamic_shapes=names, progress=False)
    run = opened(tmp_path / "a.onnx")
    for p, q in (((7, 5), (3, 3)), ((3, 4), (9, 2)), ((1, 1), (5, 1)), ((20, 31), (7, 30))):
        x, y = numbers((1, 2, *p)), numbers((1, 2, *q), seed=1)
        torch.testing.assert_close(torch.from_numpy(run(x, y)[0]), Like()(x, y))


@pytest.mark.slow
@pytest.mark.parametrize("lib", [T, adapool.functional])
def test_sizes_along_one_axis_that_follow_from_a_shape(lib, tmp_path):
    class Half(torch.nn.Module):
        def forward(self, x, y):
            return lib.adaptive_avg_pool1d(x, (x.shape[2] + 1) // 2), lib.adaptive_avg_pool1d(x[0], (y.shape[2],))

    example = numbers((1, 2, 9)), numbers((1, 2, 4))
    to_onnx(Half(), example, tmp_path / "a.onnx", dynamic_shapes=({2: "a"}, {2: "b"}), progress=False)
    run = opened(tmp_path / "a.onnx")
    for n, m in ((7, 3), (3, 9), (1, 5), (20, 7), (31, 30)):
        x, y = numbers((1, 2, n)), numbers((1, 2, m), seed=1)
        for a, b in zip(Half()(x, y), run(x, y), strict=True): torch.testing.assert_close(torch.from_numpy(b), a)


@pytest.mark.parametrize("kind, axis", some(itertools.product(["Avg", "Max"], range(3)), [("Avg", 1)]))
def test_one_cell_to_two_beside_other_axes(kind, axis, tmp_path):
    "Torch's pool in three dimensions refuses a kernel of two on one cell, though its padding would make room."
    sizes, wanted = [6, 6, 6], [3, 3, 3]
    sizes[axis], wanted[axis] = 1, 2
    layer, x = getattr(torch.nn, f"Adaptive{kind}Pool3d")(tuple(wanted)), numbers((1, 2, *sizes))
    for dynamic in (None, ({2 + (axis + 1) % 3: "a"},)):
        to_onnx(layer, x, tmp_path / "a.onnx", dynamic, progress=False)
        same(layer(x), opened(tmp_path / "a.onnx")(x))


@pytest.mark.parametrize("dynamic", [None, ({2: "h", 3: "w"},)])
@pytest.mark.parametrize("layer", some(
    [torch.nn.AdaptiveAvgPool2d((5, 7)), torch.nn.AdaptiveMaxPool2d((4, 3), True)], 1))
def test_inf_and_nan_stay_in_their_windows_when_asked(layer, dynamic, tmp_path):
    x = numbers((2, 2, 11, 10))
    x[0, 0, 3, 4], x[0, 1, 5, 5], x[1, 0, 2, 2], x[1, 1] = math.nan, math.inf, -math.inf, -math.inf
    to_onnx(layer, x, tmp_path / "a.onnx", dynamic_shapes=dynamic, finite=False, progress=False)
    wanted = layer(x) if isinstance(layer(x), tuple) else (layer(x),)
    for a, b in zip(wanted, map(torch.from_numpy, opened(tmp_path / "a.onnx")(x))):
        torch.testing.assert_close(b, a, equal_nan=True)


def test_decompositions_leave_no_adaptive_operator():
    class Calls(torch.nn.Module):
        def forward(self, x):
            area = T.interpolate(x, size=(4, 7), mode="area")
            return T.adaptive_avg_pool2d(x, 5), area, T.adaptive_max_pool2d(x, 3)

    x = numbers((1, 2, 9, 8))
    with quiet(): program = torch.export.export(Calls(), (x,)).run_decompositions(decompositions())
    assert not [node for node in program.graph.nodes if "adaptive" in str(node.target)]
    for a, b in zip(program.module()(x), Calls()(x), strict=True): torch.testing.assert_close(a, b)


def test_places_that_differ_at_all_are_refused(monkeypatch, tmp_path):
    class Places(torch.nn.Module):
        def forward(self, x): return T.adaptive_max_pool2d(x, (3, 4), return_indices=True)[1]
    monkeypatch.setattr("adapool.export.verify.distance", lambda *args: 0.01)
    with pytest.raises(RuntimeError, match="differs"): to_onnx(Places(), numbers((1, 2, 7, 9)), tmp_path / "a.onnx")
    assert not [*tmp_path.iterdir()]


@pytest.mark.parametrize("layer", [torch.nn.AdaptiveMaxPool2d((5, 7)), torch.nn.AdaptiveAvgPool2d((5, 7))])
def test_portable_computes_windows_once(layer):
    x = torch.zeros(1, 2, 17, 19)
    traced = torch.jit.trace(portable(torch.nn.Sequential(layer, torch.nn.ReLU()), x), x)
    found = {node.kind() for node in traced.graph.nodes()}
    assert not found & {"aten::arange", "aten::where", "aten::lt"} and list(traced.named_buffers())


def refuses(run, shape):
    try: run(torch.zeros(shape))
    except Exception: return True
    return False


OTHERS = [[1, 3, 9, 9], [1, 3, 10, 8], [1, 3, 5, 16], [1, 3, 16, 5],
          [2, 3, 8, 5], [3, 1, 8, 10], [1, 3, 1, 10], [0, 3, 8, 10]]


@pytest.mark.parametrize("layer", [
    torch.nn.AdaptiveAvgPool2d(2), torch.nn.AdaptiveAvgPool2d((5, 7)), torch.nn.AdaptiveAvgPool2d((None, 20)),
    torch.nn.AdaptiveMaxPool2d((5, 7)), torch.nn.AdaptiveMaxPool2d(3, True), torch.nn.Identity()])
def test_what_is_made_of_a_portable_copy_refuses_other_sizes(layer):
    "Traced, scripted, and exported with all axes open: others of as many cells too, lying down or with a batch."
    x, file, options = numbers((1, 3, 8, 10)), io.BytesIO(), {"dynamic_axes": {"x": dict(enumerate("nchw"))}}
    copy = portable(layer, x)
    with quiet(): torch.onnx.export(copy, (x,), file, dynamo=False, input_names=["x"], **options)
    made = {"traced": torch.jit.trace(copy, x), "scripted": torch.jit.script(copy), "exported": opened(file.getvalue())}
    wanted = layer(x) if isinstance(layer(x), tuple) else (layer(x),)
    for name, run in made.items():
        got = run(x)
        for a, b in zip(wanted, got if isinstance(got, (tuple, list)) else (got,), strict=True):
            torch.testing.assert_close(torch.as_tensor(b), a)
        assert [shape for shape in OTHERS if not refuses(run, shape)] == [], name


@pytest.mark.parametrize("kind", ["Avg", "Max"])
@pytest.mark.parametrize("d", [1, 3])
def test_a_traced_copy_refuses_other_sizes_along_any_axis(kind, d):
    layer, shape = getattr(torch.nn, f"Adaptive{kind}Pool{d}d")(3), (2, 1, 8, 7, 6)[:d + 2]
    traced = torch.jit.trace(portable(layer, numbers(shape)), numbers(shape))
    for axis in range(d + 2):
        for size in {1, 2, 3, shape[axis] + 1, 2 * shape[axis]} - {shape[axis]}:
            assert refuses(traced, [*shape[:axis], size, *shape[axis + 1:]])


def test_the_older_exporter_takes_any_part_of_the_names():
    "With names for the input alone it asked a copy for its graph, as if it were scripted."
    x = numbers((1, 3, 8, 10))
    for names in ({"input_names": ["x"]}, {"output_names": ["y"]}, {"input_names": ["x"], "output_names": ["y"]}):
        file, axes = io.BytesIO(), {"x" if "input_names" in names else "y": {0: "b"}}
        with quiet(): torch.onnx.export(portable(HEAD, x), (x,), file, dynamo=False, dynamic_axes=axes, **names)
        same(HEAD(x), opened(file.getvalue())(x))


def test_portable_shares_weights_and_keeps_containers():
    class Net(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.body = torch.nn.Sequential(torch.nn.Conv2d(2, 3, 3), torch.nn.BatchNorm2d(3), torch.nn.Dropout(0.5))

        def forward(self, x):
            return {"five": T.adaptive_avg_pool2d(self.body(x), 5), "pair": (x, T.adaptive_max_pool2d(x, 7)[0])}

    net, x = Net(), numbers((2, 2, 11, 12))
    copy = portable(net, x)
    assert net.training and net.body[1].num_batches_tracked == 0
    assert copy.get_parameter("body.0.weight") is net.body[0].weight
    net.eval()
    torch.testing.assert_close(copy(x), net(x))
    copy(x)["five"].sum().backward()
    assert net.body[0].weight.grad is not None
    with pytest.raises(ValueError, match="made for inputs of"): copy(x[:1])


class FromData(torch.nn.Module):
    def forward(self, x): return T.adaptive_avg_pool2d(x, int(x.sum()))


class NoneOfData(torch.nn.Module):
    def forward(self, x): return T.adaptive_avg_pool2d(x.nonzero()[None].float(), (None, 2))


X = torch.ones(1, 1, 4, 4)
HEAD = torch.nn.AdaptiveAvgPool2d(3)


@pytest.mark.parametrize("function", [portable, why_not, to_onnx])
@pytest.mark.parametrize("model, args, error, words", [
    ("vgg", X, TypeError, ["model must be a torch.nn.Module", "str"]),
    (HEAD, None, TypeError, ["args", "NoneType"]),
    (HEAD, (), TypeError, ["args"]),
    (torch.nn.Conv2d(1, 1, 1), X.to("meta"), ValueError, ["one device", "meta", "cpu"]),
    (FromData(), X, ValueError, ["numbers in its input", "output_size"]),
    (NoneOfData(), X, ValueError, ["numbers in", "output_size"]),
    (torch.jit.trace(HEAD, X), X, TypeError, ["scripted or traced"]),
    (torch.nn.AdaptiveAvgPool1d(None), X[0], TypeError, ["output_size"]),
    (torch.nn.Conv2d(1, 1, 1, device="meta"), X.to("meta"), ValueError, ["model and args", "meta"]),
])
def test_wrong_models_and_inputs(function, model, args, error, words, tmp_path):
    more = (tmp_path / "a.onnx",) if function is to_onnx else ()
    with pytest.raises(error) as caught: function(model, args, *more)
    for word in words: assert word in str(caught.value)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("path, options, error, words", [
    ("nowhere/a.onnx", {}, FileNotFoundError, ["folder that exists", "nowhere"]),
    ("", {}, IsADirectoryError, ["path must name a file"]),
    ("a.onnx", {"opset": 11}, ValueError, ["opset", "13", "11", "portable"]),
    ("a.onnx", {"opset": 99}, ValueError, ["opset", "99"]),
    ("a.onnx", {"opset": 18.0}, TypeError, ["opset", "18.0"]),
    ("a.onnx", {"dynamic_shapes": {2: "h"}}, ValueError, ["dynamic_shapes", "an entry for each input", "[2]"]),
    ("a.onnx", {"dynamic_shapes": ({2: "h"}, {3: "w"})}, ValueError, ["dynamic_shapes", "2 elements"]),
    ("a.onnx", {"dynamic_shapes": True}, TypeError, ["dynamic_shapes", "tuple", "True"]),
    ("a.onnx", {"dynamic_shapes": ({-1: "w"},)}, ValueError, ["dynamic_shapes", "[0, 4)", "-1"]),
    ("a.onnx", {"dynamic_shapes": ({4: "w"},)}, ValueError, ["dynamic_shapes", "[0, 4)", "got 4"]),
    ("a.onnx", {"dynamic_shapes": ({1: "n", 2: "n"},)}, ValueError, ["dynamic_shapes", "'n'", "1 and 4"]),
])
def test_wrong_files(path, options, error, words, tmp_path, monkeypatch):
    monkeypatch.setattr(write, "eager", lambda *_: pytest.fail("the model ran before the call was checked"))
    with pytest.raises(error) as caught: to_onnx(HEAD, X, tmp_path / path, **options)
    for word in words: assert word in str(caught.value)


class Function(torch.nn.Module):
    def __init__(self, function):
        super().__init__()
        self.function = function

    def forward(self, x): return self.function(x)


@pytest.mark.parametrize("function, options, error, words", [
    (HEAD, {"input_names": "picture"}, TypeError, ["input_names", "picture"]),
    (HEAD, {"input_names": ["a", "b"]}, ValueError, ["input_names", "tensors, 1", "'b'"]),
    (HEAD, {"output_names": []}, ValueError, ["output_names", "tensors, 1"]),
    (HEAD, {"input_names": ["a"], "output_names": ["a"]}, ValueError, ["output_names", "differ"]),
    (lambda x: None, {}, TypeError, ["must return tensors", "NoneType"]),
    (lambda x: (x, 5), {}, TypeError, ["must return tensors", "int"]),
    (lambda x: x.bfloat16(), {}, TypeError, ["bfloat16", "float()"]),
    (lambda x: torch.linalg.eigvalsh(x), {}, RuntimeError, ["torch.onnx.export cannot translate", "eigh"]),
])
def test_names_and_outputs_that_no_file_holds(function, options, error, words, tmp_path):
    with pytest.raises(error) as caught: to_onnx(Function(function), X, tmp_path / "a.onnx", progress=False, **options)
    for word in words: assert word in str(caught.value)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("path", [None, 3, io.BytesIO()])
def test_a_path_is_a_path(path):
    with pytest.raises(TypeError, match="path must be a str or a Path"): to_onnx(HEAD, X, path)


@pytest.mark.parametrize("error", [OSError(28, "No space left on device"), KeyboardInterrupt()])
def test_what_breaks_off_leaves_nothing(error, tmp_path, monkeypatch):
    "A full disk, or Ctrl-C, when half of the file is written."
    def save(program, path, **kwargs):
        path.write_bytes(b"half")
        raise error

    monkeypatch.setattr(torch.onnx.ONNXProgram, "save", save)
    with pytest.raises(type(error)): to_onnx(HEAD, X, tmp_path / "a.onnx", progress=False)
    assert not list(tmp_path.iterdir())


def test_names_for_the_file(tmp_path):
    options = dict(input_names=["picture"], output_names=["map"], dynamic_shapes=({0: "batch"},), progress=False)
    to_onnx(HEAD, X, tmp_path / "a.onnx", **options)
    graph = onnx.load(tmp_path / "a.onnx").graph
    assert [value.name for value in [*graph.input, *graph.output]] == ["picture", "map"]


def test_axes_of_one_name_have_one_size(tmp_path):
    "Also where the model does not ask for it: two inputs of one batch are never tried with two batches."
    class Two(torch.nn.Module):
        def forward(self, x, y): return T.adaptive_max_pool2d(x, 3), y + 1

    names = {0: "batch", 2: "height"}, {0: "batch"}
    report = to_onnx(Two(), (X, X), tmp_path / "a.onnx", dynamic_shapes=names, progress=False)
    batches = [(x[0], y[0]) for x, y in report.sizes]
    assert len(set(batches)) > 2 and all(a == b for a, b in batches)


def test_a_missing_package_names_the_extra(tmp_path, monkeypatch):
    monkeypatch.setattr(write.importlib.util, "find_spec", lambda name: None if name == "onnxscript" else 1)
    with pytest.raises(ImportError, match=r"onnxscript.*pip install 'adapool\[onnx\]'"):
        to_onnx(HEAD, X, tmp_path / "a.onnx")


def test_a_file_that_does_not_match_is_not_written(tmp_path):
    class Other(torch.nn.Module):
        def forward(self, x): return x + (1 if torch.compiler.is_exporting() else 0)

    file = tmp_path / "a.onnx"
    file.write_bytes(b"before")
    with pytest.raises(RuntimeError, match="differs from the eager one"):
        to_onnx(Other(), X, file, progress=False)
    assert file.read_bytes() == b"before" and list(tmp_path.iterdir()) == [file]


def test_a_model_that_is_wrong_at_other_sizes_only_is_not_written(tmp_path, monkeypatch):
    "With torch's own table the head is right at 14 and at no other size: what to_onnx is there to notice."
    monkeypatch.setattr(write, "without_adaptive", lambda program, terms: program)
    with pytest.raises(RuntimeError, match="differs from the eager one at"):
        to_onnx(LAYERS["avg2d 14 to 7"][0], numbers((1, 2, 14, 14)), tmp_path / "a.onnx", ({2: "h", 3: "w"},))
    assert not list(tmp_path.iterdir())


class ThroughNumPy(torch.nn.Module):
    def forward(self, x): return HEAD(torch.from_numpy(x.numpy()))


@pytest.mark.parametrize("function", [portable, program, why_not, to_onnx])
def test_what_torch_cannot_capture(function, tmp_path):
    more = (tmp_path / "a.onnx",) if function is to_onnx else ()
    with pytest.raises(RuntimeError, match=r"torch.export cannot capture the model: .*numpy"):
        function(ThroughNumPy(), X, *more)
    assert not list(tmp_path.iterdir())


def test_whole_numbers_as_input(tmp_path):
    "The other inputs that are tried hold numbers of the same range: others are no rows of the table."
    table = torch.nn.Embedding(5, 8)
    model = torch.nn.Sequential(table, torch.nn.AdaptiveMaxPool2d((3, 5)))
    x = torch.tensor([[[0, 4, 2, 1, 3, 0, 2]]])
    model = torch.nn.Sequential(torch.nn.Flatten(1), model)
    report = to_onnx(model, x, tmp_path / "a.onnx", ({2: "n"},), progress=False)
    assert len(report.sizes) == 11 and not report.refused
    same(model(x), opened(tmp_path / "a.onnx")(x))


class OneRow(torch.nn.Module):
    def forward(self, x): return x.expand(4, -1) + 1


class OddOnly(torch.nn.Module):
    def forward(self, x):
        if not torch.compiler.is_exporting() and x.shape[-1] % 2 == 0: raise ValueError("odd sizes only")
        return T.adaptive_avg_pool1d(x, 3)


@pytest.mark.parametrize("model, x, open_axes, taken", [
    (OneRow(), numbers((1, 3)), {0: "rows", 1: "n"}, lambda shape: shape[0] == 1),  # not even as two rows
    (OddOnly(), numbers((1, 2, 9)), {2: "n"}, lambda shape: shape[2] % 2 == 1)])
def test_sizes_that_the_model_refuses_are_told_apart(model, x, open_axes, taken, tmp_path):
    report = to_onnx(model, x, tmp_path / "a.onnx", (open_axes,), progress=False)
    assert len(report.sizes) >= 6 and report.refused
    assert report.ranges == (['None for Dim("rows")'] if "rows" in open_axes.values() else [])
    assert all(taken(shape) for (shape,) in report.sizes) and not any(taken(shape) for (shape,) in report.refused)
    assert f" and {len(report.refused) - 4} more: the model refuses them" in repr(report)


def test_a_file_that_fails_where_the_model_does_not_is_not_written(tmp_path):
    class SixthCell(torch.nn.Module):
        def forward(self, x):
            if not torch.compiler.is_exporting() and x.shape[-1] < 6: return x[..., :1]
            return x.index_select(-1, torch.tensor([5]))

    with pytest.raises(RuntimeError, match=r"the ONNX model fails at .* leave that axis fixed"):
        to_onnx(SixthCell(), numbers((1, 2, 9)), tmp_path / "a.onnx", ({2: "n"},), progress=False)
    assert not list(tmp_path.iterdir())


def test_modes_come_back(tmp_path):
    model = torch.nn.Sequential(torch.nn.Conv2d(1, 2, 1), torch.nn.BatchNorm2d(2), torch.nn.Dropout(), HEAD)
    model[1].eval()
    to_onnx(model, X, tmp_path / "a.onnx", progress=False)
    assert [module.training for module in model] == [True, False, True, True]


@pytest.mark.parametrize("names, steps", some([(None, 4), (({2: "h"},), 14)], 1))
def test_the_bar_counts_every_step_once(names, steps, tmp_path, monkeypatch):
    made = []

    class Bar(tqdm.auto.tqdm):
        def __init__(self, *args, **kwargs):
            super().__init__(*args, **{**kwargs, "file": io.StringIO()})
            made.append(self)

    monkeypatch.setattr(tqdm.auto, "tqdm", Bar)
    to_onnx(HEAD, X, tmp_path / "a.onnx", dynamic_shapes=names)
    assert [(bar.n, bar.total) for bar in made] == [(steps, steps)]


@pytest.mark.parametrize("name", some(LAYERS, ["avg2d (8, 9) to (5, 7)", "max2d 14 to 7"]))
def test_verdicts_of_why_not_are_those_of_the_exporters(name, tmp_path):
    "The table's words, against the exporters themselves: fixed sizes here."
    layer, shape = LAYERS[name]
    x, row = numbers(shape), why_not(layer, numbers(shape))[0]
    for dynamo, key in ((False, "torch, tracing"), (True, "torch, dynamo")):
        file = tmp_path / "a.onnx"
        try:
            with quiet(): torch.onnx.export(layer, (x,), file, dynamo=dynamo, verbose=False)
            same(layer(x), opened(file)(x))
            verdict = "right"
        except Exception: verdict = "fails"
        assert row[key] == verdict, key


MEASURED = {  # of torch's own layer in LiteRT, ExecuTorch, Core ML, TVM, AOTInductor, ncnn
    "avg1d 10 to 7": ("right / fails", "right", "right / fails", "right", "right / wrong", "keep torch's layer"),
    "avg2d 14 to 7": ("right / wrong", "right", "right / fails", "right", "right / wrong", "keep torch's layer"),
    "avg3d (7, 9, 8) to (3, 4, 5)": ("fails", "fails", "fails", "right", "right", "keep torch's layer"),
    "max1d 10 to 7": ("fails", "fails", "right / fails", "fails", "right / wrong", "keep torch's layer"),
    "max2d with indices": ("fails", "fails", "fails", "fails", "right / wrong", "fails"),
    "max3d with indices": ("fails", "fails", "fails", "fails", "right", "fails"),
}


@pytest.mark.parametrize("name", MEASURED)
def test_what_why_not_says_of_runtimes(name):
    layer, shape = LAYERS[name]
    (row,) = why_not(layer, numbers(shape))
    tools = "LiteRT", "ExecuTorch", "Core ML", "TVM", "AOTInductor", "ncnn"
    assert tuple(row[tool] for tool in tools) == MEASURED[name]


@pytest.mark.parametrize("m, shape, tool, verdict", [
    ((5, 4), (10, 15), "TVM", "wrong / right"), ((10, 4), (10, 15), "TVM", "right"),
    (1, (10, 15), "LiteRT", "right / wrong"), (1, (10, 15), "AOTInductor", "right"), (1, (10, 15), "Core ML", "right"),
    (3, (41, 43), "AOTInductor", "right"), (7, (15, 16), "AOTInductor", "right / wrong"),
    (2, (14, 14), "AOTInductor", "right / wrong"),
])
def test_verdicts_that_depend_on_sizes(m, shape, tool, verdict):
    assert why_not(torch.nn.AdaptiveAvgPool2d(m), numbers((1, 2, *shape)))[0][tool] == verdict


@pytest.mark.parametrize("layer, shape, says", [
    (torch.nn.AdaptiveAvgPool2d((3, None)), (40, 38), "right / fails"),
    (torch.nn.AdaptiveAvgPool3d((None, 2, 3)), (7, 6, 9), "right"),
    (torch.nn.AdaptiveMaxPool3d((None, 2, 3)), (7, 5, 9), "right / fails"),
])
def test_open_sizes_that_none_keeps_in_aotinductor(layer, shape, says):
    for model in (layer, torch.nn.Sequential(torch.nn.ReLU(), layer, layer)):
        assert {row["AOTInductor"] for row in why_not(model, numbers((1, 2, *shape)))} == {says}


def test_what_tools_do_is_a_table_of_its_own():
    rows = why_not(torch.nn.AdaptiveMaxPool2d(6), numbers((1, 3, 13, 13)))
    for shown in (str(rows), rows._repr_markdown_()):
        first, second = shown.split("Torch's own layer")
        assert "single pool" in first and "LiteRT" not in first
        assert "keep torch's layer" in second and "single pool" not in second
