"""``minilora evaluate``: score a trained model on labelled data."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from minilora.cli.console import Console
from minilora.cli.inference import add_inference_options, ready_model
from minilora.cli.machine import ready_kernels
from minilora.cli.parser import Parser
from minilora.cli.scores import score_lines
from minilora.cli.trained import add_model_options, load
from minilora.text import encode_corpus, read_corpus
from minilora.text.counting import count
from minilora.train import evaluate

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
    dataset = encode_corpus(
        corpus, trained.tokenizer, model.label_names, max_length=trained.max_length
    )
    for note in (*corpus.notes, *dataset.report.lines()):
        console.note(note)
    ready_kernels()
    scores = evaluate(model, dataset, batch_size=options.batch_size, threads=options.threads)
    console.say(f"{options.data}: {count(len(dataset), 'row')}", "", *score_lines(scores))
    console.finish(
        {
            "command": "evaluate",
            "task": trained.task,
            "data": options.data,
            "n_rows": len(dataset),
            **scores,
        }
    )
    return 0
