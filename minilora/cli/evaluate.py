"""``minilora evaluate``: score a trained model on labelled data."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from minilora.cli.console import Console
from minilora.cli.inference import (
    add_inference_options,
    encode,
    ready_model,
    text_bar,
    unlike_training,
)
from minilora.cli.machine import ready_kernels
from minilora.cli.parser import Parser
from minilora.cli.scores import score_lines
from minilora.cli.trained import Trained, add_model_options, load
from minilora.text import Corpus, Dataset, EncodingReport, read_corpus
from minilora.text.counting import count
from minilora.train import evaluate
from minilora.train.parallel import one_ahead

EPILOG = """\
examples:
  minilora evaluate --adapter runs/ner --data test.conll
  minilora evaluate --adapter runs/merged --data test.tsv --json

Entities are counted as seqeval counts them: right if type, first and last word are. Words that are
cut off or have no word pieces count as O. For data formats see minilora train --help."""


def run(words: Sequence[str]) -> int:
    """Print the scores of the model on the data that ``words`` name."""
    parser = Parser(
        "minilora evaluate",
        usage="--adapter DIR --data FILE [options]",
        description="Score a trained model on labelled data.",
        epilog=EPILOG,
    )
    add_model_options(parser)
    data = parser.add_argument_group("data")
    data.add_argument("--data", metavar="FILE", required=True, help="labelled texts, as for train")
    add_inference_options(data)
    parser.add_argument("--json", action="store_true", help="print one JSON object instead")
    options = parser.parse(words)
    console = Console(as_json=options.json)

    trained = load(options, console)
    model = ready_model(trained, options)
    corpus = read_corpus(Path(options.data), trained.task)
    for note in corpus.notes:
        console.note(note)
    if unlike := unlike_training(corpus, trained):
        console.note(unlike)
    ready_kernels()
    reports: list[EncodingReport] = []
    parts = _encoded_parts(corpus, trained, options.batch_size, reports)
    scores = evaluate(model, parts, threads=options.threads)
    for line in sum(reports, EncodingReport(0)).lines():
        console.note(line)
    console.say(f"{options.data}: {count(len(corpus), 'row')}", "", *score_lines(scores))
    console.finish(
        {
            "command": "evaluate",
            "task": trained.task,
            "data": options.data,
            "n_rows": len(corpus),
            **scores,
        }
    )
    return 0


def _encoded_parts(
    corpus: Corpus, trained: Trained, size: int, reports: list[EncodingReport]
) -> Iterator[Dataset]:
    """The corpus in parts of ``size`` rows, the next one being encoded meanwhile."""
    with text_bar(len(corpus)) as bar:
        for part in one_ahead(lambda part: encode(part, trained), corpus.parts(size)):
            reports.append(part.report)
            yield part
            bar.update(len(part))
