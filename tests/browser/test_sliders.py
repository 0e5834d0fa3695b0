"The panels of sliders in JupyterLab: moved by keys, typed into, asked for what makes no sense; films that play."

import pytest
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys
from test_lab import IDLE, cell, command, open_notebook, wait


@pytest.fixture(scope="module")
def explorer(browser, lab):
    "use/05_explore, run down to the photograph."
    open_notebook(browser, lab, "use/05_explore.ipynb")
    still = cell(browser, "photograph_panel(reduction=")
    assert not still.find_elements(By.CSS_SELECTOR, ".adapool-picture")
    assert still.find_elements(By.CSS_SELECTOR, ".jp-OutputArea-output img")
    command(browser, "notebook:run-all-above")
    command(browser, "notebook:run-cell")
    wait(browser, lambda b: b.execute_script(IDLE))
    return browser


def panel(browser, source):
    "The live panel that the cell with `source` shows."
    def live(b): return cell(b, source).find_elements(By.CSS_SELECTOR, ".adapool-controls .noUi-handle")
    wait(browser, live)
    return cell(browser, source)


def shown(panel):
    "`(formula, message, picture)` of a panel, the picture as where it comes from and its size in the page."
    formula, message = (panel.find_element(By.CSS_SELECTOR, f".adapool-{kind}").text for kind in ("formula", "message"))
    pictures = panel.find_elements(By.CSS_SELECTOR, ".adapool-picture img")
    return formula, message, pictures[0].get_attribute("src") if pictures else None


def press(browser, source, label, *keys):
    "Press keys on the handle of a slider, and return what the panel shows before and after."
    found = panel(browser, source)
    before = shown(found)
    slider = next(s for s in found.find_elements(By.CSS_SELECTOR, ".widget-slider") if label in s.text)
    handle = slider.find_element(By.CSS_SELECTOR, ".noUi-handle")
    browser.execute_script("arguments[0].focus()", handle)
    for key in keys: handle.send_keys(key)
    wait(browser, lambda b: shown(panel(b, source)) != before)
    wait(browser, lambda b: b.execute_script(IDLE))
    return before, wait(browser, lambda b: shown(panel(b, source)))


def test_a_key_moves_picture_and_formula(explorer):
    before, after = press(explorer, "adaptive_panel()", "output_size", Keys.ARROW_LEFT)
    assert "10 → 7" in before[0] and "10 → 6" in after[0]
    assert before[1].startswith("No ordinary pool: 10 mod 7 = 3")
    assert after[1].startswith("Exact after a reshape: 10 → 6 is 2 times 5 → 3")
    assert before[2] != after[2] and after[2].startswith("data:image/png;base64,")


def test_the_picture_is_described_and_fits(explorer):
    picture = panel(explorer, "adaptive_panel()").find_element(By.CSS_SELECTOR, ".adapool-picture img")
    assert "input cells with" in picture.get_attribute("alt")
    size = "const i = arguments[0]; return [i.naturalWidth, i.clientWidth, i.parentNode.clientWidth]"
    natural, width, room = explorer.execute_script(size, picture)
    assert natural > width > 300 and width <= room


def test_a_photograph_is_pooled(explorer):
    before, after = press(explorer, "photograph_panel(reduction=", "rows", Keys.ARROW_RIGHT)
    assert "300 → 5" in before[0] and "300 → 6" in after[0] and before[2] != after[2]


def test_nonsense_is_answered_in_words(explorer):
    source = "layer_panel(5, 3, 2, transposed=True)"
    before, _ = press(explorer, source, "padding", *[Keys.ARROW_RIGHT] * 6)
    words = "There is no such layer: padding 6 removes everything"
    wait(explorer, lambda b: shown(panel(b, source))[1].startswith(words))
    formula, _, picture = shown(panel(explorer, source))
    assert before[2] and (formula, picture) == ("", None)


def test_a_number_is_typed(explorer):
    found = panel(explorer, "adaptive_panel()")
    readout = next(s for s in found.find_elements(By.CSS_SELECTOR, ".widget-slider") if "input_size" in s.text)
    readout = readout.find_element(By.CSS_SELECTOR, ".widget-readout")
    readout.click()
    explorer.execute_script("document.getSelection().selectAllChildren(arguments[0])", readout)
    readout.send_keys("13", Keys.ENTER)
    wait(explorer, lambda b: "13 → 6" in shown(panel(b, "adaptive_panel()"))[0])


def frames(browser, film, changes):
    "Wait until a film has shown `changes` other pictures than the one that it shows now."
    def picture(b): return film(b).find_element(By.TAG_NAME, "img").get_attribute("src")
    seen = {picture(browser)}
    wait(browser, lambda b: seen.add(picture(b)) or len(seen) > changes)


def play_and_hold(browser, film):
    "A film plays by itself, and stops at its button."
    frames(browser, film, 2)
    button = film(browser).find_element(By.TAG_NAME, "button")
    browser.execute_script("arguments[0].scrollIntoView({block: 'center', behavior: 'instant'})", button)
    button.click()
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
