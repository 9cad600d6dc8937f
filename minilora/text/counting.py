"""Numbers of things, in words."""


def count(n: int, noun: str) -> str:
    """``count(1, "step")`` -> ``1 step``, ``count(1200, "step")`` -> ``1,200 steps``"""
    return f"{n:,} {noun}" if n == 1 else f"{n:,} {noun}s"
