"The layers that every runtime is tried with: seventeen of fixed size, nine whose height and width stay open."

import torch
import torch.nn.functional as T
from torch import nn

SEEDS = torch.Generator().manual_seed(1)


def numbers(*shape): return torch.randn(shape, generator=SEEDS)


class Of(nn.Module):
    "A function as a model."
    def __init__(self, function):
        super().__init__()
        self.function = function

    def forward(self, x): return self.function(x)


class Together(nn.Module):
    "Layers side by side, each with an input of its own."
    def __init__(self, layers):
        super().__init__()
        self.layers = nn.ModuleList(layers)

    def forward(self, *inputs):
        found = []
        for layer, x in zip(self.layers, inputs, strict=True):
            y = layer(x)
            found.extend(y if isinstance(y, tuple) else [y])
        return tuple(found)


class OfOne(Together):
    "Layers side by side, all with the same input."
    def forward(self, x): return super().forward(*[x] * len(self.layers))


FIXED = {
    "avg1d": (nn.AdaptiveAvgPool1d(5), (2, 3, 17)),
    "avg1d_grows": (nn.AdaptiveAvgPool1d(9), (2, 3, 4)),
    "avg2d_divides": (nn.AdaptiveAvgPool2d(7), (1, 3, 14, 14)),
    "avg2d_matrix": (nn.AdaptiveAvgPool2d(7), (2, 3, 50, 45)),
    "avg2d_blocks": (nn.AdaptiveAvgPool2d((4, 6)), (1, 3, 10, 15)),
    "avg2d_none": (nn.AdaptiveAvgPool2d((None, 1)), (1, 3, 10, 15)),
    "avg3d": (nn.AdaptiveAvgPool3d((3, 2, 4)), (1, 2, 7, 5, 9)),
    "area1d": (Of(lambda x: T.interpolate(x, 6, mode="area")), (1, 2, 16)),
    "area2d_grows": (Of(lambda x: T.interpolate(x, (9, 10), mode="area")), (1, 2, 5, 7)),
    "max1d_indices": (nn.AdaptiveMaxPool1d(5, return_indices=True), (2, 3, 17)),
    "max2d_divides": (nn.AdaptiveMaxPool2d(7), (1, 3, 14, 14)),
    "max2d_grows": (nn.AdaptiveMaxPool2d(7), (3, 5, 5)),
    "max2d_cells": (nn.AdaptiveMaxPool2d((7, 6)), (2, 3, 50, 45)),
    "max2d_pool_indices": (nn.AdaptiveMaxPool2d(6, return_indices=True), (2, 3, 13, 13)),
    "max2d_indices": (nn.AdaptiveMaxPool2d((4, 6), return_indices=True), (2, 3, 15, 11)),
    "max3d": (nn.AdaptiveMaxPool3d((3, 2, 4)), (1, 2, 7, 5, 9)),
    "max3d_indices": (nn.AdaptiveMaxPool3d((3, 2, 4), return_indices=True), (1, 2, 7, 5, 9)),
}
OPEN = {
    "avg2d": nn.AdaptiveAvgPool2d(7),
    "avg2d_one": nn.AdaptiveAvgPool2d(1),
    "avg2d_none": nn.AdaptiveAvgPool2d((None, 3)),
    "avg2d_half": Of(lambda x: T.adaptive_avg_pool2d(x, [x.shape[2] // 2, 3])),
    "area2d": Of(lambda x: T.interpolate(x, (5, 9), mode="area")),
    "area2d_factor": Of(lambda x: T.interpolate(x, scale_factor=(1.5, 0.5), mode="area")),
    "max2d": nn.AdaptiveMaxPool2d((4, 6)),
    "max2d_one": nn.AdaptiveMaxPool2d(1),
    "max2d_indices": nn.AdaptiveMaxPool2d(5, return_indices=True),
}
EXAMPLE, HW = (1, 3, 12, 14), ({2: "height", 3: "width"},)
SIZES = [(12, 14), (14, 14), (7, 30), (13, 5), (31, 7), (5, 44)]  # six, the example's first
