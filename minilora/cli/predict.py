"""``minilora predict``: label texts."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Sequence
from typing import Any

from minilora.cli.console import Console, paint
from minilora.cli.machine import ready_kernels
from minilora.cli.parser import Parser, add_speed_options
from minilora.cli.table import display_width, pad
from minilora.cli.texts import Text, read_texts, to_corpus
from minilora.cli.trained import add_model_options, load
from minilora.text import encode_corpus
from minilora.text.bio import spans, split_tag
from minilora.train import ClassPrediction, TagPrediction, predict

EPILOG = """\
examples:
  minilora predict --adapter runs/ner "Anna Vale works in Lund."
      [Anna Vale PER 0.98] works in [Lund LOC 0.91].
  minilora predict --adapter models/topics --input texts.txt
  minilora predict --base minilm --adapter lora/ner --json < texts.txt

Without TEXT and --input, texts are read from standard input, one a line. An --input that ends in
.txt has one text a line; .conll, .tsv, .csv and .jsonl are read as for train, their labels unused.
The number behind a type is the mean probability of its words' tags, that behind a label its own."""

COLOURS = ("cyan", "yellow", "green", "magenta", "blue", "red")  # of entity types, on a terminal


def run(words: Sequence[str]) -> int:
    """Print what the model says of the texts that ``words`` name."""
    parser = Parser(
        "minilora predict",
        usage="--adapter DIR [options] [TEXT ...]",
        description="Label texts with a trained model.",
        epilog=EPILOG,
    )
    parser.add_argument("texts", metavar="TEXT", nargs="*", help="a text to label")
    add_model_options(parser)
    data = parser.add_argument_group("data")
    data.add_argument("--input", metavar="FILE", help="texts to label")
    add_speed_options(data)
    parser.add_argument("--json", action="store_true", help="print one JSON object instead")
    options = parser.parse(words)
    console = Console(as_json=options.json, notes_aside=True)

    trained = load(options, console)
    texts = read_texts(options.texts, options.input, trained.task)
    names = trained.model.label_names
    dataset = encode_corpus(
        to_corpus(texts, trained.task), trained.tokenizer, names, max_length=trained.max_length
    )
    for line in dataset.report.lines():
        console.note(line)
    ready_kernels()
    predictions: Sequence[TagPrediction | ClassPrediction] = predict(
        trained.model, dataset, batch_size=options.batch_size, threads=options.threads
    )
    results = [
        _result(text, prediction, names)
        for text, prediction in zip(texts, predictions, strict=True)
    ]
    for result in results:
        console.say(_line(result, names))
    console.finish({"command": "predict", "task": trained.task, "results": results})
    return 0


def _result(
    text: Text, prediction: TagPrediction | ClassPrediction, names: Sequence[str]
) -> dict[str, Any]:
    if isinstance(prediction, TagPrediction):
        return {"text": text.text, "entities": find_entities(text, prediction)}
    return _classified(text, prediction, names)


def _line(result: dict[str, Any], names: Sequence[str]) -> str:
    if "entities" in result:
        return bracketed(result["text"], result["entities"], names)
    return _class_line(result, max(map(display_width, names)))


def find_entities(text: Text, prediction: TagPrediction) -> list[dict[str, Any]]:
    """Entities with the text they cover, where it starts and ends, and a score."""
    entities = []
    for kind, first, last in spans(prediction.tags):
        start, end = text.words[first][0], text.words[last - 1][1]
        entities.append(
            {
                "type": kind,
                "text": text.text[start:end],
                "start": start,
                "end": end,
                "score": float(prediction.probabilities[first:last].mean()),
            }
        )
    return entities


def bracketed(text: str, entities: Sequence[dict[str, Any]], names: Sequence[str]) -> str:
    """``[Anna Vale PER 0.98] works in [Lund LOC 0.91].``; types in colour on a terminal."""
    kinds = sorted({split_tag(name)[1] for name in names})
    parts, done = [], 0
    for entity in entities:
        style = COLOURS[kinds.index(entity["type"]) % len(COLOURS)]
        score = f" {entity['score']:.2f}" if "score" in entity else ""
        inside = f"[{entity['text']} {entity['type']}{score}]"
        parts += [text[done : entity["start"]], paint(inside, style)]
        done = entity["end"]
    return "".join([*parts, text[done:]])


def _classified(text: Text, prediction: ClassPrediction, names: Sequence[str]) -> dict[str, Any]:
    probabilities = dict(zip(names, map(float, prediction.probabilities), strict=True))
    pair = {} if text.pair is None else {"text_pair": text.pair}
    return {
        "text": text.text,
        **pair,
        "label": prediction.label,
        "probability": probabilities[prediction.label],
        "probabilities": probabilities,
    }


def _class_line(result: dict[str, Any], width: int) -> str:
    """Label and probability, the runner-up and its own, and the text."""
    _, second = sorted(result["probabilities"].items(), key=lambda item: -item[1])[:2]
    label = paint(pad(result["label"], width), "bold")
    runner_up = pad(f"({second[0]} {second[1]:.2f})", width + 7)
    text = " | ".join(filter(None, [result["text"], result.get("text_pair")]))
    line = f"{label}  {result['probability']:.2f}  {runner_up}  "
    if sys.stdout.isatty():  # one line a text; a pipe gets all of it
        room = shutil.get_terminal_size().columns - (2 * width + 19)
        text = text if len(text) <= room else f"{text[: max(room - 1, 10)]}…"
    return line + text
