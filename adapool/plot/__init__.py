"""Windows, kernels, conventions and chains of layers, drawn and set in motion.

Every picture of cells is a function that draws on `ax`, or on a new figure, and returns the axes. Needs matplotlib.
"""

from adapool.plot.adaptive import conventions, exactness_map, matrix, rulers, spans, windows
from adapool.plot.arithmetic import convolution, sliding, spreading
from adapool.plot.boards import adaptive_2d, channels, shrinking, sliding_2d, spreading_2d
from adapool.plot.canvas import INPUT, OUTPUT, SHARED, UNREAD, WINDOW, palette
from adapool.plot.film import Film, animate
from adapool.plot.images import pooled, windows_2d
from adapool.plot.networks import chain
from adapool.plot.pools import gradient_2d, pool_2d

__all__ = [
    "INPUT", "WINDOW", "OUTPUT", "SHARED", "UNREAD", "palette", "spans", "windows", "rulers", "conventions", "matrix",
    "sliding", "convolution", "spreading", "sliding_2d", "spreading_2d", "adaptive_2d", "Film", "animate",
    "channels", "shrinking", "windows_2d", "pooled", "chain", "exactness_map", "pool_2d", "gradient_2d",
]
