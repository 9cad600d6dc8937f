"""How much disk minilora takes with all it requires, and PyTorch + transformers + PEFT with theirs.

    python tests/benchmarks/installed_size.py

Of the packages in this environment: the files each of them installed, compiled Python left out, and
those of everything it requires, however indirectly, each counted once a side.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterable, Sequence
from importlib.metadata import Distribution, PackageNotFoundError, distribution
from pathlib import Path

import report
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

SIDES = {"minilora": ["minilora"], "PyTorch + PEFT": ["torch", "transformers", "peft"]}
COMPILED = ".pyc"
ROOT = Path(__file__).resolve().parents[2]


def closure(names: Iterable[str]) -> dict[str, Distribution]:
    """The packages of these names and all they require here, without extras."""
    found: dict[str, Distribution] = {}
    todo = [canonicalize_name(name) for name in names]
    while todo:
        name = todo.pop()
        if name in found:
            continue
        found[name] = distribution(name)
        needs = [Requirement(text) for text in found[name].requires or []]
        todo += [canonicalize_name(r.name) for r in needs if is_needed(r)]
    return found


def is_needed(requirement: Requirement) -> bool:
    """Whether it holds on this machine; one of an extra does not."""
    return requirement.marker is None or requirement.marker.evaluate({"extra": ""})


def size(package: Distribution) -> int:
    """Bytes of its files; of a checkout of minilora, those that its wheel would bring."""
    files = [Path(str(package.locate_file(file))) for file in package.files or []]
    if package.name == "minilora" and is_checkout(package):
        files = [file for folder in ("minilora", "data") for file in (ROOT / folder).rglob("*")]
    return sum(p.stat().st_size for p in files if p.is_file() and p.suffix != COMPILED)


def is_checkout(package: Distribution) -> bool:
    """Whether it is installed as a link to its source."""
    return not any(file.name == "__init__.py" for file in package.files or [])


def main(words: Sequence[str] | None = None) -> None:
    """Print the largest packages of each side, the sums, and their ratio."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--largest", type=int, default=8, help="packages to name on each side")
    options = parser.parse_args(words)
    totals = {}
    for side, names in SIDES.items():
        try:
            sizes = {name: size(package) for name, package in closure(names).items()}
        except PackageNotFoundError as error:
            parser.error(f"{error.name}: not installed; the extra [oracle] brings both sides")
        totals[side] = sum(sizes.values())
        ordered = sorted(sizes.items(), key=lambda item: -item[1])
        rows = [(name, report.megabytes(n)) for name, n in ordered[: options.largest]]
        rows.append((f"{len(sizes)} packages", report.megabytes(totals[side])))
        print(report.table((side, "MB"), rows), end="\n\n")
    ours, theirs = totals.values()
    print(f"ratio {ours / theirs:.3f}")


if __name__ == "__main__":
    main()
