"""The page of a report as a reader has it: figures, the slider, the keyboard, narrow screens."""

import re

import numpy as np
import pytest

from minilora.adapters import LowRankUpdate
from minilora.analysis import compare_adapters, inspect_updates
from minilora.analysis.report_html import report_page

pytestmark = pytest.mark.browser

VALUES = {"query": [8, 4, 2, 1], "value": [5, 1, 0.1, 0.1]}
FIGURES = ("map", "energy", "spectrum", "spectra", "amplification", "weights", "phi", "cosines")


def an_adapter(rng, size=1.0):
    def update(path, values):
        U, V = (np.linalg.qr(rng.standard_normal((d, len(values))))[0] for d in (40, 48))
        return LowRankUpdate(path, size * U * np.array(values), V.T.copy(), 1.0)

    return [
        update(f"encoder.layer.{i}.attention.{kind}", values)
        for i in range(3)
        for kind, values in VALUES.items()
    ]


class Page:
    """An open page: what it shows, and ways to change it."""

    def __init__(self, browser):
        self.browser = browser

    def run(self, script, *arguments):
        return self.browser.execute_script(script, *arguments)

    def text(self, name):
        return self.run("return document.getElementById(arguments[0]).textContent", name)

    def drawn(self, name):
        """What a figure consists of."""
        return self.run("return document.getElementById(arguments[0]).innerHTML", name)

    def pictures(self):
        return self.run(
            "return [...document.querySelectorAll('#pictures canvas')].map(c => c.toDataURL())"
        )

    def press(self, name, *keys):
        self.browser.find_element("id", name).send_keys(*keys)

    def choose(self, name, value):
        self.run(
            "const e = document.getElementById(arguments[0]); e.value = arguments[1];"
            "e.dispatchEvent(new Event('change'))",
            *(name, value),
        )

    def errors(self):
        return [entry["message"] for entry in self.browser.get_log("browser")]

    def resize(self, width):
        metrics = {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": False}
        self.browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)
        self.browser.execute_async_script("requestAnimationFrame(() => setTimeout(arguments[0]))")


@pytest.fixture
def show(browser, tmp_path):
    """show(html): open a page, 1400 pixels wide."""

    def show(html):
        (tmp_path / "page.html").write_text(html, encoding="utf-8")
        page = Page(browser)
        page.errors()  # those of the page before
        page.resize(1400)
        browser.get((tmp_path / "page.html").as_uri())
        page.resize(1400)  # waits until all is drawn
        return page

    return show


@pytest.fixture
def page(show, rng):
    adapter, other = an_adapter(rng), an_adapter(rng)[:4]
    base = {f"{u.path}.weight": rng.standard_normal((40, 48)) for u in adapter}
    report = inspect_updates(adapter, base=base, adapter="runs/ner")
    comparison = compare_adapters(adapter, other)
    return show(report_page(report, adapter, comparison=comparison, other="runs/other"))


def test_nothing_goes_wrong(page):
    from selenium.webdriver import Keys

    page.press("rank", Keys.HOME, Keys.ARROW_RIGHT)
    for layer in (5, 1):
        page.choose("layer", layer)
    for measure in ("frobenius", "amplification", "intruders"):
        page.choose("measure", measure)
    assert page.errors() == []


def test_every_figure_says_what_it_shows(page):
    for name in FIGURES:
        labels = page.run(
            "return [...document.querySelectorAll(`#${arguments[0]} svg`)]"
            ".map(s => s.getAttribute('role') + ': ' + s.getAttribute('aria-label'))",
            name,
        )
        assert labels
        for label in labels:
            assert re.fullmatch(r"img: .{20,}\.", label)
            assert not re.search("NaN|undefined|null", label)


def test_the_slider_changes_figures_and_numbers(page):
    from selenium.webdriver import Keys

    changing = ("energy", "spectrum", "spectra", "numbers", "every", "summary", "command")
    before = {name: page.drawn(name) for name in changing}, page.pictures()
    page.press("rank", Keys.ARROW_LEFT, Keys.ARROW_LEFT)
    assert page.text("rank-value") == "2"
    for name in changing:
        assert page.drawn(name) != before[0][name], name
    whole, cut, lost = page.pictures()
    assert whole == before[1][0]
    assert cut != before[1][1]
    assert lost != before[1][2]


def test_the_numbers_are_those_of_the_cut_update(page):
    from selenium.webdriver import Keys

    page.press("rank", Keys.HOME, Keys.ARROW_RIGHT)
    rows = page.run(
        "return [...document.querySelectorAll('#numbers tbody tr')]"
        ".map(r => [...r.cells].map(c => c.textContent))"
    )
    q, v = (np.square(VALUES[kind]) for kind in ("query", "value"))
    kept = (q[:2].sum() / q.sum(), (q[:2].sum() + v[:2].sum()) / (q.sum() + v.sum()))
    for row, share, parameters in zip(rows, kept, ("176", "1,056"), strict=True):
        assert row[1] == f"{share:.2%}".replace("%", " %")
        assert float(row[2]) == pytest.approx(np.sqrt(1 - share), rel=5e-3)
        assert row[3] == parameters
    assert rows[1][4] == "8.45 kB"


def test_pictures_are_the_truncated_update(page):
    from selenium.webdriver import Keys

    page.press("rank", Keys.END)
    whole, cut, lost = page.pictures()
    assert whole == cut
    blank = "const c = document.createElement('canvas'); c.width = c.height = 32;"
    assert lost == page.run(f"{blank} return c.toDataURL()")


def test_the_command_is_the_one_that_writes_this_adapter(page):
    from selenium.webdriver import Keys

    page.press("rank", Keys.HOME)
    assert page.text("command") == "minilora resize runs/ner --rank 1 --out runs/ner-r1"


@pytest.mark.parametrize("name", ["map", "spectra"])
def test_a_click_chooses_a_layer(page, name):
    before = page.drawn("spectrum")
    page.run(
        "document.querySelector(`#${arguments[0]} rect:nth-of-type(2)`)"
        ".dispatchEvent(new MouseEvent('click'))",
        name,
    )
    assert page.run("return document.getElementById('layer').value") == "1"
    assert page.drawn("spectrum") != before


def test_a_layer_that_the_other_adapter_lacks_is_said_to_be_missing(page):
    assert "what is written" in page.text("phi-other")
    page.choose("layer", 5)
    assert page.text("phi-other") == "The other adapter does not have this layer."


@pytest.mark.parametrize("width", [360, 1400])
def test_nothing_is_wider_than_the_screen(page, width):
    page.resize(width)
    assert page.run("return document.documentElement.scrollWidth") <= width
    svgs = page.run("return [...document.querySelectorAll('svg')].map(s => s.clientWidth)")
    assert max(svgs) < width


@pytest.mark.parametrize("width", [360, 1400])
def test_every_figure_is_drawn_in_the_size_it_is_shown(page, width):
    page.resize(width)
    scales = page.run(
        "return [...document.querySelectorAll('svg')]"
        ".map(s => s.clientWidth / s.viewBox.baseVal.width)"
    )
    assert len(scales) == len(FIGURES) + 3  # of φ there are two, beside W and the other adapter
    np.testing.assert_allclose(scales, 1, atol=0.01)


def test_figures_are_drawn_again_for_another_width(page):
    page.resize(360)
    narrow = page.run("return document.querySelector('#energy svg').clientWidth")
    page.resize(1400)
    assert page.run("return document.querySelector('#energy svg').clientWidth") > 1.5 * narrow


@pytest.mark.parametrize("size", [0.0, 1e-9, 1e9])
def test_updates_of_any_size_can_be_shown(show, rng, size):
    adapter = an_adapter(rng, size)
    base = {f"{u.path}.weight": rng.standard_normal((40, 48)) for u in adapter}
    page = show(report_page(inspect_updates(adapter, base=base), adapter))
    page.press("rank", "\ue012")
    assert page.errors() == []
    assert not re.search("NaN|undefined", page.run("return document.body.innerText"))


def test_an_adapter_without_a_base_can_be_shown(show, rng):
    adapter = [LowRankUpdate("pooler", rng.standard_normal((6, 1)), np.ones((1, 5)), 1.0)]
    page = show(report_page(inspect_updates(adapter), adapter))
    assert page.errors() == []
    assert "With the model that it was trained on" in page.run("return document.body.innerText")
    assert "amplification" not in page.drawn("measure")
