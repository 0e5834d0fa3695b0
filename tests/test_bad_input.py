"Wrong calls, one a line: the call, the exact type of the error, words that the message must contain."

import inspect
import math
from collections import deque

import numpy as np
import pytest
import torch

import adapool
import adapool.functional as F
import adapool.networks as networks
import adapool.nn as nn
import adapool.plot as plot
from adapool import (
    Windows,
    adaptive_max_pool,
    adaptive_pool,
    adaptive_windows,
    blocked_equivalent,
    conv_output_shape,
    conv_output_size,
    conv_transpose_output_size,
    exact_sizes,
    find_conv,
    fixed_equivalent,
    fixed_rule,
    pool,
    pool_output_size,
    same_padding,
    same_padding_pair,
    split_windows,
    unused_inputs,
)
from adapool.tensors.plain import arrays

X = np.zeros((2, 3, 7))
T4 = torch.zeros(2, 3, 7, 8)
NAN = math.nan


def case(error, words, function, *args, **kwargs):
    shown = ", ".join([*map(repr, args), *(f"{k}={v!r}" for k, v in kwargs.items())])
    name = f"{function.__name__}({shown})".replace("\n", "")[:90]
    return pytest.param(error, words, function, args, kwargs, id=name)


SIZES_BELOW_ONE = [case(ValueError, [name, ">= 1", str(value)], function, *args) for name, value, function, args in [
    ("input_size", 0, conv_output_size, (0, 3)),
    ("input_size", -4, conv_output_size, (-4, 3)),
    ("kernel_size", 0, conv_output_size, (9, 0)),
    ("stride", 0, conv_output_size, (9, 3, 0)),
    ("stride", -1, conv_output_size, (9, 3, -1)),
    ("dilation", 0, conv_output_size, (9, 3, 1, 0, 0)),
    ("input_size", 0, pool_output_size, (0, 1)),
    ("kernel_size", 0, pool_output_size, (9, 0)),
    ("stride", 0, pool_output_size, (9, 3, 0)),
    ("dilation", -2, pool_output_size, (9, 3, 1, 0, -2)),
    ("input_size", 0, conv_transpose_output_size, (0, 3)),
    ("stride", 0, conv_transpose_output_size, (9, 3, 0)),
    ("kernel_size", 0, same_padding, (0,)),
    ("dilation", 0, same_padding, (3, 0)),
    ("input_size", 0, same_padding_pair, (0, 3)),
    ("stride", 0, same_padding_pair, (9, 3, 0)),
    ("stride", 0, unused_inputs, (9, 3, 0)),
    ("input_size", 0, find_conv, (0, 3)),
    ("output_size", 0, find_conv, (9, 0)),
    ("kernel_size", 0, find_conv, (9, 3, (3, 0))),
    ("stride", 0, find_conv, (9, 3, 3, 0)),
    ("dilation", 0, find_conv, (9, 3, 3, 1, 0, (0, 1))),
    ("output_size", 0, exact_sizes, (0, 9)),
    ("up_to", 0, exact_sizes, (3, 0)),
    ("input_size", 0, adaptive_windows, (0, 3)),
    ("output_size", 0, adaptive_windows, (10, 0)),
    ("output_size", -3, adaptive_windows, (10, -3)),
    ("output_size", 0, fixed_rule, (10, 0)),
    ("input_size", 0, fixed_equivalent, (0, 1)),
    ("output_size", -1, blocked_equivalent, (10, -1)),
    ("output_size", 0, adaptive_pool, (X, 0)),
    ("output_size", -2, adaptive_pool, (X, (3, -2))),
    ("output_size", 0, adaptive_max_pool, (X, 0)),
]]

NOT_INTEGERS = [case(TypeError, [name, "integer", repr(v)[:3]], function, *args) for name, v, function, args in [
    *(("input_size", v, conv_output_size, (v, 3)) for v in (True, 9.0, NAN, "9", None, 3j, b"9", {9})),
    *(("kernel_size", v, conv_output_size, (9, v)) for v in (False, 3.0, NAN, "3", None)),
    *(("stride", v, conv_output_size, (9, 3, v)) for v in (True, 1.0, "1", None)),
    *(("padding", v, conv_output_size, (9, 3, 1, v)) for v in (True, 0.5, None)),
    *(("dilation", v, conv_output_size, (9, 3, 1, 0, v)) for v in (1.0, "1")),
    *(("kernel_size", v, pool_output_size, (9, v)) for v in (True, 2.0, "2", NAN)),
    ("padding", "same", pool_output_size, (9, 3, 1, "same")),
    ("output_padding", 0.0, conv_transpose_output_size, (9, 3, 2, 0, 0.0)),
    ("kernel_size", 3.0, same_padding, (3.0,)),
    ("kernel_size", None, same_padding_pair, (9, None)),
    *(("input_size", v, find_conv, (v, 3)) for v in (True, 9.0, None, (9, 9))),
    ("kernel_size", "3", find_conv, (9, 3, "3")),
    ("output_size", 3.0, exact_sizes, (3.0, 9)),
    ("up_to", None, exact_sizes, (3, None)),
    *(("input_size", v, adaptive_windows, (v, 3)) for v in (True, 10.0, NAN, "10", None, (8, 9))),
    *(("output_size", v, adaptive_windows, (10, v)) for v in (True, 7.0, NAN, "7", None, (5, 7))),
    ("output_size", 5.0, fixed_rule, (10, 5.0)),
    ("output_size", True, fixed_equivalent, (10, True)),
    ("input_size", "10", blocked_equivalent, ("10", 4)),
    *(("output_size", v, adaptive_pool, (X, v)) for v in (True, 3.0, NAN, "3", {3})),
    *(("output_size", v, adaptive_pool, (X, (2, v))) for v in (False, 3.0, NAN, "3")),
    *(("axes", v, adaptive_pool, (X, 3, "mean", v)) for v in (1.0, True, "1")),
    ("axes", 1.0, adaptive_pool, (X, 3, "mean", (0, 1.0))),
]]

WRONG_LENGTHS = [
    case(ValueError, ["kernel_size", "2 axes"], conv_output_size, (9, 9), (3, 3, 3)),
    case(ValueError, ["stride", "3 axes"], conv_output_size, 9, (3, 3, 3), (1, 1)),
    case(ValueError, ["input_size", "one value per axis"], conv_output_size, (), 3),
    case(ValueError, ["padding", "2 axes"], pool_output_size, (9, 9), 3, 1, (1,)),
    case(ValueError, ["kernel_size", "input_shape is (1, 3, 9, 9)"], conv_output_shape, (1, 3, 9, 9), 4, (3, 3, 3)),
    case(ValueError, ["input_shape", "spatial"], conv_output_shape, (3, 9), 4, 3),
    case(TypeError, ["input_shape", "tuple"], conv_output_shape, 9, 4, 3),
    case(ValueError, ["input_shape", ">= 0", "axis 0"], conv_output_shape, (-1, 3, 9), 4, 3),
    case(ValueError, ["input_shape", ">= 1", "axis 1"], conv_output_shape, (1, 0, 9), 4, 3),
    case(ValueError, ["input_shape", ">= 1", "axis 2 of (1, 3, 0, 9)"], conv_output_shape, (1, 3, 0, 9), 4, 3),
    case(TypeError, ["input_shape", "integer", "9.0"], conv_output_shape, (1, 3, 9.0), 4, 3),
    case(ValueError, ["out_channels", ">= 1"], conv_output_shape, (1, 3, 9), 0, 3),
    case(ValueError, ["output_size", "axes [1, 2]"], adaptive_pool, X, (3, 3, 3), axes=(1, 2)),
    case(ValueError, ["output_size", "axes [1]"], adaptive_pool, X, (3, 3), axes=1),
    case(ValueError, ["output_size", "got none"], adaptive_pool, X, ()),
    case(ValueError, ["axes", "got none"], adaptive_pool, X, 3, axes=()),
]

WHAT_CANNOT_FIT = [
    case(ValueError, ["input_size", "2**63"], adaptive_windows, 2**63, 3),
    case(ValueError, ["output_size", "2**63"], adaptive_windows, 3, 2**63),
    case(TypeError, ["input_size", "10.5"], Windows, 10.5, [0], [3]),
    case(TypeError, ["starts", "sequence of integers", "0.5"], Windows, 10, [0.5], [3]),
    case(ValueError, ["stops", "[0, 10]", "12", "window 1"], Windows, 10, [0, 5], [5, 12]),
    case(ValueError, ["starts", "never decrease", "3", "window 1"], Windows, 10, [5, 3], [6, 7]),
    case(ValueError, ["stops", "as many as starts"], Windows, 10, [0, 5], [5]),
    case(ValueError, ["stops", "[4, 2)"], Windows, 10, [4], [2]),
    case(ValueError, ["divisors", "window 0"], Windows, 10, [4], [5], [0]),
    case(ValueError, ["windows", "10 cells", "axis 1"], pool, np.zeros((2, 10)), split_windows(9, 3)),
    case(ValueError, ["windows", "one list for each", "2"], pool, np.zeros(9), [split_windows(9, 3)] * 2, axes=0),
    case(ValueError, ["windows", "empty", "max"], pool, np.zeros(2), split_windows(2, 3), "max"),
    case(TypeError, ["windows", "3"], pool, np.zeros(9), 3),
    case(ValueError, ["kernel_size must not be larger", "only 4", "torch refuses"], conv_output_size, 4, 5),
    case(ValueError, ["kernel_size 3", "spans 7", "only 6"], conv_output_size, 4, 3, 1, 1, 3),
    case(ValueError, ["kernel_size 5", "axis 1"], conv_output_size, (9, 4), 5),
    case(ValueError, ["kernel_size 5", "axis 3 of input_shape (1, 3, 9, 4)"], conv_output_shape, (1, 3, 9, 4), 8, 5),
    case(ValueError, ["kernel_size 5", "would give 0"], pool_output_size, 4, 5),
    case(ValueError, ["kernel_size 5", "only 4"], unused_inputs, 4, 5),
    case(ValueError, ["padding", ">= 0", "-1"], conv_output_size, 9, 3, 1, -1),
    case(ValueError, ["padding", ">= 0", "-1"], pool_output_size, 9, 3, 1, -1),
    case(ValueError, ["padding", "half of kernel_size", "2"], pool_output_size, 9, 3, 1, 2),
    case(ValueError, ["padding", "half of kernel_size"], pool_output_size, 9, 3, 1, 2, 2),
    case(ValueError, ["padding", "'full'"], conv_output_size, 9, 3, 1, "full"),
    case(ValueError, ["padding", "'SAME'"], unused_inputs, 9, 3, 1, "SAME"),
    case(TypeError, ["ceil_mode", "True or False"], pool_output_size, 9, 3, ceil_mode=1),
    case(ValueError, ["output_padding", "smaller than stride"], conv_transpose_output_size, 9, 3, 2, 0, 2),
    case(ValueError, ["output_padding", ">= 0"], conv_transpose_output_size, 9, 3, 2, 0, -1),
    case(ValueError, ["padding", ">= 0"], find_conv, 9, 5, padding=(0, -1)),
    case(ValueError, ["padding 1", "removes everything"], conv_transpose_output_size, 1, 2, 1, 1),
]

WRONG_ARRAYS = [
    case(ValueError, ["output_size must be >= 1, got 0 for axis 2 of input shape (2, 3, 7)"], adaptive_pool, X, 0),
    case(ValueError, ["empty", "axis 1"], adaptive_pool, np.zeros((2, 0)), 3),
    case(ValueError, ["empty", "axis 0"], adaptive_pool, np.zeros((0, 2)), (None, 1)),
    case(ValueError, ["at least 2 axes", "(3,)"], adaptive_pool, np.zeros(3), (1, 1)),
    case(ValueError, ["at least 1 axis", "()"], adaptive_pool, np.float64(3), 1),
    case(ValueError, ["reduction", "'mean'", "'middle'"], adaptive_pool, X, 3, "middle"),
    case(ValueError, ["reduction", "None"], adaptive_pool, X, 3, None),
    case(ValueError, ["reduction"], adaptive_pool, X, 3, ["mean"]),
    case(ValueError, ["axes must be different", "duplicate"], adaptive_pool, X, (3, 3), axes=(1, 1)),
    case(ValueError, ["axes must be different", "duplicate"], adaptive_pool, X, (3, 3), axes=(2, -1)),
    case(ValueError, ["axes", "[-3, 3)", "3"], adaptive_pool, X, 3, axes=3),
    case(ValueError, ["axes", "-4"], adaptive_max_pool, X, 3, True, -4),
    case(TypeError, ["complex128"], adaptive_pool, X + 1j, 3),
    case(TypeError, ["object"], adaptive_pool, np.array([1, None, 2]), 1),
    case(TypeError, ["<U1"], adaptive_pool, np.array(["a", "b"]), 1),
    case(TypeError, ["datetime64"], adaptive_pool, np.array(["2026-01-01"], "datetime64[D]"), 1),
    case(ValueError, ["x must be an array"], adaptive_pool, [1, [2, 3]], 1),
    case(TypeError, ["return_indices", "(0, 1)"], adaptive_max_pool, X, 2, (0, 1)),
    case(TypeError, ["mask"], adaptive_max_pool, np.ma.masked_array(X, X > 0), 3, True),
    case(TypeError, ["complex64"], adaptive_max_pool, X.astype("complex64"), 3, return_indices=True),
]

WRONG_TENSORS = [
    case(RuntimeError, ["output_size must be greater", "-1", "axis 3"], F.adaptive_avg_pool2d, T4, (2, -1)),
    case(RuntimeError, ["output_size", "2**60"], F.adaptive_avg_pool2d, T4, 2**40),
    case(RuntimeError, ["output_size", "2**60"], F.adaptive_max_pool2d, T4[:0], 2**40),
    case(RuntimeError, ["allocate"], F.adaptive_avg_pool1d, T4[0], 10**13),
    case(RuntimeError, ["output_size", "memory"], arrays, adapool.adaptive_windows(10, 10**13)),
    case(ValueError, ["output_size", "64 bits"], F.adaptive_avg_pool2d, T4, -2**64),
    case(TypeError, ["output_size", "{2: 3}"], F.adaptive_avg_pool2d, T4, {2: 3}),
    case(TypeError, ["output_size", "b'23'"], F.adaptive_avg_pool2d, T4, b"23"),
    case(TypeError, ["output_size", "True"], F.adaptive_avg_pool2d, T4, True),
    case(TypeError, ["output_size", "2.5"], F.adaptive_max_pool2d, T4, 2.5),
    case(TypeError, ["output_size", "nan"], F.adaptive_avg_pool3d, T4, NAN),
    case(TypeError, ["output_size", "'7'"], F.adaptive_avg_pool1d, T4[0], "7"),
    case(TypeError, ["output_size", "None"], F.adaptive_avg_pool2d, T4, None),
    case(RuntimeError, ["2 sizes"], F.adaptive_avg_pool2d, T4, (2, 2, 2)),
    case(RuntimeError, ["output_size must be 2 sizes", "()"], F.adaptive_max_pool2d, T4, ()),
    case(ValueError, ["output_size must be 2 sizes", "(1, 2, 3, 4)"], F.adaptive_avg_pool2d, T4, (1, 2, 3, 4)),
    case(ValueError, ["output_size must be 2 sizes", "(2, 2, 2, 2)"], F.adaptive_max_pool2d, T4, [2, 2, 2, 2]),
    case(ValueError, ["output_size must be 3 sizes", "(1, 2, 3, 4)"], F.adaptive_avg_pool3d, T4, (1, 2, 3, 4)),
    case(RuntimeError, ["output_size", "one int", "(1, 2, 3)"], F.adaptive_avg_pool1d, T4[0], (1, 2, 3)),
    case(ValueError, ["Input dimension should be at least 3", "(7, 8)"], F.adaptive_avg_pool2d, T4[0, 0], (2, 2)),
    case(ValueError, ["Input dimension should be at least 4", "(3, 7, 8)"], F.adaptive_max_pool3d, T4[0], (2, 2, 2)),
    case(RuntimeError, ["Expected 2D or 3D", "(2, 3, 7, 8)"], F.adaptive_max_pool1d, T4, 2),
    case(RuntimeError, ["Expected 3D or 4D", "(C, ...)", "(7, 8)"], F.adaptive_avg_pool2d, T4[0, 0], 2),
    case(RuntimeError, ["Expected 4D or 5D", "(3, 7, 8)"], F.adaptive_avg_pool3d, T4[0], 2),
    case(RuntimeError, ["Expected input to have non-zero", "(2, 3, 0, 8)"], F.adaptive_max_pool2d, T4[:, :, :0], 2),
    case(NotImplementedError, ["not implemented", "torch.int64"], F.adaptive_avg_pool2d, T4.long(), 2),
    case(NotImplementedError, ["torch.complex64"], F.adaptive_max_pool2d, T4.to(torch.complex64), 2),
    case(TypeError, ["Tensor", "ndarray"], F.adaptive_avg_pool2d, X, 2),
    case(TypeError, ["Tensor", "list"], F.adaptive_max_pool1d, [1.0, 2.0], 2),
    case(TypeError, ["Module", "str"], nn.convert, "resnet50"),
    case(TypeError, ["Module", "type"], nn.convert, torch.nn.AdaptiveAvgPool2d),
]

WRONG_MODELS = [
    case(TypeError, ["model", "Module", "str"], networks.trace_shapes, "resnet50", (1, 3, 9, 9)),
    case(TypeError, ["input_size", "tuple", "224"], networks.trace_shapes, torch.nn.ReLU(), 224),
    case(TypeError, ["input_size", "integer", "9.0", "axis 2"], networks.trace_shapes, torch.nn.ReLU(), (1, 3, 9.0)),
    case(ValueError, ["input_size", ">= 1", "axis 3"], networks.trace_shapes, torch.nn.ReLU(), (1, 3, 9, 0)),
    case(ValueError, ["input_size", "spatial axis", "(3, 9)"], networks.trace_shapes, torch.nn.ReLU(), (3, 9)),
    case(TypeError, ["input_size", "list", "dict", "array"], networks.trace_shapes, torch.nn.ReLU(), np.ones((4, 4))),
    case(ValueError, ["input_size", "spatial", "integers"], networks.trace_shapes, torch.nn.ReLU(), torch.ones(4)),
    case(ValueError, ["input_size", "spatial axis", "[]"], networks.trace_shapes, torch.nn.ReLU(), []),
    case(TypeError, ["kwargs", "dict", "3"], networks.trace_shapes, torch.nn.ReLU(), (1, 3, 9, 9), 3),
    case(TypeError, ["input_size", "by name", "5"], networks.trace_shapes, torch.nn.ReLU(), {5: (1, 3, 9, 9)}),
    case(ValueError, ["input_size", "shape", str(2**70)], networks.trace_shapes, torch.nn.ReLU(), (2**70, 3, 9)),
    case(ValueError, ["input_size", "shape"], networks.trace_shapes, torch.nn.ReLU(), (1,) * 65),
    case(RuntimeError, ["Output size is too small"], networks.trace_shapes, torch.nn.MaxPool2d(9), (1, 3, 8, 8)),
]

WRONG_PICTURES = [
    case(TypeError, ["sizes", "list of numbers", "9"], plot.chain, 9),
    case(TypeError, ["names", "list of words", "3"], plot.chain, (9, 4), 3),
    case(TypeError, ["unread", "list of numbers", "1"], plot.chain, (9, 4), None, 1),
]

TABLE = [*SIZES_BELOW_ONE, *NOT_INTEGERS, *WRONG_LENGTHS, *WHAT_CANNOT_FIT, *WRONG_ARRAYS, *WRONG_TENSORS,
         *WRONG_MODELS, *WRONG_PICTURES]


@pytest.mark.parametrize("error, words, function, args, kwargs", TABLE)
def test_a_wrong_call_says_what_is_wrong(error, words, function, args, kwargs):
    arrays = [(a, a.copy() if isinstance(a, np.ndarray) else a.clone())
              for a in args if isinstance(a, (np.ndarray, torch.Tensor))]
    with pytest.raises(error) as caught: function(*args, **kwargs)
    assert type(caught.value) is error
    for word in words: assert word in str(caught.value)
    for given, before in arrays: assert given.shape == before.shape and (np.asarray(given) == np.asarray(before)).all()


def test_no_error_names_a_parameter_that_does_not_exist():
    "The first word of a message about a parameter is one that the function takes."
    for param in [*SIZES_BELOW_ONE, *NOT_INTEGERS]:
        words, function = param.values[1:3]
        assert words[0] in inspect.signature(function).parameters


def test_a_wrong_size_is_not_taken_for_the_right_one_before_it():
    for name in ("adaptive_avg_pool2d", "adaptive_max_pool2d"):
        for x in (T4, torch.zeros(2, 60, 60, 60)):
            getattr(F, name)(x, (2, 1))
            for wrong in ((2.0, 1.0), (2, True), (2.0, 1), 2.0):
                with pytest.raises(TypeError, match="must be an integer"): getattr(F, name)(x, wrong)


@pytest.mark.parametrize("kind", ["avg", "max"])
def test_sizes_come_in_whatever_torch_goes_through(kind):
    ours, theirs = (getattr(lib, f"adaptive_{kind}_pool2d") for lib in (F, torch.nn.functional))
    x = torch.randn(2, 3, 7, 8, generator=torch.Generator().manual_seed(0))
    for size in (np.array([3, 5]), torch.tensor([3, 5]), deque([3, 5]), range(3, 5), [np.int64(3), 5]):
        layer = getattr(nn, f"Adaptive{kind.title()}Pool2d")(size)
        for y in (ours(x, size), layer(x)): torch.testing.assert_close(y, theirs(x, size))


@pytest.mark.parametrize("kind", ["avg", "max"])
@pytest.mark.parametrize("grad", [False, True])
def test_a_tensor_whose_memory_was_given_back(kind, grad):
    x = torch.zeros(4, 64, 40, 41, requires_grad=grad)
    getattr(F, f"adaptive_{kind}_pool2d")(x, 7)
    x.untyped_storage().resize_(0)
    with pytest.raises(RuntimeError): getattr(F, f"adaptive_{kind}_pool2d")(x, 7)


@pytest.mark.parametrize("draw", [plot.pooled, plot.windows_2d])
def test_a_picture_that_is_not_in_memory(draw):
    with pytest.raises(TypeError, match="image must be an array"): draw(torch.empty(5, 5, device="meta"), 2)


def test_unknown_attribute():
    with pytest.raises(AttributeError, match="no attribute 'adaptive_median'"): adapool.adaptive_median  # noqa: B018
