"""Adaptive pooling and the arithmetic of convolution and pooling sizes.

What is here needs NumPy alone; `adapool.functional`, `adapool.nn`, `adapool.export` and `adapool.networks` import
torch, `adapool.plot` matplotlib, `adapool.explore` and `adapool.flashcards` both, `adapool.dask` and
`adapool.xarray` these libraries, each at first use.
"""
__version__ = "0.1.0"

import importlib

from adapool.arithmetic import (
    ConvParams,
    conv_output_shape,
    conv_output_size,
    conv_transpose_output_size,
    find_conv,
    pool_output_size,
    same_padding,
    same_padding_pair,
    unused_inputs,
)
from adapool.pooling import adaptive_max_pool, adaptive_pool, pool
from adapool.pyramids import pyramid_pool
from adapool.windows import (
    BlockedPool,
    FixedPool,
    Windows,
    adaptive_windows,
    blocked_equivalent,
    elementary,
    exact_sizes,
    fixed_equivalent,
    fixed_rule,
    fixed_windows,
    split_windows,
)

_AT_FIRST_USE = ("exercises", "functional", "nn", "export", "networks", "answers", "plot", "explore", "flashcards",
                 "dask", "xarray", "jax", "array_api")

__all__ = [
    "conv_output_size", "conv_output_shape", "pool_output_size", "conv_transpose_output_size", "same_padding",
    "same_padding_pair", "unused_inputs", "ConvParams", "find_conv", "Windows", "adaptive_windows", "fixed_windows",
    "split_windows", "elementary", "FixedPool", "fixed_rule", "fixed_equivalent", "exact_sizes", "BlockedPool",
    "blocked_equivalent", "pool", "adaptive_pool", "adaptive_max_pool", "pyramid_pool",
]


def __getattr__(name):
    if name in _AT_FIRST_USE: return importlib.import_module(f"adapool.{name}")
    raise AttributeError(f"module 'adapool' has no attribute {name!r}")


def __dir__(): return sorted({*globals(), *_AT_FIRST_USE})
