"Whole networks as they were published: their weights are counted, and `convert` changes neither outputs nor gradients."

import sys
from pathlib import Path

import pytest
import torch
from conformance import nothing_left_to_torch

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "benchmarks"))
from networks import NETWORKS, Network, by_class, by_size, swapped, use
from published import SPPF, InceptionV3, PSPHead, resnet50, vgg16

COUNTS = {"ResNet-50": 25_557_032, "VGG-16": 138_357_544, "Inception-v3": 27_161_264, "YOLO's SPPF block": 656_896,
          "PSPNet's head": 23_150_742}
POOLS = {"ResNet-50": 2, "VGG-16": 6, "Inception-v3": 16, "YOLO's SPPF block": 1, "PSPNet's head": 4}
SMALL = {  # as many layers and pools, on less
    "ResNet-50": Network(resnet50, (2, 3, 65, 66), by_class, 0),
    "VGG-16": Network(lambda: vgg16(hidden=16), (2, 3, 64, 71), by_class, 0),
    "Inception-v3": Network(lambda: InceptionV3(auxiliary=False), (2, 3, 107, 108), by_class, 0),
    "YOLO's SPPF block": Network(lambda: SPPF(32, 16), (2, 32, 20, 21), by_size, 0),
    "PSPNet's head": Network(lambda: PSPHead(64), (2, 64, 13, 14), by_class, 0),
}


@pytest.mark.parametrize("name", NETWORKS)
def test_they_have_the_weights_that_were_published(name):
    "As torchvision's tables and YOLOv5's say; PSPNet's by hand: 4 stages, a 3 × 3 over 4096 channels, 150 classes."
    with torch.device("meta"): model = NETWORKS[name].make()
    assert sum(p.numel() for p in model.parameters()) == COUNTS[name] and len(swapped(model)) == POOLS[name]
    assert COUNTS["PSPNet's head"] == 4 * (2048 * 512 + 1024) + 9 * 4096 * 512 + 1024 + 150 * 513


def test_inception_without_its_auxiliary_head():
    with torch.device("meta"): model = InceptionV3(auxiliary=False)
    assert sum(p.numel() for p in model.parameters()) == 23_834_568


CASES = [*((name, training, SMALL[name]) for name in SMALL for training in (False, True)),
         ("Inception-v3 at full size, with its auxiliary head", True, NETWORKS["Inception-v3"])]


@pytest.mark.parametrize("name, training, network", [
    pytest.param(*case, marks=[pytest.mark.slow] * (case[:2] != ("ResNet-50", True)), id=f"{case[0]}-{case[1]}")
    for case in CASES])
def test_outputs_and_gradients_before_and_after(name, training, network):
    torch.manual_seed(0)
    model = network.make().double().train(training)
    for layer in model.modules():
        if isinstance(layer, (torch.nn.Dropout, torch.nn.Dropout2d)): layer.eval()
    x = torch.randn(network.shape, dtype=torch.float64, generator=torch.Generator().manual_seed(1)).requires_grad_()
    pools, found = swapped(model), []
    with nothing_left_to_torch():
        for after in (0, 1):
            use(pools, after)
            y = model(x)
            found.append((y, torch.autograd.grad(network.loss(y), [x, *model.parameters()])))
    torch.testing.assert_close(*found)
    assert {type(layer).__module__ for layer, *_ in pools} == {"adapool.nn"}
