"Every notebook runs from top to bottom in a fresh kernel, and says what is stored in it."

import sys
from pathlib import Path

import nbformat
import pytest

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "tools"))
from notebooks import execute, notebooks, text_outputs


@pytest.mark.parametrize("path", notebooks(), ids=lambda p: p.stem)
def test_notebook(path):
    stored, anew = text_outputs(nbformat.read(path, as_version=4)), text_outputs(execute(path))
    assert anew == stored, f"{path.name} does not print what is stored in it: `make notebooks` runs it in place"


@pytest.mark.parametrize("path", notebooks(), ids=lambda p: p.stem)
def test_every_figure_is_described(path):
    nb = nbformat.read(path, as_version=4)
    outputs = [o for cell in nb.cells for o in cell.get("outputs", []) if "image/png" in o.get("data", {})]
    for output in outputs:
        assert len(output.metadata.get("image/png", {}).get("alt", "")) > 40, "a cell that draws needs `#| fig-alt:`"
