"""The panels, drawn by the browser: what they say is what Python says, at every position of their sliders; they are
moved by keys, typed into, asked for what makes no sense; nothing moves that was not touched; films that play."""

import hashlib
import itertools
import random
import statistics

import pytest
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys
from test_lab import IDLE, cell, command, open_notebook, wait

from adapool import explore

SOURCE = explore.panel.script()
# Hand over the functions of the module, and what they say of some settings as one text, or as the hash of it.
LOAD = """
const done = arguments[1], url = URL.createObjectURL(new Blob([arguments[0]], {type: 'text/javascript'}));
window.told = (kind, values) => {
  let a;
  try { a = KINDS[kind].explain(values); }
  catch (e) {
    if (!(e instanceof RangeError)) throw e;
    a = {formula: '', message: e.message, alt: ''};
  }
  const near = (a.near ?? []).map(([title, all, none]) => `${title}: ${all.map(way => way[0]).join('; ') || none}.`);
  const code = (a.code ?? []).map(row => row.join('|'));
  return [a.formula, ...[a.message, a.large].filter(Boolean), ...new Set(near), a.alt, ...code].join('\\n');
};
window.hashed = async (kind, batch) => {
  const text = new TextEncoder().encode(batch.map(values => told(kind, values)).join('\\n\\n'));
  const sum = new Uint8Array(await crypto.subtle.digest('SHA-256', text));
  return [...sum].map(b => b.toString(16).padStart(2, '0')).join('');
};
import(url).then(module => { Object.assign(window, module); done(); }, error => done(String(error)))"""
LAYER = list(explore.layer_panel().controls)
RANGES = [range(c.least, c.most + 1) if c.most else (False, True) for c in explore.layer_panel().controls.values()]


@pytest.fixture(scope="module")
def asked(browser, site):
    "A page of the site, with the module at hand."
    browser.get((site / "use/05_explore.html").as_uri())
    assert browser.execute_async_script(LOAD, SOURCE) is None
    return browser


@pytest.fixture
def no_pictures(monkeypatch):
    "Words only."
    def picture(*draws, **kwargs): return b"a picture"
    for room in (explore.answer, explore.film): monkeypatch.setattr(room, "stacked", picture)
    monkeypatch.setattr(explore.photograph, "encoded", lambda *args: b"a picture")


def told(kind, values):
    "What Python says, as one text."
    answer = EXPLAIN[kind](**values)
    return "\n".join([answer.formula, answer.message, answer.alt, *map("|".join, answer.code)])


EXPLAIN = {"adaptive": explore.explain_adaptive, "layer": explore.explain_layer, "film": explore.explain_film,
           "field": explore.explain_field, "sizes": explore.explain_sizes, "photograph": explore.explain_photograph}


def same(asked, kind, settings):
    "Settings of which the module says something else than Python, with both."
    theirs = asked.execute_script("return arguments[1].map(values => told(arguments[0], values))", kind, settings)
    ours = [told(kind, values) for values in settings]
    return [found for found in zip(settings, ours, theirs, strict=True) if found[1] != found[2]][:2]


def test_all_adaptive_pools_are_explained_alike(asked, no_pictures):
    sizes = itertools.product(range(0, 27), repeat=2)
    settings = [dict(input_size=n, output_size=m) for n, m in [*sizes, (64, 7), (65, 7), (7, 65), (1024, 3), (1025, 3)]]
    assert same(asked, "adaptive", settings) == []


LAYERS = """
const [n, K, ranges, done] = arguments, batches = [];
const batch = flags => ranges[2].flatMap(S => ranges[3].flatMap(P => ranges[4].map(D => ({input_size: n, kernel_size: K,
  stride: S, padding: P, dilation: D, ceil_mode: flags[0], transposed: flags[1]}))));
const flags = ranges[5].flatMap(a => ranges[6].map(b => [a, b]));
Promise.all(flags.map(f => hashed('layer', batch(f)))).then(done)"""


def layers(n, K):
    "All settings of the layer panel with this input and kernel, by its two boxes."
    rest = list(itertools.product(*RANGES[2:5]))
    return [[dict(zip(LAYER, (n, K, *at, *flags))) for at in rest] for flags in itertools.product(*RANGES[5:])]


def hashed(batch):
    return hashlib.sha256("\n\n".join(told("layer", values) for values in batch).encode()).hexdigest()


def test_all_settings_of_the_layer_panel_are_explained_alike(asked, no_pictures):
    ranges = [list(values) for values in RANGES]
    for n, K in itertools.product(*RANGES[:2]):
        theirs, batches = asked.execute_async_script(LAYERS, n, K, ranges), layers(n, K)
        for found, batch in zip(theirs, batches, strict=True):
            assert found == hashed(batch), same(asked, "layer", batch)


def some_pairs(rng, *most, least=1):
    "Pairs for rows and columns, half of them twice the same."
    def one(m): return rng.randint(least, m)
    return [[a, a if rng.random() < 0.5 else one(m)] for m in most for a in [one(m)]]


FILMS = [*LAYER[:5], "output_padding", *LAYER[5:]]


def some_layers(rng, *most, dilation=None):
    "Settings in two dimensions: some round up, some are transposed; `output_padding` mostly where it may be."
    pairs, flags = some_pairs(rng, *most), (rng.random() < 0.3, rng.random() < 0.4)
    (P,), (more,) = some_pairs(rng, 4, least=0), some_pairs(rng, 3, least=0)
    if dilation: pairs[3] = dilation
    if not flags[1] and rng.random() < 0.9: more = [0, 0]
    return dict(zip(FILMS, (*pairs[:3], P, pairs[3], more, *flags)))


def films_and_sizes(many):
    rng, films, sizes = random.Random(0), [], []
    for _ in range(many):
        films.append(some_layers(rng, 12, 7, 4, 3))
        ones = [1, 1] if rng.random() < 0.5 else None
        sizes.append(some_layers(rng, rng.choice([30, 1000]), 7, 4, 3, dilation=ones))
        sizes[-1]["output_size"], = some_pairs(rng, 300)
    pools = [dict(zip(("input_size", "output_size"), some_pairs(rng, 14, 14))) for _ in range(many // 8)]
    return films + pools, sizes


def written_sizes():
    "Settings of small transposed convolutions, and sizes close to theirs that are wanted."
    every = itertools.product((4, 5), (1, 3), (1, 2, 3), (0, 1), (1, 2), (0, 1, 2), (False,), (True,), (7, 8, 9, 11))
    return [dict(zip((*FILMS, "output_size"), ([v, v] if type(v) is int else v for v in at))) for at in every]


def test_films_and_sizes_are_explained_alike(asked, no_pictures):
    films, sizes = films_and_sizes(2500)
    sizes += written_sizes()
    assert same(asked, "film", films) == [] and same(asked, "sizes", sizes) == []


def test_chains_of_layers_are_explained_alike(asked, no_pictures):
    values = (1, 2, 5, 9, 24, 32), (0, 1, 2, 3, 6, 7), (1, 2, 3, 7), (1, 2, 3), (0, 1, 3), (1, 2, 4)
    settings = [dict(zip(explore.field_panel().controls, at)) for at in itertools.product(*values)]
    assert same(asked, "field", settings) == []


def test_all_photographs_are_explained_alike(asked, no_pictures):
    every = itertools.product(range(18), range(1, 17), ("mean", "max"))
    settings = [dict(zip(("rows", "columns", "reduction"), at)) for at in every]
    assert same(asked, "photograph", settings) == []


MUTANTS = [  # a part of the module and another in its place; what says something else then
    ("r === m - 1 ? [q + 2", "r === m - 2 ? [q + 2", "adaptive"), ("n >= m && r <= 1", "n >= m && r <= 2", "adaptive"),
    ("ceil((i + 1) * n, m)", "floor((i + 1) * n, m)", "adaptive"), ("[1, gcd(n, m)]", "[gcd(n, m)]", "adaptive"),
    ("range(1, n + m + 2)", "range(1, n + m)", "adaptive"), ("range(1, n + 2)", "range(1, n + 1)", "adaptive"),
    ("v > size)", "v >= size)", "adaptive"), ("taps.length > 8", "taps.length > 9", "adaptive"),
    ("fixed(n, m) ?? []", "blocked(n, m) ?? []", "adaptive"),
    ("- D * (K - 1) - 1, out", "- D * (K - 1), out", "layer"),
    ("(out - 1) * S >= n + P", "(out - 1) * S > n + P", "layer"), ("2 * P > K && `", "2 * P >= K && `", "layer"),
    ("ceil_mode && 2 * P > K", "ceil_mode && 2 * P >= K", "layer"),
    ("transposed && out < 1", "transposed && out < 0", "layer"),
    ("cells[0] < n - cells.length", "cells[0] <= n - cells.length", "layer"),
    ("t => t > 1)} of", "t => t > 2)} of", "layer"),
    ("2 * half + S - span", "half + S - span", "layer"), ("- n - 2 * P;", "- n - P;", "layer"),
    ("total - floor(total, 2)]", "floor(total, 2)]", "layer"), ("if (over < 0)", "if (over <= 0)", "layer"),
    ("P > span - 1 &&", "P > span &&", "layer"),
    ("odd >= Math.max(S, D)", "odd > Math.max(S, D)", "layer"), ("most = 12)", "most = 11)", "layer"),
    ("read - both(t => t === 1)", "read - both(t => t === 2)", "film"),
    ("more >= Math.max(S", "more > Math.max(S", "film"), ("P + span + more", "P + span", "film"),
    ("0) - x.more]", "0)]", "sizes"), ("x.more >= x.S", "x.more > x.S", "sizes"), ("m <= most)", "m < most)", "sizes"),
    ("[...pads[1], ...pads[0]]", "[...pads[0], ...pads[1]]", "sizes"),
    ("start + out * S)", "start + out * S - S)", "sizes"), ("(m - 1) * S + K - P - n", "(m - 1) * S + K - n", "sizes"),
    ("jumps[i] * S", "jumps[i] + S", "field"),
]


def test_every_mutant_is_noticed(asked, no_pictures):
    adaptive = [dict(input_size=n, output_size=m) for n, m in itertools.product(range(1, 25), repeat=2)]
    some = (1, 2, 3, 5, 9, 10, 24), (1, 2, 3, 4, 11), (1, 2, 3, 8), (0, 1, 2, 3, 6), (1, 2, 4)
    every = itertools.product(*some, (False, True), (False, True))
    chains = [dict(input_size=24, layers=3, kernel_size=3, stride=S, padding=1, dilation=1) for S in (1, 2, 3)]
    films, sizes = films_and_sizes(300)
    sizes += written_sizes()
    grid = {"adaptive": adaptive, "layer": [dict(zip(LAYER, at)) for at in every], "film": films, "sizes": sizes,
            "field": chains}
    missed, ours = [], {kind: [told(kind, values) for values in settings] for kind, settings in grid.items()}
    tell = """return arguments[1].map(values => {
        try { return told(arguments[0], values) } catch (e) { return String(e) } })"""
    try:
        for part, other, kind in MUTANTS:
            assert SOURCE.count(part) == 1, part
            assert asked.execute_async_script(LOAD, SOURCE.replace(part, other)) is None
            if asked.execute_script(tell, kind, grid[kind]) == ours[kind]: missed.append(part)
    finally: asked.execute_async_script(LOAD, SOURCE)
    assert missed == []


@pytest.fixture
def opened(browser, site):
    "The page of the panels, fresh."
    browser.get("about:blank")
    browser.complaints()
    browser.get((site / "use/05_explore.html").as_uri())
    wait(browser, lambda b: b.find_elements(By.CSS_SELECTOR, ".adapool-live[data-ready] .window"))
    return browser


def panels(browser): return browser.find_elements(By.CSS_SELECTOR, ".adapool-live")


def part(panel, css): return panel.find_element(By.CSS_SELECTOR, css)


def field(panel, name, kind="number"):
    label = name if kind == "range" else f"{name}, typed"
    return part(panel, f"input[type={kind}][aria-label='{label}']")


def type_in(panel, name, text):
    typed = field(panel, name)
    typed.send_keys(Keys.CONTROL + "a")
    typed.send_keys(text or Keys.DELETE)
    return part(panel, ".verdict").text


def test_keys_move_picture_words_and_what_a_screen_reader_hears(opened):
    panel = panels(opened)[0]
    slider = field(panel, "output_size", "range")
    before = part(panel, "svg").get_attribute("innerHTML")
    slider.send_keys(Keys.ARROW_LEFT)
    assert "10 → 6" in part(panel, ".formula").text
    assert part(panel, "[role=status]").text.startswith("Exact after a reshape: 10 → 6 is 2 times 5 → 3")
    assert slider.get_attribute("aria-valuetext") == "6: exact after a reshape"
    assert part(panel, "svg").get_attribute("aria-label").startswith("10 input cells with 6 windows")
    assert part(panel, "svg").get_attribute("innerHTML") != before
    slider.send_keys(Keys.HOME)
    assert slider.get_attribute("aria-valuetext") == "1: exact"
    assert field(panel, "output_size").get_attribute("value") == "1"
    assert opened.complaints() == []


@pytest.mark.parametrize("text, words", [
    ("13", "Exact with one padded cell"), ("100", "No ordinary pool: 100 mod 7 = 2"),
    ("5000", "This panel takes input_size up to 1024, got 5000. Such a layer may well exist"),
    ("", "There is no such layer: input_size must be an integer, got nothing."),
    ("abc", "input_size must be an integer"),
    ("-3", "There is no such layer: input_size must be >= 1, got -3."), ("2.5", "input_size must be an integer"),
    ("0", "There is no such layer: input_size must be >= 1, got 0.")])
def test_what_is_typed_is_answered_in_words(opened, text, words):
    panel = panels(opened)[0]
    assert words in type_in(panel, "input_size", text)
    if text == "100": assert "Too large to draw: 100 × 7 cells." in part(panel, ".about").text
    empty = "empty" in part(panel, ".stage").get_attribute("class")
    assert empty == (text != "13") == (part(panel, "svg").get_attribute("innerHTML") == "")
    assert part(panel, "input[type=number]").get_attribute("aria-invalid") == str(text not in ("13", "100")).lower()
    opened.press(part(panel, ".actions button"))
    assert "10 → 7" in part(panel, ".formula").text and "empty" not in part(panel, ".stage").get_attribute("class")


def test_a_kernel_larger_than_the_input_is_answered_in_words(opened):
    panel = panels(opened)[1]
    assert "kernel_size 11 spans 11 cells, got input_size 10" in type_in(panel, "kernel_size", "11")
    assert field(panel, "kernel_size", "range").get_attribute("aria-valuetext") == "11: no such layer"


def test_the_nearest_exact_sizes_are_buttons(opened):
    panel = panels(opened)[0]
    buttons = panel.find_elements(By.CSS_SELECTOR, ".near button")
    assert [b.text for b in buttons] == ["n = 8", "n = 13", "m = 5", "m = 9"]
    opened.press(buttons[1])
    assert "13 → 7" in part(panel, ".formula").text and field(panel, "input_size").get_attribute("value") == "13"
    assert opened.switch_to.active_element.text == panel.find_elements(By.CSS_SELECTOR, ".near button")[1].text
    assert part(panel, ".code code").text == "nn.AvgPool1d(kernel_size=3, stride=2, padding=1, count_include_pad=False)"


LIT = "return [...arguments[0].querySelectorAll('.on')].map(e => e.dataset.side + e.dataset.at)"


def test_a_window_its_cells_and_its_line_light_up_together(opened):
    panel = panels(opened)[0]
    option = panel.find_elements(By.CSS_SELECTOR, "[role=option]")[0]
    opened.execute_script("arguments[0].focus()", option)
    assert sorted(opened.execute_script(LIT, panel)) == ["cell0", "cell0", "cell1", "cell1", "row0", "row0", "unit0"]
    option.send_keys(Keys.ARROW_RIGHT, Keys.ARROW_DOWN)
    assert sorted(opened.execute_script(LIT, panel)) == [
        *("cell2", "cell2", "cell3", "cell3", "cell4", "cell4"), "row2", "row2", "unit2"]
    assert part(panel, ".about").text.startswith("Window 2 = [⌊20/7⌋, ⌈30/7⌉) = [2, 5): 3 cells")
    shared = part(panel, "svg [data-side=cell][data-at='4']")
    opened.point_at(shared)
    assert {"cell4", "row2", "row3", "unit2", "unit3"} == set(opened.execute_script(LIT, panel))
    assert part(panel, ".about").text == "Input cell 4 is read by outputs 2, 3."


def opened_at(browser, panel):
    "How far below the top of the window a panel stands once the page is loaded."
    wait(browser, lambda b: b.execute_script("return document.readyState === 'complete'"))
    return browser.execute_script("return arguments[0].getBoundingClientRect().top", panel)


@pytest.mark.parametrize("link, at, values, note", [
    ("n=13&m=7", 0, "13 → 7", ""), ("n=10&K=4&S=2", 1, "⌊(10 + 2·0 − 4)/2⌋ + 1 = 4", ""),
    ("panel=3&n=4", 2, "(4 − 1)·2", ""),
    ("n=12&m=-5", 0, "12 → 7", "m = -5"),
    ("n=abc&m=3", 0, "10 → 3", "n = abc"), ("n=99999&m=3", 0, "10 → 3", "n = 99999"),
    ("rows=4&columns=4&reduction=mean", 6, "300 → 4", ""),
    ("panel=77&n=3", 0, "10 → 7", ""), ("n=3&q=4", 0, "10 → 7", "")])
def test_a_link_carries_settings(browser, site, link, at, values, note):
    browser.get("about:blank")
    browser.get(f"{(site / 'use/05_explore.html').as_uri()}#{link}")
    wait(browser, lambda b: b.find_elements(By.CSS_SELECTOR, ".adapool-live[data-ready] .window"))
    panel = panels(browser)[at]
    assert values in part(panel, ".formula").text
    top = opened_at(browser, panel)
    assert (at == 0 or "panel=77" in link) or -10 < top < 100, top
    assert not note or f"The link asks for {note}, which makes no sense here" in part(panel, ".about").text


def test_a_link_in_the_page_moves_its_panel_and_a_link_can_be_copied(opened):
    link = opened.find_element(By.PARTIAL_LINK_TEXT, "13 → 7")
    opened.press(link)
    assert "13 → 7" in part(panels(opened)[0], ".formula").text
    copy = part(panels(opened)[2], ".actions button:last-child")
    opened.press(copy)
    assert opened.current_url.endswith("#panel=3&n=5&K=3&S=2&P=0&D=1&ceil_mode=false&transposed=true")


PLACES = """
const parts = '.adapool-live > *, .adapool-live .words > *, .adapool-live .lists > *';
return [...document.querySelectorAll(`article p, article h2, ${parts}`)].filter(e =>
    !e.closest('.adapool-live') || e.matches(parts)).map(e => {
  const r = e.getBoundingClientRect();
  return e.closest('.free') ? '' : [r.top + scrollY, r.height].map(Math.round).join(' '); // a refusal stands alone
})"""
MOVE = "arguments[0].value = arguments[1]; arguments[0].dispatchEvent(new Event('input'))"
WATCH = """window.shift = 0;
document.querySelectorAll('.adapool-live').forEach(e => e.live.timer && e.live.run(false));
const add = list => list.getEntries().forEach(e => { window.shift += e.value });
new PerformanceObserver(add).observe({type: 'layout-shift'})"""
SHIFT = "requestAnimationFrame(() => setTimeout(() => arguments[0](window.shift), 100))"


@pytest.mark.parametrize("width", [1400, 400])
def test_nothing_moves_that_was_not_touched(browser, site, width):
    browser.set_window_size(width, 1000)
    try:
        browser.get((site / "use/05_explore.html").as_uri())
        wait(browser, lambda b: b.find_elements(By.CSS_SELECTOR, ".adapool-live[data-ready] .block"))
        browser.execute_script(WATCH)
        places = browser.execute_script(PLACES)
        for panel in panels(browser):
            for slider in panel.find_elements(By.CSS_SELECTOR, ".control input[type=range]"):
                least, most = (int(slider.get_attribute(end)) for end in ("min", "max"))
                begin = slider.get_attribute("value")
                for value in [*range(least, most + 1), begin]:
                    browser.execute_script(MOVE, slider, value)
                    now = browser.execute_script(PLACES)
                    moved = [(old, new) for old, new in zip(places, now, strict=True) if new not in (old, "")]
                    assert moved == [], (slider.get_attribute("aria-label"), value)
        assert browser.execute_async_script(SHIFT) == 0
    finally: browser.set_window_size(1400, 1000)


ROOM = """
const { live } = arguments[0], parts = [...live.words.children, ...live.lists.children].filter(e => e !== live.lists);
const heights = () => parts.map(e => Math.ceil(e.getBoundingClientRect().height)), kept = heights();
const most = parts.map(() => 0);
for (const e of [live.lists, ...parts]) e.style.minHeight = '';
for (const values of arguments[1]) {
  live.say(live.answer(values));
  heights().forEach((h, i) => { most[i] = Math.max(most[i], h); });
}
return [kept, most]"""


@pytest.mark.parametrize("width", [1400, 400])
def test_words_have_the_room_that_they_need_and_no_more(browser, site, width, no_pictures):
    browser.set_window_size(width, 1000)
    try:
        browser.get((site / "use/05_explore.html").as_uri())
        wait(browser, lambda b: b.find_elements(By.CSS_SELECTOR, ".adapool-live[data-ready] .block"))
        pools = [dict(input_size=n, output_size=m) for n, m in itertools.product(range(1, 25), repeat=2)]
        kept, most = browser.execute_script(ROOM, panels(browser)[0], pools)
        assert kept == most
        rng = random.Random(0)
        layers = [dict(zip(LAYER, map(rng.choice, RANGES))) for _ in range(600)]
        layers = [values for values in layers if explore.explain_layer(**values).formula]
        kept, most = browser.execute_script(ROOM, panels(browser)[1], layers)
        assert all(m <= k <= m + 45 for k, m in zip(kept, most, strict=True)), (kept, most)
    finally: browser.set_window_size(1400, 1000)


TYPED = """
const [panel, numbers] = arguments, { live } = panel, before = panel.offsetHeight, moved = [];
for (const c of live.controls.filter(c => c.most)) for (const v of numbers) {
  live.set({ [c.name]: Array.isArray(c.value) && v ? [v, v] : v });
  if (Math.abs(panel.offsetHeight - before) > 1) moved.push([c.name, v, panel.offsetHeight - before]);
  live.set(live.opening);
}
return moved"""


@pytest.mark.parametrize("where", ["use/05_explore", "learn/01_sizes", "learn/02_windows"])
def test_what_is_typed_leaves_a_panel_as_tall_as_it_was(browser, site, where):
    browser.get((site / f"{where}.html").as_uri())
    wait(browser, lambda b: b.find_elements(By.CSS_SELECTOR, ".adapool-live[data-ready]"))
    for panel in panels(browser):
        moved = browser.execute_script(TYPED, panel, ["", 1, 2, 3, 60, 300, 1000, 5000, 1e9])
        assert moved == [], panel.get_attribute("aria-label")


def test_what_can_be_used_has_a_name_and_one_part_speaks(opened):
    nameless = """return [...document.querySelectorAll('.adapool-live :is(input, button, svg[role=img])')].filter(e =>
        !(e.ariaLabel || e.textContent.trim() || e.closest('label')?.textContent.trim())).map(e => e.outerHTML)"""
    assert opened.execute_script(nameless) == []
    radios = opened.find_elements(By.CSS_SELECTOR, ".adapool-live input[type=radio]")
    assert len(radios) == 3 and len({radio.get_attribute("name") for radio in radios}) == 1
    assert all(len(p.find_elements(By.CSS_SELECTOR, "[role=status]")) == 1 for p in panels(opened))


def test_without_scripts_the_still_and_the_words_remain(browser, site):
    browser.execute_cdp_cmd("Emulation.setScriptExecutionDisabled", {"value": True})
    try:
        browser.get((site / "use/05_explore.html").as_uri())
        panel = panels(browser)[0]
        assert "No ordinary pool: 10 mod 7 = 3" in panel.text and "[4, 6)" in panel.text
        assert part(panel, "img").is_displayed() and part(panel, "img").size["width"] > 300
    finally: browser.execute_cdp_cmd("Emulation.setScriptExecutionDisabled", {"value": False})


def test_a_phone_shows_a_picture_that_can_be_read(browser, site):
    phone = dict(width=390, height=844, deviceScaleFactor=2, mobile=True)
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", phone)
    try:
        browser.get((site / "use/05_explore.html").as_uri())
        wait(browser, lambda b: b.find_elements(By.CSS_SELECTOR, ".adapool-live[data-ready] .window"))
        letters = browser.execute_script("""return [...document.querySelectorAll('.adapool-live svg text')].map(e =>
            e.getBoundingClientRect().height)""")
        assert len(letters) > 40 and min(letters) >= 10
        assert browser.execute_script("return document.documentElement.scrollWidth") <= 390
    finally: browser.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})


STOPWATCH = """
window.took = [];
window.watched ??= addEventListener('keydown', () => {
  const start = performance.now();
  requestAnimationFrame(() => { const wire = new MessageChannel();
    wire.port1.onmessage = () => window.took.push(performance.now() - start); wire.port2.postMessage(0); });
}, true) ?? true"""


def key_to_picture(browser, panel, name, where):
    "Print how long it takes from a key to the picture that it makes: the milliseconds of 24 keys."
    browser.execute_script(STOPWATCH)
    slider = field(panel, name, "range")
    for key in [Keys.ARROW_RIGHT] * 12 + [Keys.ARROW_LEFT] * 12: slider.send_keys(key)
    took = wait(browser, lambda b: b.execute_script("return window.took.length === 24 && window.took"))
    print(f"\nkey to picture, {where}, {name}: median {statistics.median(took):.0f} ms, slowest {max(took):.0f} ms")


def test_how_long_a_key_takes_in_the_page(opened):
    key_to_picture(opened, panels(opened)[0], "input_size", "in the page")
    key_to_picture(opened, panels(opened)[1], "kernel_size", "in the page")


def test_a_film_plays_goes_step_by_step_and_holds_for_those_who_ask(browser, site):
    for motion in ("no-preference", "reduce"):
        asked = {"features": [{"name": "prefers-reduced-motion", "value": motion}]}
        browser.execute_cdp_cmd("Emulation.setEmulatedMedia", asked)
        browser.get((site / "use/05_explore.html").as_uri())
        wait(browser, lambda b: b.find_elements(By.CSS_SELECTOR, ".adapool-live[data-ready] .transport"))
        film = next(p for p in panels(browser) if p.find_elements(By.CSS_SELECTOR, ".transport"))
        browser.execute_script("arguments[0].scrollIntoView({block: 'center', behavior: 'instant'})", film)
        place = part(film, ".transport input")
        if motion == "reduce":
            later = "setTimeout(() => arguments[1](arguments[0].value), 1500)"
            assert browser.execute_async_script(later, place) == "0"
            assert part(film, ".transport button:nth-child(2)").text == "play"
            continue
        wait(browser, lambda b, place=place: int(place.get_attribute("value")) > 1)
        browser.press(part(film, ".transport button:nth-child(2)"))
        place.send_keys(Keys.HOME, Keys.ARROW_RIGHT)
        assert part(film, ".about").text == "Output (0, 1) reads rows 0, 1 and columns 1, 2, 3, and padding."
        assert part(film, ".transport button:nth-child(2)").text == "play"
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": []})


def test_the_calculator_answers_and_its_way_back_fills_the_fields_in(opened):
    panel = next(p for p in panels(opened) if p.find_elements(By.CSS_SELECTOR, ".verdict.sizes"))
    assert part(panel, ".verdict").text == "224 → 112"
    assert [c.text for c in panel.find_elements(By.CSS_SELECTOR, ".code code")] == [
        "nn.Conv2d(c_in, c_out, 7, stride=2, padding=3)", "Sequential([ZeroPadding2D(3), Conv2D(c_out, 7, strides=2)])",
        "nn.Sequential(nn.ZeroPad2d((2, 3, 2, 3)), nn.Conv2d(c_in, c_out, 7, padding=0, stride=2))"]
    typed = part(panel, "input[aria-label=input_size]")
    typed.send_keys(Keys.CONTROL + "a")
    typed.send_keys("224, 160")
    assert part(panel, ".verdict").text == "224 × 160 → 112 × 80"
    typed.send_keys(Keys.CONTROL + "a")
    typed.send_keys("224")
    opened.press(part(panel, ".near button"))
    assert part(panel, ".verdict").text == "224 → 56"


@pytest.fixture(scope="module")
def explorer(browser, lab):
    "use/05_explore in JupyterLab, trusted; none of its cells is run."
    open_notebook(browser, lab, "use/05_explore.ipynb")
    first = cell(browser, "explore.adaptive_panel()")
    assert not first.find_elements(By.CSS_SELECTOR, "[data-ready]")
    return browser


def test_an_untrusted_notebook_shows_the_still_and_the_words(explorer):
    first = cell(explorer, "explore.adaptive_panel()")
    assert "No ordinary pool: 10 mod 7 = 3" in first.text and not first.find_elements(By.CSS_SELECTOR, "input")
    picture = part(first, ".jp-OutputArea-output img")
    assert explorer.execute_script("return arguments[0].naturalWidth", picture) > 300


def test_a_trusted_notebook_is_alive_without_a_kernel_that_ran_anything(explorer):
    explorer.execute_script("""const nb = jupyterapp.shell.currentWidget;
        nb.context.model.cells && [...nb.context.model.cells].forEach(cell => { cell.trusted = true; })""")
    def live(b): return cell(b, "explore.layer_panel(5, 3, 2").find_elements(By.CSS_SELECTOR, "[data-ready] .window")
    wait(explorer, live)
    panel = part(cell(explorer, "explore.adaptive_panel()"), ".adapool-live")
    slider = field(panel, "output_size", "range")
    explorer.execute_script("arguments[0].focus()", slider)
    slider.send_keys(Keys.ARROW_LEFT)
    assert "10 → 6" in part(panel, ".formula").text and not panel.find_elements(By.CSS_SELECTOR, "img")
    counts = "return [...jupyterapp.shell.currentWidget.context.model.cells].map(c => c.executionCount).filter(Boolean)"
    assert explorer.execute_script(counts) == []
    key_to_picture(explorer, panel, "input_size", "in JupyterLab")
    assert type_in(panel, "input_size", "11").startswith("Exact with one padded cell")


def test_a_panel_that_is_run_is_alive(explorer):
    cell(explorer, "explore.photograph_panel(reduction=")
    command(explorer, "notebook:run-cell")
    wait(explorer, lambda b: b.execute_script(IDLE))
    wait(explorer, lambda b: cell(b, "explore.photograph_panel(reduction=").find_elements(By.CSS_SELECTOR, ".block"))


def frames(browser, film, changes):
    "Wait until a film has shown `changes` other pictures than the one that it shows now."
    def picture(b): return film(b).find_element(By.TAG_NAME, "img").get_attribute("src")
    seen = {picture(browser)}
    wait(browser, lambda b: seen.add(picture(b)) or len(seen) > changes)


def play_and_hold(browser, film):
    "A film plays by itself, and stops at its button."
    frames(browser, film, 2)
    button = film(browser).find_element(By.TAG_NAME, "button")
    browser.press(button)
    assert button.text == "play"


def test_a_film_plays_on_the_site(browser, site):
    browser.get((site / "use/06_plot.html").as_uri())
    def film(b): return b.find_element(By.CSS_SELECTOR, "figure.adapool-film[data-ready]")
    play_and_hold(browser, film)
    slider = film(browser).find_element(By.CSS_SELECTOR, "input[type=range]")
    for key, words in ((Keys.HOME, "1 of "), (Keys.ARROW_RIGHT, "2 of ")):
        slider.send_keys(key)
        assert film(browser).find_element(By.TAG_NAME, "span").text.startswith(words)


def test_a_film_plays_in_jupyterlab(browser, lab):
    source = "animate(plot.sliding_2d, 7, kernel_size=3, stride=3"
    open_notebook(browser, lab, "use/06_plot.ipynb")
    cell(browser, source)
    command(browser, "notebook:run-all-above")
    command(browser, "notebook:run-cell")
    wait(browser, lambda b: cell(b, source).find_elements(By.CSS_SELECTOR, ".adapool-film[data-ready]"))
    play_and_hold(browser, lambda b: cell(b, source).find_element(By.CSS_SELECTOR, ".adapool-film[data-ready]"))
