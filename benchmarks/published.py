"""Networks as they were published, layer for layer, with random weights: what `benchmarks/networks.py` measures.

A pool that torchvision calls as a function inside `forward` (Inception's) is a layer here, so that `convert` finds it.
"""

import torch
import torch.nn.functional as T
from torch import nn


def conv(i, o, kernel_size, stride=1, padding=0, act=nn.ReLU, eps=1e-5):
    "A convolution without bias, batch normalisation, and an activation."
    layers = nn.Conv2d(i, o, kernel_size, stride, padding, bias=False), nn.BatchNorm2d(o, eps)
    return nn.Sequential(*layers, *([act(inplace=True)] if act else []))


class Bottleneck(nn.Module):
    "1 × 1, 3 × 3, 1 × 1, added to the input, or to its projection."
    def __init__(self, i, width, stride=1):
        super().__init__()
        o = 4 * width
        self.body = nn.Sequential(conv(i, width, 1), conv(width, width, 3, stride, 1), conv(width, o, 1, act=None))
        self.shortcut = nn.Identity() if (i, stride) == (o, 1) else conv(i, o, 1, stride, act=None)

    def forward(self, x): return T.relu(self.body(x) + self.shortcut(x), inplace=True)


def resnet50():
    "He et al. 2015, the stride on the 3 × 3 as in torchvision."
    i, blocks = 64, []
    for width, many, stride in ((64, 3, 1), (128, 4, 2), (256, 6, 2), (512, 3, 2)):
        for k in range(many):
            blocks.append(Bottleneck(i, width, stride if k == 0 else 1))
            i = 4 * width
    head = nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(2048, 1000)
    return nn.Sequential(conv(3, 64, 7, 2, 3), nn.MaxPool2d(3, 2, 1), *blocks, *head)


def vgg16(hidden=4096):
    "Simonyan & Zisserman 2014, configuration D."
    i, layers = 3, []
    for width, many in ((64, 2), (128, 2), (256, 3), (512, 3), (512, 3)):
        for _ in range(many):
            layers += [nn.Conv2d(i, width, 3, padding=1), nn.ReLU(inplace=True)]
            i = width
        layers.append(nn.MaxPool2d(2, 2))
    head = [nn.AdaptiveAvgPool2d(7), nn.Flatten()]
    for a, b in ((512 * 49, hidden), (hidden, hidden)):
        head += [nn.Linear(a, b), nn.ReLU(inplace=True), nn.Dropout(0.5)]
    return nn.Sequential(*layers, *head, nn.Linear(hidden, 1000))


class Branches(nn.Module):
    "What several ways make of one input, their channels side by side."
    def __init__(self, *ways):
        super().__init__()
        self.ways = nn.ModuleList(ways)

    def forward(self, x): return torch.cat([way(x) for way in self.ways], 1)


def basic(i, *steps):
    "Convolutions after one another: (channels, kernel size, stride), padded so that stride 1 keeps the size."
    layers = []
    for o, k, *more in steps:
        kernel, stride = (k, k) if isinstance(k, int) else k, more[0] if more else 1
        padding = [n // 2 for n in kernel] if stride == 1 else 0
        layers.append(conv(i, o, kernel, stride, padding, eps=1e-3))
        i = o
    return nn.Sequential(*layers)


def averaged(i, o): return nn.Sequential(nn.AvgPool2d(3, 1, 1), basic(i, (o, 1)))


def inception_a(i, pooled):
    return Branches(basic(i, (64, 1)), basic(i, (48, 1), (64, 5)), basic(i, (64, 1), (96, 3), (96, 3)),
                    averaged(i, pooled))


def inception_c(c):
    row, column = (1, 7), (7, 1)
    return Branches(basic(768, (192, 1)), basic(768, (c, 1), (c, row), (192, column)),
                    basic(768, (c, 1), (c, column), (c, row), (c, column), (192, row)), averaged(768, 192))


def inception_e(i):
    def cross(*before):
        sides = Branches(basic(384, (384, (1, 3))), basic(384, (384, (3, 1))))
        return nn.Sequential(basic(i, *before), sides)
    return Branches(basic(i, (320, 1)), cross((384, 1)), cross((448, 1), (384, 3)), averaged(i, 192))


class InceptionV3(nn.Module):
    "Szegedy et al. 2015, as in torchvision; in training with the scores of the auxiliary head beside its own."
    def __init__(self, auxiliary=True):
        super().__init__()
        stem = (conv(3, 32, 3, 2, eps=1e-3), conv(32, 32, 3, eps=1e-3), conv(32, 64, 3, 1, 1, eps=1e-3),
                nn.MaxPool2d(3, 2), conv(64, 80, 1, eps=1e-3), conv(80, 192, 3, eps=1e-3), nn.MaxPool2d(3, 2))
        smaller = Branches(basic(288, (384, 3, 2)), basic(288, (64, 1), (96, 3), (96, 3, 2)), nn.MaxPool2d(3, 2))
        self.body = nn.Sequential(*stem, *(inception_a(*io) for io in ((192, 32), (256, 64), (288, 64))), smaller,
                                  *map(inception_c, (128, 160, 160, 192)))
        smallest = Branches(basic(768, (192, 1), (320, 3, 2)),
                            basic(768, (192, 1), (192, (1, 7)), (192, (7, 1)), (192, 3, 2)), nn.MaxPool2d(3, 2))
        head = nn.AdaptiveAvgPool2d(1), nn.Dropout(0.5), nn.Flatten(), nn.Linear(2048, 1000)
        self.rest = nn.Sequential(smallest, inception_e(1280), inception_e(2048), *head)
        self.auxiliary = nn.Sequential(nn.AvgPool2d(5, 3), conv(768, 128, 1, eps=1e-3), conv(128, 768, 5, eps=1e-3),
            nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(768, 1000)) if auxiliary else None

    def forward(self, x):
        x = self.body(x)
        return (self.rest(x), self.auxiliary(x)) if self.training and self.auxiliary else self.rest(x)


class SPPF(nn.Module):
    "YOLOv5's block (Jocher 2021): three pools of 5 cells in a row see 5, 9 and 13."
    def __init__(self, i=512, o=512):
        super().__init__()
        self.before, self.after = (conv(a, b, 1, act=nn.SiLU, eps=1e-3) for a, b in ((i, i // 2), (2 * i, o)))
        self.pool = nn.MaxPool2d(5, 1, 2)

    def forward(self, x):
        maps = [self.before(x)]
        for _ in range(3): maps.append(self.pool(maps[-1]))
        return self.after(torch.cat(maps, 1))


class PSPHead(nn.Module):
    "Zhao et al. 2017, on ADE20K: averages to 1, 2, 3 and 6, brought back to the map, and 150 classes."
    def __init__(self, i=2048):
        super().__init__()
        self.stages = nn.ModuleList(nn.Sequential(nn.AdaptiveAvgPool2d(m), conv(i, i // 4, 1)) for m in (1, 2, 3, 6))
        self.classes = nn.Sequential(conv(2 * i, 512, 3, 1, 1), nn.Dropout2d(0.1), nn.Conv2d(512, 150, 1))

    def forward(self, x):
        back = [T.interpolate(stage(x), size=x.shape[-2:], mode="bilinear", align_corners=True)
                for stage in self.stages]
        return self.classes(torch.cat([x, *back], 1))
