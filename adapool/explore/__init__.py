"""Panels: move a slider and see the windows, the formula with its numbers and the unread cells.

The browser draws them, in JupyterLab and on a page, and needs no kernel for it. Each panel shows the answers of a
function of its own, which says in words where a size makes no sense. Needs the extra `explore`.
"""

from adapool.explore.adaptive import adaptive_panel, explain_adaptive
from adapool.explore.answer import Answer
from adapool.explore.field import explain_field, field_panel
from adapool.explore.film import explain_film, film_panel
from adapool.explore.layer import explain_layer, layer_panel
from adapool.explore.panel import Panel
from adapool.explore.photograph import explain_photograph, photograph_panel
from adapool.explore.sizes import explain_sizes, size_calculator

__all__ = [
    "Answer", "Panel", "explain_layer", "layer_panel", "explain_adaptive", "adaptive_panel", "explain_photograph",
    "photograph_panel", "explain_film", "film_panel", "explain_sizes",
    "size_calculator", "explain_field", "field_panel",
]
