"Networks, run and followed: equations are true, functions like their layers, receptive fields those of gradients."

import math
import re

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional as F

from adapool.networks import follow, trace_shapes
from adapool.networks.fields import closed_form
from adapool.networks.trace import watched


def value(text):
    "The number that a formula's left side comes to, by the rules of arithmetic; ⌊ and ⌈ round."
    for sign, code in zip("·−⌊⌋⌈⌉", ("*", "-", "math.floor(", ")", "math.ceil(", ")")): text = text.replace(sign, code)
    assert re.fullmatch(r"(math\.(floor|ceil)|[\d.+*/() -])+", text), text
    return eval(text, {"math": math})


def check_adaptive(text, n, out):
    "The statement about an adaptive layer against its windows, written out, and the ordinary pool's, written out."
    pool = r"exactly a pool K = (\d+), S = (\d+)(?:, P = (\d+))?(?: in (\d+) blocks)?"
    match = re.fullmatch(rf"(\d+) → (\d+): windows of ([\d or]+?), (no ordinary pool|{pool})", text)
    assert match, text
    windows = [(i * n // out, -(-(i + 1) * n // out)) for i in range(out)]
    assert (int(match[1]), int(match[2])) == (n, out)
    assert sorted({b - a for a, b in windows}) == sorted(map(int, match[3].split(" or ")))
    if not match[5]: return
    K, S, P, blocks = (int(v or default) for v, default in zip(match.groups()[4:], (0, 0, 0, 1)))
    length, each = n // blocks, out // blocks
    starts = [(block * length, block * length + i * S - P) for block in range(blocks) for i in range(each)]
    assert windows == [(max(start, low), min(start + K, low + length)) for low, start in starts]


def check_row(row):
    "Every equation of a row is true, and is about the sizes that went in and came out."
    sizes, made = (shape[len(shape) - len(row.formula):] for shape in (row.input_shape, row.output_shape))
    for text, n, out in zip(row.formula, sizes, made, strict=True):
        if row.windows: check_adaptive(text, n, out)
        elif "→" in text: assert text == f"{n} → {out}"
        else:
            left, right = text.split(" = ")
            assert value(left) == int(right) == out and str(n) in left, (row.name, text, out)


def check_trace(table):
    "Every row, and that a field is unknown only with a reason."
    for row in table: check_row(row)
    assert table.unknown or all(row.fields is not None for row in table)


X = torch.zeros(4, 3, 3, 2)
SAME = [
    (nn.Conv2d(3, 4, (3, 2)), lambda x: F.conv2d(x, X)),
    (nn.Conv2d(3, 4, (3, 2), 2, 1, 3), lambda x: F.conv2d(x, X, None, 2, 1, 3)),
    (nn.Conv2d(3, 4, (3, 2), (2, 3), (0, 1)), lambda x: F.conv2d(x, weight=X, stride=(2, 3), padding=(0, 1))),
    (nn.Conv2d(3, 4, (3, 2), padding="same"), lambda x: F.conv2d(x, X, padding="same")),
    (nn.Conv2d(3, 4, (3, 2), 2, padding="valid"), lambda x: F.conv2d(x, X, stride=2, padding="valid")),
    (nn.ConvTranspose2d(3, 3, (3, 2), 2, 1, 1), lambda x: F.conv_transpose2d(x, X[:3], None, 2, 1, 1)),
    (nn.ConvTranspose2d(3, 3, (3, 2), 3, dilation=2), lambda x: F.conv_transpose2d(x, X[:3], stride=3, dilation=2)),
    (nn.MaxPool2d(3), lambda x: F.max_pool2d(x, 3)),
    (nn.MaxPool2d((3, 2), 2, 1, 2, False, True), lambda x: F.max_pool2d(x, (3, 2), 2, 1, 2, True)),
    (nn.MaxPool2d(2, 3, ceil_mode=True), lambda x: F.max_pool2d(x, 2, stride=3, ceil_mode=True)),
    (nn.AvgPool2d(3, 2), lambda x: F.avg_pool2d(x, 3, 2)),
    (nn.AvgPool2d(3, 2, 1, True), lambda x: F.avg_pool2d(x, 3, 2, 1, True)),
    (nn.AdaptiveAvgPool2d((5, None)), lambda x: F.adaptive_avg_pool2d(x, (5, None))),
    (nn.AdaptiveMaxPool2d(7), lambda x: F.adaptive_max_pool2d(x, 7)),
]


class Calls(nn.Module):
    "A model that calls functions one after the other."
    def __init__(self, *functions):
        super().__init__()
        self.functions = functions

    def forward(self, x):
        for f in self.functions: x = f(x)
        return x


@pytest.mark.parametrize("layer, function", SAME, ids=lambda v: repr(v) if isinstance(v, nn.Module) else "")
def test_a_function_is_followed_like_its_layer(layer, function):
    first = nn.Conv2d(3, 3, 5, 2)  # so that the field and the steps are not those of the input
    (_, mine), (_, wanted) = (trace_shapes(nn.Sequential(first, f), (2, 3, 40, 41)) for f in (Calls(function), layer))
    assert mine.fields is not None and mine[2:] == wanted[2:]


class Between(torch.nn.Module):
    "Two convolutions whose weights are ones, and a reduction between them."
    def __init__(self, reduce, kernel_size, channels=2):
        super().__init__()
        self.reduce, self.first = reduce, torch.nn.Conv2d(2, channels, 3, 2, bias=False)
        self.second = torch.nn.Conv2d(1, 1, kernel_size, bias=False)
        for p in self.parameters(): torch.nn.init.ones_(p)

    def forward(self, x): return self.second(self.reduce(self.first(x)))


@pytest.mark.parametrize("reduce, kernel_size", [
    (lambda x: x.mean(1, keepdim=True), 2),
    (lambda x: x.sum(0)[:1], 2),
    (lambda x: x.mean(dim=(0, 1)).unsqueeze(0), 2),
    (lambda x: x.mean(3, keepdim=True)[:, :1], (2, 1)),
    (lambda x: x.mean((1, 2), keepdim=True), (1, 2)),
    (lambda x: x.mean((1, 2, 3), keepdim=True), 1)],
    ids=["channels", "batch", "batch and channels", "columns", "rows", "all"])
def test_fields_through_reductions(reduce, kernel_size):
    model, shape = Between(reduce, kernel_size), (1, 2, 13, 11)
    x = torch.zeros(shape, requires_grad=True)
    model(x)[..., 0, 0].sum().backward()
    read = x.grad.abs().sum((0, 1)) != 0
    rows = trace_shapes(model, shape)
    assert [row.name for row in rows] == ["first", "second"]
    assert rows[1].fields is not None
    assert tuple(smallest for smallest, _ in rows[1].fields) == (int(read.any(1).sum()), int(read.any(0).sum()))




class Net(nn.Module):
    "Layers by name, and what is done with them."
    def __init__(self, forward, **layers):
        super().__init__()
        for name, layer in layers.items(): self.add_module(name, layer)
        self.run = forward

    def forward(self, *args, **kwargs): return self.run(self, *args, **kwargs)


class Same(nn.Conv2d):
    "TensorFlow's convolution: pads in its own forward, more after than before."
    def forward(self, x):
        need = [max((-(-n // S) - 1) * S + K - n, 0) for n, K, S in zip(x.shape[2:], self.kernel_size, self.stride)]
        return super().forward(F.pad(x, [v for p in reversed(need) for v in (p // 2, p - p // 2)]))


class Causal(nn.Conv1d):
    def forward(self, x): return super().forward(F.pad(x, (self.dilation[0] * (self.kernel_size[0] - 1), 0)))


def shuffle(net, x):
    left, right = x.chunk(2, 1)
    x = torch.cat([left, net.b(F.relu(net.a(right)))], 1)
    n, c, h, w = x.shape
    return net.c(x.view(n, 2, c // 2, h, w).transpose(1, 2).contiguous().view(n, c, h, w)[:, :2])


def convnext(net, x):
    y = net.b(F.gelu(net.a(net.depthwise(x).permute(0, 2, 3, 1)))).permute(0, 3, 1, 2)
    return net.down(x + y)


def fuse(net, x):
    low = net.down(x)
    return net.a(x) + F.interpolate(net.b(low), scale_factor=2, mode="nearest"), low + net.again(x)


def split_attention(net, x):
    x = net.a(x).unflatten(1, (2, 2))
    gap = net.fc(x.sum(1).mean((2, 3), keepdim=True)).view(len(x), 2, 2, 1, 1).softmax(1)
    return (x * gap).sum(1)


def space_to_depth(net, x):
    n, c, h, w = x.shape
    x = x.view(n, c, h // 2, 2, w // 3, 3).permute(0, 3, 5, 1, 2, 4).reshape(n, 6 * c, h // 2, w // 3)
    return net.a(x)


def merge_patches(net, x):
    x = net.a(x).permute(0, 2, 3, 1)
    x = torch.cat([x[:, i::2, j::2, :] for i in (0, 1) for j in (0, 1)], -1)
    return net.mix(x).permute(0, 3, 1, 2)


def shift(net, x):
    y = torch.zeros_like(x)
    y[:, :1, 1:], y[:, 1:2, :-1], y[:, 2:] = x[:, :1, :-1], x[:, 1:2, 1:], x[:, 2:]
    return net.a(y)


def video(net, x):
    n, c, t, h, w = x.shape
    y = net.a(x.transpose(1, 2).reshape(n * t, c, h, w))
    y = y.unflatten(0, (n, t)).permute(0, 3, 4, 2, 1).flatten(0, 2)
    return net.b(y)


NETS = {
    "same": (nn.Sequential(Same(2, 2, 3, 2), Same(2, 2, 4, 2), Same(2, 1, (2, 5), (3, 1))), (1, 2, 26, 25)),
    "causal": (nn.Sequential(Causal(1, 2, 2), Causal(2, 2, 2, dilation=2), Causal(2, 1, 3, dilation=4)), (1, 1, 24)),
    "cut off": (Net(lambda net, x: net.b(net.a(x)[:, :, :-2])[..., 3:],
                    a=nn.Conv1d(1, 1, 3, padding=2), b=nn.Conv1d(1, 1, 3, 2)), (1, 1, 24)),
    "shuffle": (Net(shuffle, a=nn.Conv2d(2, 2, 1), b=nn.Conv2d(2, 2, 3, padding=1, groups=2),
                    c=nn.Conv2d(2, 2, 3, groups=2)), (1, 4, 9, 8)),
    "convnext": (Net(convnext, depthwise=nn.Conv2d(2, 2, 5, padding=2, groups=2), a=nn.Linear(2, 4), b=nn.Linear(4, 2),
                     down=nn.Conv2d(2, 2, 2, 2)), (1, 2, 9, 8)),
    "fuse": (Net(fuse, a=nn.Conv2d(1, 1, 3, padding=1), b=nn.Conv2d(1, 1, 1), down=nn.Conv2d(1, 1, 3, 2, 1),
                 again=nn.Conv2d(1, 1, 3, 2, 1)), (1, 1, 8, 10)),
    "split attention": (Net(split_attention, a=nn.Conv2d(2, 4, 3, groups=2), fc=nn.Conv2d(2, 4, 1)), (1, 2, 6, 5)),
    "space to depth": (Net(space_to_depth, a=nn.Conv2d(6, 1, 2)), (1, 1, 8, 9)),
    "depth to space": (nn.Sequential(nn.Conv2d(1, 8, 3, 2), nn.PixelShuffle(2), nn.Conv2d(2, 1, 2)), (1, 1, 9, 8)),
    "patch merging": (Net(merge_patches, a=nn.Conv2d(1, 2, 3), mix=nn.Linear(8, 2)), (1, 1, 10, 8)),
    "output_size": (Net(lambda net, x: net.b(net.up(x, output_size=[12])),
                        up=nn.ConvTranspose1d(1, 1, 3, 2, 1), b=nn.Conv1d(1, 1, 2)), (1, 1, 6)),
    "grouped branches": (Net(lambda net, x: net.c(torch.cat([net.a(x), net.b(x)], 1)), a=nn.Conv1d(1, 1, 1),
                             b=nn.Conv1d(1, 3, 5, padding=2), c=nn.Conv1d(4, 4, 3, groups=2)), (1, 1, 14)),
    "shift": (Net(shift, a=nn.Conv1d(3, 3, 3, groups=3)), (1, 3, 9)),
    "stack": (Net(lambda net, x: net.a(torch.stack([x, x.roll(1, 2), net.b(x)]).sum(0)),
                  a=nn.Conv1d(1, 1, 2), b=nn.Conv1d(1, 1, 3, padding=1)), (1, 1, 8)),
    "turned": (Net(lambda net, x: net.b(net.a(x).transpose(2, 3).flip(2)).mT,
                   a=nn.Conv2d(1, 1, (3, 1), (2, 1)), b=nn.Conv2d(1, 1, (3, 2))), (1, 1, 9, 7)),
    "resized": (nn.Sequential(nn.Conv2d(1, 1, 3), nn.Upsample((11, 5), mode="bilinear", align_corners=True),
                              nn.Conv2d(1, 1, 2, 2), nn.Upsample(scale_factor=1.7, mode="bicubic"),
                              nn.Upsample(scale_factor=0.5, mode="area")), (1, 1, 9, 8)),
    "rows away": (Net(lambda net, x: net.b(net.a(x).sum(2)), a=nn.Conv2d(1, 2, 3), b=nn.Conv1d(2, 1, 3)), (1, 1, 6, 9)),
    "rows as channels": (Net(lambda net, x: net.b(net.a(x)[:, 0]),
                             a=nn.Conv2d(1, 1, 3), b=nn.Conv1d(4, 2, 2, groups=2)), (1, 1, 6, 9)),
    "tokens": (Net(lambda net, x: net.back(net.a(x).flatten(2).transpose(1, 2).transpose(1, 2).unflatten(2, (3, -1))),
                   a=nn.Conv2d(1, 2, 2, 2), back=nn.Conv2d(2, 1, 2)), (1, 1, 6, 8)),
    "mixer": (Net(lambda net, x: net.mix(net.a(x)), a=nn.Conv2d(1, 2, 3), mix=nn.Linear(5, 2)), (1, 1, 6, 7)),
    "reflected": (nn.Sequential(nn.Conv1d(1, 1, 2), nn.AdaptiveAvgPool1d(5), nn.ReflectionPad1d((2, 1)),
                                nn.Conv1d(1, 1, 2)), (1, 1, 10)),
    "zeros around uneven": (nn.Sequential(nn.AdaptiveAvgPool1d(5), nn.ConstantPad1d((2, 1), 0), nn.Conv1d(1, 1, 2)),
                            (1, 1, 9)),
    "video": (Net(video, a=nn.Conv2d(2, 1, 3), b=nn.Conv1d(1, 1, 2)), (1, 2, 4, 6, 5)),
    "new channels": (Net(lambda net, x: net.b(F.pad(net.a(x), (0, 0, 0, 0, 1, 2))),
                         a=nn.Conv2d(1, 1, 3), b=nn.Conv2d(4, 4, 3, 2, 1, groups=4)), (1, 1, 8, 7)),
}


@pytest.fixture(params=NETS, name="net")
def _net(request):
    "A model with random positive weights, so that nothing cancels, and an input for it."
    model, shape = NETS[request.param]
    model, draw = model.double(), torch.Generator().manual_seed(0)
    for p in model.parameters(): p.data = torch.rand(p.shape, generator=draw, dtype=torch.float64) + 0.5
    return model, torch.rand(shape, generator=draw, dtype=torch.float64)


def test_equations_of_building_blocks_are_true(net):
    model, x = net
    table = trace_shapes(model, tuple(x.shape))
    check_trace(table)
    assert not table.unknown


def gradients(model, x):
    "For each cell of each output, from where to where in `x` it reads, by axis, half-open; or None."
    x.requires_grad_()
    outs = model(x)
    for y in outs if isinstance(outs, tuple) else (outs,):
        rows = []
        for cell in y.flatten():
            read = torch.autograd.grad(cell, x, retain_graph=True)[0].nonzero()[:, 2:]
            rows.append([(int(at.min()), int(at.max()) + 1) if len(at) else None for at in read.T])
        yield rows


def test_fields_of_building_blocks_are_those_of_the_gradient(net):
    "Fields within the input: exactly. At the ends they count what lies beyond, and hold all that is read."
    model, x = net
    made, watch = watched(model, x.clone())
    inside = 0
    for y, cells in zip(made if isinstance(made, tuple) else (made,), gradients(model, x), strict=True):
        for a, field in enumerate(watch.known.fields[y]):
            n = x.shape[2 + a]
            starts, stops = (np.broadcast_to(v, y.shape).ravel().tolist() for v in field[:2])
            for start, stop, read in zip(starts, stops, (cell[a] for cell in cells), strict=True):
                if read is None: assert start >= stop or start < 0 or stop > n
                elif 0 <= start and stop <= n: assert (start, stop) == read
                else: assert start <= read[0] and read[1] <= stop
                inside += read is not None and 0 <= start and stop <= n
    assert inside >= 2


def test_stride_padding_and_centre_are_those_of_the_gradient(net):
    "Of fields within the input: cell i begins i effective strides behind the first, which begins at minus the padding."
    model, x = net
    made, watch = watched(model, x.clone())
    y = made[0] if isinstance(made, tuple) else made
    cells = np.array(next(gradients(model, x)), object).reshape(*y.shape, x.dim() - 2, -1)
    for a, field in enumerate(watch.known.fields[y]):
        stride, padding, centre = closed_form(field)
        if stride is None: continue
        size = max(s - r for s, r in zip(field.stops.flat, field.starts.flat))
        assert centre == -padding + (size - 1) / 2
        moving = [axis for axis, jump in enumerate(field.jumps) if jump]
        for at in np.ndindex(*y.shape):
            i = at[moving[0]] if moving else 0
            start = -padding + i * stride
            if not 0 <= start <= x.shape[2 + a] - size: continue
            assert tuple(cells[at][a]) == (start, start + size)


def test_a_table_of_one_axis():
    net = torch.nn.Sequential(torch.nn.Conv1d(1, 2, 3), torch.nn.AdaptiveAvgPool1d(4))
    rows = [line.split("  ") for line in str(trace_shapes(net, (1, 1, 11))).splitlines()[1:]]
    assert [row[-1].strip() for row in rows] == ["3", "5"]
    assert len(trace_shapes(net, (1, 1, 11))) == 2


def test_a_transposed_convolution_shows_the_output_padding_that_output_size_asks_for():
    model = Net(lambda net, x: net.up(x, output_size=[12]), up=nn.ConvTranspose1d(1, 1, 3, 2, 1))
    assert trace_shapes(model, (1, 1, 6))[0].formula == ("(6 − 1)·2 − 2·1 + 1·(3 − 1) + 1 + 1 = 12",)


def test_a_layer_that_pads_itself_has_one_row_and_a_padding_elsewhere_its_own():
    def formulas(model): return [r.formula[0] for r in trace_shapes(model, (1, 3, 224, 224))]
    assert formulas(Same(3, 4, 3, 2)) == ["⌊(224 + 0 + 1 − 3)/2⌋ + 1 = 112"]
    apart = Net(lambda net, x: net.a(F.pad(x, (0, 1, 0, 1))), a=nn.Conv2d(3, 4, 3, 2))
    assert formulas(apart) == ["224 + 0 + 1 = 225", "⌊(225 + 2·0 − 3)/2⌋ + 1 = 112"]
    around = nn.Conv2d(3, 4, 3, 2, 1, padding_mode="circular")
    assert formulas(around) == ["⌊(224 + 2·1 − 3)/2⌋ + 1 = 112"]
    cropped = Net(lambda net, x: F.pad(x, (-1, 2, -2, 0)))
    row, = trace_shapes(cropped, (1, 1, 7, 8))
    assert row.formula == ("7 − 2 + 0 = 5", "8 − 1 + 2 = 9") and row.unread == (2, 1)
    assert (row.effective_padding, row.centre) == ((-2, -1), (2.0, 1.0))


def test_numbers_that_a_model_keeps_in_tensors():
    two = torch.tensor(2)
    model = Calls(lambda x: F.conv2d(F.pad(x, (two, two - 1, two, two - 1)), X, stride=(two, 2)))
    assert [r.formula for r in trace_shapes(model, (1, 3, 9, 8))] == [
        ("9 + 2 + 1 = 12", "8 + 2 + 1 = 11"), ("⌊(12 + 2·0 − 3)/2⌋ + 1 = 5", "⌊(11 + 2·0 − 2)/2⌋ + 1 = 5")]


@pytest.mark.parametrize("function", [
    lambda x: F.max_pool2d(x, 2, return_indices=True), lambda x: F.max_pool2d_with_indices(x, (3, 2), 2, 1),
    lambda x: F.adaptive_max_pool2d(x, (3, 2), return_indices=True),
    lambda x: F.adaptive_max_pool2d_with_indices(x, 4)])
def test_functions_that_return_indices(function):
    row, = trace_shapes(Calls(lambda x: function(x)[0]), (1, 2, 9, 8))
    check_row(row)
    assert row.fields is not None and row.output_shape == tuple(function(torch.zeros(1, 2, 9, 8))[0].shape)
    of_indices = Calls(lambda x: F.conv2d(function(x)[1].float(), torch.ones(1, 2, 1, 1)))
    assert trace_shapes(of_indices, (1, 2, 9, 8))[1].fields == row.fields


def small():
    return nn.Sequential(nn.Conv2d(3, 4, 3, 2), nn.Sequential(nn.ReLU(), nn.Conv2d(4, 4, 3)), nn.AdaptiveAvgPool2d(2))


def compiled(m): return torch.compile(m, backend="eager")


@pytest.mark.parametrize("wrap", [
    compiled, nn.DataParallel, lambda m: nn.DataParallel(compiled(m)), lambda m: nn.Sequential(*map(compiled, m)),
    lambda m: m.compile(backend="eager") or m], ids=["compiled", "spread", "both", "layers compiled", "in place"])
def test_compiled_and_spread_models_are_traced_as_they_were_written(wrap):
    wanted = trace_shapes(small(), (1, 3, 17, 18))
    table = trace_shapes(wrap(small()), (1, 3, 17, 18))
    assert list(table) == list(wanted) and [r.name for r in table] == ["0", "1.1", "2"] and not table.unknown


def test_inputs_by_place_by_name_as_tensors_and_as_integers():
    net = Net(lambda net, picture, mask=None, *, factor=1: net.a(picture * mask) * factor, a=nn.Conv2d(3, 4, 3, 2))
    wanted = trace_shapes(nn.Conv2d(3, 4, 3, 2), (1, 3, 9, 8))[0]._replace(name="a")
    shapes = (1, 3, 9, 8), (1, 1, 9, 8)
    for args in ((list(shapes),), ([torch.ones(s) for s in shapes],), ({"picture": shapes[0], "mask": shapes[1]},),
                 (shapes[0], {"mask": shapes[1], "factor": 2}), (shapes[0], {"mask": torch.ones(9, 8), "factor": 3})):
        assert list(trace_shapes(net, *args)) == [wanted], args
    words = nn.Sequential(nn.Embedding(50, 6), Calls(lambda x: x.transpose(1, 2)), nn.Conv1d(6, 2, 3))
    assert trace_shapes(words, torch.zeros(2, 7, dtype=torch.long))[0].fields == ((3, 3),)
    inside = Net(lambda net, given: net.a(given["picture"]), a=nn.Conv2d(3, 4, 3))
    assert trace_shapes(inside, [{"picture": (1, 3, 9, 8)}])[0].fields == ((3, 3), (3, 3))


def test_inputs_of_another_size_are_not_followed_and_numbers_about_the_whole_are_constants():
    net = Net(lambda net, x, other, time: (net.a(x) + time[:, None, None, None], net.b(other)),
              a=nn.Conv2d(1, 1, 3), b=nn.Conv2d(1, 1, 3))
    table = trace_shapes(net, [(1, 1, 8, 8), (1, 1, 5, 5), torch.ones(1)])
    assert [r.fields for r in table] == [((3, 3), (3, 3)), None] and table.unknown == {"input 1, of another size"}


@torch.jit.script
def scripted(x): return x.flip(2)


def write_into_a_part(x):
    x[:, :, 1:].add_(x[:, :, :-1].clone())
    return x


BIAS = torch.ones(1)


@pytest.mark.parametrize("function, why", [
    (lambda x: x @ x.mT, "matmul"),
    (lambda x: F.scaled_dot_product_attention(x, x, x), "scaled_dot_product_attention"),
    (lambda x: x.sort(2)[0], "sort"), (lambda x: x.cumsum(2), "cumsum"), (scripted, "a tensor made outside torch"),
    (lambda x: x + BIAS, "a tensor made outside torch"),
    (lambda x: F.conv2d(x, x.mean((2, 3), keepdim=True)), "conv2d with weights made from the input"),
    (lambda x: x[:, :, x[0, 0, 0].argsort()], "argsort"),
    (write_into_a_part, "add_ into a part of a tensor")])
def test_what_is_not_followed_is_said(function, why):
    model = nn.Sequential(nn.Conv2d(1, 1, 3, padding=1), Calls(function), nn.Conv2d(1, 1, 1))
    table = trace_shapes(model, (1, 1, 6, 6))
    assert table[-1].fields is None and table[0].fields is not None
    assert why in table.unknown and why in repr(table)


def test_what_no_input_reaches():
    model = Net(lambda net, x: (net.a(torch.ones(1, 1, *x.shape[2:])), net.a(x)), a=nn.Conv1d(1, 1, 3))
    table = trace_shapes(model, (1, 1, 8))
    assert [r.fields for r in table] == [(), ((3, 3),)] and "none" in repr(table) and "none" in repr(table.wide())


def test_published_stride_and_padding():
    "VGG-16 up to its last pool: 212, 32 and 90 in Araujo, Norris and Sim's table."
    blocks = [[*(nn.Conv2d(1, 1, 3, padding=1) for _ in range(count)), nn.MaxPool2d(2)] for count in (2, 2, 3, 3, 3)]
    row = trace_shapes(nn.Sequential(*(layer for block in blocks for layer in block)), (1, 1, 224, 224))[-1]
    assert (row.fields, row.effective_stride, row.effective_padding) == (((212, 212),) * 2, (32, 32), (90, 90))
    assert row.centre == (15.5, 15.5)


def test_a_scripted_model_is_refused():
    with pytest.raises(TypeError, match=r"model must be .* that runs in Python"):
        trace_shapes(torch.jit.script(nn.Sequential(nn.Conv2d(1, 1, 3))), (1, 1, 8, 8))


def test_a_mistake_of_our_own_is_not_a_field_that_is_not_known(monkeypatch):
    def stray(*args): raise ValueError("stray")
    monkeypatch.setattr(follow, "settled", stray)
    class Turned(nn.Module):
        def forward(self, x): return x.transpose(2, 3)
    with pytest.raises(ValueError, match="stray"): trace_shapes(Turned(), (1, 1, 5, 4))
