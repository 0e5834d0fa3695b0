"Networks, run and followed: functions like the layers that do the same, and receptive fields as gradients show them."

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from adapool.networks import trace_shapes

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


def test_fields_are_not_known_where_a_reduction_takes_away_one_spatial_axis():
    "Six channels of 6 × 6 cells become one of 6 × 6, whose rows were channels."
    model = Between(lambda x: x.mean(3), 2, channels=6)
    assert [row.fields is None for row in trace_shapes(model, (1, 2, 13, 13))] == [False, True]
