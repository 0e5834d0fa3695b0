"Models called by name, with dicts, wrapped; sizes with ranges and rules, sizes that a model does not take; errors."

import dataclasses
import math
from collections import namedtuple

import onnx
import onnxruntime
import pytest
import torch
import torch.nn.functional as T
from quick import some
from torch import nn
from torch.export import AdditionalInputs, Dim, ShapesCollection

import adapool.functional
from adapool.export import capture, portable, to_onnx, verify, why_not, write
from adapool.export.verify import distance


def numbers(*shape, seed=0): return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


class Of(nn.Module):
    "A function of one input as a model."
    def __init__(self, function):
        super().__init__()
        self.function = function

    def forward(self, x): return self.function(x)


X, HEAD = numbers(1, 2, 12, 9), nn.AdaptiveAvgPool2d(5)


@pytest.fixture
def file(tmp_path): return tmp_path / "a.onnx"


def written(path, model, args=X, **options): return to_onnx(model, args, path, progress=False, **options)


def opened(path):
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    names = [value.name for value in session.get_outputs()]
    def run(**inputs): return map(torch.from_numpy, session.run(None, {k: v.numpy() for k, v in inputs.items()}))
    return lambda **inputs: dict(zip(names, run(**inputs)))


# -- Sizes. --

HALVING = {
    "average": lambda x: T.adaptive_avg_pool2d(x, (x.shape[2] // 2, 3)),
    "maximum": lambda x: T.adaptive_max_pool2d(x, (x.shape[2] // 2, 3)),
    "area": lambda x: T.interpolate(x, scale_factor=(0.5, 1), mode="area"),
}


@pytest.mark.parametrize("name", some(HALVING, 1))
def test_sizes_of_which_a_model_makes_nothing_are_named(name, file):
    "One cell halved is none."
    model = Of(HALVING[name])
    report = written(file, model, dynamic_shapes=({2: "h"},))
    assert report.refused == [[(1, 2, 1, 9)]] and report.ranges == ['Dim("h", min=2)']
    said = " ".join(repr(report).split())
    assert 'left out 1×2×1×9: the model refuses them or gives nothing; Dim("h", min=2) in dynamic_shapes' in said
    run = opened(file)
    for x in (numbers(1, 2, n, 9) for n in (2, 3, 5, 30)): torch.testing.assert_close([*run(x=x).values()], [model(x)])


def test_the_range_that_is_suggested_leaves_no_such_sizes(file):
    report = written(file, Of(HALVING["average"]), dynamic_shapes=({2: Dim("h", min=2)},))
    assert not report.refused and len({x[0] for x in report.sizes}) == 11


class Positions(nn.Module):
    "As in a transformer: a table with a row for each place, so that there is a largest size; and a smallest."
    def __init__(self):
        super().__init__()
        self.table = nn.Embedding(15, 4)

    def forward(self, x):
        if not torch.compiler.is_exporting() and x.shape[1] < 3: raise ValueError("too short")
        return T.adaptive_max_pool1d((self.table(torch.arange(x.shape[1])) + x[..., None])[:, 2:].transpose(1, 2), 3)


@pytest.mark.slow
def test_both_ends_of_a_range_are_found(file):
    report = written(file, Positions(), numbers(1, 9), dynamic_shapes=({0: "batch", 1: "n"},))
    assert report.ranges == ['Dim("n", min=3, max=15)']
    assert all(3 <= n <= 15 for (_, n), in report.sizes) and all(n < 3 or n > 15 for (_, n), in report.refused)
    report = written(file, Positions(), numbers(1, 9), dynamic_shapes=({0: "batch", 1: Dim("n", min=3, max=15)},))
    assert len(report.sizes) == 11 and not report.refused


@pytest.mark.slow
def test_models_of_multiples_are_tried_at_multiples(file):
    "A model that cuts its input into four: enough sizes that are tried divide, and no range is made up."
    model = Of(lambda x: T.adaptive_avg_pool1d(x, 3).sum() + x.reshape(1, 2, 4, -1).sum(2))
    report = written(file, model, numbers(1, 2, 12), dynamic_shapes=({2: "n"},))
    assert len(report.sizes) >= 5 and all(x[0][2] % 4 == 0 for x in report.sizes)
    assert report.refused and report.ranges == []


def test_a_size_that_the_translation_fixes_is_no_open_size(file, monkeypatch):
    "As torch.onnx.export does with MobileViT: what was asked for is tried, whatever the program has become."
    def fixed(program, *args):
        program.graph.find_nodes(op="placeholder")[-1].meta["val"].shape[2].__index__()
        return translate(program, *args)

    translate = write._translate
    monkeypatch.setattr(write, "_translate", fixed)
    with pytest.raises(RuntimeError, match=r"the ONNX model fails at .* leave that axis fixed"):
        written(file, HEAD, dynamic_shapes=({2: "h"},))


def test_no_size_is_counted_twice(file):
    report = written(file, HEAD, dynamic_shapes=({0: "batch"},))
    assert sorted(x[0][0] for x in report.sizes) == [1, 2, 3, 5]
    report = written(file, HEAD, dynamic_shapes=({2: Dim("h", min=10, max=13)},))
    assert sorted(x[0][2] for x in report.sizes) == [10, 11, 12, 13]


class Two(nn.Module):
    def forward(self, x, y): return T.adaptive_avg_pool2d(x, 5), T.adaptive_max_pool2d(y, (None, 3))


h = Dim("h", min=3, max=20)


@pytest.mark.parametrize("model, args, dynamic_shapes, rule", some([
    (HEAD, (X,), ({2: 2 * Dim("h", max=64), 3: "w"},), lambda x: x[2] % 2 == 0 and x[2] <= 128),
    (HEAD, (X,), ({2: 2 * Dim("h", max=64)},), lambda x: x[2] % 2 == 0),
    (HEAD, (numbers(1, 2, 13, 9),), ({2: 3 * Dim("h") + 1},), lambda x: x[2] % 3 == 1),
    (HEAD, (X,), ({2: Dim("h", min=3) - 2},), lambda x: x[2] >= 1),
    (Two(), (X, numbers(1, 1, 6, 7)), ({2: 2 * h}, {2: h}), lambda x, y: x[2] == 2 * y[2] and 3 <= y[2] <= 20),
    (Two(), (X, numbers(1, 1, 6, 7)), ({2: 2 * h, 3: "w"}, {2: "h"}), lambda x, y: 6 <= x[2] == 2 * y[2] <= 40),
    (Two(), (X, numbers(1, 1, 12, 7)), ({2: h}, {2: "h"}), lambda x, y: x[2] == y[2] and 3 <= y[2] <= 20),
], 1))
def test_rules_and_ranges(model, args, dynamic_shapes, rule, file):
    report = written(file, model, args, dynamic_shapes=dynamic_shapes)
    assert len(report.sizes) == 11 and not report.refused and all(rule(*shapes) for shapes in report.sizes)
    assert len({tuple(shapes) for shapes in report.sizes}) == 11


def collected(x):
    shapes = ShapesCollection()
    shapes[x] = {2: "h"}
    return shapes


def added():
    shapes = AdditionalInputs()
    shapes.add((numbers(1, 2, 13, 9),))
    return shapes


@pytest.mark.parametrize("dynamic_shapes", some([(shapes,) for shapes in (
    ({2: Dim("h")},), [{2: "h"}], {"input": {2: "h"}}, ((None, None, "h", Dim.STATIC),), ([1, 2, Dim("h"), 9],),
    ({2: Dim.AUTO, 3: None},), ({2: Dim.DYNAMIC(min=2, max=90)},), {"input": (None, None, Dim.DYNAMIC, None)},
    collected(X), added())], 1))
def test_forms_of_dynamic_shapes(dynamic_shapes, file):
    report = written(file, HEAD, dynamic_shapes=dynamic_shapes)
    assert len({x[0][2] for x in report.sizes}) == 11 and {x[0][:2] + x[0][3:] for x in report.sizes} == {(1, 2, 9)}


@pytest.mark.parametrize("dynamic_shapes, error, words", [
    ({"x": {2: "h"}}, ValueError, ["['input']", "['x']"]),
    (("h",), ValueError, ["each of the 4 axes", "'h'"]),
    (((None, "h"),), ValueError, ["each of the 4 axes"]),
    (({2: 3.5},), TypeError, ["a name", "3.5", "axis 2"]),
    (({2: 13},), ValueError, ["axis 2 has 12", "[13, 13]"]),
    (({2: Dim("h", min=20)},), ValueError, ["axis 2 has 12", "[20, inf]"]),
    (({2: Dim("h", max=20), 3: "h"},), ValueError, ["'h' is 12 and 9"]),
    (({0: Dim("n", max=20), 1: Dim("m")}, {0: Dim("n", max=9)}), ValueError, ["2 elements"]),
])
def test_wrong_shapes(dynamic_shapes, error, words, file):
    with pytest.raises(error) as caught: written(file, HEAD, dynamic_shapes=dynamic_shapes)
    for word in ("dynamic_shapes", *words): assert word in str(caught.value)


def test_one_name_has_one_range():
    with pytest.raises(ValueError, match="'n' one range"):
        written("a.onnx", Two(), (X, X), dynamic_shapes=({0: Dim("n", max=20)}, {0: Dim("n", max=9)}))


@pytest.mark.parametrize("function", some([
    lambda x: adapool.functional.adaptive_max_pool2d(x, (None, 5)),
    lambda x: adapool.functional.adaptive_max_pool2d(x, (x.shape[2], 5), return_indices=True),
    lambda x: torch.adaptive_max_pool1d(x.flatten(2), x.shape[2]),
    lambda x: adapool.functional.adaptive_avg_pool1d(x.flatten(2), x.shape[2])], 1))
def test_sizes_from_open_axes_by_whatever_function(function, file):
    "Torch's own operators hold ints only, whoever calls them: a function of torch, of ours, or the one below both."
    report = written(file, Of(function), dynamic_shapes=({2: "h"},))
    assert len(report.sizes) == 11


# -- Calls by name. --

class ByName(nn.Module):
    "As models of transformers are called: everything has a name and a default, and a dict comes back."
    def __init__(self):
        super().__init__()
        self.words, self.conv = nn.Embedding(20, 6), nn.Conv2d(3, 6, 3)

    def forward(self, input_ids=None, attention_mask=None, pixel_values=None, output_hidden_states=None,
                return_dict=True):
        maps = self.conv(pixel_values)
        found = {"logits": T.adaptive_avg_pool2d(maps, (5, 7))}
        if input_ids is not None:
            words = self.words(input_ids)
            if attention_mask is not None: words = words * attention_mask[..., None]
            found["text"] = T.adaptive_max_pool1d(words.transpose(1, 2), 3)
        if output_hidden_states: found["hidden_states"] = (maps, maps + 1)
        return found if return_dict else tuple(found.values())


class Anything(nn.Module):
    def forward(self, **inputs): return T.adaptive_avg_pool2d(inputs["pixel_values"], 3), inputs["input_ids"] * 2


IDS, MASK, PIXELS = torch.tensor([[1, 5, 7, 3]]), torch.tensor([[1, 1, 1, 0]]), numbers(1, 3, 12, 9)


@pytest.mark.slow
def test_inputs_by_name_in_any_order(file):
    "The file has the names of the arguments and of the outputs, and open axes are those that a dict names."
    torch.manual_seed(0)
    model, words = ByName().eval(), {0: "batch", 1: "n"}
    given = {"attention_mask": MASK, "pixel_values": PIXELS, "output_hidden_states": True, "input_ids": IDS}
    shapes = {"pixel_values": {0: "batch", 2: "h"}, "attention_mask": words, "input_ids": words}
    report = written(file, model, (), kwargs=given, dynamic_shapes=shapes)
    assert len(report.sizes) == 11 and all(ids == mask and ids[0] == x[0] for ids, mask, x in report.sizes)
    ids = torch.randint(0, 20, (3, 7))
    other = {"input_ids": ids, "attention_mask": ids % 2, "pixel_values": numbers(3, 3, 20, 9)}
    got, wanted = opened(file)(**other), model(**other, output_hidden_states=True)
    assert list(got) == ["logits", "text", "hidden_states.0", "hidden_states.1"]
    torch.testing.assert_close([*got.values()], [wanted["logits"], wanted["text"], *wanted["hidden_states"]])


def test_some_by_place_and_some_by_name(file):
    model = ByName().eval()
    given = {"pixel_values": PIXELS, "return_dict": False}
    written(file, model, IDS, kwargs=given, dynamic_shapes={"pixel_values": {2: "h"}},
            input_names=["words", "picture"], output_names=["a", "b"])
    x = numbers(1, 3, 21, 9)
    wanted = model(IDS, None, x, return_dict=False)
    torch.testing.assert_close([*opened(file)(words=IDS, picture=x).values()], list(wanted))


def test_what_a_model_takes_as_keywords_only(file):
    model, given = Anything(), {"input_ids": IDS, "pixel_values": PIXELS}
    report = written(file, model, None, kwargs=given, dynamic_shapes={"pixel_values": {2: "h"}})
    assert len(report.sizes) == 11 and "forward" not in vars(model)
    x = numbers(1, 3, 30, 9)
    got = [*opened(file)(input_ids=IDS, pixel_values=x).values()]
    torch.testing.assert_close(got, list(model(input_ids=IDS, pixel_values=x)))


def test_a_dict_as_one_input(file):
    model = Of(lambda x: T.adaptive_avg_pool2d(x["a"], 3) + x["b"])
    written(file, model, ({"a": X, "b": numbers(3, 3)},), dynamic_shapes=({"a": {2: "h"}, "b": None},))
    got = opened(file)(x_a=numbers(1, 2, 20, 9), x_b=numbers(3, 3))
    torch.testing.assert_close([*got.values()], [model({"a": numbers(1, 2, 20, 9), "b": numbers(3, 3)})])


@dataclasses.dataclass
class Known:
    logits: torch.Tensor
    more: dict


@dataclasses.dataclass
class Unknown:
    logits: torch.Tensor


Pair = namedtuple("Pair", "first second")
torch.export.register_dataclass(Known, serialized_type_name="test_export_calls.Known")


@pytest.mark.parametrize("function, names", some([
    (lambda x: Known(HEAD(x), {"a": x, "b": [x + 1]}), ["logits", "more.a", "more.b.0"]),
    (lambda x: Pair(HEAD(x), None), ["first"]),
    (lambda x: {"x": HEAD(x), "y": None, 3: x * 2}, ["x_out", "3"]),  # x is the name of the input
    (lambda x: {"x": HEAD(x), "x_out": x * 2}, None),  # names that clash are left to torch
], 2))
def test_outputs_are_called_as_in_the_model(function, names, file):
    written(file, Of(function))
    found = [value.name for value in onnx.load(file).graph.output]
    assert found == names if names else len(set(found)) == 2


@pytest.mark.parametrize("function", [portable, why_not, to_onnx])
@pytest.mark.parametrize("args, kwargs, words", [
    ({"input": X}, None, ["args", "dict", "kwargs=", "({...},)"]),
    (X, [X], ["kwargs", "dict"]),
    (X, {3: X}, ["kwargs", "by name"]),
    ((), {"input": 3}, ["args", "no tensor in kwargs"]),
    ((), {"picture": X}, ["args and kwargs", "input"]),
    (X, {"input": X}, ["args and kwargs", "multiple values"]),
])
def test_wrong_calls(function, args, kwargs, words, file):
    with pytest.raises(TypeError) as caught: function(HEAD, args, *[file] * (function is to_onnx), kwargs=kwargs)
    for word in words: assert word in str(caught.value)


def test_portable_takes_names_in_any_order_and_nothing_else():
    torch.manual_seed(0)
    model, given = ByName(), {"pixel_values": PIXELS, "output_hidden_states": True, "input_ids": IDS}
    copy, wanted = portable(model, (), kwargs=given), model.eval()(**given)
    tensors = {"pixel_values": PIXELS, "input_ids": IDS}
    traced = torch.jit.trace(portable(model, (), kwargs=tensors), example_kwarg_inputs=tensors, strict=False)(**tensors)
    torch.testing.assert_close(traced, model(**tensors))
    for found in (copy(**given), copy(**tensors)):
        assert list(found) == list(wanted)
        torch.testing.assert_close(list(found.values()), list(wanted.values()))
    with pytest.raises(ValueError, match="output_hidden_states=True, got False"):
        copy(**{**given, "output_hidden_states": False})
    with pytest.raises(ValueError, match="made for inputs of"): copy(**{**given, "pixel_values": PIXELS[..., 1:]})
    assert len(why_not(model, (), kwargs=given)) == 2


MAKERS = (lambda x: Known(HEAD(x), {"a": x}), lambda x: Pair(HEAD(x), None), lambda x: [HEAD(x), {"b": (x, None)}])


@pytest.mark.parametrize("make", MAKERS)
def test_portable_gives_what_the_model_gives(make):
    found, wanted = portable(Of(make), X)(X), make(X)
    assert type(found) is type(wanted)
    torch.testing.assert_close(*(torch.utils._pytree.tree_leaves(value) for value in (found, wanted)))


class Flagged(nn.Module):
    def forward(self, pixel_values=None, flag=None): return Known(HEAD(pixel_values), {"a": pixel_values + flag})


def test_portable_of_several_examples_shares_weights():
    "A copy for each, in their order, the model's own weights in all; what the model takes together is a tuple."
    model, sizes = nn.Sequential(nn.Conv2d(2, 3, 3), nn.AdaptiveAvgPool2d((4, 3))).eval(), [(9, 8), (12, 9), (31, 7)]
    examples = [numbers(1, 2, *size) for size in sizes]
    copies = portable(model, [examples[0], *((x,) for x in examples[1:])])
    for copy, x in zip(copies, examples, strict=True):
        torch.testing.assert_close(copy(x), model(x))
        assert [p.data_ptr() for p in copy.parameters()] == [p.data_ptr() for p in model.parameters()]
    with pytest.raises(ValueError, match="this copy was made for inputs of"): copies[0](examples[1])
    assert len(portable(model, examples[:1])) == 1


class Together(nn.Module):
    "A model of two inputs."
    def forward(self, x, y): return T.adaptive_avg_pool2d(x + y, 3)


@pytest.mark.parametrize("model, args, error, words", [
    (HEAD, [], ValueError, "an example, or a list with one for each copy, got an empty list"),
    (HEAD, [X, 5], TypeError, r"args\[1\]: args must be a tensor"),
    (Together(), [X, X], TypeError, r"args\[0\]: .*missing a required argument: 'y'; .* together goes as a tuple"),
])
def test_what_is_wrong_with_several_examples_is_said(model, args, error, words):
    with pytest.raises(error, match=words): portable(model, args)


def test_portable_knows_what_is_no_tensor():
    copy = portable(Flagged(), (), kwargs={"pixel_values": PIXELS, "flag": 1})
    for given in ({"pixel_values": PIXELS}, {"flag": 1, "pixel_values": PIXELS}):
        torch.testing.assert_close(copy(**given).more["a"], PIXELS + 1)


# -- Wrapped models, and what is said of those that cannot be written. --

BODY = nn.Sequential(nn.Conv2d(2, 4, 3), nn.AdaptiveAvgPool2d(5))


@pytest.mark.parametrize("wrapped", some([
    nn.DataParallel(BODY), torch.compile(BODY), torch.compile(nn.DataParallel(BODY)),
    nn.Sequential(torch.compile(BODY))], 1))
def test_wrapped_models(wrapped, file):
    "Written as what is inside, and compiled for nothing: its axes have the names of the module inside."
    def compiler(*_): raise AssertionError("compiled")
    with torch._dynamo.config.patch(disable=False), pytest.MonkeyPatch.context() as patch:
        patch.setattr(torch._dynamo.convert_frame, "compile_frame", compiler)
        report = written(file, wrapped, dynamic_shapes={"input": {2: "h"}})
        assert len(report.sizes) == 11 and [row["where"][-1] for row in why_not(wrapped, X)] == ["1"]
        torch.testing.assert_close(portable(wrapped, X)(X), BODY(X))


class Regions(nn.Module):
    "Pools where autocast is off and where gradients are on: torch.export gives such regions graphs of their own."
    def forward(self, x):
        with torch.autocast("cpu", enabled=False): y = T.adaptive_avg_pool2d(x + 1, (5, 7))
        with torch.enable_grad(): return y, T.adaptive_max_pool2d(x * 2, 5)


def test_pools_in_regions_are_seen_and_replaced(file):
    assert [row["pool"] for row in why_not(Regions(), X)] == ["avg 2d", "max 2d"]
    copy = portable(Regions(), X)
    torch.testing.assert_close(copy(X), Regions()(X))
    targets = [str(node.target) for part in copy.modules() if hasattr(part, "graph") for node in part.graph.nodes]
    assert targets and not [target for target in targets if "adaptive" in target]
    written(file, Regions(), dynamic_shapes=({2: "h"},))


class Autocast(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(2, 4, 3)

    def forward(self, x):
        with torch.autocast("cpu", dtype=torch.bfloat16): return HEAD(self.conv(x)).float()


HALF = nn.Sequential(Of(torch.Tensor.bfloat16), nn.Conv2d(2, 4, 3).bfloat16(), Of(torch.Tensor.float))
MIXED = nn.Sequential(Of(torch.Tensor.half), nn.Conv2d(2, 4, 3).half(), nn.AdaptiveAvgPool2d(6), Of(torch.Tensor.float))
FIXED = Of(lambda x: HEAD(x).sum() + x + torch.ones(1, 2, 12, 9))


@pytest.mark.parametrize("model, x, options, words", some([
    (Autocast(), X, {}, ["ONNX Runtime does not take", "bfloat16", "without autocast", "float32", "half()"]),
    (HALF, X, {}, ["bfloat16", "float32", "half()"]),
    (HEAD, X.masked_fill(X > 1, math.inf), {}, ["not finite", "finite=False"]),
    (Of(lambda x: HEAD(x.masked_fill(x > 1, -math.inf))), X, {}, ["not finite", "finite=False"]),
    (FIXED, X, {"dynamic_shapes": ({2: "h"},)}, ["Constraints violated", "specialized it to be a constant"]),
    (FIXED, X, {"dynamic_shapes": ({2: 2 * Dim("h")},)}, ["Constraints violated", "specialized it to be a constant"]),
], 2))
def test_what_is_said_of_models_that_cannot_be_written(model, x, options, words, file, capfd):
    with pytest.raises(RuntimeError) as caught: written(file, model, x, **options)
    for word in words: assert word in str(caught.value)
    for word in ("Dim.DYNAMIC", "TORCH_LOGS", str(file.parent), "inf;"): assert word not in str(caught.value)
    assert not list(file.parent.iterdir()) and "onnxruntime" not in capfd.readouterr().err


def test_what_half_precision_leaves_in_a_float_output_is_no_fault(file):
    assert written(file, MIXED, X).error < 1e-2


def test_an_output_class_that_torch_does_not_know(file):
    with pytest.raises(TypeError, match=r"Unknown: torch\.export\.register_dataclass"):
        written(file, Of(lambda x: Unknown(x)))


@pytest.mark.parametrize("a, b, error", [
    (math.inf, math.inf, 0), (math.nan, math.nan, 0), (math.inf, -math.inf, math.nan), (math.nan, math.inf, math.nan),
    (math.inf, math.nan, math.nan), (1, math.nan, math.nan), (math.inf, 1, math.nan), (3, 1, 1)])
def test_distance_of_numbers_that_are_not_finite(a, b, error):
    found = distance(torch.tensor([2.0, a]), [torch.tensor([2.0, b]).numpy()])
    assert found == pytest.approx(error * 2 / 3, nan_ok=True)


@pytest.mark.parametrize("room, name, wrapped", [
    (verify.Tries, "_empty", staticmethod), (verify, "distance", lambda f: f),
    (capture, "_checked_sizes", lambda f: f)])
def test_a_mistake_of_our_own_is_not_laid_to_the_model(room, name, wrapped, file, monkeypatch):
    "Where it is looked whether a model takes a size, what else goes wrong there is seen."
    right, calls = getattr(room, name), []
    def stray(*args):
        calls.append(args)
        if len(calls) == 1 and room is verify.Tries: return right(*args)  # that of the example
        raise KeyError("stray")
    monkeypatch.setattr(room, name, wrapped(stray))
    with pytest.raises(KeyError, match="stray"):
        written(file, HEAD, torch.ones(1, 2, 12, 9), dynamic_shapes=({0: "batch", 2: "h"},))
    assert len(calls) == 2 - (room is not verify.Tries)


def mixed(x): return torch.einsum("nchw,dc,ed->nehw", x, x[0, :, :2, 0], x[0, :, :2, 1])


@pytest.mark.parametrize("model", [HEAD, Of(mixed)])
def test_sizes_stay_open_where_opt_einsum_is_installed(model, file):
    "It orders an Einsum of three by the example's sizes: the first is ours, inside, the second a user's."
    pytest.importorskip("opt_einsum")
    was, torch.backends.opt_einsum.enabled = torch.backends.opt_einsum.enabled, True
    try:
        assert len(written(file, model, dynamic_shapes=({2: "height", 3: "width"},)).sizes) > 9
        assert torch.backends.opt_einsum.enabled
        program = torch.export.export(HEAD, (X,), dynamic_shapes=({2: Dim.DYNAMIC, 3: Dim.DYNAMIC},))
        program = program.run_decompositions(adapool.export.decompositions())
    finally: torch.backends.opt_einsum.enabled = was
    x = numbers(1, 2, 17, 4)
    torch.testing.assert_close(program.module()(x), HEAD(x))
