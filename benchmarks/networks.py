"""What a whole network gains: one inference and one training step, before and after `adapool.nn.convert`.

The same weights both times: only the classes of the pools change, in turns, and a figure is a median, in milliseconds;
"times" is the median of what the turns gained. A training step is forward, loss, backward and a step of SGD. What the
pools take of it is measured beside it, on the inputs that the network gives them: each of them alone, forward, and
forward with the gradient. `make bench` measures all of `NETWORKS` and writes benchmarks/networks.json, which the page
use/08_benchmarks shows; `python benchmarks/networks.py VGG-16` measures one of them, and keeps what is known of others.
"""

import argparse
import json
import statistics
import time
from pathlib import Path
from typing import NamedTuple

import torch
import torch.nn.functional as T
from published import SPPF, InceptionV3, PSPHead, resnet50, vgg16

from adapool import nn

RESULTS = Path(__file__).with_name("networks.json")


class Network(NamedTuple):
    make: type
    shape: tuple
    loss: object
    seconds: float  # of measuring, about


def by_class(y):
    "The cross-entropy of scores, (N, C, …); with those of an auxiliary head, which count 0.4."
    scores, weights = (y, (1, 0.4)) if isinstance(y, tuple) else ((y,), (1,))
    target = scores[0].new_zeros((len(scores[0]), *scores[0].shape[2:]), dtype=torch.int64)
    return sum(weight * T.cross_entropy(s, target) for s, weight in zip(scores, weights))


def by_size(y): return y.square().mean()


NETWORKS = {
    "ResNet-50": Network(resnet50, (2, 3, 224, 224), by_class, 9),
    "VGG-16": Network(vgg16, (2, 3, 224, 224), by_class, 10),
    "Inception-v3": Network(InceptionV3, (2, 3, 299, 299), by_class, 9),
    "YOLO's SPPF block": Network(SPPF, (16, 512, 20, 20), by_size, 5),
    "PSPNet's head": Network(PSPHead, (2, 2048, 30, 30), by_class, 9),
}


def swapped(model):
    "The pools of a model with their class before and after `convert`."
    before = [(layer, type(layer)) for layer in model.modules()]
    nn.convert(model, verbose=False, adaptive=True, ordinary=True)
    return [(layer, was, type(layer)) for layer, was in before if type(layer) is not was]


def use(pools, after):
    for layer, *classes in pools: layer.__class__ = classes[after]


def in_turns(call, pools, seconds, least=3):
    "The median time of `call` before and after, in milliseconds, taken in turns for about `seconds`; how many times."
    times = [], []
    for after in (0, 1):
        use(pools, after)
        call()
    end = time.perf_counter() + seconds
    while time.perf_counter() < end or len(times[0]) < least:
        turn = len(times[0]) % 2
        for after in (turn, 1 - turn):
            use(pools, after)
            start = time.perf_counter()
            call()
            times[after].append((time.perf_counter() - start) * 1e3)
    return *map(statistics.median, times), statistics.median(a / b for a, b in zip(*times))


def inputs_of(model, pools, x):
    "A list of (pool, input) for each call of a pool in the model."
    found = []
    hooks = [layer.register_forward_hook(lambda layer, args, y: found.append((layer, args[0].detach())))
             for layer, *_ in pools]
    with torch.no_grad(): model(x)
    for hook in hooks: hook.remove()
    return found


def with_gradient(layer, leaf, g):
    torch.autograd.grad(layer(leaf), leaf, g)


def alone(calls, pools, seconds, gradient):
    "What the pools of a network take by themselves, one after the other: milliseconds before and after."
    total = [0.0, 0.0]
    for layer, x in calls:
        g = torch.randn_like(layer(x))
        leaf = x.clone().requires_grad_()
        call = (lambda: with_gradient(layer, leaf, g)) if gradient else (lambda: layer(x))  # noqa: B023
        with torch.set_grad_enabled(gradient): found = in_turns(call, pools, seconds / len(calls))[:2]
        total = [a + b for a, b in zip(total, found)]
    return total


def measure(network):
    "The times of a network and of its pools."
    torch.manual_seed(0)
    model, x = network.make(), torch.randn(network.shape)
    pools, weights = swapped(model), [*model.parameters()]
    optimiser = torch.optim.SGD(weights, lr=1e-4)

    def inference():
        with torch.inference_mode(): model(x)

    def step():
        optimiser.zero_grad()
        network.loss(model(x)).backward()
        optimiser.step()

    found = {"shape": network.shape, "parameters": sum(p.numel() for p in weights)}
    for name, call, share in (("inference", inference, 0.3), ("training", step, 0.5)):
        model.train(name == "training")
        calls = inputs_of(model, pools, x)
        before, after, times = in_turns(call, pools, share * network.seconds)
        theirs, ours = alone(calls, pools, 0.1 * network.seconds, name == "training")
        found |= {"pools": len(calls)}
        found[name] = {"before": before, "after": after, "times": times, "pools before": theirs, "pools after": ours}
    return found


def shown(name, row):
    "A line of a network's figures."
    def words(what):
        t = row[what]
        shares = (f"{t[f'pools {when}'] / t[when]:.1%}" for when in ("before", "after"))
        return (f"{what} {t['before']:.0f} ms to {t['after']:.0f} ms, {t['times']:.3f} times; "
                f"pools {' to '.join(shares)}")
    return f"{name}, {row['shape']}: {words('inference')}; {words('training')}"


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("network", nargs="*", choices=[*NETWORKS, []], help="all when left out")
    torch.set_num_threads(2)
    known = json.loads(RESULTS.read_text(encoding="utf-8")) if RESULTS.exists() else {}
    for name in parser.parse_args().network or NETWORKS:
        known[name] = measure(NETWORKS[name])
        print(shown(name, known[name]), flush=True)
        inside = {name: known[name] for name in NETWORKS if name in known}
        RESULTS.write_text(json.dumps(inside, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__": main()
