"""What a search found: a line for each candidate, the ones worth a look, and the one to take."""

from __future__ import annotations

import math
import statistics
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from minilora.analysis.select.trial import Candidate, Result
from minilora.errors import NumericError


@dataclass(frozen=True, kw_only=True)
class Summary:
    """The trials of one candidate at the most epochs it was given.

    Attributes
    ----------
    candidate, epochs
        What was trained, and for how long.
    scores
        Of the trials that did not fail.
    errors
        Why the others did.
    """

    candidate: Candidate
    epochs: int
    scores: tuple[float, ...]
    errors: tuple[str, ...] = ()

    @property
    def mean(self) -> float:
        """Mean score; -infinity if every trial failed."""
        return statistics.fmean(self.scores) if self.scores else -math.inf

    @property
    def sd(self) -> float | None:
        """Standard deviation of a score (n - 1); None for less than two."""
        return statistics.stdev(self.scores) if len(self.scores) > 1 else None

    @property
    def se(self) -> float | None:
        """Standard error of the mean, sd / √n.

        Scores of several folds share training data, which makes this too small; to rank candidates
        that were all tried on the same folds it serves.
        """
        return None if self.sd is None else self.sd / math.sqrt(len(self.scores))


@dataclass(frozen=True, kw_only=True)
class Recommendation:
    """The candidate to take, the one of the best mean score, and in words why not that one."""

    chosen: Summary
    best: Summary
    reason: str


def summarise(results: Iterable[Result]) -> list[Summary]:
    """Gather results by candidate, the smallest first."""
    of: dict[Candidate, list[Result]] = defaultdict(list)
    for result in results:
        of[result.trial.candidate].append(result)
    summaries = []
    for candidate, all_results in of.items():
        epochs = max(result.trial.epochs for result in all_results)
        last = [result for result in all_results if result.trial.epochs == epochs]
        summaries.append(
            Summary(
                candidate=candidate,
                epochs=epochs,
                scores=tuple(r.score for r in last if r.score is not None),
                errors=tuple(r.error for r in last if r.score is None),
            )
        )
    return sorted(summaries, key=lambda s: s.candidate.n_parameters)


def by_score(summaries: Iterable[Summary]) -> list[Summary]:
    """Best mean first; of equals, the one with fewer parameters."""
    return sorted(summaries, key=lambda s: (-s.mean, s.candidate.n_parameters))


def pareto_front(summaries: Iterable[Summary]) -> list[Summary]:
    """Those that no other beats: none has a mean as good with fewer parameters; smallest first."""
    front: list[Summary] = []
    for summary in sorted(summaries, key=lambda s: (s.candidate.n_parameters, -s.mean)):
        if summary.scores and (not front or summary.mean > front[-1].mean):
            front.append(summary)
    return front


def recommend(summaries: Sequence[Summary], *, score_name: str = "score") -> Recommendation:
    """Choose the smallest candidate within one standard error of the best.

    Only those are compared that were trained longest and of which no trial failed, if there are
    any. The rule is that of Breiman et al. 1984 (Classification and Regression Trees):
    where the data cannot tell two models apart, take the simpler one.

    Raises
    ------
    NumericError
        When every trial failed; with the first reason.
    """
    scored = [summary for summary in summaries if summary.scores]
    if not scored:
        errors = [error for summary in summaries for error in summary.errors]
        raise NumericError(
            f"search: none of {len(errors)} trials has a score, so there is nothing to choose "
            f"from; the first failed with {errors[0] if errors else 'nothing'}."
        )
    complete = [summary for summary in scored if not summary.errors] or scored
    epochs = max(summary.epochs for summary in complete)
    finalists = [summary for summary in complete if summary.epochs == epochs]
    best = by_score(finalists)[0]
    close = [summary for summary in finalists if summary.mean >= best.mean - (best.se or 0.0)]
    chosen = min(close, key=lambda s: (s.candidate.n_parameters, -s.mean))
    return Recommendation(chosen=chosen, best=best, reason=_reason(chosen, best, score_name))


def _reason(chosen: Summary, best: Summary, score_name: str) -> str:
    if best.se is None:
        return (
            f"{chosen.candidate} has the best {score_name}, {chosen.mean:.4f}, in one trial each; "
            "more seeds or folds would tell what chance did."
        )
    of = f"{len(best.scores)} trials"
    if chosen is best:
        return (
            f"{chosen.candidate} has the best {score_name}, {best.mean:.4f} ± {best.sd:.4f} "
            f"({of}), and nothing smaller is within one standard error ({best.se:.4f}) of it."
        )
    share = chosen.candidate.n_parameters / max(best.candidate.n_parameters, 1)
    spread = "" if chosen.sd is None else f" ± {chosen.sd:.4f}"
    return (
        f"{chosen.candidate} is the smallest within one standard error ({best.se:.4f}) of the "
        f"best: {score_name} {chosen.mean:.4f}{spread} ({of}), where {best.candidate} has "
        f"{best.mean:.4f}; it takes {share:.0%} of the parameters."
    )
