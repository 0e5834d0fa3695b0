"Pictures, by what stands in them: where each cell is, its colour, what is written, and what is said of it."

import base64
import io
import itertools
import re

import matplotlib.pyplot as plt
import numpy as np
import pytest
import torch
from matplotlib.colors import to_hex
from matplotlib.patches import Rectangle
from PIL import Image
from torch.nn import functional

from adapool import plot
from adapool.plot.canvas import BLANK, GREEN, INPUT, OUTPUT, SHARED, UNREAD, WINDOW

WHITE = "#FFFFFF"


@pytest.fixture(autouse=True)
def closed():
    yield
    plt.close("all")


def colour(r): return to_hex(r.get_facecolor()).upper()


def cells(ax, height=1.0):
    "`{(column, row): colour}` of all rectangles of this height and one column wide; rows go down, as in an array."
    found = [(at, shown) for *at, w, h, shown in rectangles(ax) if (w, h) == (1, height)]
    at = {tuple(at): shown for at, shown in found}
    assert len(at) == len(found), "one cell on another"
    return at


def texts(ax): return {tuple(round(v, 6) for v in t.get_position()): t.get_text() for t in ax.texts}


def rectangles(ax):
    "(column, row, width, height, colour) of all rectangles, in the order in which they lie on each other."
    found = [r for r in ax.patches if isinstance(r, Rectangle)]
    return [(*(round(v, 6) for v in (r.get_x(), r.get_y(), r.get_width(), r.get_height())), colour(r)) for r in found]


def split(ax, written):
    "The board with the windows and the one at its other end, `{(column, row): colour}`, and where their corners are."
    found = cells(ax)
    columns = sorted({x for x, _ in found})
    gap = next(a for a, b in itertools.pairwise(columns) if b - a > 1)
    sides = [{at: c for at, c in found.items() if (at[0] <= gap) == left} for left in (not written, written)]
    corners = [(min(x for x, _ in side), max(y for _, y in side) + 1) for side in sides]
    boards = [{(x - left, top - 1 - y): c for (x, y), c in side.items()} for side, (left, top) in zip(sides, corners)]
    return *boards, *corners


def ranges(*sizes): return itertools.product(*map(range, sizes))


def reads(n, K, S, P, D, ceil_mode=False):
    "How often torch reads each of n cells, and the cells of each window, padding counted on from the input."
    x = torch.zeros(1, 1, n, requires_grad=True)
    out = functional.max_pool1d(x, K, S, P, D, ceil_mode).shape[-1] if ceil_mode else (n + 2*P - D*(K - 1) - 1)//S + 1
    return [[j*S - P + t*D for t in range(K)] for j in range(out)]


@pytest.mark.parametrize("n, K, S, P, D, ceil_mode, at", [
    ((5, 7), (3, 2), (2, 3), (1, 0), (1, 2), False, (1, 1)), ((4, 4), (2, 2), (1, 1), (0, 0), (1, 1), False, (0, 2)),
    ((6, 5), (2, 2), (4, 3), (0, 1), (1, 1), False, (1, 0)), ((5, 6), (2, 2), (2, 2), (0, 0), (1, 1), True, (2, 2))])
def test_a_window_that_reads(n, K, S, P, D, ceil_mode, at):
    ax = plot.sliding_2d(n, K, S, P, D, ceil_mode, at=at)
    rows, columns = (reads(*axis, ceil_mode) for axis in zip(n, K, S, P, D))
    board, out, corner, other = split(ax, written=False)
    height, width = (max(m + 2*p, taps[-1][-1] + 1 + p) for m, p, taps in zip(n, P, (rows, columns)))
    read = {(r, c) for a in rows for b in columns for r in a for c in b}
    lit = set(itertools.product(rows[at[0]], columns[at[1]]))
    assert set(board) == {(c, r) for r, c in ranges(height, width)}
    for (x, y), shown in board.items():
        r, c = y - P[0], x - P[1]
        inside = 0 <= r < n[0] and 0 <= c < n[1]
        assert shown == (WINDOW if (r, c) in lit else WHITE if not inside else INPUT if (r, c) in read else UNREAD)
    assert out == {(c, r): OUTPUT if (r, c) <= at else BLANK for r, c in ranges(len(rows), len(columns))}
    assert corner == (-P[1], P[0]) and other[0] == corner[0] + width + 1.5
    assert corner[1] - height / 2 == other[1] - len(rows) / 2  # side by side, their middles level
    assert ax.get_xlim() == pytest.approx((corner[0] - 0.1, other[0] + len(columns) + 0.1))
    assert ax.get_ylim() == pytest.approx((corner[1] - height - 0.1, corner[1] + 0.1))
    assert ax.get_aspect() == 1 and not ax.axison


@pytest.mark.parametrize("n, K, S, P, extra, D, at", [
    ((3, 2), (3, 2), (2, 1), (0, 0), (0, 0), (1, 1), (1, 1)), ((2, 3), (4, 3), (2, 2), (1, 1), (0, 1), (1, 1), (1, 2)),
    ((2, 2), (2, 2), (3, 2), (0, 0), (0, 0), (1, 2), (1, 0))])
def test_a_window_that_writes(n, K, S, P, extra, D, at):
    ax = plot.spreading_2d(n, K, S, P, extra, D, at=at)
    board, given, corner, other = split(ax, written=True)
    def written(*places):
        x = torch.zeros(1, 1, *n)
        for place in places: x[0, 0, place[0], place[1]] = 1
        return functional.conv_transpose2d(x, torch.ones(1, 1, *K), None, S, P, extra, dilation=D)[0, 0].int().tolist()
    before, now = written(*(p for p in ranges(*n) if p < at)), written(at)
    size = len(now), len(now[0])
    for r, c in ranges(*size):
        times = (BLANK, OUTPUT, SHARED)[min(before[r][c], 2)]
        assert board[c + P[1], r + P[0]] == (WINDOW if now[r][c] else times)
    first = [[i*s - p + t*d for t in range(k)] for i, k, s, p, d in zip(at, K, S, P, D)]
    beyond = {(x, y) for x, y in board if not (0 <= y - P[0] < size[0] and 0 <= x - P[1] < size[1])}
    for x, y in beyond: assert board[x, y] == (WINDOW if y - P[0] in first[0] and x - P[1] in first[1] else WHITE)
    assert given == {(c, r): WINDOW if (r, c) == at else INPUT for r, c in ranges(*n)}
    assert other[0] == corner[0] - 1.5 - n[1]
    height = max(y for _, y in board) + 1
    assert corner[1] - height / 2 == other[1] - n[0] / 2
    assert ax.get_xlim()[0] == pytest.approx(other[0] - 0.1)


@pytest.mark.parametrize("n, m, at", [((8, 9), (5, 7), (2, 3)), ((3, 4), (5, 2), (4, 1)), ((6, 6), (3, 3), (0, 0))])
def test_the_window_of_an_adaptive_pool(n, m, at):
    ax = plot.adaptive_2d(n, m, at=at)
    board, out, *_ = split(ax, written=False)
    spans = [range(i * a // b, -(-(i + 1) * a // b)) for i, a, b in zip(at, n, m)]
    assert board == {(c, r): WINDOW if r in spans[0] and c in spans[1] else INPUT for r, c in ranges(*n)}
    assert out == {(c, r): OUTPUT if (r, c) <= at else BLANK for r, c in ranges(*m)}
    assert ax.get_ylim() == pytest.approx((-n[0]/2 - max(n[0], m[0])/2 - 0.1, -n[0]/2 + max(n[0], m[0])/2 + 0.1))
    inches = 0.36 * (n[1] + 1.5 + m[1]) + 0.2, 0.36 * max(n[0], m[0]) + 0.5  # of a new figure
    assert ax.figure.get_size_inches().tolist() == pytest.approx(inches)


def test_what_is_left_out_is_a_step_of_one_and_no_padding():
    for ax, title in ((plot.sliding_2d(4, 2), "n = 4, K = 2, S = 1 → 3 × 3"),
                      (plot.spreading_2d(4, 2), "n = 4, K = 2, S = 1, transposed → 5 × 5"),
                      (plot.adaptive_2d(4, 3), "4 × 4 → 3 × 3: a window of 2 × 2"),
                      (plot.sliding(4, 2), "n = 4, K = 2, S = 1 → 3"),
                      (plot.spreading(4, 2), "n = 4, K = 2, S = 1, transposed → 5"),
                      (plot.convolution([1] * 4, [1] * 2), "n = 4, K = 2, S = 1 → 3"),
                      (plot.shrinking(np.ones((4, 4)), 2, 1), "4 × 4 → 3 × 3")):
        assert ax.get_title("left") == title
    for ax in plot.sliding_2d(4, 2), plot.spreading_2d(4, 2), plot.adaptive_2d(4, 3):
        assert cells(ax)[0, -1] == WINDOW  # the first of all
    assert plot.channels().alt.startswith("Left, 3 blue") and "right, 4 green" in plot.channels().alt


def test_what_stands_over_a_board_and_what_is_said_of_it():
    ax = plot.sliding_2d((5, 7), 3, (2, 1), padding=1, at=(1, 2))
    assert ax.get_title("left") == "n = 5 × 7, K = 3, S = 2 × 1, P = 1 → 3 × 7"
    assert ax.alt == ("Left, a board of 5 by 7 cells with a window lit, rows 1, 2, 3 and columns 1, 2, 3; "
                      "right, an output of 3 by 7, green up to the cell in row 1 and column 2.")
    ax = plot.spreading_2d(2, 3, 2, 1, output_padding=1, at=(0, 1))
    assert ax.get_title("left") == "n = 2, K = 3, S = 2, P = 1, output_padding = 1, transposed → 4 × 4"
    assert ax.alt == ("Left, an input of 2 by 2 with the cell in row 0 and column 1 lit; right, a board of 4 by 4 "
                      "cells with a window lit, rows -1, 0, 1 and columns 1, 2, 3, written up to there.")
    ax = plot.adaptive_2d((5, 6), (3, 4), at=(1, 0))
    assert ax.get_title("left") == "5 × 6 → 3 × 4: a window of 3 × 2"
    edges = {tuple(r.get_xy()): to_hex(r.get_edgecolor()) for r in ax.patches}
    assert [at for at, edge in edges.items() if edge == "#000000"] == [(7.5, -3)]  # the cell that the window is for


@pytest.mark.parametrize("at", [(-1, 0), (0, -1), (3, 0), (0, 3)])
def test_a_window_that_there_is_not(at):
    for draw, words in ((plot.sliding_2d, "output"), (plot.spreading_2d, "input")):
        size = 5 if words == "output" else 3
        with pytest.raises(ValueError, match=rf"at must be an {words} cell of 3 × 3, got \({at[0]}, {at[1]}\)"):
            draw(size, 3, 1, at=at)


def test_a_board_goes_on_the_axes_that_it_is_given():
    fig, ax = plt.subplots()
    assert plot.sliding_2d(5, 3, ax=ax) is plot.adaptive_2d(3, 2, ax=ax) is ax and plt.get_fignums() == [fig.number]


def test_sheets_of_channels():
    ax = plot.channels(2, 3)
    assert rectangles(ax) == [  # the hindmost first, so that the others lie over it
        (0.8, 0.8, 7, 7, INPUT), (0, 0, 7, 7, INPUT), (1, 1, 3, 3, WINDOW),
        (13.4, 1.6, 5, 5, OUTPUT), (12.6, 0.8, 5, 5, OUTPUT), (11.8, 0, 5, 5, OUTPUT), (12.8, 1, 1, 1, OUTPUT)]
    said = {t.get_text(): t.get_position() for t in ax.texts if t.get_text()}
    assert said == {"2 in: a filter reads\n3 × 3 cells of each": (0, -0.5),
                    "3 out: one for\neach of 3 filters": (11.8, -0.5)}
    (arrow,) = (t for t in ax.texts if not t.get_text())
    assert (arrow.xyann, arrow.xy) == ((8.6, 3.5), (11, 3.5))
    assert ax.get_xlim() == pytest.approx((-0.2, 19.8)) and ax.get_ylim() == pytest.approx((-2.8, 8))
    assert ax.alt.startswith("Left, 2 blue sheets, ") and ax.alt.endswith("right, 3 green sheets, one cell outlined.")
    assert plot.channels(1, 6).get_ylim() == pytest.approx((-2.8, 9.2))
    assert plot.channels(1, 6).get_xlim() == pytest.approx((-0.2, 20))


@pytest.mark.parametrize("name", ["in_channels", "out_channels"])
def test_as_many_channels_as_can_be_told_apart(name):
    assert plot.channels(**{name: 8}).alt.count("8 ") == 1
    with pytest.raises(ValueError, match=f"{name} must be at most 8 to be drawn, got 9"): plot.channels(**{name: 9})
    with pytest.raises(ValueError, match=f"{name} must be >= 1"): plot.channels(**{name: 0})


def test_what_layers_leave_of_an_image():
    ax = plot.shrinking(np.arange(70.0).reshape(7, 10), 4, layers=2)  # a rim of one before, two after
    frames = [at for at in rectangles(ax) if at[4] == WHITE and at[:4] not in ((1, 1, 7, 4), (2, 2, 4, 1))]
    assert [at[:4] for at in frames] == [(0, 0, 10, 2), (0, 3, 10, 4), (0, 2, 2, 1), (6, 2, 4, 1)]
    assert [r.get_bbox().bounds for r in ax.patches if not r.get_fill()] == [(1, 1, 7, 4), (2, 2, 4, 1)]
    assert {r.get_alpha() for r in ax.patches if r.get_fill()} == {0.65}
    assert (ax.get_title("left"), ax.alt) == ("7 × 10 → 1 × 4",
                                              "An image of 7 by 10 pixels in which 2 rims leave 1 by 4 in the middle.")
    assert ax.figure.get_size_inches().tolist() == pytest.approx([2.5, 2.5 * 7 / 10 + 0.4])
    (image,) = ax.images
    assert image.get_extent() == [0, 10, 7, 0] and image.get_array().tolist() == np.arange(70).reshape(7, 10).tolist()


def test_layers_that_take_nothing_have_no_rims():
    ax = plot.shrinking(np.ones((4, 6, 3)), 3, layers=5, padding=1)
    assert rectangles(ax) == [] and ax.alt == "An image of 4 by 6 pixels in which no rims leave 4 by 6 in the middle."
    for wrong, words in ((dict(padding=2), r"padding must be at most \(kernel_size - 1\) / 2, got 2 for kernel_size 3"),
                         (dict(layers=3), "kernel_size must not be larger")):
        with pytest.raises(ValueError, match=words): plot.shrinking(np.ones((4, 6)), 3, **{"layers": 1, **wrong})
    with pytest.raises(ValueError, match="image must have two or three axes"): plot.shrinking(np.ones(4), 3, 1)


@pytest.mark.parametrize("n, K, S, P, D, ceil_mode", [
    (8, 3, 2, (1, 1), 1, False), (9, 2, 3, (0, 2), 2, False), (6, 2, 2, (0, 0), 1, True), (5, 2, 2, (0, 0), 1, True)])
def test_every_position_of_a_window(n, K, S, P, D, ceil_mode):
    ax = plot.sliding(n, K, S, P[0] if ceil_mode else P, D, ceil_mode)
    out = len(reads(n, K, S, P[0], D, True)) if ceil_mode else (n + sum(P) - D*(K - 1) - 1)//S + 1
    taps = [[j*S - P[0] + t*D for t in range(K)] for j in range(out)]
    read, stop = {i for row in taps for i in row}, max(n + P[1], taps[-1][-1] + 1)
    assert cells(ax, 0.8) == {(i, 0): WHITE if not 0 <= i < n else INPUT if i in read else UNREAD
                              for i in range(-P[0], stop)}
    hatches = {r.get_x(): r.get_hatch() for r in ax.patches if r.get_hatch()}
    assert hatches == {i: "////" if i < n + P[1] else "...." for i in range(-P[0], stop) if not 0 <= i < n}
    assert cells(ax, 0.6) == {(i, round(-0.9*(j + 1), 6)): WINDOW for j, row in enumerate(taps) for i in row}
    assert [line.get_xydata().tolist() for line in ax.lines] == [
        [[row[0] + 0.5, pytest.approx(-0.9*(j + 1) + 0.3)], [row[-1] + 0.5, pytest.approx(-0.9*(j + 1) + 0.3)]]
        for j, row in enumerate(taps)]
    assert texts(ax) == {**{(i + 0.5, 0.4): str(i) for i in range(n)}, (stop + 0.3, 0.4): "output",
                         **{(stop + 0.3, round(-0.9*(j + 1) + 0.3, 6)): str(j) for j in range(out)}}
    assert ax.get_xlim() == pytest.approx((-P[0] - 0.1, stop + 1.9))
    assert ax.get_ylim() == pytest.approx((-0.9*out - 0.1, 0.9))


@pytest.mark.parametrize("draw, words", [
    (lambda: plot.sliding(5, 2, 3), "5 cells; 2 windows below. output 0 reads 0, 1; output 1 reads 3, 4; unread: 2."),
    (lambda: plot.sliding(4, 3, 2, (1, 0)), "4 cells, 1 padded before and 0 after them; 2 windows below. "
                                            "output 0 reads -1, 0, 1; output 1 reads 1, 2, 3; every cell is read."),
    (lambda: plot.sliding(4, 3, 2, ceil_mode=True), "4 cells; 2 windows below. output 0 reads 0, 1, 2; output 1 reads "
                                                    "2, 3, 4; the last window ends 1 cell beyond; every cell is read."),
    (lambda: plot.sliding(9, 1), "9 cells; 9 windows below. " + "; ".join(f"output {j} reads {j}" for j in range(8))
     + "; and so on; every cell is read."),
    (lambda: plot.spreading(2, 2, 3, output_padding=1), "6 output cells over 2 rows. input 0 writes to 0, 1; input 1 "
     "writes to 3, 4; red, written more than once: none; grey, written by none: 2, 5."),
    (lambda: plot.spreading(2, 3, 2, 1), "3 output cells over 2 rows. input 0 writes to -1, 0, 1; input 1 writes to "
                                         "1, 2, 3; red, written more than once: 1; hatched, taken off: 2 cells."),
    (lambda: plot.convolution([3, -1, 2], [1, -2]), "3 cells with the numbers 3, −1, 2; weights 1, −2 under each "
     "window. output 0 = 3 · 1 + −1 · (−2) = 5, output 1 = −1 · 1 + 2 · (−2) = −5."),
    (lambda: plot.convolution([-3.14159], [-0.5]), "1 cell with the numbers −3.142; weights −0.5 under each window. "
     "output 0 = −3.142 · (−0.5) = 1.571."),
    (lambda: plot.convolution([1], [0]), "1 cell with the numbers 1; weights 0 under each window. "
                                         "output 0 = 1 · 0 = 0."),
])
def test_a_picture_along_one_axis_in_words(draw, words): assert draw().alt == words


@pytest.mark.parametrize("n, K, S, P, extra, D", [(3, 3, 2, (0, 0), 0, 1), (3, 4, 2, (1, 1), 1, 1),
                                                  (2, 2, 3, (0, 0), 1, 1), (3, 2, 1, (0, 2), 0, 3)])
def test_what_each_input_cell_writes(n, K, S, P, extra, D):
    ax = plot.spreading(n, K, S, P, extra, D)
    out = (n - 1)*S - sum(P) + D*(K - 1) + 1 + extra
    taps = [[i*S - P[0] + t*D for t in range(K)] for i in range(n)]
    times, stop = [o for row in taps for o in row], max(out, taps[-1][-1] + 1)
    assert cells(ax, 0.8) == {(o, 0): (UNREAD, OUTPUT, SHARED)[min(times.count(o), 2)] if 0 <= o < out else WHITE
                              for o in range(-P[0], stop)}
    assert cells(ax, 0.6) == {(o, round(-0.9*(i + 1), 6)): WINDOW for i, row in enumerate(taps) for o in row}
    assert texts(ax) == {**{(o + 0.5, 0.4): str(o) for o in range(out)}, (stop + 0.3, 0.4): "written by",
                         **{(stop + 0.3, round(-0.9*(i + 1) + 0.3, 6)): str(i) for i in range(n)}}
    assert ax.get_xlim() == pytest.approx((-P[0] - 0.1, stop + 2.6))
    assert ax.get_ylim() == pytest.approx((-0.9*n - 0.1, 0.9))


def test_a_convolution_with_its_numbers():
    ax = plot.convolution([3, 1, 4, 1], [1, 0.5], stride=2, padding=(1, 0))
    at = texts(ax)
    assert [at[i + 0.5, 0.4] for i in range(-1, 4)] == ["0", "3", "1", "4", "1"]
    assert [at[x + 0.5, y] for y in (-0.6, -1.5) for x in ((-1, 0) if y == -0.6 else (1, 2))] == ["1", "0.5"] * 2
    sums = {t.get_text(): t.get_position() for t in ax.texts if "·" in t.get_text() or "=" in t.get_text()}
    right = 4 + 0.6 + 0.17 * len("0 · 1 + 3 · 0.5")
    assert sums == {text: pytest.approx(where) for text, where in {
        "0 · 1 + 3 · 0.5": (right, -0.6), "= 1.5": (right + 0.1, -0.6),
        "1 · 1 + 4 · 0.5": (right, -1.5), "= 3": (right + 0.1, -1.5)}.items()}
    assert ax.get_title("left") == "n = 4, K = 2, S = 2, P = (1, 0) → 2"
    assert ax.get_xlim() == pytest.approx((-1.1, right + 1.5)) and ax.get_ylim() == pytest.approx((-1.9, 0.9))
    labels = {t.get_text(): to_hex(t.get_color()).upper() for t in ax.texts}
    assert labels["= 3"] == GREEN


def test_how_large_a_new_figure_is():
    for ax, inches in ((plot.sliding(8, 3, 2, 1), (0.42 * 10 + 1.4, 0.36 * 4 + 1)),
                       (plot.spreading(4, 4, 2, 1), (0.42 * (9 + 1) + 1.4, 0.36 * 4 + 1)),
                       (plot.convolution([1, 2, 3, 4], [1, 1]),
                        (0.42 * (4.6 + 0.17 * len("1 · 1 + 2 · 1")) + 0.7, 0.36 * 3 + 1))):
        assert ax.figure.get_size_inches().tolist() == pytest.approx(inches)


def test_long_lists_in_words_end_after_eight():
    for words, verb in ((plot.sliding(19, 11).alt, "reads"), (plot.spreading(9, 11).alt, "writes to")):
        first = ", ".join(map(str, range(7)))
        assert re.search(rf"put 0 {verb} {first}, …; ", words) and f"put 7 {verb} 7, 8, 9" in words
        assert f"put 8 {verb}" not in words and "; and so on; " in words
    words = plot.spreading(8, 8).alt
    assert f"input 0 writes to {', '.join(map(str, range(8)))}; " in words and "and so on" not in words


@pytest.mark.parametrize("draw, words", [
    (lambda: plot.spreading(500, 81), "kernel_size must leave at most 40000 cells to be drawn, got 40500"),
    (lambda: plot.sliding(999, 499), "kernel_size must leave at most 40000 cells"),
    (lambda: plot.spreading(400, 1, 101), "stride must leave at most 40000 cells"),
    (lambda: plot.convolution([1] * 100, [1] * 10), "weights must leave at most 40000 cells"),
    (lambda: plot.sliding_2d(300, 3), "input_size must leave at most 40000 cells")])
def test_what_is_too_large_is_not_drawn(draw, words):
    with pytest.raises(ValueError, match=words): draw()


def test_windows_that_write_step_by_one():
    assert plot.arithmetic.writes(3, 2) == (4, 0, 0, 0, [[0, 1], [1, 2], [2, 3]])
    assert plot.arithmetic.steps(3, 2) == (3, 0, 0, 0, [[0, 1], [1, 2]])


@pytest.mark.parametrize("values, weights, fault, words", [
    ([], [1], ValueError, "values must have one number at least"), ([1], [], ValueError, "weights must have one"),
    ([True, 1], [1], TypeError, "values must be finite numbers, got True"),
    ([1, float("inf")], [1], TypeError, "got inf"), (["1"], [1], TypeError, "got '1'")])
def test_what_is_no_number_is_not_drawn(values, weights, fault, words):
    with pytest.raises(fault, match=words): plot.convolution(values, weights)


def pixels(frame, shown):
    "How many pixels of a picture have a colour, to a hundredth of white."
    image = np.asarray(Image.open(io.BytesIO(frame)).convert("RGB")).astype(int)
    wanted = [int(shown[i:i + 2], 16) for i in (1, 3, 5)]
    return int((abs(image - wanted).max(-1) < 8).sum())


def test_a_film_shows_one_window_after_the_other_row_by_row():
    film = plot.animate(plot.adaptive_2d, (4, 4), (3, 2), seconds=0.25)
    lit = [pixels(frame, WINDOW) for frame in film.frames]
    windows = [rows * 2 for rows in (2, 2, 2) for _ in range(2)]
    assert [round(k / lit[0] * 4) for k in lit] == windows
    green = [pixels(frame, OUTPUT) for frame in film.frames]
    assert [round(k / green[0]) for k in green] == [1, 2, 3, 4, 5, 6]
    alike = plot.animate(plot.adaptive_2d, (5, 4), (2, 3))
    lit = [pixels(frame, WINDOW) for frame in alike.frames]
    assert [round(k / lit[0] * 6) for k in lit] == [6] * 6
    assert len({Image.open(io.BytesIO(frame)).size for frame in film.frames}) == 1
    wide = plot.animate(plot.sliding_2d, (2, 16), (2, 15)).frames  # a board that is wider than its title
    assert Image.open(io.BytesIO(wide[0])).size == (int(120 * (0.36 * 19.7 + 0.2)), int(120 * (0.36 * 2.2 + 0.5)))


def test_a_film_plays_by_itself_and_as_a_file(tmp_path):
    film = plot.animate(plot.sliding_2d, (3, 2), 2, seconds=2.5, alt='A "window" & more')
    assert (len(film), film.seconds, film.alt, repr(film)) == (2, 2.5, 'A "window" & more',
                                                               'Film(2 frames: A "window" & more)')
    assert film.save(tmp_path / "film.gif") == tmp_path / "film.gif"
    with Image.open(tmp_path / "film.gif") as gif:
        assert (gif.n_frames, gif.info["duration"], gif.info["loop"]) == (2, 2500, 0)
        wide = gif.size[0]
        assert gif.size[1] == int(120 * (0.36 * 3.2 + 0.5))
    text = film._repr_html_()
    assert 'alt="A &quot;window&quot; &amp; more"' in text and "pause = 2500" in text
    assert f"max-width: {wide * 100 // 120}px" in text and f'width="{wide * 100 // 120}"' in text
    frames = re.search(r"frames = \[(.*?)\]", text)[1]
    assert [base64.b64decode(frame) for frame in re.findall(r"'([^']+)'", frames)] == film.frames
    assert base64.b64decode(re.search(r"<img[^>]*base64,([^\"]+)", text)[1]) == film.frames[0]
    other = plot.animate(plot.sliding_2d, (3, 2), 2, alt="another")
    assert re.search(r'data-film="(\w+)"', text)[1] != re.search(r'data-film="(\w+)"', other._repr_html_())[1]


@pytest.mark.parametrize("draw, args, words", [
    (plot.sliding_2d, (5, 2, 2), "A window of 2 by 2 cells moves over 5 by 5 cells, and 2 by 2 output cells fill "
                                 "up; 9 of the cells stay grey, for no window reads them."),
    (plot.adaptive_2d, ((5, 4), (3, 2)), "A window of 2 or 3 by 2 cells moves over 5 by 4 cells, and 3 by 2 output "
                                         "cells fill up."),
    (plot.sliding_2d, (4, 2, 2, 1), "A window of 2 by 2 cells moves over 4 by 4 cells, and 3 by 3 output cells fill "
                                    "up."),
    (plot.spreading_2d, ((2, 1), 2), "2 by 1 input cells, one after the other, write to 2 by 2 of "
     "3 by 2 output cells."),
])
def test_a_film_in_words(draw, args, words): assert plot.animate(draw, *args).alt == words


def test_what_is_no_board_is_not_set_in_motion():
    with pytest.raises(ValueError, match="draw must be sliding_2d or spreading_2d or adaptive_2d"):
        plot.animate(plot.windows, 10, 7)
