"Every notebook runs from top to bottom in a fresh kernel, and says what is stored in it."

import io
import os
import re
import sys
from itertools import pairwise
from pathlib import Path

import nbformat
import pytest
from nbclient.exceptions import CellExecutionError, CellTimeoutError, DeadKernelError
from PIL import Image, ImageChops, ImageDraw

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "tools"))
from notebooks import NBS, WIDGET, code_cells, execute, figures, notebooks, text_outputs


def name(path): return path.relative_to(NBS).with_suffix("").as_posix()


def look_alike(a, b):
    """Are two PNG files the same picture? Not asked where they were drawn by different versions of matplotlib.

    What is drawn a little otherwise elsewhere, at the borders of letters, fades where 16 × 16 pixels are averaged; a
    label or a line at another place does not.
    """
    a, b = (Image.open(io.BytesIO(png)) for png in (a, b))
    if a.text.get("Software") != b.text.get("Software"): return True
    if a.size != b.size: return False
    apart = ImageChops.difference(a.convert("RGB"), b.convert("RGB")).reduce(16)
    return max(most for _, most in apart.getextrema()) < 8


_WARNED = re.compile(r"^\S*site-packages\S+:\d+: \w*Warning: .*\n(?:  .*\n?)?", re.MULTILINE)


def said(nb):
    "What the cells print; a warning of another package about itself is not the page's, and comes with its version."
    texts = [[_WARNED.sub("", text) for text in cell] for cell in text_outputs(nb)]
    return [[text for text in cell if text] for cell in texts]


@pytest.mark.parametrize("path", notebooks(), ids=name)
def test_notebook(path):
    stored = nbformat.read(path, as_version=4)
    fault = None
    try: anew = execute(path)
    except CellTimeoutError as error: fault = f"{path.name} takes too long: {error}"
    except CellExecutionError as error: fault = f"{path.name} fails: {error}"
    if fault: pytest.fail(fault, pytrace=False)
    for cell, pictures, pictures_anew in zip(code_cells(stored), figures(stored), figures(anew), strict=True):
        same = [look_alike(a, b) for a, b in zip(pictures, pictures_anew, strict=True)]
        assert all(same), f"{path.name} draws what it does not store (`make notebooks`):\n{cell.source}"
    for cell, texts, texts_anew in zip(code_cells(stored), said(stored), said(anew), strict=True):
        assert texts_anew == texts, f"{path.name} prints what it does not store (`make notebooks`):\n{cell.source}"


def test_a_kernel_is_fresh(tmp_path):
    "However it comes to life: no names, nothing of the package, and nothing left by the one before."
    def shown(*sources):
        nb = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(source) for source in sources])
        nbformat.write(nb, tmp_path / "page.ipynb")
        return text_outputs(execute(tmp_path / "page.ipynb"))
    names = "[n for n in dir() if n[0] != '_' and n not in ('In', 'Out', 'exit', 'quit', 'open', 'get_ipython')]"
    rooms = "import sys; [n for n in sys.modules if n.startswith('adapool')]"
    for _ in range(2): assert shown(names, rooms, "import adapool; x = 3") == [["[]"], ["[]"], []]
    assert shown("import time; print(1, flush=True); time.sleep(0.3); print(2)") == [["1\n2"]]
    with pytest.raises(CellExecutionError, match=r"SystemError.*: 3"): shown("raise SystemError(3)")
    with pytest.raises(DeadKernelError): shown("import os; os._exit(0)")


@pytest.mark.parametrize("path", notebooks(), ids=name)
def test_every_figure_is_described(path):
    nb = nbformat.read(path, as_version=4)
    outputs = [o for cell in nb.cells for o in cell.get("outputs", []) if "image/png" in o.get("data", {})]
    for output in outputs:
        assert len(output.metadata.get("image/png", {}).get("alt", "")) > 40, "`described`, or a line `#| fig-alt:`"


@pytest.mark.parametrize("path", notebooks(), ids=name)
def test_stored_outputs_hold_no_warnings_no_paths_and_no_widgets(path):
    nb = nbformat.read(path, as_version=4)
    for output in (o for cell in code_cells(nb) for o in cell.outputs):
        assert output.output_type != "error" and output.get("name") != "stderr", output
        assert WIDGET not in output.get("data", {}), "a widget shows nothing without its kernel (`make notebooks`)"
    for text in (text for texts in text_outputs(nb) for text in texts):
        assert "/tmp/" not in text and "/home/" not in text


PAGES = [path for path in notebooks() if path.stem != "index"]


@pytest.mark.parametrize("path, following", list(pairwise(PAGES)), ids=name)
def test_every_page_ends_with_a_link_to_the_next(path, following):
    last = [cell.source for cell in nbformat.read(path, as_version=4).cells if cell.cell_type == "markdown"][-1]
    assert f"]({Path(os.path.relpath(following, path.parent)).as_posix()})" in last


def headings(path):
    "The anchors that JupyterLab gives to the headings of a notebook."
    texts = [cell.source for cell in nbformat.read(path, as_version=4).cells if cell.cell_type == "markdown"]
    return {line.lstrip("#").strip().replace(" ", "-").replace("`", "") for text in texts
            for line in text.splitlines() if line.startswith("#")}


@pytest.mark.parametrize("path", notebooks(), ids=name)
def test_links_between_pages_lead_somewhere(path):
    for cell in nbformat.read(path, as_version=4).cells:
        for page, anchor in re.findall(r"\]\(([\w./]+\.ipynb)?(?:#([^)]+))?\)", cell.source):
            target = path.parent / page if page else path
            assert target.is_file(), f"{path.name} links to {page}"
            assert not anchor or anchor in headings(target), f"{path.name} links to {page}#{anchor}"


def test_only_warnings_of_others_about_themselves_are_passed_over():
    def printed(text):
        outputs = [nbformat.v4.new_output("stream", name="stderr", text=text)]
        return said(nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell("1", outputs=outputs)]))
    theirs = "/x/lib/python3.11/site-packages/torch/jit/_script.py:14: FutureWarning: `script` is old.\n  warn(\n"
    ours = "/x/adapool/windows.py:14: UserWarning: of ours\n  warn(\n"
    assert printed(theirs) == [[]] and printed(theirs + "2") == [["2"]] and printed(ours) == [[ours.rstrip()]]


def test_a_moved_label_is_another_picture():
    def drawn(x):
        image = Image.new("RGBA", (600, 300), "white")
        ImageDraw.Draw(image).text((x, 100), "output", "black")
        file = io.BytesIO()
        image.save(file, "png")
        return file.getvalue()
    assert look_alike(drawn(100), drawn(100)) and not look_alike(drawn(100), drawn(130))
