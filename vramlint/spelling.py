"""Whether a word that is not known is a slip of one that is: alike letter by letter is not enough, part by part it must be."""

from __future__ import annotations

import re

PARTS = re.compile(r"[a-z]+|\d+(?:\.\d+)?")
SHORT = 3
"""A part that is so short must be the same."""
LONG = 8
"""In a part that is so long two letters may be wrong."""


def is_slip(word: str, known: str, *, left_out: int = 0) -> bool:
    """Whether `word` is `known` with slips: the same numbers, and each part the same but for a letter or two, in any order.

    `left_out` is how many parts of the one may be missing in the other, where at least two are there.
    """
    word, known = word.lower(), known.lower()
    if re.sub(r"[\W_]+", "", word) == re.sub(r"[\W_]+", "", known):
        return True
    ours, theirs = sorted((PARTS.findall(word), PARTS.findall(known)), key=len)
    if len(theirs) - len(ours) > (left_out if len(ours) > 1 else 0):
        return False
    left = list(theirs)
    for part in sorted(ours, key=len, reverse=True):
        match = part if part in left else next((other for other in left if _is_alike(part, other, len(theirs) > 1)), None)
        if match is None:
            return False
        left.remove(match)
    return not any(part[0].isdigit() for part in left)


def _is_alike(one: str, other: str, abbreviated: bool) -> bool:
    """Whether one part is the other with a slip, or (where others bear it out) its beginning."""
    if one[0].isdigit() or other[0].isdigit():
        return one == other
    shorter, longer = sorted((one, other), key=len)
    if abbreviated and len(shorter) >= SHORT and longer.startswith(shorter):
        return True
    return len(shorter) > SHORT and _distance(one, other) <= (2 if len(shorter) >= LONG else 1)


def _distance(one: str, other: str) -> int:
    """Letters to put in, leave out, change or swap with the next, to make the one the other."""
    before: list[int] = []
    row = list(range(len(other) + 1))
    for i, letter in enumerate(one, 1):
        before, last, row = row, before, [i]
        for j, wanted in enumerate(other, 1):
            cost = min(before[j] + 1, row[j - 1] + 1, before[j - 1] + (letter != wanted))
            if last and j > 1 and letter == other[j - 2] and one[i - 2] == wanted:
                cost = min(cost, last[j - 2] + 1)
            row.append(cost)
    return row[-1]
