"""torch's functions, under their own names and with the same results; the gradient of the average needs no atomics.

Its rooms: `adaptive`, pools whose output size is named; `ordinary`, pools of a kernel size; `pyramids`, several output
sizes of one input; `concat`, its averages and maxima; `powers`, between the mean and the maximum; `unpool`, the way
back of a maximum; `each`, tensors of different sizes; `means`, gaps, weights and area.
"""

from adapool.checks import needs

with needs("torch"):
    from adapool.functional.adaptive import (
        adaptive_avg_pool1d, adaptive_avg_pool2d, adaptive_avg_pool3d, adaptive_max_pool1d, adaptive_max_pool2d,
        adaptive_max_pool3d, adaptive_max_pool1d_with_indices, adaptive_max_pool2d_with_indices,
        adaptive_max_pool3d_with_indices)
    from adapool.functional.concat import adaptive_concat_pool1d, adaptive_concat_pool2d, adaptive_concat_pool3d
    from adapool.functional.ordinary import (
        avg_pool1d, avg_pool2d, avg_pool3d, max_pool1d, max_pool2d, max_pool3d, max_pool1d_with_indices,
        max_pool2d_with_indices, max_pool3d_with_indices)
    from adapool.functional.each import pool_each
    from adapool.functional.means import adaptive_mean
    from adapool.functional.powers import gem_pool, lp_pool1d, lp_pool2d, lp_pool3d, soft_pool
    from adapool.functional.pyramids import (
        pyramid_avg_pool1d, pyramid_avg_pool2d, pyramid_avg_pool3d, pyramid_max_pool1d, pyramid_max_pool2d,
        pyramid_max_pool3d)
    from adapool.functional.unpool import (
        adaptive_max_unpool1d, adaptive_max_unpool2d, adaptive_max_unpool3d, max_unpool1d, max_unpool2d, max_unpool3d)
    from adapool.tensors.private import THEIRS
    from adapool.tensors.switch import enable, lead_to

__all__ = [
    "adaptive_avg_pool1d", "adaptive_avg_pool2d", "adaptive_avg_pool3d", "adaptive_max_pool1d",
    "adaptive_max_pool2d", "adaptive_max_pool3d", "adaptive_max_pool1d_with_indices",
    "adaptive_max_pool2d_with_indices", "adaptive_max_pool3d_with_indices", "avg_pool1d", "avg_pool2d",
    "avg_pool3d", "max_pool1d", "max_pool2d", "max_pool3d", "max_pool1d_with_indices", "max_pool2d_with_indices",
    "max_pool3d_with_indices", "pyramid_avg_pool1d", "pyramid_avg_pool2d", "pyramid_avg_pool3d", "pyramid_max_pool1d",
    "pyramid_max_pool2d", "pyramid_max_pool3d", "adaptive_concat_pool1d", "adaptive_concat_pool2d",
    "adaptive_concat_pool3d", "lp_pool1d", "lp_pool2d", "lp_pool3d", "gem_pool", "soft_pool",
    "pool_each", "adaptive_mean",
    "adaptive_max_unpool1d", "adaptive_max_unpool2d", "adaptive_max_unpool3d", "max_unpool1d", "max_unpool2d",
    "max_unpool3d", "enable"
]

lead_to({name: globals()[name] for name in THEIRS})
