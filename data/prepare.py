"""Make what minilora ships besides its code and its hand-written data.

    python data/prepare.py tiny-bert --teacher DIR --text FILE ... --dev FILE ...

distils an encoder of the BERT family into one of 3 million parameters, data/tiny_bert. README.md
says what was tried; the command's defaults are what was chosen.
"""

from __future__ import annotations

import argparse
import dataclasses
import hashlib
import shutil
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from distil.plan import Plan
from distil.run import distil
from minilora.cli.folders import new_folder
from minilora.errors import MiniLoraError
from minilora.storage import output_error

TINY = Path(__file__).resolve().parent / "tiny_bert"


def parse(words: Sequence[str] | None = None) -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    jobs = parser.add_subparsers(required=True, metavar="WHAT")
    tiny = jobs.add_parser("tiny-bert", help="a tiny encoder, distilled from a larger one")
    add = tiny.add_argument
    add("--teacher", type=Path, required=True, help="folder of the encoder to learn from")
    add("--text", type=Path, nargs="+", required=True, help=".conll and .tsv files to learn on")
    add("--dev", type=Path, nargs="*", default=[], help="files to see how well it understands")
    add("--out", type=Path, default=TINY, help="new folder (default data/tiny_bert)")
    add(
        "--cache", type=Path, help="folder to keep what the teacher said (default: a temporary one)"
    )
    add("--threads", type=int, help="cores to use (default: all)")
    for name, default in dataclasses.asdict(Plan()).items():
        flag = f"--{name.replace('_', '-')}"
        if isinstance(default, bool):
            add(flag, action=argparse.BooleanOptionalAction, default=default)
        else:
            add(flag, type=type(default), default=default, metavar="N")
    return parser.parse_args(words)


def tiny_bert(options: argparse.Namespace) -> None:
    """Distil, and say what came out: bytes, sha256 and name of each file.

    What comes out is put there at the end, so that a second attempt finds the folder empty.
    """
    out = _made(new_folder(str(options.out)))
    with tempfile.TemporaryDirectory() as temporary:
        student = Path(temporary) / "student"
        distil(
            Plan.of(options),
            teacher_dir=options.teacher,
            text=options.text,
            dev=options.dev,
            out=student,
            cache=_made(options.cache or Path(temporary) / "states"),
            threads=options.threads,
        )
        shutil.copytree(student, out, dirs_exist_ok=True)
    for path in sorted(out.iterdir()):
        digest = hashlib.sha256(path.read_bytes()).hexdigest()
        print(f"{path.stat().st_size:>10,}  {digest}  {path.name}")


def _made(folder: Path) -> Path:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise output_error(folder, error) from error
    return folder


def main(words: Sequence[str] | None = None) -> int:
    """Run it; return the exit code, 2 for what cannot be used, of which a line says what."""
    try:
        tiny_bert(parse(words))
    except MiniLoraError as error:
        print(" ".join(str(error).splitlines()), file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
