"""Build the static site in _build/site from the notebooks, with what they store; `make site`.

The pages are put together in _build/source: the notebooks without hidden cells and directives, a page of signatures for
each module, and the documents for those who change it. docs/ holds what Sphinx is told.
"""

import ast
import base64
import doctest
import html
import importlib
import importlib.resources
import inspect
import io
import itertools
import re
import shutil
import subprocess
import sys
import textwrap
from functools import cached_property
from itertools import pairwise
from pathlib import Path
from types import FunctionType

import matplotlib.pyplot
import nbformat
from fastcore.docments import docments
from notebooks import GROUPS, NBS, is_room, module_of, notebooks, one_module
from PIL import Image
from readme import prepare
from sections import plain
from sections import write as write_sections

import adapool.plot
from adapool.answers.subjects import about
from adapool.explore.panel import module as live_module

ROOT = Path(__file__).resolve().parent.parent
SOURCE, SITE = ROOT / "_build/source", ROOT / "_build/site"
_STILL = ("image/png", "image/svg+xml", "image/gif", "text/html", "text/markdown", "text/latex", "text/plain")
_HEAVY = 120_000  # bytes of a PNG file: no drawing has as many
DOCUMENTS = "ARCHITECTURE", "CONTRIBUTING", "CHANGELOG"
_TO_PAGES = {f"{name}.md": f"{name.lower()}.md" for name in DOCUMENTS} | {"LICENSE": "license.md"}


def slug(anchor):
    "The anchor that the site gives to the heading which JupyterLab calls `anchor`."
    return re.sub(r"[^\w\- ]", "", anchor.lower())


def links(text):
    "Links between notebooks, and to the documents beside them, as links between pages."
    for path, page in _TO_PAGES.items():
        text = re.sub(rf"\]\((?:\.\./)?((?:\.\./)*){re.escape(path)}\)", rf"](\1{page})", text)
    return re.sub(r"\]\(([\w./]*)#([^)]+)\)", lambda m: f"]({m[1]}#{slug(m[2])})", text)


def still(output):
    "`output` without what needs a kernel, or None where nothing is left."
    if "data" not in output: return output
    output.data = {kind: value for kind, value in output.data.items() if kind in _STILL}
    if "text/markdown" in output.data: output.data["text/markdown"] = links(output.data["text/markdown"])
    return output if output.data else None


def as_photograph(png):
    "A PNG file as a JPEG file."
    out = io.BytesIO()
    Image.open(io.BytesIO(png)).convert("RGB").save(out, "JPEG", quality=80)
    return out.getvalue()


def as_drawing(png, colours=128):
    "A PNG file with fewer colours."
    out = io.BytesIO()
    few = Image.open(io.BytesIO(png)).convert("RGB").quantize(colours, dither=Image.Dither.NONE)
    few.save(out, "PNG", optimize=True)
    return out.getvalue()


def lighter(output):
    "The picture of an output in fewer bytes: a photograph as a JPEG file, a drawing in 128 colours."
    png = base64.b64decode(output.get("data", {}).get("image/png", ""))
    if not png: return
    photograph = len(png) > _HEAVY
    less = as_photograph(png) if photograph else as_drawing(png)
    if len(less) >= len(png): return
    del output.data["image/png"]
    output.data["image/jpeg" if photograph else "image/png"] = base64.b64encode(less).decode()


def describe(cell):
    "Give the pictures of a code cell the width and the words that are stored with them."
    pictures = [o.metadata.get("image/png", {}) for o in cell.outputs if "image/png" in o.get("data", {})]
    found = {key: next((p[key] for p in pictures if p.get(key)), None) for key in ("alt", "width")}
    found = {key: value for key, value in found.items() if value}
    if "width" in found: found["width"] = f"{found['width']}px"
    if found: cell.metadata["mystnb"] = {"image": found}


WRITTEN = ("*The answer is a function: write it in a Python of your own, try it on small numbers, then look at the "
           "solution. To have it checked, run this page in a clone, `make lab`: the cell then says what is wrong.*")


def box(cell, question):
    "A box to type an answer into, in place of a cell that checks one; the cell itself where its answer is a function."
    asked = re.search(r'^answer = (.+)\n+check\("((\w+)-\d+)", answer\)', cell.source, re.MULTILINE)
    if asked is None:
        if re.search(r"^def answer\(", cell.source, re.MULTILINE) and 'check("' in cell.source:
            question.source += f"\n\n{WRITTEN}"
            cell.outputs = []
        return cell
    form, name, subject = asked.groups()
    coded = base64.b64encode(about(subject)[name].to_json().encode()).decode()
    label = f"Your answer to exercise {re.match(r'[*]+Exercise ([0-9]+)', question.source)[1]}"
    said = "In the notebook a cell checks the answer; on this page it takes JavaScript."
    return nbformat.v4.new_markdown_cell(
        f'<div data-exercise="{coded}" data-name="{name}" data-label="{label}" data-form="{form}"><p>{said}</p></div>')


def run_line(path, module):
    "How to run a page, and where its functions or the rooms beside it are listed."
    place = path.relative_to(NBS)
    line = f"This page is the notebook <code>nbs/{place.as_posix()}</code>. "
    line += "To run and change it: <code>make lab</code>, in a clone."
    if module: line += f' Its functions, one by one: <a href="../api/{module}.html">adapool.{module}</a>.'
    if is_room(path): line += f' It is one of the rooms of <a href="index.html">{path.parent.name}</a>.'
    return f'<p class="run-line">{line}</p>'


def is_imports(source):
    "Is a cell nothing but imports and what IPython is told?"
    lines = "\n".join(line for line in source.splitlines() if not line.startswith("%"))
    try: parts = ast.parse(lines).body
    except SyntaxError: return False
    return all(isinstance(part, ast.Import | ast.ImportFrom) for part in parts)


def page(path):
    "A notebook as a page, and the name of its module or package, or None: what a room offers is for other rooms."
    nb = nbformat.read(path, as_version=4)
    group, module = path.relative_to(NBS).parts[0], module_of(path)
    nb = prepare(nb)
    nb.metadata.pop("widgets", None)
    nb.cells[1:] = [box(cell, question) for question, cell in pairwise(nb.cells)]
    for cell in nb.cells:
        if cell.cell_type == "markdown": cell.source = links(cell.source)
        else:
            cell.outputs = [output for output in map(still, cell.outputs) if output]
            describe(cell)
            for output in cell.outputs: lighter(output)
            if cell.metadata.pop("transient", {}).get("remove_source"): cell.metadata["tags"] = ["remove-input"]
            elif group == "inside" and is_imports(cell.source): cell.metadata["tags"] = ["hide-input"]
            cell.metadata.pop("jupyter", None)
    one_module(nb, live_module())
    if path.stem != "index":
        place = 1 if group == "inside" else len(nb.cells)
        nb.cells.insert(place, nbformat.v4.new_markdown_cell(run_line(path, module)))
    return nb, module


def signature(name, thing):
    "How a function or class is called, in lines that fit a page."
    try: parameters = list(inspect.signature(thing).parameters.values())
    except (TypeError, ValueError): return name
    shown = ", ".join(str(p.replace(annotation=p.empty)) for p in parameters)
    return textwrap.fill(f"{name}({shown})", 100, subsequent_indent=" " * (len(name) + 1), break_long_words=False)


def members(thing):
    "What a class offers, with the first line that is said of each."
    if not isinstance(thing, type): return {}
    kinds = property, cached_property, FunctionType
    found = {k: v for k, v in vars(thing).items() if k[0] != "_" and isinstance(v, kinds) and v.__doc__}
    return {k + "()" * isinstance(v, FunctionType): v.__doc__.splitlines()[0] for k, v in found.items()}


def drawn(source):
    "The picture that an example draws, in words for those who cannot see it."
    ax, file = eval(source, {"adapool": adapool}), io.BytesIO()
    ax.figure.savefig(file, format="png", dpi=140)
    width = round(100 * ax.figure.get_figwidth())
    matplotlib.pyplot.close(ax.figure)
    coded = base64.b64encode(as_drawing(file.getvalue(), 32)).decode()
    return f'\n<img src="data:image/png;base64,{coded}" width="{width}" alt="{html.escape(ax.alt)}">\n'


def shown(docstring):
    "A docstring, its examples as code, all that leads to a result in one piece, and what comes of it."
    found, code = "", ""
    for part in doctest.DocTestParser().parse(docstring):
        if isinstance(part, str):
            if part.strip(): found += part
            continue
        code += part.source
        if not part.want: continue
        found += f"\n```{{code-block}} python\n:class: example\n\n{code.rstrip()}\n```\n"
        found += drawn(part.source) if part.want.startswith("<Axes") else f"\n```text\n{part.want.rstrip()}\n```\n"
        code = ""
    return found


def entry(name, thing):
    "A function or class: signature, docstring with its examples, and what is said of each parameter."
    lines = [f"## {name}", "", "```python", signature(name, thing), "```", "", shown(inspect.getdoc(thing) or ""), ""]
    try: notes = {k: v for k, v in docments(thing, returns=False).items() if v}
    except (TypeError, OSError): notes = {}
    found = {f".{k}": v for k, v in members(thing).items()}
    for what, rows in (("parameter", notes), ("member", found)):
        if rows: lines += [f"| {what} | what it is |", "|---|---|", *(f"| `{k}` | {v} |" for k, v in rows.items()), ""]
    return "\n".join(lines)


def api(module, title, notebook):
    "The page of a module: all that it offers, in the order in which it is defined."
    thing = importlib.import_module(f"adapool.{module}")
    intro = f"# adapool.{module}\n\nAll that the module offers. What it is about, and why: [{title}](../{notebook})."
    intro += " Examples begin with `import adapool`, and `import numpy as np` or `import torch` where they need it."
    names = [name for name in thing.__all__ if callable(getattr(thing, name))]
    return "\n\n".join([intro, *(entry(name, getattr(thing, name)) for name in names)]) + "\n"


def toctree(caption, pages):
    "Pages for the sidebar, under a caption or under the page that this stands in."
    given = {"hidden": "", **({"caption": caption} if caption else {})}
    return "\n".join(["```{toctree}", *(f":{k}: {v}".rstrip() for k, v in given.items()), "", *pages, "```"])


def rooms(package, found, lesson):
    "The page of a package's inner rooms, `{stem: (title, promise)}`, and of the page that shows what they do."
    intro = importlib.import_module(f"adapool.{package}").__doc__.split("\n\n")[0]
    if lesson: intro += f"\n\nThe page about it: [{lesson}](../../{lesson}.ipynb). From the ground up:"
    rows = [f"| [{stem[3:]}]({stem}.ipynb) | **{title}.** {promise} |" for stem, (title, promise) in found.items()]
    table = "\n".join(["| room | what it is for |", "|---|---|", *rows])
    return "\n\n".join([f"# {package}", intro, table, toctree(None, found)]) + "\n"


def prepare_pages():
    "Write all pages to SOURCE."
    shutil.rmtree(SOURCE, ignore_errors=True)
    (SOURCE / "api").mkdir(parents=True)
    groups, inside, modules = {name: [] for name in GROUPS}, {}, {}
    for path in notebooks():
        nb, module = page(path)
        place = path.relative_to(NBS)
        title, promise = re.match(r"# (.+)\s+> (.+)", nb.cells[0].source).groups()
        if path.stem == "index": front = nb
        elif is_room(path): inside.setdefault(path.parent.name, {})[path.stem] = title, promise
        else: groups[place.parts[0]].append(place.with_suffix("").as_posix())
        if module: modules.setdefault(module, (title, place.as_posix()))
        if path.stem == "index": continue
        (SOURCE / place).parent.mkdir(parents=True, exist_ok=True)
        nbformat.write(nb, SOURCE / place)
    for module, title_and_page in modules.items():
        (SOURCE / f"api/{module}.md").write_text(api(module, *title_and_page), encoding="utf-8")
    lines = "# Functions\n\nAll that each module offers, one by one.\n\n"
    lines += "\n".join(f"- [adapool.{module}]({module}.md): {title}" for module, (title, _) in modules.items())
    (SOURCE / "api/index.md").write_text(f"{lines}\n\n{toctree(None, modules)}\n", encoding="utf-8")
    for name, found in inside.items():
        lesson = next((page for pages in groups.values() for page in pages if page.partition("_")[2] == name), None)
        (SOURCE / "inside" / name / "index.md").write_text(rooms(name, found, lesson), encoding="utf-8")
    groups["use"] += ["api/index"]
    groups["inside"] += [*(f"inside/{name}/index" for name in inside), *map(str.lower, DOCUMENTS), "license"]
    trees = [toctree(caption.title(), pages) for caption, pages in groups.items()]
    front.cells.append(nbformat.v4.new_markdown_cell("\n\n".join(trees)))
    nbformat.write(front, SOURCE / "index.ipynb")
    for name in DOCUMENTS:
        text = links((ROOT / f"{name}.md").read_text(encoding="utf-8").replace("](nbs/", "]("))
        (SOURCE / f"{name.lower()}.md").write_text(text, encoding="utf-8")
    licence = (ROOT / "LICENSE").read_text(encoding="utf-8")
    (SOURCE / "license.md").write_text(f"# Licence\n\n```text\n{licence}\n```\n", encoding="utf-8")


STACKED, WORDS = 54, 25  # letters: a row that is longer has no room on a phone; a cell that is longer has words


# What the theme leaves unsaid to those who listen to a page.
SAID = {
    '<aside class="sidebar-drawer">': '<aside class="sidebar-drawer" aria-label="all pages">',
    '<aside class="toc-drawer">': '<aside class="toc-drawer" aria-label="on this page">',
    '<p class="caption" role="heading">': '<p class="caption" role="heading" aria-level="2">',
    '<summary aria-label="Toggle hidden content">': "<summary>",
    '<script src="_static/searchtools.js"></script>': '<script src="_static/sections.js"></script>',
    '<script src="_static/language_data.js"></script>': '<script src="_static/search.js"></script>',
    '<script src="searchindex.js"></script>': "",
    '<div id="search-results"></div>': '<h1 class="search-title">Search</h1><div id="search-results"></div>',
}


def stacked(table):
    "A table of three to five columns of words, for a phone: each cell knows its heading, to stand below it."
    def said(cell): return html.unescape(plain(re.sub(r"<[^>]+>", "", cell))).strip()
    rows = [re.findall(r"<(?:td|th)[^>]*>.*?</(?:td|th)>", row, re.DOTALL)
            for row in re.findall(r"<tr.*?</tr>", table, re.DOTALL)]
    heads = [said(cell) for cell in rows[0]]
    widest = [max(len(said(cell)) for cell in column) for column in zip(*rows, strict=True)]
    if not 3 <= len(heads) <= 5 or sum(widest) < STACKED or max(widest) < WORDS: return table
    column = itertools.cycle(["", *heads[1:]])
    def labelled(cell):
        head, nothing = next(column), ' class="nothing"' * (not said(cell[3]))
        label = f' data-label="{html.escape(head)}"' * bool(head)
        return f"{cell[1]}{cell[2]}{nothing}{label}>{cell[3]}{cell[4]}"
    first, row, rest = table.partition("<tbody")
    first = first.replace("docutils", "docutils stacked", 1)
    return first + row + re.sub(r"(<td)([^>]*)>(.*?)(</td>)", labelled, rest, flags=re.DOTALL)


# In the sidebar, a group of rooms that the page does not stand in: its own page lists them.
CLOSED = re.compile(
    r'(<li class="toctree-l1 has-children"><a [^>]*>(?:(?!</li>).)*?</a>)<input(?:(?!</ul>).)*</ul>\s*</li>', re.DOTALL)


def say(page):
    "Put into a page what the theme leaves unsaid."
    text = page.read_text(encoding="utf-8")
    for old, new in SAID.items(): text = text.replace(old, new)
    # A corner with nothing in it is no heading.
    text = re.sub(r"<th([^>]*)>\s*(<p>\s*</p>)?\s*</th>", r"<td\1></td>", text)
    # A letter for a heading is a letter: what is set as a formula has no text.
    letters = r'(<th[^>]*><p>)<span class="math[^"]*">\\\(([\w ]+|n \\to m)\\\)</span>(</p></th>)'
    text = re.sub(letters, lambda m: f"{m[1]}<em>{m[2].replace(chr(92) + 'to', '→')}</em>{m[3]}", text)
    text = re.sub(r'<table class="docutils.*?</table>', lambda m: stacked(m[0]), text, flags=re.DOTALL)
    tree = re.search(r'<div class="toc-tree">(.*?)</div>', text, re.DOTALL)
    if page.parent.name in ("learn", "use") and tree:  # a window that is not wide has no list of sections
        listed = re.search(r"<ul>(?:\s*<li>.*?</a>)\s*<ul>(.*)</ul>\s*</li>\s*</ul>", tree[1], re.DOTALL)[1]
        listed = f'<details class="on-this-page"><summary>On this page</summary><ul>{listed}</ul></details>'
        text = text.replace("</blockquote>", f"</blockquote>{listed}", 1)
    head, article, rest = text.partition("<article")
    head = re.sub(r'<symbol id="svg-(eye|pencil)"[^>]*>.*?</symbol>', "", head, flags=re.DOTALL)  # no such buttons
    if page != SITE / "index.html": head = CLOSED.sub(r"\1</li>", head)
    rest = re.sub(r'<span class="[npw]">([^<]*)</span>', r"\1", rest)  # coloured as the text around them
    page.write_text(re.sub(r"\s+", " ", head) + article + rest, encoding="utf-8")


def main():
    prepare_pages()
    shutil.rmtree(SITE, ignore_errors=True)
    command = [sys.executable, "-m", "sphinx", "-W", "--keep-going", "-q", "-E", "-d", ROOT / "_build/doctrees"]
    subprocess.run([*command, "-c", ROOT / "docs", SOURCE, SITE], check=True)
    math = importlib.resources.files("mathjax") / "static/mathjax/es5/tex-svg.js"
    for file in SITE.rglob("*.html"): say(file)
    for file in SITE.rglob("*.map"): file.unlink()
    write_sections(SITE)
    (SITE / "_static/mathjax").mkdir()
    shutil.copy(str(math), SITE / "_static/mathjax")
    size = sum(p.stat().st_size for p in SITE.rglob("*") if p.is_file())
    print(f"{SITE.relative_to(ROOT)}/index.html: {len(list(SITE.glob('**/*.html')))} pages, {size / 1e6:.1f} MB")


if __name__ == "__main__": main()
