"""A model with adaptive pools, of any size, written to a file that gives the same numbers in another program.

Its rooms, from the ground up: `forms` (which operators serve an axis), `targets` (what a tool takes), `pools` (pools
in plain operators), `calls` (a model and what it is called with), `capture` (the model as a graph), `inline`
(adaptive nodes replaced), `verify` (what is tried, how near it is), `programs` (`program`), `opsets` (older ones),
`write` (`to_onnx`), `copies` (`portable`), `verdicts` (`why_not`).
"""

from adapool.checks import needs

with needs("torch"):
    from adapool.export.copies import portable
    from adapool.export.pools import decompositions
    from adapool.export.programs import program
    from adapool.export.verdicts import why_not
    from adapool.export.write import Report, to_onnx

__all__ = ["Report", "decompositions", "portable", "program", "to_onnx", "why_not"]
