"The page on these tools: each piece of it as it stands, in a process of its own, beside the model."

import json
import re
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

PAGE = json.loads((Path(__file__).parents[2] / "nbs/use/03a_runtimes.ipynb").read_text())["cells"]
START = next("".join(cell["source"]) for cell in PAGE if cell["cell_type"] == "code")
PIECES = [piece for cell in PAGE if cell["cell_type"] == "markdown"
          for piece in re.findall(r"```python\n(.*?)```", "".join(cell["source"]), re.S)]
SAME = "import numpy\ntorch.testing.assert_close(torch.as_tensor(numpy.asarray(y)), model(x), atol=1e-4, rtol=1e-4)\n"
TOOLS = "coremltools", "litert_torch", "executorch", "tvm"


def named(piece): return next((tool for tool in TOOLS if f"import {tool}" in piece or f"from {tool}" in piece), "aoti")


@pytest.mark.parametrize("piece", PIECES, ids=map(named, PIECES))
def test_runs_as_it_stands(piece, tmp_path):
    if named(piece) in TOOLS and not find_spec(named(piece)): pytest.skip(f"{named(piece)} is not installed")
    script = START + "\n\n" + piece + (SAME if re.search(r"^y = |^\(y,\) = ", piece, re.M) else "")
    done = subprocess.run([sys.executable, "-c", script], cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-2000:]
    assert list(tmp_path.iterdir())


def test_there_is_a_piece_for_each_tool():
    assert sorted({named(piece) for piece in PIECES}) == sorted([*TOOLS, "aoti"])
