"Heads of published models, written small from their papers, random weights: exported, run, judged by two runtimes."

import numpy as np
import onnxruntime
import pytest
import torch
import torch.nn.functional as T
from quick import some
from torch import nn

from adapool.export import portable, to_onnx, why_not

openvino = pytest.importorskip("openvino")


def vgg():
    "Simonyan & Zisserman 2014, as in torchvision: 7 × 7 before the classifier."
    def block(i, o): return nn.Conv2d(i, o, 3, padding=1), nn.ReLU(True), nn.MaxPool2d(2)
    head = nn.Linear(16 * 49, 20), nn.ReLU(True), nn.Dropout(), nn.Linear(20, 10)
    return nn.Sequential(*block(3, 8), *block(8, 16), nn.AdaptiveAvgPool2d(7), nn.Flatten(), *head)


def alexnet():
    "Krizhevsky et al. 2012, as in torchvision: 6 × 6."
    body = nn.Conv2d(3, 8, 11, stride=4, padding=2), nn.ReLU(True), nn.MaxPool2d(3, 2), nn.Conv2d(8, 12, 5, padding=2)
    head = nn.AdaptiveAvgPool2d((6, 6)), nn.Flatten(), nn.Dropout(), nn.Linear(12 * 36, 10)
    return nn.Sequential(*body, nn.ReLU(True), *head)


class PSP(nn.Module):
    "Zhao et al. 2017: averages to 1, 2, 3 and 6, a convolution each, brought back to the map."
    def __init__(self):
        super().__init__()
        def stage(m): return nn.AdaptiveAvgPool2d(m), nn.Conv2d(8, 2, 1, bias=False), nn.BatchNorm2d(2), nn.ReLU()
        self.stages = nn.ModuleList(nn.Sequential(*stage(m)) for m in (1, 2, 3, 6))
        self.out = nn.Conv2d(16, 5, 3, padding=1)

    def forward(self, x):
        scales = [T.interpolate(stage(x), size=x.shape[-2:], mode="bilinear") for stage in self.stages]
        return self.out(torch.cat([x, *scales], 1))


class SPP(nn.Module):
    "He et al. 2014: maxima to 1, 2, 3 and 6, flattened for a classifier."
    def __init__(self):
        super().__init__()
        self.conv, self.out = nn.Conv2d(3, 6, 3), nn.Linear(6 * (1 + 4 + 9 + 36), 10)

    def forward(self, x):
        x = self.conv(x)
        return self.out(torch.cat([T.adaptive_max_pool2d(x, m).flatten(1) for m in (1, 2, 3, 6)], 1))


def video():
    "A 3-D head: space and time to (2, 5, 4)."
    body = nn.Conv3d(3, 4, 3, padding=1), nn.ReLU(), nn.AdaptiveAvgPool3d((2, 5, 4))
    return nn.Sequential(*body, nn.Flatten(), nn.Linear(160, 7))


class Coordinates(nn.Module):
    "Coordinate attention, Hou et al. 2021: (None, 1) and (1, None)."
    def __init__(self):
        super().__init__()
        self.rows, self.columns = nn.AdaptiveAvgPool2d((None, 1)), nn.AdaptiveAvgPool2d((1, None))
        self.mix, self.h, self.w = nn.Conv2d(8, 4, 1), nn.Conv2d(4, 8, 1), nn.Conv2d(4, 8, 1)

    def forward(self, x):
        h, w = x.shape[-2:]
        y = torch.cat([self.rows(x), self.columns(x).permute(0, 1, 3, 2)], dim=2)
        rows, columns = torch.split(T.hardswish(self.mix(y)), [h, w], dim=2)
        return x * self.h(rows).sigmoid() * self.w(columns.permute(0, 1, 3, 2)).sigmoid()


class LinearAttention(nn.Module):
    "PVTv2, Wang et al. 2022: keys and values from the map averaged to 7 × 7."
    def __init__(self):
        super().__init__()
        self.q, self.kv, self.norm = nn.Linear(8, 8), nn.Linear(8, 16), nn.LayerNorm(8)
        self.pool, self.sr = nn.AdaptiveAvgPool2d(7), nn.Conv2d(8, 8, 1)

    def forward(self, x):
        b, c = x.shape[:2]
        q = self.q(x.flatten(2).transpose(1, 2))
        y = T.gelu(self.norm(self.sr(self.pool(x)).reshape(b, c, -1).permute(0, 2, 1)))
        k, v = self.kv(y).chunk(2, -1)
        return ((q @ k.transpose(-2, -1)) * c**-0.5).softmax(-1) @ v


class TopFormer(nn.Module):
    "Zhang et al. 2022: the maps of all stages averaged to the size of the smallest over two, and put side by side."
    def __init__(self):
        super().__init__()
        self.stages = nn.ModuleList([nn.Conv2d(3, 4, 3, 2, 1), nn.Conv2d(4, 6, 3, 2, 1), nn.Conv2d(6, 8, 3, 2, 1)])

    def forward(self, x):
        maps = []
        for stage in self.stages: x = stage(x).relu(); maps.append(x)
        h, w = maps[-1].shape[-2:]
        return torch.cat([T.adaptive_avg_pool2d(y, ((h - 1) // 2 + 1, (w - 1) // 2 + 1)) for y in maps], 1)


MODELS = {
    "VGG": (vgg, (1, 3, 50, 71)), "AlexNet": (alexnet, (2, 3, 131, 190)), "PSPNet": (PSP, (1, 8, 13, 20)),
    "SPP": (SPP, (1, 3, 15, 31)), "video": (video, (1, 3, 5, 13, 9)),
    "coordinate attention": (Coordinates, (1, 8, 11, 14)),
    "PVTv2": (LinearAttention, (2, 8, 12, 15)), "TopFormer": (TopFormer, (1, 3, 56, 88)),
}


def made(name):
    make, shape = MODELS[name]
    torch.manual_seed(0)
    return make().eval(), torch.randn(shape)


@pytest.mark.parametrize("name", some(MODELS, ["coordinate attention"]))
def test_model_at_fixed_and_at_open_sizes(name, tmp_path):
    model, x = made(name)
    assert to_onnx(model, x, tmp_path / "a.onnx", progress=False).error < 1e-5
    names = {0: "batch", **{i: f"axis{i}" for i in range(2, x.dim())}}
    report = to_onnx(model, x, tmp_path / "a.onnx", dynamic_shapes=(names,), progress=False)
    assert report.error < 1e-5 and len(report.sizes) >= 5
    session = onnxruntime.InferenceSession(tmp_path / "a.onnx")
    for i in range(4):
        y = torch.randn(1 + i, x.shape[1], *(n + 7 * i + 1 for n in x.shape[2:]))
        got = session.run(None, {session.get_inputs()[0].name: y.numpy()})[0]
        torch.testing.assert_close(torch.from_numpy(got), model(y), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("name", some(MODELS, ["PSPNet"]))
def test_second_judge(name, tmp_path):
    "OpenVINO reads the files, open sizes too, and takes the traced copy without a file."
    model, x = made(name)
    core = openvino.Core()
    exact = {"INFERENCE_PRECISION_HINT": "f32"}
    names = {i: f"axis{i}" for i in range(2, x.dim())}
    for dynamic in (None, (names,)):
        to_onnx(model, x, tmp_path / "a.onnx", dynamic_shapes=dynamic, progress=False)
        compiled = core.compile_model(tmp_path / "a.onnx", "CPU", exact)
        for y in [x] if dynamic is None else [x, torch.randn(*x.shape[:2], *(n + 9 for n in x.shape[2:]))]:
            np.testing.assert_allclose(compiled(y.numpy())[0], model(y).detach().numpy(), rtol=1e-3, atol=1e-4)
    traced = torch.jit.trace(portable(model, x), x)
    compiled = core.compile_model(openvino.convert_model(traced, example_input=x), "CPU", exact)
    np.testing.assert_allclose(compiled(x.numpy())[0], model(x).detach().numpy(), rtol=1e-3, atol=1e-4)
    with pytest.raises(RuntimeError): compiled(np.zeros((*x.shape[:-2], x.shape[-1], x.shape[-2]), np.float32))


def test_why_not_names_every_pool():
    model, x = made("PSPNet")
    rows = why_not(model, x)
    assert [row["where"] for row in rows] == [f"stages.{i}.0" for i in range(4)]
    assert {row["our form"] for row in rows} == {"single pool"}
    model, x = made("SPP")
    assert {row["where"] for row in why_not(model, x)} == {"a function called in the model"}
