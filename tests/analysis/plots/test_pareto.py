import io

import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from PIL import Image

from minilora.analysis.plots import pareto_chart
from minilora.analysis.plots import style as style_module
from minilora.analysis.select import Candidate, Result, Trial, recommend, summarise

TEXTS = {"title": "LoRA of minilm on train.conll", "facts": "a reason", "score_name": "F1"}


def candidate(r, targets=("query", "value"), **others):
    return Candidate(r=r, targets=targets, n_parameters=100 * r * len(targets), **others)


def summaries_of(*scored, epochs=3):
    """One summary for each (candidate, scores)."""
    return summarise(
        Result(Trial(of, epochs, seed), score, 1.0)
        for of, scores in scored
        for seed, score in enumerate(scores)
    )


RANKS = summaries_of(
    (candidate(1), (0.5, 0.6)), (candidate(2), (0.7, 0.72)), (candidate(4), (0.7, 0.73))
)


@pytest.fixture
def drawn(monkeypatch):
    """Draw a chart; return its figure, its text and the image."""
    figures = []

    def keep(figure: Figure, title, description):
        figures.append(figure)
        return style_module.png(figure, title, description)

    monkeypatch.setattr("minilora.analysis.plots.pareto.png", keep)

    def draw(summaries):
        png = pareto_chart(summaries, recommend(summaries, score_name="F1"), **TEXTS)
        figure = figures[-1]
        texts = [text.get_text() for axes in figure.axes for text in axes.texts]
        legend = [text.get_text() for text in figure.legends[0].get_texts()]
        return figure, texts, legend, Image.open(io.BytesIO(png))

    return draw


def test_it_is_a_png_that_says_what_it_shows(drawn):
    *_, image = drawn(RANKS)
    assert image.format == "PNG"
    assert image.text["Title"] == TEXTS["title"]
    description = image.text["Description"]
    assert "r=2 query+value with 400 parameters 0.710" in description
    assert "Recommended: r=2 query+value is the smallest" in description


def test_ranks_alone_are_written_beside_their_points(drawn):
    figure, texts, legend, _ = drawn(RANKS)
    assert texts == ["r=1", "r=2", "r=4"]
    assert len(figure.axes) == 1
    assert legend == [
        "within one standard error of the best",
        "best with as many parameters or fewer",
        "recommended",
        "mean of 2, ± sd",
    ]


def test_candidates_of_other_kinds_are_numbered_and_listed(drawn):
    figure, texts, _, _ = drawn(
        summaries_of(
            (candidate(1), (0.5, 0.6)),
            (candidate(2, ("key", "value")), (0.4, 0.45)),
            (candidate(2, ("query", "value", "dense"), sparsity=0.5), (0.8, 0.81)),
        )
    )
    assert len(figure.axes) == 2
    assert texts[:2] == ["1", "2"]  # what has a smaller one above it has no number
    assert "r=2 query+value+dense, 50% zeros" in texts
    assert not any("key" in text for text in texts)


def test_a_long_front_is_listed_as_far_as_it_fits(drawn):
    scored = [(candidate(r, ("a",) * (1 + r % 2)), (r / 100,)) for r in range(1, 60)]
    figure, texts, _, _ = drawn(summaries_of(*scored))
    renderer = FigureCanvasAgg(figure).get_renderer()
    box = figure.axes[1].get_window_extent(renderer)
    rows = [text for text in figure.axes[1].texts if text.get_text().startswith("r=")]
    assert 10 <= len(rows) <= 20
    assert all(text.get_window_extent(renderer).y0 >= box.y0 - 1 for text in rows)
    assert "r=59 a+a" in texts


def test_what_was_dropped_early_is_hollow_and_not_on_the_front(drawn):
    brief = summaries_of((candidate(16), (0.9,)), epochs=1)
    figure, _, legend, _ = drawn(
        [*summaries_of((candidate(1), (0.5,)), (candidate(4), (0.7,))), *brief]
    )
    assert legend[-2:] == ["dropped after epoch 1", "one trial"]
    (front,) = [line for line in figure.axes[0].lines if line.get_drawstyle() == "steps-post"]
    assert list(front.get_ydata()) == [0.5, 0.7, 0.7]


def test_failures_are_left_out(drawn):
    failed = [*RANKS, *summaries_of((candidate(8), (None,)))]
    _, texts, _, image = drawn(failed)
    assert "r=8" not in texts
    assert "r=8" not in image.text["Description"]


@pytest.mark.parametrize("scores", [(0.5,), (0.5, 0.5), (0.0, 1.0)])
def test_one_candidate_can_be_drawn(drawn, scores):
    _, texts, _, _ = drawn(summaries_of((candidate(4), scores)))
    assert texts == ["r=4"]


def test_a_name_with_dollar_signs_is_no_formula(drawn):
    summaries = summaries_of((candidate(1, ("a$_x$", "b")), (0.5,)), (candidate(3, ("c",)), (0.6,)))
    _, texts, _, _ = drawn(summaries)
    assert "r=1 a$_x$+b" in texts
