"""Numbers of things, in words."""


def count(n: int, noun: str) -> str:
    """``"1 word"``, ``"1,200 words"``."""
    return f"{n:,} {noun}" if n == 1 else f"{n:,} {noun}s"
