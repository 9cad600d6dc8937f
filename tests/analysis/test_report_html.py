import json
from html.parser import HTMLParser

import pytest

from minilora.analysis import compare_adapters, inspect_updates
from minilora.analysis.report_html import report_page


class Page(HTMLParser):
    """Tags of a page with their attributes, and the text of each script."""

    def __init__(self, html):
        super().__init__()
        self.tags, self.scripts, self.in_script = [], [], False
        self.feed(html)

    def handle_starttag(self, tag, attributes):
        self.tags.append((tag, dict(attributes)))
        self.in_script = tag == "script"

    def handle_endtag(self, tag):
        self.in_script = False

    def handle_data(self, text):
        if self.in_script:
            self.scripts.append(text)

    @property
    def hidden_headings(self):
        return sum("hidden" in attributes for tag, attributes in self.tags if tag == "section")


def page_of(adapter, base=None, name="runs/ner", **options):
    return report_page(inspect_updates(adapter, base=base, adapter=name), adapter, **options)


def test_a_page_needs_nothing_else(adapter, base):
    html = page_of(adapter, base)
    for _, attributes in Page(html).tags:
        assert attributes.get("src") is None
        assert attributes.get("href", "data:").startswith("data:")
    assert "default-src 'none'" in html
    assert "@import" not in html
    assert "url(" not in html


def test_a_page_is_small(adapter, base):
    assert len(page_of(adapter, base).encode()) < 80_000


def test_the_data_of_a_page_can_be_read(adapter, base):
    data = json.loads(Page(page_of(adapter, base)).scripts[0])
    assert data["adapter"] == "runs/ner"
    assert len(data["layers"]) == 4


def test_advice_is_there_without_a_script(adapter):
    report = inspect_updates(adapter, adapter="runs/ner")
    html = report_page(report, adapter)
    assert "<code>minilora resize runs/ner --rank 2 --out runs/ner-r2</code>" in html
    assert html.count("<li>") == len(report.advice) + len(report.notes)


@pytest.mark.parametrize("name", ["</script><b>&", "<!--<script>", '"><img>'])
def test_names_cannot_break_out_of_the_page(adapter, name):
    page = Page(page_of(adapter, name=name))
    assert json.loads(page.scripts[0])["adapter"] == name
    assert not [tag for tag, _ in page.tags if tag in ("b", "img")]


def test_without_a_base_its_figures_are_hidden(adapter, base):
    assert Page(page_of(adapter)).hidden_headings == 2
    assert Page(page_of(adapter, base)).hidden_headings == 1


def test_a_comparison_is_a_table(adapter):
    html = page_of(adapter, comparison=compare_adapters(adapter, adapter[:2]), other="runs/b")
    assert Page(html).hidden_headings == 1
    assert "Beside <code>runs/b</code>: 2 layers are in both, 2 in the first alone" in html
    assert html.count("<td>1.000</td>") == 2


def test_the_ledger_is_a_table(adapter):
    html = page_of(adapter)
    assert '<th scope="row">parameters trained</th><td>480</td><td>352</td><td>–</td>' in html


def test_notes_are_shown(adapter):
    report = inspect_updates(adapter, notes=["This is DoRA."])
    assert "<h2>Notes</h2><ul><li>This is DoRA.</li></ul>" in report_page(report, adapter)


def test_several_ranks_are_named(make_update):
    adapter = [make_update("layer.0.q", [1.0]), make_update("layer.1.q", [2.0, 1.0])]
    assert "2 adapted layers, rank 1 to 2, 66 parameters" in page_of(adapter)
