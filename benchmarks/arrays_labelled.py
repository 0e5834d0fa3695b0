"""Labelled arrays in memory, beside xarray's coarsen and xarray-regrid.

    python benchmarks/arrays_labelled.py --seconds 2    a table, some ten seconds
"""

import argparse
import os
import statistics
import time
import warnings

import numpy as np
import xarray
import xarray_regrid  # noqa: F401 - gives arrays of xarray their `regrid`

from adapool.xarray import adaptive_pool


def both(calls, seconds):
    "The median wall and CPU milliseconds of each call, all taken in turns for about `seconds`."
    times = {name: [] for name in calls}
    for call in calls.values(): call()
    end = time.perf_counter() + seconds
    while time.perf_counter() < end or len(times[next(iter(times))]) < 3:
        for name, call in calls.items():
            start = time.perf_counter(), time.process_time()
            call()
            taken = time.perf_counter() - start[0], time.process_time() - start[1]
            times[name].append([1000 * t for t in taken])
    return {name: [statistics.median(each) for each in zip(*taken)] for name, taken in times.items()}


def field(shape):
    "Random numbers on a plane grid, a tenth of them missing. (xarray-regrid weighs what is called lat.)"
    rng = np.random.default_rng(0)
    x = xarray.DataArray(rng.normal(size=shape).astype("f4"), dims=("time", "y", "x"), coords={
        "y": np.arange(shape[1]) + 0.5, "x": np.arange(shape[2]) + 0.5})
    return x.where(rng.random(shape, np.float32) > 0.1)


def divides(shape, block, seconds):
    "Where the sizes divide: NaN left out."
    x, k = field(shape), {"y": block, "x": block}
    sizes = {d: x.sizes[d] // block for d in k}
    calls = {"adapool": lambda: adaptive_pool(x, sizes, skipna=True), "coarsen": lambda: x.coarsen(k).mean()}
    xarray.testing.assert_allclose(calls["adapool"](), calls["coarsen"](), rtol=1e-3, atol=1e-5)
    return both(calls, seconds)


def does_not(shape, sizes, seconds):
    "Where they do not: whole cells beside padding and trimming, areas beside conservative regridding."
    x, k = field(shape), {d: -(-shape[1 + i] // m) for i, (d, m) in enumerate(sizes.items())}
    by_area = adaptive_pool(x, sizes, edges="area", skipna=True)
    target = xarray.Dataset({d: by_area[d] for d in sizes})
    calls = {
        "adapool": lambda: adaptive_pool(x, sizes, skipna=True),
        "coarsen, pad": lambda: x.coarsen(k, boundary="pad").mean(),
        "coarsen, trim": lambda: x.coarsen(k, boundary="trim").mean(),
        "adapool, area": lambda: adaptive_pool(x, sizes, edges="area", skipna=True),
        "xarray-regrid": lambda: x.regrid.conservative(target, latitude_coord=None, nan_threshold=1.0)}
    np.testing.assert_allclose(calls["xarray-regrid"]().transpose(*x.dims), by_area, rtol=1e-3, atol=1e-4)
    return both(calls, seconds)


def main(seconds=2.0, threads=2):
    "Every case, as lines of a table."
    os.environ["OMP_NUM_THREADS"] = str(threads)
    warnings.simplefilter("ignore")
    print(f"labelled, {threads} threads, float32, NaN left out; milliseconds (of CPU), medians of calls in turns")
    cases = {"(32, 720, 1440) to (180, 360)": divides((32, 720, 1440), 4, seconds),
             "(32, 721, 1440) to (90, 181)": does_not((32, 721, 1440), {"y": 90, "x": 181}, seconds)}
    for what, took in cases.items():
        print(f"{what}: ", *(f"{name} {wall:.1f} ({cpu:.1f});" for name, (wall, cpu) in took.items()))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=2.0, help="for each case")
    parser.add_argument("--threads", type=int, default=2)
    main(**vars(parser.parse_args()))
