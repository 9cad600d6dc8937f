"""How much of their wording two texts share."""

from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from itertools import combinations


def four_grams(tokens: Sequence[str]) -> set[tuple[str, ...]]:
    words = [token.casefold() for token in tokens]
    return {tuple(words[i : i + 4]) for i in range(len(words) - 3)}


def pairs_that_share(texts: Sequence[Sequence[str]], *, more_than: float) -> Iterator[tuple]:
    """Pairs with more than this part of the four-grams of the shorter one in common."""
    grams = [four_grams(tokens) for tokens in texts]
    holders = defaultdict(list)
    for number, found in enumerate(grams):
        for gram in found:
            holders[gram].append(number)
    shared = Counter(pair for held in holders.values() for pair in combinations(held, 2))
    for (a, b), times in shared.items():
        if times > more_than * min(len(grams[a]), len(grams[b])):
            yield texts[a], texts[b]
