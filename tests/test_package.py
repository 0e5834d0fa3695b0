"What is promised of the package as a whole: what it imports, and what it offers."

import ast
import importlib
import inspect
import json
import os
import re
import shutil
import subprocess
import sys
import tarfile
import tomllib
import zipfile
from email import message_from_bytes
from pathlib import Path

import pytest

import adapool

PACKAGE = Path(adapool.__file__).parent
ORDER = [
    "exercises", "checks", "kinds", "arithmetic", "windows", "along", "kernels.vectors",
    "kernels.llvm", "kernels.geometry",
    "kernels.reduce", "kernels.rows", "kernels.strided", "kernels.indices", "kernels.planes", "kernels.channels",
    "kernels.counted",
    "kernels.gradients", "kernels.offsets", "kernels.runs", "kernels.machine", "kernels.compile", "kernels.tables",
    "kernels.threads", "kernels.axes", "kernels.plan", "kernels.quick", "kernels.back", "kernels.jobs",
    "kernels.arrays", "kernels.counts", "kernels", "gaps", "medians", "pooling", "pyramids", "xarray",
    "dask.cuts", "dask.lines", "dask.sums", "dask.parts", "dask.graph", "dask.pyramid", "dask",
    "jax.cells", "jax.linear", "jax.pools", "jax.named", "jax", "array_api",
    "tensors.private", "tensors.memory", "tensors.plain", "tensors.operators", "tensors.ordinary", "tensors.route",
    "tensors.unpool", "tensors.switch", "tensors.pyramids", "tensors", "functional.adaptive", "functional.ordinary",
    "functional.pyramids", "functional.concat", "functional.powers", "functional.unpool", "functional.each",
    "functional.means", "functional", "nn",
    "networks.models", "networks.fields", "networks.layers", "networks.calls", "networks.follow", "networks.table",
    "networks.trace", "networks", "export.forms", "export.targets", "export.masks", "export.pools", "export.calls",
    "export.capture", "export.inline", "export.verify", "export.programs", "export.opsets", "export.write",
    "export.copies", "export.verdicts", "export", "answers.sizes", "answers.windows", "answers.arrays",
    "answers.tensors",
    "answers.kernels", "answers.files", "answers.networks", "answers.subjects", "answers",
    "plot.canvas", "plot.adaptive", "plot.arithmetic", "plot.boards", "plot.film", "plot.images", "plot.networks",
    "plot.pools", "plot", "explore.answer", "explore.panel", "explore.layer", "explore.adaptive", "explore.photograph",
    "explore.film", "explore.sizes", "explore.field", "explore", "flashcards.card", "flashcards.sizes",
    "flashcards.windows", "flashcards.tensors", "flashcards.deck", "flashcards",
]


def python(code, **where):
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, **where)
    return run.stdout.strip()


def source(module):
    path = PACKAGE / module.replace(".", "/")
    return path / "__init__.py" if path.is_dir() else path.with_suffix(".py")


def imports(module):
    "The names that a module imports, at any depth of its code."
    found, path = set(), source(module)
    package = ["adapool", *path.relative_to(PACKAGE).parent.parts]
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import): found |= {a.name for a in node.names}
        if isinstance(node, ast.ImportFrom):
            above = package[:len(package) + 1 - node.level] if node.level else []
            origin = ".".join([*above, *filter(None, [node.module])])
            inner = origin.startswith("adapool") and (PACKAGE / "/".join(origin.split(".")[1:])).is_dir()
            found |= {f"{origin}.{a.name}" for a in node.names} if inner else {origin}
            assert "*" not in {a.name for a in node.names}, f"{module} imports a star"
    return found


def test_import_brings_neither_torch_nor_matplotlib():
    late = "torch", "matplotlib", "numba", "llvmlite", "xarray", "dask", "jax"
    code = f"import sys, adapool; print([m for m in {late} if m in sys.modules])"
    assert python(code) == "[]"


def test_parts_come_at_first_use():
    "Each in a child of one process, which has loaded what is slow to load and nothing of adapool."
    code = """
import os, matplotlib.pyplot, torch
for name in %r:
    if os.fork(): assert os.wait()[1] == 0, name
    else:
        import adapool
        os._exit(name in vars(adapool) or getattr(adapool, name).__name__ != f"adapool.{name}")
"""
    python(code % (adapool._AT_FIRST_USE,))


NEEDS = {"torch": ["functional", "functional.adaptive", "functional.ordinary", "functional.powers", "functional.unpool",
                   "functional.each", "functional.means", "nn", "networks", "networks.trace", "export", "export.forms",
                   "tensors.private", "flashcards"],
         "matplotlib": ["plot", "plot.film", "explore", "explore.panel", "flashcards"],
         "xarray": ["xarray"], "jax": ["jax", "jax.cells", "jax.pools"]}


def test_what_is_not_installed_is_named_with_the_extra_that_brings_it():
    code = """
import sys
for package, module in %r:
    sys.modules[package] = None
    try: __import__(f"adapool.{module}")
    except ImportError as error: print(error)
    for name in [name for name in sys.modules if name.startswith("adapool")]: del sys.modules[name]
    del sys.modules[package]
"""
    cases = [(package, module) for package in NEEDS for module in NEEDS[package]]
    extras = ["torch" if case[0] == "torch" and case[1] != "flashcards" else case[1].split(".")[0] for case in cases]
    assert python(code % cases).splitlines() == [
        f"{package} is not installed, which this needs: pip install 'adapool[{extra}]'"
        for (package, _), extra in zip(cases, extras)]


def test_numpy_alone_is_enough_for_arrays():
    code = """import sys
for name in ("torch", "numba", "llvmlite", "matplotlib"): sys.modules[name] = None
import adapool
print(adapool.adaptive_pool([1, 3, 5, 7], 2), adapool.find_conv(8, 4)[0].stride, adapool.fixed_equivalent(7, 2))"""
    assert python(code) == "[2. 6.] 2 FixedPool(kernel_size=4, stride=3, padding=0)"


@pytest.mark.parametrize("module", ORDER)
def test_imports_point_downwards(module):
    ours = {name for name in imports(module) if name.startswith("adapool")}
    lower = [f"adapool.{name}" for name in ORDER[:ORDER.index(module)]]
    for name in ours: assert any(name == room or name.startswith(f"{room}.") for room in lower), name
    alone = ("exercises", "checks", "kinds", "kernels.vectors", "kernels.llvm", "kernels.geometry", "kernels.threads",
             "tensors", "dask.cuts", "networks.fields", "networks.table", "export.targets", "export.opsets")
    assert ours or module in alone
    if ORDER.index(module) < ORDER.index("tensors.private"): assert "torch" not in imports(module)
    roots = {name.split(".")[0] for name in imports(module)}
    if module in ("exercises", "checks", "kinds", "arithmetic"): assert roots <= {"adapool", *sys.stdlib_module_names}


def test_a_clone_in_the_working_folder_does_not_hide_the_package(tmp_path):
    (tmp_path / "adapool").symlink_to(PACKAGE.parent)
    installed = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    assert python("import adapool; print(adapool.adaptive_pool([1, 3], 1))", cwd=tmp_path, env=installed) == "[2.]"


def test_every_module_is_known():
    rooms = {".".join(p.relative_to(PACKAGE).with_suffix("").parts) for p in PACKAGE.rglob("*.py")}
    assert {room.removesuffix(".__init__") for room in rooms} == {*ORDER, "__init__", "_modidx"}


def architecture():
    "ARCHITECTURE.md: what is said, and the tree of calls."
    said, calls, more = re.split(r"```(?:text)?\n", (PACKAGE.parent / "ARCHITECTURE.md").read_text(encoding="utf-8"))
    return said + more, calls


def test_the_architecture_page_names_every_room_in_the_order_of_imports():
    table = architecture()[0].partition("## Rooms")[2].partition("## The way")[0]
    found, folder = [], ""
    for where, rooms in re.findall(r"^\| (?:`(\w+)` )?\| (`.*?`) \|", table, re.MULTILINE):
        folder = where or folder
        for room in re.findall(r"`(\w+)`", rooms):
            within = f"{folder}.{room}"
            found.append(within if within in ORDER else room)
    assert found == ORDER


def test_what_the_architecture_page_names_is_there():
    names = re.findall(r"`((?:[a-z]+\.)+\w+)(?:\.\w+)?`", architecture()[0])
    assert len(names) > 50
    for name in names:
        room = max((room for room in ORDER if f"{name}.".startswith(f"{room}.")), key=len)
        assert name == room or hasattr(importlib.import_module(f"adapool.{room}"), name[len(room) + 1:]), name


def test_the_architecture_page_shows_the_way_of_a_call():
    if not importlib.import_module("adapool.kernels").can_compile(): pytest.skip("no compiler: another way")
    sys.path.insert(0, str(PACKAGE.parent / "tools"))
    def names(tree): return [re.split(r"(?<=\S)  ", line)[0] for line in tree.strip().splitlines()]
    anew = importlib.import_module("calls").warm()
    assert names(architecture()[1]) == names(anew), "ARCHITECTURE.md shows another tree: make calls CALLS_ARGS=warm"


@pytest.mark.parametrize("page", ["README", "ARCHITECTURE", "CONTRIBUTING", "CHANGELOG"])
def test_links_lead_somewhere(page):
    text = (PACKAGE.parent / f"{page}.md").read_text(encoding="utf-8")
    links = re.findall(r"\]\((?!https?:)([^)#\s]+)", text)
    assert [link for link in links if not (PACKAGE.parent / link).exists()] == []


# The lines of an example in a docstring, which is read and not kept in mind: they do not make code long.
EXAMPLE = re.compile(r'^ *>>> .*\n(?:(?! *(?:>>>|"""|$)).+\n)*', re.MULTILINE)


def shorter(text): return EXAMPLE.sub("", text)


# What may be longer than 400 lines, a function than 40 or a cell than 45, and why.
LONG_FILES = {
    "windows": "all families of lists, and what they are asked",
    "kernels/vectors": "one word after the other, each twice"}
LONG_FUNCTIONS = {"export/write.to_onnx": "half of it is what it says to a user"}
LONG_CELLS = {
    "inside/01_windows": "a class is one cell", "inside/kernels": "a kernel reads as one piece",
    "inside/tensors": "one job, said at once",
    "inside/networks/06_trace": "a class is one cell", "inside/export/04_verify": "a class is one cell",
    "inside/export/05_write": "half of it is what it says to a user",
}


def test_no_line_is_long():
    "But for `__all__`, which nbdev writes."
    for path in PACKAGE.rglob("*.py"):
        if path.name == "_modidx.py": continue
        text = re.sub(r"^__all__ = \[.*?\]\n", "", path.read_text(encoding="utf-8"), flags=re.DOTALL | re.MULTILINE)
        first = 1 if path.parent.name == "kernels" else 0  # a page's promise, to which machine code is bound
        assert [line for line in text.splitlines()[first:] if len(line) > 120] == [], path


TOKEN = "    const TOKEN = /"  # a regular expression is one line


def test_no_line_of_a_script_or_a_style_sheet_is_long():
    written = [path for kind in ("js", "css") for folder in (PACKAGE / "explore", PACKAGE.parent / "docs/_static")
               for path in folder.glob(f"*.{kind}")]
    assert {"live.js", "live.css", "live.words.js", "adapool.css"} <= {path.name for path in written}
    for path in written:
        lines = path.read_text(encoding="utf-8").splitlines()
        assert [line for line in lines if len(line) > 120 and not line.startswith(TOKEN)] == [], path
        if path.parent.name == "explore": assert len(lines) <= 450, path


def test_files_functions_and_cells_are_short():
    "What is longer is listed above with its reason, and nothing is listed that is not."
    files, functions, cells = set(), set(), set()
    root = PACKAGE.parent
    for path in [*PACKAGE.rglob("*.py"), *root.glob("tools/*.py"), *root.glob("benchmarks/*.py")]:
        if path.name == "_modidx.py": continue
        text, room = shorter(path.read_text(encoding="utf-8")), path.relative_to(root).with_suffix("").as_posix()
        room = room.removeprefix("adapool/")
        if text.count("\n") > 400: files.add(room)
        functions |= {f"{room}.{f.name}" for f in ast.walk(ast.parse(text))
                      if isinstance(f, ast.FunctionDef) and f.end_lineno - f.lineno >= 40}
    for path in root.glob("nbs/**/[0-9]*.ipynb"):
        page = path.relative_to(root / "nbs").with_suffix("").as_posix()
        found = json.loads(path.read_text(encoding="utf-8"))["cells"]
        sources = ["".join(cell["source"]) for cell in found if cell["cell_type"] == "code"]
        longest = max(len(shorter(source).splitlines()) for source in sources)
        if longest > 45: cells.add(page if page in LONG_CELLS else page.rpartition("/")[0])
    assert (files, functions, cells) == (LONG_FILES.keys(), LONG_FUNCTIONS.keys(), LONG_CELLS.keys())


def test_public_functions_say_their_types():
    unsaid = []
    for module in ORDER:
        if module.split(".")[0] in ("export", "kernels", "tensors"): continue  # models and addresses
        part = importlib.import_module(f"adapool.{module}")
        for name in part.__all__:
            if not inspect.isfunction(f := getattr(part, name)): continue
            given = inspect.signature(f)
            kinds = [*(p.annotation for p in given.parameters.values()), given.return_annotation]
            if inspect.Signature.empty in kinds: unsaid.append(f"{module}.{name}")
    assert unsaid == []
    assert (PACKAGE / "py.typed").exists()


def test_public_names_have_docstrings():
    for name in adapool.__all__: assert getattr(adapool, name).__doc__, name
    for module in ORDER:
        part = importlib.import_module(f"adapool.{module}")
        for name in part.__all__:
            thing = getattr(part, name)
            if callable(thing) and not inspect.isbuiltin(thing): assert thing.__doc__, f"{module}.{name}"


@pytest.fixture(scope="module")
def distributions(tmp_path_factory):
    "The source distribution and the wheel, opened: `{name: bytes}` of each, and the wheel's metadata."
    folder = tmp_path_factory.mktemp("dist")
    tree, listed = folder / "tree", ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    names = subprocess.run(listed, cwd=PACKAGE.parent, capture_output=True, text=True, check=True).stdout
    for name in names.split("\0"):
        if not name or not (PACKAGE.parent / name).is_file(): continue
        (tree / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(PACKAGE.parent / name, tree / name)
    for what in ("sdist", "wheel"):
        python(f"from setuptools import build_meta; build_meta.build_{what}({str(folder)!r})", cwd=tree)
    with tarfile.open(next(folder.glob("*.tar.gz"))) as file:
        source = {m.name.split("/", 1)[1]: file.extractfile(m).read() for m in file.getmembers() if m.isfile()}
    with zipfile.ZipFile(next(folder.glob("*.whl"))) as file:
        wheel = {name: file.read(name) for name in file.namelist()}
    return source, wheel, message_from_bytes(next(v for k, v in wheel.items() if k.endswith("METADATA")))


@pytest.mark.slow
def test_the_source_distribution_holds_what_make_needs(distributions):
    wanted = [*PACKAGE.parent.glob("nbs/**/*.ipynb"), *PACKAGE.parent.glob("t*s/*.py"), PACKAGE.parent / "Makefile",
              PACKAGE.parent / "constraints.txt", PACKAGE.parent / "README.md", PACKAGE / "py.typed",
              *PACKAGE.glob("explore/live.*")]
    assert {str(path.relative_to(PACKAGE.parent)) for path in wanted} <= set(distributions[0])
    assert not [name for name in distributions[0] if "__pycache__" in name or ".ipynb_checkpoints" in name]


@pytest.mark.slow
def test_the_wheel_holds_the_package_and_nothing_else(distributions):
    files = [*PACKAGE.rglob("*.py"), *PACKAGE.glob("explore/live.*"), PACKAGE / "py.typed"]
    rooms = {str(path.relative_to(PACKAGE.parent)) for path in files}
    assert {name for name in distributions[1] if ".dist-info/" not in name} == rooms


@pytest.mark.slow
def test_the_metadata_is_for_those_who_use_the_package(distributions):
    said = distributions[2]
    assert set(said.get_all("Provides-Extra")) == {
        "all", "dask", "explore", "fast", "flashcards", "jax", "onnx", "plot", "runtimes", "torch",
        "xarray"}
    assert [need for need in said.get_all("Requires-Dist") if "extra ==" not in need] == ["numpy>=2.0"]
    text = said.get_payload()
    links, pictures = (re.findall(mark + r"\[[^\[\]]*\]\(([^)\s]+)", text) for mark in ("", "!"))
    assert len(links) > 20 and all(link.startswith("https://") for link in links) and "<!--" not in text
    assert pictures and all("/raw/" in link for link in pictures)
    assert said["License-Expression"] == "Apache-2.0" and len(said.get_all("Project-URL")) >= 4


def test_every_extra_is_named_in_the_table_of_the_first_page():
    said = (PACKAGE.parent / "README.md").read_text(encoding="utf-8")
    settings = (PACKAGE.parent / "settings.ini").read_text(encoding="utf-8")
    for extra in re.findall(r"^(\w+)_requirements", settings, re.MULTILINE): assert f"`{extra}`" in said, extra


def test_versions_on_the_first_page_are_those_declared():
    said = (PACKAGE.parent / "README.md").read_text(encoding="utf-8")
    rows = {row[0]: row[2:-1] for row in (line.strip("| ").split(" | ") for line in said.splitlines()) if len(row) == 8}
    for where, mark in (("constraints.txt", "=="), ("settings.ini", ">=")):
        declared = (PACKAGE.parent / where).read_text(encoding="utf-8")
        versions = [re.search(rf"\b{name}{mark}(\S+)", declared)[1]
                    for name in ("torch", "numpy", "numba", "onnx", "onnxscript")]
        assert [version for row, version in rows.items() if f"`{where}`" in row] == [versions]


def test_what_developers_need_is_pinned():
    with open(PACKAGE.parent / "pyproject.toml", "rb") as file: groups = tomllib.load(file)["dependency-groups"]
    pins = re.findall(r"^([\w.-]+)==", (PACKAGE.parent / "constraints.txt").read_text(encoding="utf-8"), re.MULTILINE)
    pins = {pin.lower().replace("_", "-") for pin in pins}
    for needs in groups.values():
        for need in needs: assert isinstance(need, dict) or re.match(r"[\w-]+", need)[0].lower() in pins, need


@pytest.mark.slow
@pytest.mark.parametrize("folder", ["benchmarks", "tests", "tools"])
def test_no_script_stands_in_the_way_of_a_package(folder):
    "A script finds its own folder first: one called cuda.py is taken for NVIDIA's package, which torch looks for."
    found = "torch, torch._dynamo, numba, matplotlib.pyplot, onnxruntime"
    code = f"import sys; sys.path.insert(0, {folder!r}); import {found}"
    subprocess.run([sys.executable, "-c", code], cwd=PACKAGE.parent, check=True)
