"""Gaps, weights and area of arrays in memory, beside what others offer: numbagg, xarray, OpenCV, scikit-image.

    python benchmarks/arrays_memory.py --seconds 2      one table, about a minute
"""

import argparse
import os
import warnings

import cv2
import numbagg
import numpy as np
import xarray
from skimage.transform import resize_local_mean
from timing import medians

import adapool


def milliseconds(calls, seconds):
    "The median time of each call, by its name."
    return {name: 1000*t for name, t in zip(calls, medians(list(calls.values()), seconds))}


def with_gaps(shape, dtype="float32"):
    "Random numbers, a tenth of them missing."
    rng = np.random.default_rng(0)
    x = rng.normal(size=shape).astype(dtype)
    x[rng.random(shape, np.float32) < 0.1] = np.nan
    return x


def coarsened(x, block):
    "The windows of a pool that divides, as axes of their own: (..., n/k, k, m/k, k)."
    *batch, h, w = x.shape
    return x.reshape(*batch, h // block, block, w // block, block)


def gaps(shape, block, seconds):
    "The NaN-aware mean of blocks, weighted by latitude and not."
    x, size = with_gaps(shape), (shape[-2] // block, shape[-1] // block)
    lat = np.cos(np.linspace(-1.5, 1.5, shape[-2])).astype("f4")
    weights, parts = {-2: lat}, np.broadcast_to(lat[:, None], shape[-2:])
    labelled = xarray.DataArray(x, dims=[*"abcd"[:x.ndim - 2], "y", "x"]).coarsen(y=block, x=block)

    def weighted():
        v = np.where(np.isnan(x), np.float32(0), parts)
        total = numbagg.nansum(coarsened(x * parts, block), axis=(-3, -1))
        return total / coarsened(v, block).sum((-3, -1))
    calls = {
        "mean": lambda: adapool.adaptive_pool(x, size, skipna=True),
        "numbagg": lambda: numbagg.nanmean(coarsened(x, block), axis=(-3, -1)),
        "xarray": lambda: labelled.mean(),
        "weighted": lambda: adapool.adaptive_pool(x, size, skipna=True, weights=weights),
        "numbagg, weighted": weighted,
        "max": lambda: adapool.adaptive_pool(x, size, "max", skipna=True),
        "numbagg, max": lambda: numbagg.nanmax(coarsened(x, block), axis=(-3, -1)),
        "x.sum()": lambda: x.sum()}
    np.testing.assert_allclose(calls["mean"](), calls["numbagg"](), rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(calls["weighted"](), weighted(), rtol=1e-3, atol=1e-4)
    np.testing.assert_array_equal(calls["max"](), calls["numbagg, max"]())
    return milliseconds(calls, seconds)


def area(shape, size, seconds, slow=False):
    "The mean by area of a picture (H, W) or (H, W, C)."
    x = np.random.default_rng(0).random(shape, np.float32)
    calls = {"area": lambda: adapool.adaptive_pool(x, size, edges="area", axes=(0, 1)),
             "INTER_AREA": lambda: cv2.resize(x, size[::-1], interpolation=cv2.INTER_AREA),
             "x.sum()": lambda: x.sum()}
    np.testing.assert_allclose(calls["area"](), calls["INTER_AREA"](), rtol=2e-5)
    if slow: calls["resize_local_mean"] = lambda: resize_local_mean(x, size, channel_axis=2 if x.ndim > 2 else None)
    return milliseconds(calls, seconds)


def equal():
    "How far from scikit-image's area mean of float64, at most, relative: over shapes that divide and that do not."
    rng, worst = np.random.default_rng(1), 0.0
    for n, m in (((40, 60), (7, 9)), ((64, 64), (16, 32)), ((31, 57), (30, 11)), ((200, 100), (33, 100))):
        x = 1 + rng.random(n)
        y, theirs = adapool.adaptive_pool(x, m, edges="area"), resize_local_mean(x, m, preserve_range=True)
        worst = max(worst, float(abs(y / theirs - 1).max()))
    return worst


def main(seconds=2.0, threads=2):
    "Every case, as lines of a table."
    os.environ["OMP_NUM_THREADS"] = str(threads)
    cv2.setNumThreads(threads)
    warnings.simplefilter("ignore")
    print(f"in memory, {threads} threads, float32; milliseconds, medians of calls in turns")
    print(f"area against resize_local_mean, float64: apart by {equal():.1e} at most")
    for shape, block in (((4096, 4096), 8), ((64, 720, 1440), 4), ((4096, 4096), 64)):
        print(f"gaps {shape}, blocks of {block}: ", *(f"{k} {v:.1f};" for k, v in gaps(shape, block, seconds).items()))
    for shape, size in (((4096, 4096), (1000, 1000)), ((4096, 4096), (224, 224)), ((4096, 4096, 3), (1000, 1000)),
                        ((4096, 4096, 3), (224, 224)), ((1024, 1024), (300, 500))):
        took = area(shape, size, seconds, slow=shape[0] < 2000)
        print(f"area {shape} to {size}: ", *(f"{k} {v:.1f};" for k, v in took.items()))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=2.0, help="for each case")
    parser.add_argument("--threads", type=int, default=2)
    main(**vars(parser.parse_args()))
