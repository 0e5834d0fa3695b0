"The kernels as the Python that they are: cell by cell, every access checked, nothing compiled."

import itertools

import numpy as np
import pytest
import torch
import torch.nn.functional as T

from adapool import kernels

pytestmark = pytest.mark.xdist_group("uncompiled")  # which kernels were seen is asked in the end


def in_python(kind, x, axes, batch=None, inner=1):
    "Run a kernel uncompiled, on flat arrays whose every access is checked; the kernel's name and its result."
    batch = batch or tuple((n, s // x.itemsize) for n, s in zip(x.shape[:2], x.strides))
    name, types, numbers, total, _, _, room, table = kernels.description(kind, ("f8",) * 3, batch, axes, inner)
    shape = *(n for n, _ in batch), *(m for _, m, _ in axes), inner
    y, index = np.full(shape, 7e77), np.full(shape, -7)
    meant = kernels.meaning(types[3], 8)
    before = {k: getattr(kernels, k) for k in meant}
    vars(kernels).update(meant)
    work = np.full(room, 7e77), np.zeros(room, np.int64), np.zeros(table, np.int64)
    try:
        cut = total // 2
        for part in ((0, cut), (cut, total)):
            getattr(kernels, name)(x.ravel(), y.reshape(-1), index.reshape(-1), numbers, *work, *part)
    finally: vars(kernels).update(before)
    return name, y, index


SEEN = set()


SHAPES = [
    ((2, 9, 6, 7), (4, 3)), ((1, 3, 5, 4), (7, 9)), ((1, 9, 2, 70), (1, 2)), ((1, 2, 70, 9), (2, 4)),
    ((1, 2, 1, 700), (1, 2)), ((1, 1, 20, 30), (1, 1)), ((1, 9, 3, 40), (2, 36)), ((1, 8, 9, 9), (3, 3)),
    ((1, 2, 5, 34), (2, 17)), ((2, 1, 2, 256), (2, 16)),
    ((2, 3, 4, 300), (3, 2)), ((1, 9, 17, 200), (1, 2)), ((1, 3, 7, 11), (2, 3)),
    ((2, 3, 4, 1), (3, 40)), ((1, 2, 2, 3), (4, 48)), ((1, 3, 1, 1), (5, 7))]
LARGER = [  # sums of sums, four wide rows at once, pairs of many rows, up to 64 channels in registers and more
    (((1, 2, 1, 1200), (1, 1)), 1), (((1, 2, 1, 1200), (1, 1)), 3), (((1, 1, 6, 2100), (1, 40)), 1),
    (((1, 1, 70, 32), (1, 16)), 1), (((1, 1, 12, 13), (1, 2)), 40), (((1, 1, 12, 13), (1, 2)), 72),
    (((1, 2, 4, 5), (2, 3)), 72)]


@pytest.mark.parametrize("layer, inner", [*itertools.product(SHAPES, [1, 3, 11]), *LARGER])
def test_uncompiled_with_every_access_checked(layer, inner):
    shape, size = layer
    rng = np.random.default_rng(0)
    x = rng.integers(-3, 4, (*shape, inner)).astype(np.float64)
    axes = tuple((n, m, k * inner) for n, m, k in zip(shape[2:], size, (shape[3], 1)))
    planes = torch.from_numpy(x).movedim(-1, 2).flatten(1, 2)
    restore = lambda t: t.unflatten(1, (shape[1], inner)).movedim(2, -1).numpy()
    name, y, _ = in_python("mean", x, axes, inner=inner)
    SEEN.add(name)
    np.testing.assert_allclose(y, restore(T.adaptive_avg_pool2d(planes, size)), rtol=1e-12, atol=1e-12)
    for kind, sign in (("max", 1), ("min", -1)):
        want = sign * restore(T.adaptive_max_pool2d(sign * planes, size))
        np.testing.assert_array_equal(in_python(kind, x, axes, inner=inner)[1], want)
    x[rng.random(x.shape) < 0.02] = np.nan
    planes = torch.from_numpy(x).movedim(-1, 2).flatten(1, 2)
    name, y, index = in_python("places", x, axes, inner=inner)
    SEEN.add(name)
    best, places = T.adaptive_max_pool2d(planes, size, return_indices=True)
    np.testing.assert_array_equal(y, restore(best))
    np.testing.assert_array_equal(index, restore(places))
    source = torch.zeros(shape[0], shape[1] * inner, *shape[2:], dtype=torch.float64, requires_grad=True)
    g = rng.normal(size=(*shape[:2], *size, inner))
    T.adaptive_avg_pool2d(source, size).backward(torch.from_numpy(g).movedim(-1, 2).flatten(1, 2))
    back = tuple((m, n, k * inner) for (n, m, _), k in zip(axes, (size[1], 1)))
    name, y, _ = in_python("spread", g, back, inner=inner)
    SEEN.add(name)
    np.testing.assert_allclose(y, restore(source.grad), rtol=1e-12, atol=1e-12)


def test_uncompiled_in_three_dimensions():
    x = np.random.default_rng(0).integers(-3, 4, (1, 2, 6, 5, 7, 9)).astype(np.float64)
    axes = tuple((n, m, k) for n, m, k in zip((6, 5, 7), (2, 2, 2), (5 * 7 * 9, 7 * 9, 9)))
    planes = torch.from_numpy(x).movedim(-1, 2).flatten(1, 2)
    for kind, pool in (("mean", T.adaptive_avg_pool3d), ("max", T.adaptive_max_pool3d)):
        name, y, _ = in_python(kind, x, axes, inner=9)
        want = pool(planes, 2).unflatten(1, (2, 9)).movedim(2, -1).numpy()
        np.testing.assert_allclose(y, want, rtol=1e-12, atol=1e-12, strict=True)
        assert name == "cells"


def test_all_kernels_were_seen():
    assert {"planes", "pairs", "lines", "interleaved", "cells", "cells_places", "lines_places", "stretch"} <= SEEN


def test_uncompiled_gradient_of_the_maximum():
    index = np.array([0, 0, 8, 3, 3, 3]).astype(np.int64)
    y = np.full(18, 7e77)
    kernels.scatter(np.arange(6.0), y, index, [9, 3, 1], np.zeros(8), None, None, 0, 2)
    assert y.tolist() == [1, 0, 0, 0, 0, 0, 0, 0, 2, 0, 0, 0, 12, 0, 0, 0, 0, 0]


@pytest.mark.parametrize("access", [
    lambda x: kernels.get(x, 20), lambda x: kernels.get(x, -1), lambda x: kernels.put(x, 20, 1.0),
    lambda x: kernels.vload(x, 13), lambda x: kernels.vload(x, -1), lambda x: kernels.vstore(x, 13, np.ones(8))])
def test_an_access_beyond_the_array_is_caught(access):
    x = np.zeros(20)
    with pytest.raises(IndexError, match="of 20"): access(x)
    assert not x.any()
