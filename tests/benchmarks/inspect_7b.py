"""How long `minilora inspect` takes on an adapter for a 7B-parameter shape, and how much memory.

    python tests/benchmarks/inspect_7b.py [--base-layers 2] [--json inspect.json]

The adapter is generated: 32 layers, q, k, v and o of 4096 x 4096, r = 16, float16, as PEFT saves
it. With ``--base-layers N`` a base model's folder is generated as well, of N layers in float16 and
an embedding of 32000 x 4096, its largest tensor, and an adapter of these N layers is inspected with
it. Each is measured in a fresh process, from reading the folder to the finished report.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import machine
import numpy as np

from minilora.analysis import inspect_updates
from minilora.io import read_updates
from minilora.storage import open_checkpoint, tensor_info, write_json, write_tensors

N_LAYERS, WIDTH, RANK, VOCABULARY = 32, 4096, 16, 32000
KINDS = ("q_proj", "k_proj", "v_proj", "o_proj")
PATH = "model.layers.{}.self_attn.{}"


def make_adapter(folder: Path, n_layers: int) -> None:
    """Factors whose directions fall off by a fifth each."""
    rng = np.random.default_rng(0)
    falling = 0.8 ** np.arange(RANK)
    tensors = {}
    for layer in range(n_layers):
        for kind in KINDS:
            name = f"base_model.model.{PATH.format(layer, kind)}"
            A = rng.standard_normal((RANK, WIDTH)) / WIDTH**0.5
            B = rng.standard_normal((WIDTH, RANK)) * falling / WIDTH**0.5
            tensors[f"{name}.lora_A.weight"] = A.astype(np.float16)
            tensors[f"{name}.lora_B.weight"] = B.astype(np.float16)
    write_tensors(folder / "adapter_model.safetensors", tensors, metadata={"format": "pt"})
    config = {"peft_type": "LORA", "r": RANK, "lora_alpha": 32, "target_modules": list(KINDS)}
    write_json(folder / "adapter_config.json", config)


def make_base(folder: Path, n_layers: int) -> None:
    """Random weights of the usual size, one file each as in a folder of shards."""
    rng = np.random.default_rng(1)
    shapes = {"model.embed_tokens.weight": (VOCABULARY, WIDTH)}
    for layer in range(n_layers):
        shapes |= {f"{PATH.format(layer, kind)}.weight": (WIDTH, WIDTH) for kind in KINDS}
    weight_map = {}
    for i, (name, shape) in enumerate(shapes.items()):
        weight_map[name] = f"model-{i}.safetensors"
        W = (0.02 * rng.standard_normal(shape, dtype=np.float32)).astype(np.float16)
        write_tensors(folder / weight_map[name], {name: W})
    write_json(folder / "model.safetensors.index.json", {"weight_map": weight_map})


def peak_bytes() -> int:
    """The most memory this process has had (VmHWM; Linux only)."""
    status = Path("/proc/self/status").read_text()
    (line,) = [line for line in status.splitlines() if line.startswith("VmHWM")]
    return int(line.split()[1]) * 1024


def inspect(adapter: Path, base: Path | None) -> dict[str, Any]:
    """In this process; prints nothing."""
    before, began, cpu_began = peak_bytes(), time.perf_counter(), time.process_time()
    saved = read_updates(adapter)
    tensors = None if base is None else open_checkpoint(base)
    report = inspect_updates(saved.updates, base=tensors, adapter=str(adapter))
    text = json.dumps(report.to_json())
    return {
        "layers": len(report.layers),
        "seconds": time.perf_counter() - began,
        "cpu_seconds": time.process_time() - cpu_began,
        "peak_bytes": peak_bytes(),
        "bytes_before": before,
        "json_bytes": len(text),
        "advice": report.advice,
    }


def in_a_fresh_process(adapter: Path, base: Path | None) -> dict[str, Any]:
    """What `inspect` returns in a process of its own."""
    command = [sys.executable, __file__, "--inspect", str(adapter), *([str(base)] if base else [])]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    result: dict[str, Any] = json.loads(done.stdout)
    return result


def largest_tensor(base: Path) -> int:
    """Bytes of the largest tensor of a folder of float16 shards."""
    files = base.glob("*.safetensors")
    infos = [info for file in files for info in tensor_info(file).values()]
    return max(2 * int(np.prod(info.shape)) for info in infos)


def row(name: str, result: dict[str, Any]) -> str:
    """A line of the table."""
    megabytes = (f"{result[which] / 1e6:.0f}" for which in ("peak_bytes", "bytes_before"))
    times = (f"{result[which]:.1f} s" for which in ("seconds", "cpu_seconds"))
    return f"| {' | '.join([name, str(result['layers']), *times, *megabytes])} |"


def main() -> None:
    """Generate, measure, print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--base-layers", type=int, default=0, help="layers of a base to generate")
    parser.add_argument("--folder", type=Path, help="where to generate (default: temporary)")
    parser.add_argument("--json", type=Path, help="write the figures here as well")
    parser.add_argument("--inspect", nargs="+", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.inspect:
        print(json.dumps(inspect(options.inspect[0], *options.inspect[1:] or [None])))
        return
    results: dict[str, Any] = {"machine": machine.describe()}
    with tempfile.TemporaryDirectory(dir=options.folder) as folder:
        adapter = Path(folder) / "adapter"
        make_adapter(adapter, N_LAYERS)
        results["adapter"] = in_a_fresh_process(adapter, None)
        if options.base_layers:
            small, base = Path(folder) / "small", Path(folder) / "base"
            make_adapter(small, options.base_layers)
            make_base(base, options.base_layers)
            results["with_base"] = in_a_fresh_process(small, base)
            results["with_base"]["largest_tensor_bytes"] = largest_tensor(base)
    print("| inspected | layers | time | CPU time | peak MB | MB after import |")
    print("|---|---|---|---|---|---|")
    print(row("adapter alone", results["adapter"]))
    if "with_base" in results:
        of_base = results["with_base"]
        print(row("adapter and base", of_base))
        times = of_base["peak_bytes"] / of_base["largest_tensor_bytes"]
        print(f"\nWith the base, the peak is {times:.2f} times its largest tensor.")
    print("\n" + "\n".join(results["adapter"]["advice"]))
    if options.json:
        write_json(options.json, results)


if __name__ == "__main__":
    main()
