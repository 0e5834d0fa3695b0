"""Run a model once and read its table: the formula of each layer, which inputs nobody reads, how far each output sees.

Its rooms, from the ground up: `models` (a model, as it was found), `fields` (which cells of the input a cell sees),
`layers` (what a layer reads), `calls` (which layer a call is), `follow` (how fields pass through a call), `table`
(rows, and how they show), `trace` (a model, watched).
"""

from adapool.checks import needs

with needs("torch"):
    from adapool.networks.table import Row, Trace
    from adapool.networks.trace import trace_shapes

__all__ = ["Row", "Trace", "trace_shapes"]
