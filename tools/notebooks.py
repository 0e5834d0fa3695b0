"""Run notebooks from top to bottom, each in a kernel of its own, with a time limit per cell.

    python tools/notebooks.py run               every notebook, in place: run, clean, write
    python tools/notebooks.py run 02_windows    only this one; or inside/01_windows, where several have its name
    python tools/notebooks.py embed             put what draws live panels anew into the pages that show one; runs none
"""

import argparse
import base64
import re
import time
from copy import deepcopy
from importlib.util import find_spec
from pathlib import Path

import nbformat
from execnb.nbio import dict2nb, write_nb
from kernels import Manager
from nbclient import NotebookClient
from nbdev.clean import clean_nb
from nbdev.config import get_config

NBS = Path(__file__).resolve().parent.parent / "nbs"
WIDGET = "application/vnd.jupyter.widget-view+json"
GROUPS = "learn", "use", "inside"  # folders of nbs/, in reading order
CELL_SECONDS = 300  # some of it for kernels that are compiled for the first time
_NO_EVAL = re.compile(r"^\s*#\s*\|\s*eval:\s*false", re.MULTILINE)
_FOLDED = re.compile(r"^\s*#\s*\|\s*(hide$|echo:\s*false|code-fold:\s*true|default_exp)", re.MULTILINE)
_INLINE = re.compile(r"data:image/\w+;base64,[A-Za-z0-9+/=]+|'[A-Za-z0-9+/=]{80,}'")
_MODULE = re.compile(r'<style class="adapool-live-module">.*?</script>', re.DOTALL)
_PANEL = '<div class=\\"adapool-live\\"'  # as a file of JSON has it
_ALT = re.compile(r"^\s*#\s*\|\s*fig-alt:\s*(.+?)\s*$", re.MULTILINE)


def reading_order(path):
    "The place of a notebook among all: the index, then the groups."
    place = path.relative_to(NBS)
    return GROUPS.index(place.parts[0]) if len(place.parts) > 1 else -1, place.parent, place.name


def notebooks():
    "All notebooks of the project, in reading order."
    found = (p for p in NBS.rglob("*.ipynb") if not any(part[0] in "._" for part in p.relative_to(NBS).parts))
    return sorted(found, key=reading_order)


def is_room(path):
    "Is a notebook one of the inner rooms of a package?"
    return len(path.relative_to(NBS).parts) > 2


def module_of(path):
    "The module or package whose functions the site lists for a notebook, or None: a room's are for other rooms."
    name = path.stem.partition("_")[2]
    return name if not is_room(path) and find_spec(f"adapool.{name}") else None


class _Client(NotebookClient):
    "An `nbclient` that leaves out the cells marked `#| eval: false`."
    async def async_execute_cell(self, cell, cell_index, **kwargs):
        if _NO_EVAL.search(cell["source"]): return cell
        return await super().async_execute_cell(cell, cell_index, **kwargs)


def execute(path, cell_seconds=CELL_SECONDS):
    """The notebook at `path` as a fresh kernel leaves it; an error or a cell over the limit raises.

    Widgets are left out, which show nothing without that kernel; the stills that come with them stay.
    """
    nb = deepcopy(nbformat.read(path, as_version=4))
    for cell in code_cells(nb): cell.outputs, cell.execution_count = [], None
    quiet = ["--IPKernelApp.log_level=ERROR"]  # else every kernel warns that its local connection is not encrypted
    place = {"metadata": {"path": str(NBS)}}
    options = dict(timeout=cell_seconds, kernel_name="python3", extra_arguments=quiet, store_widget_state=False,
                   coalesce_streams=True)  # what is printed in pieces, now and then, is one text
    _Client(nb, resources=place, kernel_manager_class=Manager, **options).execute()
    for output in (o for cell in code_cells(nb) for o in cell.outputs if "data" in o): output.data.pop(WIDGET, None)
    one_module(nb)
    return nb


def one_module(nb, module=None):
    "Leave what draws live panels, or `module` in its place, in the first output with a panel and no other."
    first = True
    for output in (o for cell in code_cells(nb) for o in cell.outputs if "data" in o):
        text = "".join(output.data.get("text/html", ""))
        if '<div class="adapool-live"' not in text: continue
        found = module or "".join(_MODULE.findall(text))
        output.data["text/html"] = _MODULE.sub("", text) + (found if first else "")
        first = False


def describe_figures(nb):
    "Put the text of a cell's `#| fig-alt:` into the metadata of its pictures, where screen readers find it."
    for cell in code_cells(nb):
        alt = _ALT.search(cell.source)
        for output in cell.outputs if alt else []:
            if "image/png" in output.get("data", {}): output.metadata.setdefault("image/png", {})["alt"] = alt[1]


def fold_hidden(nb):
    "Fold the source of the cells that nbdev hides, so that JupyterLab shows a bar to click where a long check stands."
    for cell in code_cells(nb):
        cell.metadata.pop("jupyter", None)
        if _FOLDED.search(cell.source): cell.metadata["jupyter"] = {"source_hidden": True}


def run_in_place(path):
    "Run, clean and write one notebook."
    nb = execute(path)
    describe_figures(nb)
    fold_hidden(nb)
    nb = dict2nb(nb)
    clean_nb(nb, allowed_cell_metadata_keys=get_config().allowed_cell_metadata_keys.split())
    write_nb(nb, path)


def embed(path):
    "Put the script that draws live panels, as it is now, into a notebook that shows one."
    from adapool.explore.panel import module
    if _PANEL not in path.read_text(encoding="utf-8"): return
    nb = nbformat.read(path, as_version=4)
    one_module(nb, module())
    write_nb(dict2nb(nb), path)


def code_cells(nb):
    "The code cells of a notebook."
    return [cell for cell in nb.cells if cell.cell_type == "code"]


def text_outputs(nb):
    "What the cells of a notebook print or show as text, pictures and scripts in it left out, one list per code cell."
    def texts(output):
        data = {"text": output["text"]} if "text" in output else output.get("data", {})
        texts = ["".join(v) for k, v in sorted(data.items()) if k == "text" or k.startswith("text/")]
        return [_INLINE.sub("", _MODULE.sub("", text)).rstrip() for text in texts]
    nb = deepcopy(nb)
    clean_nb(nb)
    return [[text for output in cell.outputs for text in texts(output)] for cell in code_cells(nb)]


def figures(nb):
    "The pictures of a notebook, as the bytes of PNG files, one list per code cell."
    def pngs(cell): return [o.data["image/png"] for o in cell.outputs if "image/png" in o.get("data", {})]
    return [[base64.b64decode(png) for png in pngs(cell)] for cell in code_cells(nb)]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("command", choices=["run", "embed"])
    parser.add_argument("names", nargs="*", help="names of notebooks; all of them when left out")
    args = parser.parse_args()
    names = {path: {path.stem, path.relative_to(NBS).with_suffix("").as_posix()} for path in notebooks()}
    unknown = set(args.names).difference(*names.values())
    if unknown: parser.error(f"no such notebook in nbs/: {', '.join(sorted(unknown))}")
    for path in notebooks():
        if args.names and names[path].isdisjoint(args.names): continue
        start = time.perf_counter()
        if args.command == "embed":
            embed(path)
            continue
        run_in_place(path)
        print(f"{path.name}: {time.perf_counter() - start:.0f} s", flush=True)


if __name__ == "__main__": main()
