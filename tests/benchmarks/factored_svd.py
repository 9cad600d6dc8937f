"""The SVD of s B A from its factors beside that of the dense product: time, memory, agreement.

    python tests/benchmarks/factored_svd.py [--side 4096] [--rank 16] [--threads 1]

Each in a fresh process, in float64; the dense one is NumPy's.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
from inspect_7b import peak_bytes

from minilora.linalg import product_svd

SCALE = 1.4


def factors(side: int, rank: int) -> tuple[Any, Any]:
    """B (side, rank) and A (rank, side), the same every time."""
    rng = np.random.default_rng(0)
    return rng.standard_normal((side, rank)), rng.standard_normal((rank, side))


def measure(way: str, side: int, rank: int, out: Path) -> dict[str, float]:
    """Decompose in this process; the leading triplets go to ``out``."""
    B, A = factors(side, rank)
    product_svd(B[:, :1], A[:1])  # BLAS is loaded and its threads are counted
    before, began = peak_bytes(), time.perf_counter()
    if way == "factored":
        f = product_svd(B, A, scale=SCALE)
        U, S, Vh = f.U, f.S, f.Vh
    else:
        U, S, Vh = np.linalg.svd(SCALE * B @ A, full_matrices=False)
    seconds = time.perf_counter() - began
    used = peak_bytes() - before
    np.savez(out, U=U[:, :rank], S=S[:rank], Vh=Vh[:rank])
    return {"seconds": seconds, "bytes": used}


def in_a_fresh_process(way: str, options: argparse.Namespace, out: Path) -> dict[str, float]:
    """What `measure` returns in a process of its own."""
    command = [sys.executable, __file__, "--side", str(options.side), "--rank", str(options.rank)]
    threads = {"OPENBLAS_NUM_THREADS": str(options.threads)}
    done = subprocess.run(
        [*command, "--measure", way, "--out", str(out)],
        check=True,
        capture_output=True,
        text=True,
        env=os.environ | threads,
    )
    result: dict[str, float] = json.loads(done.stdout)
    return result


def main() -> None:
    """Measure both, compare, print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--side", type=int, default=4096)
    parser.add_argument("--rank", type=int, default=16)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--measure", choices=["factored", "dense"], help=argparse.SUPPRESS)
    parser.add_argument("--out", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.measure:
        print(json.dumps(measure(options.measure, options.side, options.rank, options.out)))
        return
    results, matrices, values = {}, {}, {}
    with tempfile.TemporaryDirectory() as folder:
        for way in ("factored", "dense"):
            out = Path(folder) / f"{way}.npz"
            results[way] = in_a_fresh_process(way, options, out)
            with np.load(out) as f:
                values[way] = f["S"]
                matrices[way] = (f["U"] * f["S"]) @ f["Vh"]
    print("| SVD | time | memory |\n|---|---|---|")
    for way, result in results.items():
        print(f"| {way} | {result['seconds']:.4f} s | {result['bytes'] / 1e6:.1f} MB |")
    gap = np.abs(values["factored"] - values["dense"]).max() / values["dense"][0]
    between = np.abs(matrices["factored"] - matrices["dense"]).max()
    times = results["dense"]["seconds"] / results["factored"]["seconds"]
    print(f"\n{times:.0f} times as fast; singular values differ by {gap:.1e} of the largest,")
    print(f"the matrices by {between / np.abs(matrices['dense']).max():.1e} of the largest entry.")


if __name__ == "__main__":
    main()
