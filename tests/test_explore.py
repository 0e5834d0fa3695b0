"The explorer: no position of its sliders ends in an error, its numbers are torch's, its panels hold their answers."

import ast
import base64
import html
import itertools
import json
import re
import subprocess
import sys
from functools import partial
from pathlib import Path

import matplotlib.pyplot as plt
import nbformat
import numpy as np
import pytest
import torch
from quick import some
from torch.nn import functional

import adapool
from adapool import explore, plot
from adapool.arithmetic import conv_output_size

SLIDERS = {name: range(c.least, c.most + 1) for name, c in explore.layer_panel().controls.items() if c.most}
FLAGS = list(itertools.product((False, True), repeat=2))
NONSENSE = [0, -1, -10**30, 10**30, 2.5, "3", None, True, [3], float("nan")]


@pytest.fixture
def no_pictures(monkeypatch):
    "Words only: pictures are drawn for a sample."
    monkeypatch.setattr(explore.answer, "stacked", lambda *draws, **kwargs: b"a picture")
    monkeypatch.setattr(explore.photograph, "encoded", lambda *args: b"a picture")


def torch_size(n, K, S, P, D, ceil_mode, transposed):
    "The output size of torch's own layer, or None where it refuses it."
    x = torch.zeros(1, 1, n)
    try:
        if ceil_mode: return functional.max_pool1d(x, K, S, P, D, True).shape[-1]
        if transposed: return functional.conv_transpose1d(x, torch.ones(1, 1, K), None, S, P, 0, 1, D).shape[-1] or None
        return functional.conv1d(x, torch.ones(1, 1, K), None, S, P, D).shape[-1]
    except (RuntimeError, ValueError): return None


def value(formula):
    "What the formula with the numbers comes to, and what it says that it does."
    left, right = formula.splitlines()[1].removeprefix("= ").replace("−", "-").replace("·", "*").rsplit(" = ", 1)
    left = re.sub(r"⌊\((.*)\)/(\d+)⌋", r"((\1) // \2)", left)
    return eval(re.sub(r"⌈\((.*)\)/(\d+)⌉", r"(-(-(\1) // \2))", left)), int(right)


@pytest.mark.parametrize("dilation", SLIDERS["dilation"])
def test_every_layer_gives_words_and_the_size_that_torch_gives(no_pictures, dilation):
    sizes = (1, 2, 3, 5, 10, 17, 24), (1, 2, 3, 4, 11), (1, 2, 3, 8), (0, 1, 2, 6)
    assert all(set(s) <= set(SLIDERS[name]) for s, name in zip(sizes, SLIDERS))
    for n, K, S, P in itertools.product(*sizes):
        for ceil_mode, transposed in FLAGS:
            at = n, K, S, P, dilation, ceil_mode, transposed
            answer, size = explore.explain_layer(*at), None if ceil_mode and transposed else torch_size(*at)
            assert len(answer.message) > 20, at
            if size is None:
                assert answer[:2] == (None, "") and answer.message.startswith("There is no such layer: "), at
                continue
            assert answer.formula and value(answer.formula) == (size, size), at
            assert answer.picture or ("Too large to draw" in answer.message and transposed), at


@pytest.mark.parametrize("step", some([6, 1], 1))
def test_every_slider_by_itself_gives_a_picture_or_words(step):
    start = dict(input_size=9, kernel_size=3, stride=2, padding=1, dilation=1)
    for name, values in SLIDERS.items():
        for v, flags in itertools.product(values[::step], FLAGS):
            params = start | {name: v} | dict(zip(("ceil_mode", "transposed"), flags))
            picture, _, message, *_ = explore.explain_layer(**params)
            words = "There is no such layer" in message or ("Too large to draw" in message and flags[1])
            assert words if picture is None else picture.startswith(b"\x89PNG") and not words
    assert plt.get_fignums() == []


def test_every_adaptive_pool_gives_words(no_pictures):
    for n, m in itertools.product(range(1, 41), repeat=2):
        answer = explore.explain_adaptive(n, m)
        windows = [f"[{i * n // m}, {-(-(i + 1) * n // m)})" for i in range(m)]
        assert answer.picture and answer.table[1] == ("cells", *windows)
        assert answer.message.startswith(("Exact", "No ordinary pool"))


def test_an_exact_adaptive_pool_is_the_pool_that_the_formula_names(no_pictures):
    pattern = r"exactly a pool K = (\d+), S = (\d+)(?:, P = (\d+))?(?: in (\d+) blocks)?"
    for n, m in itertools.product(range(1, 25), repeat=2):
        answer = explore.explain_adaptive(n, m)
        found = re.search(pattern, answer.formula)
        assert bool(found) == answer.message.startswith("Exact")
        if not found: continue
        K, S, P, blocks = (int(v or d) for v, d in zip(found.groups(), (0, 0, 0, 1)))
        x = torch.arange(n, dtype=torch.float64).reshape(blocks, 1, -1) ** 2
        ordinary = torch.nn.AvgPool1d(K, S, P, count_include_pad=False)(x).reshape(-1)
        torch.testing.assert_close(ordinary, torch.nn.AdaptiveAvgPool1d(m)(x.reshape(1, 1, -1)).reshape(-1))


@pytest.mark.parametrize("explain, sane", [(explore.explain_layer, (9, 3, 2, 1, 1)), (explore.explain_adaptive, (9, 4)),
                                           (explore.explain_photograph, (3, 4))])
def test_nonsense_is_answered_in_words(explain, sane):
    for place, wrong in itertools.product(range(len(sane)), NONSENSE):
        answer = explain(*sane[:place], wrong, *sane[place + 1:])
        names = explain.__code__.co_varnames[place], "got"
        if names[0] == "padding" and wrong == 0: assert answer.picture
        else: assert answer[:2] == (None, "") and all(name in answer.message for name in names), (place, wrong)


@pytest.mark.parametrize("explain, given", [
    (explore.explain_layer, dict(input_size=9, kernel_size=3, stride=2, padding=1)),
    (explore.explain_adaptive, dict(input_size=9, output_size=4)),
    (explore.explain_photograph, dict(rows=3, columns=4)),
    (explore.explain_film, dict(input_size=5, kernel_size=3)),
    (explore.explain_field, dict(input_size=24, layers=2, kernel_size=3)),
    (explore.explain_sizes, dict(input_size=20, kernel_size=3, output_size=7, ceil_mode=True))])
def test_numbers_of_numpy_are_answered_as_others_are(explain, given, no_pictures):
    wanted = explain(**given)
    for kind in (np.array, np.int64, np.uint8):
        found = explain(**{name: v if isinstance(v, bool) else kind(v) for name, v in given.items()})
        assert found._replace(picture=None) == wanted._replace(picture=None)


def test_what_is_too_large_for_a_panel_is_not_said_to_be_no_layer():
    for answer in (explore.explain_layer(2000, 3), explore.explain_film(60), explore.explain_layer(1000, 100),
                   explore.explain_photograph(17, 3)):
        assert answer.picture is None and answer.message.endswith("exist, but it is not shown here.")
        assert answer.message.startswith("This panel ")


def test_the_largest_number_that_is_taken_is_answered():
    for at in ((1024, 3, 2), (9, 3, 2, 1024)):
        answer = explore.explain_layer(*at)
        assert value(answer.formula)[1] == conv_output_size(*at) and "Too large to draw" in answer.message


@pytest.mark.parametrize("room, inner, explain, args", [
    ("layer", "counted", explore.explain_layer, (9, 3, 4)), ("adaptive", "why_exact", explore.explain_adaptive, (9, 4)),
    ("photograph", "why_exact", explore.explain_photograph, (3, 4)), ("film", "Counter", explore.explain_film, (5, 3)),
    ("sizes", "_of_axis", explore.explain_sizes, (9, 3)), ("field", "counted", explore.explain_field, (9,)),
])
@pytest.mark.parametrize("mistake", [TypeError, ValueError])
def test_a_mistake_in_the_program_stays_an_error(no_pictures, monkeypatch, room, inner, explain, args, mistake):
    "What a function does not say of the numbers that it is given is not put in words, though it be a `ValueError`."
    def stray(*args, **kwargs): raise mistake("stray")
    assert explain(*args).formula
    monkeypatch.setattr(getattr(explore, room), inner, stray)
    with pytest.raises(mistake, match="stray"): explain(*args)


def spoken(words, n, what="cell"):
    "The cells that are named: `the last 2 cells`, or `cells 1, 3`."
    if found := re.search(rf"the last (?:(\d+) {what}s|{what})", words): return list(range(n - int(found[1] or 1), n))
    found = re.search(rf"{what}s? ((?:\d+, )*\d+)", words)
    return [int(i) for i in found[1].split(", ")] if found else []


def test_unread_cells_are_those_without_a_gradient(no_pictures):
    for n, K, S, P, D in itertools.product(range(1, 13), (1, 2, 3), (1, 2, 4), (0, 1, 2), (1, 2)):
        if D * (K - 1) + 1 > n + 2 * P: continue
        x = torch.zeros(1, 1, n, requires_grad=True)
        functional.conv1d(x, torch.ones(1, 1, K), None, S, P, D).sum().backward()
        unread = (x.grad.reshape(-1) == 0).nonzero().reshape(-1).tolist()
        words = explore.explain_layer(n, K, S, P, D).message.splitlines()[0]
        assert (words == "Every input cell is read.") == (not unread) and spoken(words, n) == unread, (n, K, S, P, D)


def test_the_calculator_names_the_rows_and_columns_without_a_gradient(no_way_back):
    for n, K, S, P, D in itertools.product([(7, 10), (11, 6)], [(2, 3), 1, 3], [1, 2, (4, 3)], (0, (0, 1)), (1, 2)):
        x = torch.zeros(1, 1, *n, requires_grad=True)
        weight = torch.ones(1, 1, *plot.canvas.rows_and_columns("kernel_size", K))
        functional.conv2d(x, weight, None, S, P, D).sum().backward()
        words = explore.explain_sizes(n, K, S, P, D).message.splitlines()[1]
        for axis, what in ((1, "row"), (0, "column")):
            unread = (x.grad[0, 0].sum(axis) == 0).nonzero().reshape(-1).tolist()
            assert spoken(words, n[1 - axis], what) == unread, (words, n, K, S, P, D)


@pytest.mark.parametrize("at, words", [
    ((10, 3, 3), "No window reads the last cell."), ((11, 3, 3), "No window reads the last 2 cells."),
    ((11, 3, 3, 0, 1, True), "Every input cell is read."), ((3, 1, 2), "No window reads cell 1."),
    ((5, 1, 2), "No window reads cells 1, 3."), ((6, 1, 2), "No window reads cells 1, 3, 5."),
    ((60, 1, 2), "No window reads cells 1, 3, 5, 7, 9, 11, 13, 15, 17, 19, 21, …."),
])
def test_unread_cells_in_words(no_pictures, at, words):
    assert explore.explain_layer(*at).message.splitlines()[0] == words


def test_same_padding_is_what_the_message_says(no_pictures):
    for n, K, S, D in itertools.product(range(1, 13), (1, 2, 3, 4), (1, 2, 3), (1, 2)):
        lines = explore.explain_layer(n, K, S, K * D, D).message.splitlines()
        words = next(line for line in lines if line.startswith("SAME"))
        even, uneven = re.search(r"needs P = (\d+)", words), re.search(r"pad\(x, \((\d+), (\d+)\)\)", words)
        before, after = map(int, uneven.groups()) if uneven else (int(even[1]),) * 2
        padded = functional.pad(torch.zeros(1, 1, n), (before, after))
        assert functional.conv1d(padded, torch.ones(1, 1, K), None, S, 0, D).shape[-1] == -(-n // S)


def test_a_transposed_convolution_is_described_as_torch_does_it(no_pictures):
    pattern = r"More than one input cell reaches (\d+) of \d+ output cells?, none reaches (\d+)\."
    for n, K, S, P, D in itertools.product(range(1, 8), (1, 2, 3, 4), (1, 2, 3), (0, 1), (1, 2)):
        answer = explore.explain_layer(n, K, S, P, D, transposed=True)
        if not answer.formula: continue
        write = partial(functional.conv_transpose1d, torch.ones(1, 1, n), torch.ones(1, 1, K), None, S, dilation=D)
        written = write(P).reshape(-1)
        several, none = map(int, re.match(pattern, answer.message).groups())
        assert (several, none) == (int((written > 1).sum()), int((written == 0).sum()))
        same = re.search(r"need P = (\d+)(?: and output_padding = (\d+))?", answer.message)
        if same: assert write(int(same[1]), int(same[2] or 0)).shape[-1] == n * S
        else:
            assert "come with no P" in answer.message
            assert n * S not in [write(p).shape[-1] for p in range((K + 1) // 2)]


@pytest.fixture
def no_way_back(monkeypatch):
    "Sizes without the convolutions that lead to them, which take time to find."
    monkeypatch.setattr(explore.sizes, "find_conv", lambda *args, **kwargs: [])


def run_line(line, x):
    "What a line to copy makes of a tensor."
    return eval(line, dict(nn=torch.nn, c_in=x.shape[1], c_out=2))(x)


def test_lines_for_adaptive_pools_give_what_the_adaptive_pool_gives(no_pictures):
    for n, m in itertools.product(range(1, 25), repeat=2):
        x, ((_, line),) = torch.rand(1, 1, n, dtype=torch.float64), explore.explain_adaptive(n, m).code
        assert ("Adaptive" in line) == (adapool.fixed_equivalent(n, m) is None)
        torch.testing.assert_close(run_line(line, x), torch.nn.AdaptiveAvgPool1d(m)(x))


def test_every_line_of_the_calculator_runs_as_it_stands(no_way_back):
    sizes = [(7, 7), (9, 12)], [1, 3, (2, 5)], [1, 2, (3, 2)], [0, 1, (0, 2)], [1, 2], [*FLAGS[:3]], [0, 1, (1, 0)]
    ran = set()
    for n, K, S, P, D, (ceil_mode, transposed), more in itertools.product(*sizes):
        answer = explore.explain_sizes(n, K, S, P, D, ceil_mode, transposed, output_padding=more)
        lines, x = dict(answer.code), torch.zeros(1, 1, *n)
        assert bool(lines) == bool(answer.formula)
        if not lines: continue
        out = [int(v) for v in re.search(r"→ (\d+)(?: × (\d+))?", answer.message).groups() if v]
        assert run_line(lines["PyTorch"], x).shape[2:] == (out[0], out[-1]), lines
        if "SAME" in lines:
            steps = plot.canvas.rows_and_columns("stride", S)
            same = tuple(-(-cells // step) for cells, step in zip(n, steps))
            assert run_line(lines["SAME"], x).shape[2:] == same, lines
            assert "ZeroPad2d" not in lines["SAME"] or "padding=0" in lines["SAME"]
        if not lines["Keras"].startswith("none: "): ast.parse(lines["Keras"], mode="eval")
        ran |= {line.split("(")[0] for line in lines.values()}
    assert ran > {"nn.Conv2d", "nn.MaxPool2d", "nn.ConvTranspose2d", "nn.Sequential", "Conv2D", "Conv2DTranspose"}


def test_the_line_for_keras_crops_what_torch_leaves_out(no_way_back):
    "Keras' own sizes: without output_padding n·S + max(span − S, 0) cells, with it (n − 1)·S + span + output_padding."
    for n, K, S, P, D, more in itertools.product((4, 7), (1, 2, 3, 5), (1, 2, 3), (0, 1, 2), (1, 2), (0, 1, 2)):
        answer = explore.explain_sizes(n, K, S, P, D, False, True, 1, more)
        line = dict(answer.code).get("Keras", "none")
        if line.startswith("none"): continue
        added, cropped = re.search(r"output_padding=(\d+)", line), re.search(r"Cropping2D\((.*)\)\]\)", line)
        span = D * (K - 1) + 1
        made = (n - 1) * S + span + int(added[1]) if added else n * S + max(span - S, 0)
        sides = ast.literal_eval(cropped[1]) if cropped else 0
        made -= 2 * sides if isinstance(sides, int) else sum(sides[0])
        assert answer.message.startswith(f"{n} → {made}\n"), (line, answer.message)
        assert not added or int(added[1]) < S


@pytest.mark.parametrize("make, name, moved", [
    (explore.layer_panel, "stride", 2),
    (explore.layer_panel, "ceil_mode", True),
    (explore.layer_panel, "transposed", True),
    (explore.adaptive_panel, "input_size", 12),
    (explore.adaptive_panel, "output_size", 3),
    (explore.photograph_panel, "rows", 9),
    (explore.photograph_panel, "reduction", "min"),
])
def test_a_panel_answers_to_its_controls(make, name, moved):
    panel = make()
    before, still = panel.answer, panel._repr_mimebundle_()[0]
    panel.controls[name].value = moved
    assert panel.answer == panel.explain(**panel.values()) != before
    after = panel._repr_mimebundle_()[0]
    assert set(after) == {"text/plain", "text/html", "image/png"} and all(after[kind] != still[kind] for kind in after)


def shown(panel):
    "What the module is told of a panel, and what stands there until it runs."
    text = panel._repr_mimebundle_()[0]["text/html"].partition("<style")[0]
    data, inside = re.fullmatch(r'<div class="adapool-live" data-panel="([^"]*)">(.*)</div>', text, re.DOTALL).groups()
    return json.loads(html.unescape(data)), inside


def test_a_panel_is_html_with_its_picture_its_words_and_what_the_module_needs():
    panel = explore.adaptive_panel(9, 4)
    data, inside = shown(panel)
    assert data["kind"] == "adaptive"
    assert [(c["name"], c["letter"], c["value"], c["least"], c["most"]) for c in data["controls"]] == [
        ("input_size", "n", 9, 1, 24), ("output_size", "m", 4, 1, 24)]
    picture = base64.b64decode(re.search(r'src="data:image/png;base64,([^"]+)"', inside)[1])
    assert picture == panel.answer.picture and f'alt="{html.escape(panel.answer.alt)}"' in inside
    for line in (panel.answer.formula + "\n" + panel.answer.message).splitlines(): assert html.escape(line) in inside
    assert html.escape(panel.answer.table[1][2]) in inside


def test_text_is_escaped():
    _, inside = shown(explore.Panel("layer", lambda: explore.Answer(None, "a < b", "x & <y>")))
    assert "a &lt; b" in inside and "x &amp; &lt;y&gt;" in inside and "<y>" not in inside


def test_the_module_stands_alone():
    script = explore.adaptive_panel()._repr_mimebundle_()[0]["text/html"].partition("</style>")[2]
    assert script.count("<script") == 1 and script.count("</script>") == 1 and script.endswith("</script>")
    assert not re.search(r"^import |\bimport\(|https?://(?!www\.w3\.org)|fetch\(|eval\(", script, re.MULTILINE)


def test_a_page_has_the_module_once():
    sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "tools"))
    from notebooks import one_module
    outputs = [nbformat.v4.new_output("display_data", panel._repr_mimebundle_()[0])
               for panel in (explore.adaptive_panel(), explore.layer_panel(), explore.adaptive_panel(5, 3))]
    nb = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell("", outputs=[output]) for output in outputs])
    def scripts(): return ["".join(re.findall("<s(?:tyle|cript).*", o.data["text/html"], re.DOTALL)) for o in outputs]
    before = scripts()
    one_module(nb)
    assert scripts() == [before[0], "", ""] and len(before[0]) > 5000
    one_module(nb, "<style>")
    assert scripts() == ["<style>", "", ""]


def test_pictures_leave_pyplot_alone():
    code = """import matplotlib
matplotlib.use("svg")
matplotlib.rcParams["font.size"] = 7.5
before = dict(matplotlib.rcParams)
from adapool import explore
for panel in (explore.layer_panel(), explore.adaptive_panel(), explore.photograph_panel()): panel._repr_mimebundle_()
import matplotlib.pyplot as plt
print(before == dict(matplotlib.rcParams), plt.get_backend(), plt.get_fignums())"""
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout.strip() == "True svg []"


def test_the_picture_shows_what_the_figure_function_draws(monkeypatch):
    seen = []
    monkeypatch.setattr(plot, "sliding", lambda *args, ax: seen.append(args) or ax.set(xlim=(0, 9), ylim=(0, 3)))
    explore.explain_layer(10, 3, 3, 1, 2, True)
    assert seen == [(10, 3, 3, 1, 2, True)]


def test_a_larger_number_lengthens_its_slider_and_is_not_drawn():
    panel = explore.layer_panel(224, 7, 2, 3)
    assert panel.controls["input_size"].most == 224 and panel.answer.picture is None
    assert value(panel.answer.formula)[1] == conv_output_size(224, 7, 2, 3) == 112


def test_cells_are_counted_in_words():
    assert [plot.canvas.counted(n) for n in (0, 1, 2)] == ["no cells", "1 cell", "2 cells"]
    assert [plot.canvas.counted(n, "row") for n in (1, 12)] == ["1 row", "12 rows"]


def test_long_lists_are_cut():
    assert plot.canvas.listed(range(12)) == "0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11"
    assert plot.canvas.listed(range(13)) == "0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, …"


def test_pages_hold_the_module_as_it_is():
    sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "tools"))
    from notebooks import code_cells, notebooks
    held = {}
    for path in notebooks():
        outputs = [o for cell in code_cells(nbformat.read(path, as_version=4)) for o in cell.outputs if "data" in o]
        texts = [text for o in outputs if '<div class="adapool-live"' in (text := "".join(o.data.get("text/html", "")))]
        if texts: held[path.name] = [text.partition("<style")[1:] for text in texts]
    module = explore.panel.module().partition("<style")[1:]
    assert len(held) >= 2
    for name, found in held.items():
        assert found == [module] + [("", "")] * (len(found) - 1), f"{name}: python tools/notebooks.py embed"
