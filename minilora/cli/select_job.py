"""What ``minilora select-rank`` searches: data, base, and the candidates of each method."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from minilora.adapters.matching import names_end
from minilora.adapters.selection import select
from minilora.analysis.select import (
    Allocation,
    Candidate,
    Space,
    begun,
    genetic,
    halving_rounds,
    successive_halving,
    sweep,
)
from minilora.analysis.select.trial import Strategy
from minilora.cli.console import Console
from minilora.cli.models import load_base, weights_sha256
from minilora.cli.select_adapter import (
    budget_of,
    chosen_updates,
    read_sensitivities,
    read_spectra,
    show_allocations,
    show_picks,
)
from minilora.cli.select_options import OF_METHODS, SelectOptions, recipe_of
from minilora.cli.select_trial import TrainingTrial, TrialData
from minilora.cli.splits import describe
from minilora.errors import ConfigError
from minilora.text.counting import count


@dataclass(frozen=True)
class SearchJob:
    """Everything a search needs before its first trial; said to people while it is put together.

    Attributes
    ----------
    options, trials, data
        What is to be searched, how a trial goes, and on what.
    model
        The base, in which parameters are counted.
    base_sha256
        What identifies its weights.
    console
        Where to say so.
    """

    options: SelectOptions
    trials: TrainingTrial
    data: TrialData
    model: Any
    base_sha256: str
    console: Console

    @classmethod
    def prepare(cls, options: SelectOptions, console: Console) -> SearchJob:
        """Read, check and encode everything; nothing is written yet.

        Raises
        ------
        MiniLoraError
            Of the kind that fits, for whatever cannot be used.
        """
        recipe = options.recipe
        trials = TrainingTrial.of(options)
        console.say(f"minilora select-rank: {options.method}, {recipe.task}, seed {recipe.seed}")
        console.heading("data")
        data = trials.read(console)
        console.say(*describe(data.splits), count(len(data.splits.labels), "label"))
        rng = np.random.default_rng(recipe.seed)
        base = Path(trials.base)
        model, _ = load_base(recipe.task, base, data.splits.labels, rng=rng, console=console)
        return cls(options, trials, data, model, weights_sha256(base), console)

    def sha256(self) -> dict[str, str]:
        """What identifies base and data."""
        return {"base": self.base_sha256, **self.data.splits.sha256()}

    def to_json(self) -> dict[str, Any]:
        """What run.json says before the first trial."""
        return {
            "recipe": recipe_of(self.options),
            "labels": list(self.data.splits.labels),
            "data_sha256": self.data.splits.sha256(),
            "base_sha256": self.base_sha256,
        }

    def strategy(self) -> Strategy:
        """What `minilora.analysis.select.run_search` takes; says what it will try.

        Writes nothing, and finds out all that can be refused before the first trial.

        Raises
        ------
        MiniLoraError
            Of the kind that fits, when there is nothing to try, or an adapter cannot be read.
        """
        o = self.options
        self.console.heading("search")
        if o.method == "genetic":
            self._say_plan(f"up to {count(o.population * o.generations, 'candidate')}")
            return begun(self._genetic(), max_epochs=o.max_epochs)
        if o.method in OF_METHODS["adapter"]:
            candidates = self._from_adapter(Path(o.adapter or ""))
        else:
            candidates = [self._make(r, o.targets, x) for x in o.sparsities for r in o.ranks]
        affordable = self._affordable(list(dict.fromkeys(candidates)))
        self._say_plan(count(len(affordable), "candidate"))
        halving = o.method == "halving"
        if halving:
            self._say_cost(len(affordable))
        search = (successive_halving if halving else sweep)(affordable, **self._repeats())
        return begun(search, max_epochs=o.max_epochs)

    def _repeats(self) -> dict[str, Any]:
        o = self.options
        return {"epochs": o.recipe.epochs, "seeds": o.trial_seeds, "n_folds": o.folds or 1}

    def _say_plan(self, candidates: str) -> None:
        o = self.options
        folds = f" x {count(o.folds, 'fold')}" if o.folds else ""
        epochs = count(o.recipe.epochs, "epoch")
        upto = "up to " if o.method == "halving" else ""
        self.console.say(f"{candidates} x {count(o.seeds, 'seed')}{folds}, {upto}{epochs} each")

    def _say_cost(self, n: int) -> None:
        """What halving costs beside a sweep, which rounding decides where there is little."""
        o = self.options
        trials = o.seeds * (o.folds or 1)  # of a candidate
        rounds = halving_rounds(n, o.recipe.epochs)
        halved = trials * sum(size * epochs for size, epochs in rounds)
        swept = trials * n * o.recipe.epochs
        self.console.say(
            f"{count(halved, 'epoch')} of training in {count(len(rounds), 'round')}, where a sweep "
            f"takes {swept:,}"
        )
        if halved >= swept:
            self.console.note("--method sweep takes no longer here, and trains everything in full")

    def _make(
        self,
        r: int,
        targets: Sequence[str],
        sparsity: float = 0.0,
        ranks: Mapping[str, int] | None = None,
    ) -> Candidate:
        candidate = Candidate(
            r=r,
            alpha=self.options.recipe.alpha,
            targets=tuple(targets),
            sparsity=sparsity,
            ranks=tuple((ranks or {}).items()),
        )
        return candidate.counted(self.model)

    def _affordable(self, candidates: Sequence[Candidate]) -> list[Candidate]:
        budget = self.options.budget
        kept = [c for c in candidates if budget is None or c.n_parameters <= budget]
        if not kept:
            smallest = min(candidates, key=lambda c: c.n_parameters)
            raise ConfigError(
                f"--budget: {budget} parameters are not enough for any candidate; {smallest}, the "
                f"smallest, has {smallest.n_parameters:,}; allow more, or give smaller --ranks"
            )
        if len(kept) < len(candidates):
            left_out = count(len(candidates) - len(kept), "candidate")
            self.console.note(f"{left_out} with more than {budget:,} parameters left out")
        return kept

    def _genetic(self) -> Strategy:
        o = self.options
        for name in o.targets:  # here, where a misspelt one is an error and not a failed trial
            self._make(o.ranks[0], [name])
        space = Space(
            ranks=sorted(set(o.ranks)),
            targets=o.targets,
            sparsities=sorted(set(o.sparsities)),
            make=self._make,
            max_parameters=o.budget,
        )
        return genetic(
            space,
            population=o.population,
            generations=o.generations,
            rng=np.random.default_rng(o.recipe.seed),
            **self._repeats(),
        )

    def _from_adapter(self, folder: Path) -> list[Candidate]:
        o = self.options
        if o.method == "spectrum":
            spectra = read_spectra(folder, base=self.trials.base, targets=o.targets)
            picked = {pick.r for pick in show_picks(spectra, self.console) if pick.r is not None}
            own = {len(spectrum.S) for spectrum in spectra.values() if spectrum.factored}
            return [self._uniform(r, list(spectra)) for r in sorted(picked | own)]
        updates = chosen_updates(folder, o.targets)
        budget = budget_of(o.budget, updates, self.console)
        found = read_sensitivities(folder, self.trials, self.data, console=self.console)
        allocations = show_allocations(updates, found, budget, self.console)
        paths = [update.path for update in updates]
        r = budget // sum(sum(update.shape) for update in updates)
        even = [self._uniform(r, paths)] if r else []
        return even + [self._allocated(a, paths) for a in allocations.values()]

    def _uniform(self, r: int, paths: Sequence[str]) -> Candidate:
        """One rank for all; by the ends of their names where these mean just these layers."""
        ends = list(dict.fromkeys(path.rpartition(".")[2] for path in paths))
        candidate = self._make(r, ends)
        found = select(self.model, candidate.config()).targets
        known = all(any(names_end(name, path) for path in paths) for name in found)
        if known and len(found) == len(paths):
            return candidate
        return self._make(r, ends, ranks=dict.fromkeys(paths, r))

    def _allocated(self, allocation: Allocation, paths: Sequence[str]) -> Candidate:
        ranks = {path: r for path, r in allocation.ranks.items() if r}
        if len(ranks) == len(paths) and len(set(ranks.values())) == 1:
            return self._uniform(max(ranks.values()), paths)
        ends = dict.fromkeys(path.rpartition(".")[2] for path in ranks)
        return self._make(max(ranks.values()), list(ends), ranks=ranks)
