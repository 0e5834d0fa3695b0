"The site, opened as files: whole, by itself, readable, and searchable."

import re
from pathlib import Path
from urllib.parse import quote, unquote, urlsplit

import pytest
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.support.ui import WebDriverWait

ROOT = Path(__file__).resolve().parents[2]
# What a page shows as text, outside of code that is meant to be read as it stands.
SHOWN = """const page = document.querySelector('article').cloneNode(true);
page.querySelectorAll('.cell_input, .highlight-markdown, code, script, style, mjx-container').forEach(e => e.remove());
return page.textContent"""
RAW = r"\|[ \t]*:?-{3,}:?[ \t]*(?=\||$)|^[ \t]*\|.*\|[ \t]*$"  # a table's rule, or a row of one
TYPESET = "const done = arguments[0]; window.MathJax ? MathJax.startup.promise.then(() => done(true)) : done(false)"


AXE = next(ROOT.glob(".venv/axe-core@*/node_modules/axe-core/axe.min.js")).read_text(encoding="utf-8")
ASK_AXE = """const [rules, done] = arguments, only = rules ? {runOnly: rules} : {};
axe.run(document, {resultTypes: ['violations'], ...only}).then(found => done(found.violations.flatMap(v =>
    v.nodes.slice(0, 3).map(node => [v.id, v.help, node.target.join(' '), node.failureSummary].join(' | ')))))"""


@pytest.fixture
def opened(browser, site, page):
    "The browser with a page of the site in it, its formulas set."
    browser.get("about:blank")
    browser.complaints(), browser.requests()
    browser.get((site / page).as_uri())
    browser.execute_async_script(TYPESET)
    return browser


def test_a_page_loads_by_itself(opened, site):
    asked, failed = opened.requests()
    assert failed == []
    assert opened.complaints() == []
    foreign = [url for url in asked if not url.startswith((site.as_uri(), "data:", "about:"))]
    assert len(asked) > 3 and foreign == []


def test_formulas_are_set_and_pictures_are_there(opened):
    assert opened.find_elements(By.CSS_SELECTOR, "mjx-merror, [data-mjx-error]") == []
    formulas, typeset = (len(opened.find_elements(By.CSS_SELECTOR, css)) for css in (".math", ".math mjx-container"))
    assert formulas == typeset
    for picture in opened.find_elements(By.CSS_SELECTOR, "article img"):
        width = opened.execute_script("return arguments[0].loading = 'eager', arguments[0].naturalWidth", picture)
        assert width > 0, picture.get_attribute("src")
        assert len(picture.get_attribute("alt")) > 40, picture.get_attribute("src")


def test_a_table_is_a_table(opened):
    assert re.findall(RAW, opened.execute_script(SHOWN), re.MULTILINE) == []


@pytest.mark.parametrize("theme, rules", [("light", None), ("dark", ["color-contrast"])])
def test_axe_finds_no_violation(opened, theme, rules):
    "WCAG 2.2 A and AA, and axe-core's best practices, with all that is folded unfolded."
    opened.execute_script("document.body.dataset.theme = arguments[0]", theme)
    opened.execute_script("document.querySelectorAll('details').forEach(d => d.open = true)")
    opened.execute_script(AXE)
    assert opened.execute_async_script(ASK_AXE, rules) == []


@pytest.mark.parametrize("width", [1400, 400])
def test_a_page_is_no_wider_than_its_window(opened, width):
    opened.set_window_size(width, 1000)
    page = "document.documentElement"
    try: assert opened.execute_script(f"return {page}.scrollWidth - {page}.clientWidth") <= 0
    finally: opened.set_window_size(1400, 1000)


LEARNERS = [path.relative_to(ROOT / "_build/site").as_posix() for path in sorted(ROOT.glob("_build/site/learn/*.html"))]
# Of the height of a page as it opens, the part that is code; and the lines of code and output that are cut.
MEASURED = """const page = document.querySelector('article'), height = e => e.getBoundingClientRect().height;
const cells = [...page.querySelectorAll('div.cell_input')].filter(e => e.checkVisibility());
const boxes = [...page.querySelectorAll('.cell_input pre, .cell_output pre')].filter(e => e.checkVisibility());
return [cells.reduce((sum, e) => sum + height(e), 0) / height(page),
        boxes.filter(e => e.scrollWidth > e.clientWidth).map(e => e.textContent.slice(0, 80))]"""


@pytest.mark.parametrize("lesson", LEARNERS)
def test_code_is_a_small_part_of_a_lesson_and_none_of_it_is_cut(browser, site, lesson):
    browser.set_window_size(1280, 1000)
    try:
        browser.get((site / lesson).as_uri())
        browser.execute_async_script(TYPESET)
        code, cut = browser.execute_script(MEASURED)
    finally: browser.set_window_size(1400, 1000)
    assert cut == [] and code <= 0.15, f"{code:.0%} of {lesson} is code"


def test_a_table_on_a_phone_keeps_its_headings(browser, site):
    browser.set_window_size(400, 1000)
    try:
        browser.get((site / "learn/06_cheat_sheet.html").as_uri())
        heads, labels, fits = browser.execute_script("""
            const table = document.querySelector('#error-messages-of-pytorch table');
            const cells = [...table.querySelectorAll('tbody tr:first-child td')];
            return [getComputedStyle(table.tHead).display, cells.map(e => getComputedStyle(e, '::before').content),
                    cells.every(e => e.getBoundingClientRect().left < 60)]""")
    finally: browser.set_window_size(1400, 1000)
    assert (heads, labels, fits) == ("none", ["none", '"what is wrong"', '"what helps"'], True)


def anchors(path):
    "What a page can be asked to show."
    return set(re.findall(r'\bid="([^"]+)"', path.read_text(encoding="utf-8")))


def test_links_lead_somewhere(opened, site, page):
    here = site / page
    for link in opened.execute_script("return [...document.querySelectorAll('a[href]')].map(a => a.href)"):
        parts = urlsplit(link)
        if parts.scheme != "file": continue
        target = Path(unquote(parts.path))
        assert target.is_file(), f"{page} links to {link}"
        if "=" in parts.fragment: continue  # the settings of a panel
        if parts.fragment and target.suffix == ".html": assert parts.fragment in anchors(target), f"{page}: {link}"
    assert here.is_file()


def test_search_finds_remainder(browser, site):
    browser.get((site / "index.html").as_uri())
    browser.find_element(By.CSS_SELECTOR, "input[name=q]").send_keys("remainder", Keys.ENTER)
    found = WebDriverWait(browser, 20).until(lambda b: b.find_elements(By.CSS_SELECTOR, "#search-results li a"))
    headings = ["Remainder m − 1: one cell of padding", "Remainder 1: equal windows, one cell shared"]
    assert [link.text for link in found[:2]] == headings
    assert browser.complaints() == []
    browser.press(found[1])
    assert browser.current_url.endswith("windows.html#remainder-1-equal-windows-one-cell-shared")


@pytest.mark.parametrize("words, section", [
    ("not factor of input size", "use/03_export.html#"), ("layer4", "learn/04_networks.html#"),
    ("same padding stride", "learn/01_sizes.html#"), ("Equinox", "learn/02_windows.html#"),
    ("global average pooling", "learn/03_pools.html#"), ("mps divisible", "use/01_torch.html#"),
    ("receptive field resnet50", "learn/04_networks.html#how-far-an-output-sees"),
    ("upsampling", "learn/02_windows.html#up-sampling"),
    ("RuntimeError: Given input size: (512x1x1). Calculated output size: (512x0x0). Output size is too small",
     "learn/04_networks.html#output-size-is-too-small"),
    ("Expected more than 1 value per channel when training, got input size torch.Size([1, 8, 1, 1])",
     "learn/06_cheat_sheet.html#error-messages-of-pytorch:~:text=Expected%20more%20than%201%20value%20per%20channel")])
def test_search_leads_to_the_section(browser, site, words, section):
    browser.get((site / "search.html").as_uri() + f"?q={quote(words)}")
    found = WebDriverWait(browser, 20).until(lambda b: b.find_elements(By.CSS_SELECTOR, "#search-results li a"))
    assert section in found[0].get_attribute("href")


def test_search_marks_the_words_and_says_which_nobody_has(browser, site):
    browser.get((site / "search.html").as_uri() + "?q=xyzzyx+ceil_mode")
    marks = WebDriverWait(browser, 20).until(lambda b: b.find_elements(By.CSS_SELECTOR, "#search-results li mark"))
    assert marks[0].text == "ceil_mode"
    said = browser.find_element(By.CSS_SELECTOR, "#search-results p").text
    assert said.endswith("Nowhere here: xyzzyx.")


def test_inner_rooms_stand_in_a_group_of_their_own(browser, site):
    browser.get((site / "index.html").as_uri())
    groups = browser.execute_script("""
        return [...document.querySelectorAll('.sidebar-tree .caption-text')].map(caption =>
        [caption.textContent, [...caption.closest('p').nextElementSibling.querySelectorAll('a')].map(a => a.href)])""")
    assert [name for name, _ in groups] == ["Learn", "Use", "Inside"]
    rooms = {path.as_uri() for path in site.glob("inside/*/[0-9i]*.html")}
    assert rooms < {*groups[2][1]} and len(rooms) > 40
    assert rooms.isdisjoint(groups[0][1] + groups[1][1])


def test_nothing_is_found_where_nothing_is(browser, site):
    browser.get((site / "search.html").as_uri() + "?q=xyzzyx")
    WebDriverWait(browser, 20).until(lambda b: "did not match any" in b.find_element(By.ID, "search-results").text)
    assert browser.find_elements(By.CSS_SELECTOR, "#search-results li a") == []


def test_the_button_turns_the_lights_off(browser, site):
    browser.get((site / "learn/02_windows.html").as_uri())
    seen = set()
    for _ in range(3):
        buttons = browser.find_elements(By.CSS_SELECTOR, "button.theme-toggle")
        browser.press(next(button for button in buttons if button.is_displayed()))
        seen.add(browser.execute_script("return getComputedStyle(document.body).backgroundColor"))
        paper = "return getComputedStyle(document.querySelector('article img')).backgroundColor"
        assert browser.execute_script(paper) == "rgb(255, 255, 255)"
    assert len(seen) == 2


def test_a_solution_is_folded_and_opens(browser, site):
    browser.get((site / "learn/01_sizes.html").as_uri())
    browser.execute_async_script(TYPESET)
    solution = browser.find_element(By.CSS_SELECTOR, "#exercises details")
    assert not solution.find_element(By.CSS_SELECTOR, "pre").is_displayed()
    summary = solution.find_element(By.CSS_SELECTOR, "summary")
    browser.press(summary)
    assert solution.find_element(By.CSS_SELECTOR, "pre").text == "answer = 15"


def test_every_function_has_its_signature_and_parameters(browser, site):
    browser.get((site / "api/arithmetic.html").as_uri())
    text = browser.find_element(By.ID, "conv-output-size").text
    assert "conv_output_size(input_size, kernel_size, stride=1, padding=0, dilation=1)" in text
    assert 'int or (before, after) pair, or one per axis; "same"' in text


def test_the_site_is_small(site):
    assert sum(p.stat().st_size for p in site.rglob("*") if p.is_file()) < 15e6
