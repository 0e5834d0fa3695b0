"""The way from four nested loops to the kernels, in three steps, each compiled by Numba for one thread.

`loops` is the definition. `rows_first` adds rows to rows, which Numba's compiler turns into vector instructions, and
then each window's columns one by one. The third step, eight planes at a time, is the kernel itself.
"""

import numba
import numpy as np


@numba.njit(fastmath=True)
def loops(x, y):
    "x (P, H, W) pooled to y (P, h, w): for each output, the cells of its window."
    (P, H, W), (_, h, w) = x.shape, y.shape
    for p in range(P):
        for i in range(h):
            a, b = i*H // h, ((i+1)*H + h - 1) // h
            for j in range(w):
                c, d = j*W // w, ((j+1)*W + w - 1) // w
                total = np.float32(0)
                for r in range(a, b):
                    for s in range(c, d): total += x[p, r, s]
                y[p, i, j] = total / ((b-a) * (d-c))


@numba.njit(fastmath=True)
def rows_first(x, y):
    "The same: the rows of a window into one line, then the columns of the line."
    (P, H, W), (_, h, w) = x.shape, y.shape
    line = np.empty(W, np.float32)
    for p in range(P):
        for i in range(h):
            a, b = i*H // h, ((i+1)*H + h - 1) // h
            for s in range(W): line[s] = x[p, a, s]
            for r in range(a+1, b):
                for s in range(W): line[s] += x[p, r, s]
            for j in range(w):
                c, d = j*W // w, ((j+1)*W + w - 1) // w
                total = np.float32(0)
                for s in range(c, d): total += line[s]
                y[p, i, j] = total / ((b-a) * (d-c))
