"""Adaptive pools of JAX beside Equinox's and `lax.reduce_window`, forwards and with their gradient, in one process.

Milliseconds, medians of calls that take turns; `reduce_window` where an ordinary pool has the same windows.
"""

import argparse
import statistics
import time

import equinox
import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

import adapool
import adapool.jax

CASES = [((8, 64, 56, 56), 7), ((8, 64, 56, 56), 13), ((8, 256, 14, 14), 7), ((8, 256, 13, 13), 6),
         ((2, 64, 224, 224), 50), ((1, 3, 1024, 1024), 224), ((16, 512, 7, 7), 1)]


def reduce_window(n, m, kind):
    "The pool as an ordinary one, or None."
    pool = adapool.fixed_equivalent(n, m)
    if pool is None or not pool.stride: return None
    pad, (start, join) = (0, 0), ((0.0, lax.add) if kind == "mean" else (-jnp.inf, lax.max))
    def call(x):
        return lax.reduce_window(x, start, join, (1, 1, *[pool.kernel_size] * 2), (1, 1, *[pool.stride] * 2),
                                 (pad, pad, *[(pool.padding,) * 2] * 2))
    return call


def candidates(n, m, kind):
    layer = equinox.nn.AdaptiveAvgPool2d if kind == "mean" else equinox.nn.AdaptiveMaxPool2d
    found = {"ours": lambda x: adapool.jax.adaptive_pool(x, (m, m), kind), "Equinox": jax.vmap(layer(m)),
             "reduce_window": reduce_window(n, m, kind)}
    return {name: call for name, call in found.items() if call}


def medians(calls, x, times):
    calls, spent = {name: jax.jit(call) for name, call in calls.items()}, {name: [] for name in calls}
    for call in calls.values(): call(x).block_until_ready()
    for _ in range(times):
        for name, call in calls.items():
            begun = time.perf_counter()
            call(x).block_until_ready()
            spent[name].append(time.perf_counter() - begun)
    return {name: 1e3 * statistics.median(each) for name, each in spent.items()}


def main(times):
    for shape, m in CASES:
        x = jnp.asarray(np.random.default_rng(0).normal(size=shape), "float32")
        for kind in ("mean", "max"):
            calls = candidates(shape[-1], m, kind)
            back = {name: jax.grad(lambda x, call=call: (call(x)**2).sum()) for name, call in calls.items()}
            for what, found in (("", medians(calls, x, times)), (", gradient", medians(back, x, times))):
                said = ", ".join(f"{name} {ms:.2f}" for name, ms in found.items())
                print(f"{shape} to {m}, {kind}{what}: {said}", flush=True)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--times", type=int, default=15, help="calls of each")
    main(parser.parse_args().times)
