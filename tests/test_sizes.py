"Sizes in any sequence of integers, wherever sizes are taken; paddings of two sides."

from array import array
from collections import deque

import matplotlib
import matplotlib.pyplot as plt
import numpy as np
import pytest
import torch

import adapool
import adapool.functional as F
from adapool import plot
from adapool.networks import trace_shapes

matplotlib.use("agg")
SEQUENCES = dict(
    list=list, array=np.array, short=lambda v: np.array(v, np.int16), tensor=torch.tensor, torch_size=torch.Size,
    deque=deque, of_bytes=lambda v: array("b", v), numbers=lambda v: [np.int64(n) for n in v])
BOARD, PICTURE = np.zeros((2, 8, 9)), np.zeros((8, 9))


def title(ax):
    said = ax.get_title(loc="left")
    plt.close("all")
    return said


TAKERS = {
    "conv_output_size": lambda v: adapool.conv_output_size(v((9, 8)), v((3, 2)), v((1, 2)), v((0, 1)), v((2, 1))),
    "conv_output_size, pairs": lambda v: adapool.conv_output_size(9, 3, 1, [v((0, 1)), v((2, 0))]),
    "conv_output_size, a pair": lambda v: adapool.conv_output_size(9, 3, 2, v((0, 1))),
    "conv_output_shape": lambda v: adapool.conv_output_shape(v((2, 3, 9, 8)), 4, v((3, 2)), padding=v((0, 1))),
    "same_padding": lambda v: adapool.same_padding(v((3, 4)), v((1, 2))),
    "same_padding_pair": lambda v: adapool.same_padding_pair(v((9, 8)), v((3, 2))),
    "unused_inputs": lambda v: adapool.unused_inputs(v((9, 8)), v((3, 2)), 3, v((0, 1))),
    "pool_output_size": lambda v: adapool.pool_output_size(v((9, 8)), v((3, 2)), padding=v((0, 1))),
    "conv_transpose_output_size": lambda v: adapool.conv_transpose_output_size(v((9, 8)), v((3, 2)), 2, v((0, 1))),
    "adaptive_pool": lambda v: adapool.adaptive_pool(BOARD, v((3, 4)), axes=v((2, 0))).shape,
    "adaptive_max_pool": lambda v: adapool.adaptive_max_pool(BOARD, v((3, 4)), True, v((2, 0)))[1].shape,
    "adaptive_avg_pool2d": lambda v: F.adaptive_avg_pool2d(torch.zeros(1, 2, 8, 9), v((3, 4))).shape,
    "adaptive_max_pool2d": lambda v: F.adaptive_max_pool2d(torch.zeros(1, 2, 8, 9), v((3, 4))).shape,
    "find_conv": lambda v: adapool.find_conv(9, 4, v((3, 2)), padding=v((0, 1))),
    "trace_shapes": lambda v: [row.output_shape for row in trace_shapes(torch.nn.Conv2d(1, 1, 3), v((1, 1, 9, 8)))],
}
DRAWN = {
    "sliding": lambda v: title(plot.sliding(9, 3, 2, v((0, 1)))),
    "spreading": lambda v: title(plot.spreading(4, 3, 2, v((0, 1)))),
    "sliding_2d": lambda v: title(plot.sliding_2d(v((9, 8)), v((3, 2)), padding=[v((0, 1)), 1], at=v((1, 2)))),
    "spreading_2d": lambda v: title(plot.spreading_2d(v((4, 3)), v((3, 2)), 2, [v((0, 1)), 1], at=v((1, 2)))),
    "adaptive_2d": lambda v: title(plot.adaptive_2d(v((9, 8)), v((3, 2)), at=v((1, 1)))),
    "windows_2d": lambda v: title(plot.windows_2d(PICTURE, v((3, 4)))),
    "pooled": lambda v: title(plot.pooled(PICTURE, v((3, 4)))),
    "chain": lambda v: title(plot.chain(v((9, 8)), unread=v((1,)), fields=v((2,)))),
}


@pytest.mark.parametrize("make", SEQUENCES.values(), ids=SEQUENCES)
@pytest.mark.parametrize("taker", TAKERS.values(), ids=TAKERS)
def test_any_sequence_of_integers(taker, make):
    assert taker(make) == taker(tuple)


@pytest.mark.parametrize("make", [np.array, torch.tensor])
@pytest.mark.parametrize("taker", DRAWN.values(), ids=DRAWN)
def test_any_sequence_is_drawn(taker, make):
    assert taker(make) == taker(tuple)


@pytest.mark.parametrize("wrong", [
    {9, 8}, {9: 1}, np.array([9., 8]), "98", b"98", torch.tensor([9., 8]), np.array([[9, 8]]), (n for n in (9, 8)),
    torch.empty(2, dtype=torch.long, device="meta"), np.array([9, 8], object) / 2])
def test_what_is_no_sequence_of_integers_is_named(wrong):
    with pytest.raises(TypeError, match="input_size must be an integer"): adapool.conv_output_size(wrong, 3)


def test_numbers_come_back_as_ints():
    for size in adapool.conv_output_size(np.array([9, 8], np.uint8), torch.tensor([3, 2])): assert type(size) is int


def test_one_number_in_a_sequence_is_one_axis():
    assert adapool.conv_output_size(torch.tensor([9]), 3) == adapool.conv_output_size(np.array([9]), 3) == (7,)
    assert adapool.conv_output_size(torch.tensor(9), 3) == adapool.conv_output_size(np.array(9), 3) == 7


def test_a_pair_is_what_padding_by_hand_is():
    x, weight = torch.randn(1, 1, 10, 9, generator=torch.Generator().manual_seed(0)), torch.ones(1, 1, 3, 2)
    pairs = adapool.same_padding_pair((10, 9), (3, 2), 2)
    assert pairs == ((0, 1), (0, 1))
    by_hand = torch.nn.functional.conv2d(torch.nn.functional.pad(x, (*pairs[1], *pairs[0])), weight, stride=2)
    assert adapool.conv_output_shape(x.shape, 1, (3, 2), 2, pairs) == tuple(by_hand.shape) == (1, 1, 5, 5)
    assert adapool.conv_output_size((10, 9), (3, 2), 2, (0, 1)) == (4, 5)  # for two axes: one each, as torch's layers
