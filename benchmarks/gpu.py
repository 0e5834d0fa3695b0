"""Adaptive pools on a GPU: how many times as long as ours torch's own take: forward, and with the gradient.

There our functions are for gradients of the same bits each time, not for speed; this prints what that costs or saves.
Interleaved, medians of the GPU's own clock, in one process; above 1 ours is the faster.
"""

import statistics

import torch
import torch.nn.functional as T

import adapool.functional as F

CASES = [("avg", (128, 2048, 7, 7), 1), ("avg", (8, 2048, 60, 60), 6), ("avg", (32, 512, 14, 14), 7),
         ("avg", (16, 64, 224, 224), 7), ("avg", (16, 64, 224, 224), 50), ("avg", (8, 54, 16, 112, 112), 7),
         ("max", (32, 512, 14, 14), 7), ("max", (16, 256, 13, 13), 6), ("max", (16, 64, 224, 224), 50),
         ("avg", (16, 768, 499), 50)]


def seconds(call):
    start, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
    start.record()
    call()
    end.record()
    end.synchronize()
    return start.elapsed_time(end)


def medians(calls, rounds=30):
    for call in calls: [call() for _ in range(3)]
    taken = [[seconds(call) for call in calls] for _ in range(rounds)]
    return [statistics.median(times) for times in zip(*taken)]


def both(pool, x, size, g):
    x.grad = None
    pool(x, size).backward(g)


def compare(kind, shape, size):
    "Our milliseconds, torch's time over ours, and the same with the gradient."
    name = f"adaptive_{kind}_pool{len(shape) - 2}d"
    ours, theirs = getattr(F, name), getattr(T, name)
    x = torch.randn(shape, device="cuda")
    leaf, g = x.clone().requires_grad_(), torch.randn_like(theirs(x, size))
    a, b = medians([lambda: ours(x, size), lambda: theirs(x, size)])
    c, d = medians([lambda: both(ours, leaf, size, g), lambda: both(theirs, leaf, size, g)])
    return a, b / a, d / c


def main():
    print(torch.cuda.get_device_name(), torch.__version__)
    for kind, shape, size in CASES:
        ms, forward, gradient = compare(kind, shape, size)
        print(f"{kind} {shape!s:24} -> {size:<4} ours {ms:7.3f} ms  torch {forward:6.2f}  gradient {gradient:6.2f}")


if __name__ == "__main__": main()
