"""``minilora predict``: label texts."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from tqdm import tqdm

from minilora.cli.console import Console, paint
from minilora.cli.inference import (
    add_inference_options,
    encode,
    ready_model,
    text_bar,
    unlike_training,
)
from minilora.cli.machine import ready_kernels
from minilora.cli.parser import Parser
from minilora.cli.table import display_width, pad
from minilora.cli.texts import (
    Text,
    count_texts,
    is_interactive,
    read_texts,
    to_corpus,
    windows,
)
from minilora.cli.trained import Trained, add_model_options, load
from minilora.text import Dataset, EncodingReport
from minilora.text.bio import spans, split_tag
from minilora.train import ClassPrediction, TagPrediction, predict
from minilora.train.parallel import one_ahead

EPILOG = """\
examples:
  minilora predict --adapter runs/ner "Anna Vale works in Lund."
      [Anna Vale PER 0.98] works in [Lund LOC 0.91].
  minilora predict --adapter models/topics --input texts.txt
  minilora predict --base models/minilm --adapter lora/ner --json < texts.txt

Without TEXT and --input, texts are read from standard input, one a line; on a terminal each is
answered when it is entered. An --input that ends in .txt has one text a line; .conll, .tsv, .csv
and .jsonl are read as for train, their labels unused. To find names, a .tsv or .csv with a column
text, or .jsonl with "text", will do as well. Pairs of texts (text_a, text_b) come by --input only.
A blank line is answered too, so that answers line up with lines. They come out as they are done,
--batch-size at a time, so a file of lines may be of any length.
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
    add_inference_options(data)
    parser.add_argument("--json", action="store_true", help="print one JSON object instead")
    options = parser.parse(words)
    console = Console(as_json=options.json, notes_aside=True)

    trained = load(options, console)
    model = ready_model(trained, options)
    texts = read_texts(options.texts, options.input, trained.task)
    ready_kernels()
    results, report = [], EncodingReport(0)
    at_once = is_interactive(options.texts, options.input)
    parts = windows(texts, min(1, options.batch_size) if at_once else options.batch_size)
    is_noted = False
    with text_bar(count_texts(options.texts, options.input), hidden=at_once) as bar:
        for window, dataset, odd in _encoded(parts, trained, ahead=not at_once):
            if odd and not is_noted:
                with tqdm.external_write_mode(sys.stderr):
                    console.note(odd)
                is_noted = True
            predictions: Sequence[TagPrediction | ClassPrediction] = predict(
                model, dataset, batch_size=len(dataset), threads=options.threads
            )
            found = [
                _result(text, prediction, model.label_names)
                for text, prediction in zip(window, predictions, strict=True)
            ]
            with tqdm.external_write_mode(sys.stdout):  # takes the bar away meanwhile
                console.say(*(_line(result, model.label_names) for result in found))
            bar.update(len(found))
            report += dataset.report
            if options.json:
                results += found
    for line in report.lines():
        console.note(line)
    console.finish({"command": "predict", "task": trained.task, "results": results})
    return 0


def _encoded(
    windows: Iterable[list[Text]], trained: Trained, *, ahead: bool
) -> Iterator[tuple[list[Text], Dataset, str | None]]:
    """Each window of texts with its encodings, and a note if they are not such as were learned.

    With ``ahead`` the next one is read before the last is answered, and encoded meanwhile.
    """

    def encoded(window: list[Text]) -> tuple[list[Text], Dataset, str | None]:
        corpus = to_corpus(window, trained.task)
        return window, encode(corpus, trained), unlike_training(corpus, trained)

    return one_ahead(encoded, windows) if ahead else map(encoded, windows)


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
