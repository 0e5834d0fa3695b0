"""Write README.md, and its picture under nbs/images/, from what nbs/index.ipynb stores.

The notebook is not run here: `make notebooks` has run it, and `make test` checks that a fresh run says the same.
"""

import re
from pathlib import Path

import nbformat
from nbconvert import MarkdownExporter
from traitlets.config import Config

ROOT = Path(__file__).resolve().parent.parent
_DIRECTIVE = re.compile(r"^[ \t]*#[ \t]*\|[ \t]*([\w-]+):?[ \t]*(.*?)[ \t]*$\n?", re.MULTILINE)
_PANEL = 'class="adapool-live"'
_HEADER = "<!-- Written from nbs/index.ipynb by tools/readme.py: edit the notebook, then `make notebooks`. -->\n\n"


def prepare(nb, readme=False):
    "Take nbdev's directives out of a notebook and do what they say: leave a cell out, or its source, or fold that."
    cells = []
    for cell in nb.cells:
        cell = cell.copy()
        if cell.cell_type == "code":
            directives = dict(_DIRECTIVE.findall(cell.source))
            if "hide" in directives or "default_exp" in directives or ("readme" in directives and not readme): continue
            cell.source = _DIRECTIVE.sub("", cell.source)
            if directives.get("echo") == "false": cell.metadata["transient"] = {"remove_source": True}
            if directives.get("code-fold") == "true": cell.metadata["tags"] = ["hide-input"]
        cells.append(cell)
    nb.cells = cells
    nb.metadata.language_info = {"name": "python"}
    return nb


def render(path):
    "The notebook as Markdown, and its pictures as `{name: bytes}`."
    nb = prepare(nbformat.read(path, as_version=4), readme=True)
    for cell in nb.cells:  # what can be played with cannot be played with there: a wide picture stands in its place
        outputs = [o for o in cell.get("outputs", []) if _PANEL not in o.get("data", {}).get("text/html", "")]
        if "outputs" in cell: cell.outputs = outputs
    outputs = [output for cell in nb.cells for output in cell.get("outputs", [])]
    pictures = [output for output in outputs if "image/png" in output.get("data", {})]
    alts = [output.metadata.get("image/png", {}).get("alt") for output in pictures]
    if not all(alts): raise SystemExit(f"{path.name}: a cell that draws needs a line `#| fig-alt:`, and to be run anew")
    extract = {"enabled": True, "output_filename_template": "index_{cell_index}_{index}{extension}"}
    body, resources = MarkdownExporter(config=Config(ExtractOutputPreprocessor=extract)).from_notebook_node(nb)
    figures = {Path(name).name: data for name, data in resources["outputs"].items()}
    alt = iter(words.replace("[", "&#91;").replace("]", "&#93;") for words in alts)  # else the link would end there
    body = re.sub(r"!\[[^\]]*\]\((index_\w+\.png)\)", lambda m: f"![{next(alt)}](nbs/images/{m[1]})", body)
    body = re.sub(r"\(([\w/]+\.ipynb(#[^)]*)?)\)", r"(nbs/\1)", body).replace("](../", "](")
    body = re.sub(r"^ +(!\[.*|)$", r"\1", body, flags=re.MULTILINE)
    return _HEADER + re.sub(r"\n{3,}", "\n\n", body).strip() + "\n", figures


def main():
    text, figures = render(ROOT / "nbs/index.ipynb")
    (ROOT / "README.md").write_text(text, encoding="utf-8")
    images = ROOT / "nbs/images"
    images.mkdir(exist_ok=True)
    for old in images.glob("index_*.png"): old.unlink()
    for name, data in figures.items(): (images / name).write_bytes(data)


if __name__ == "__main__": main()
