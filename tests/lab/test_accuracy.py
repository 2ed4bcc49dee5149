"""The figures of docs/accuracy.md are held here. HELD may be tightened towards lab.accuracy.GOALS, never loosened."""

import functools

import pytest

from lab.accuracy import FIGURES, GOALS
from lab.compare import Compared, compare, errors, rows, verdicts
from lab.published import published_errors

HELD = {"allocated": (0.02, 0.14, 0.25), "required": (0.06, 0.20, 0.30)}
"""Median, 95th percentile and worst error on held-out rows."""
HELD_WITHOUT_ESTIMATE = 0.35
HELD_WRONGLY_FITS = 0.05
HELD_PUBLISHED = 0.25
"""Median error on runs published from real cards; the goal is 0.03."""


@functools.cache
def all_compared() -> tuple[Compared, ...]:
    return tuple(compare(row) for row in rows())


def test_no_limit_is_tighter_than_the_goal() -> None:
    for figure in FIGURES:
        assert all(held >= goal for held, goal in zip(HELD[figure], GOALS[figure], strict=True))


@pytest.mark.parametrize("figure", FIGURES)
def test_held_out_errors(figure: str) -> None:
    found = errors([one for one in all_compared() if one.held_out], figure)
    assert found is not None
    assert found.count >= 15
    assert found.median <= HELD[figure][0]
    assert found.percentile95 <= HELD[figure][1]
    assert found.worst <= HELD[figure][2]


def test_what_has_no_estimate_says_why() -> None:
    without = [one for one in all_compared() if one.allocated is None]
    assert len(without) <= HELD_WITHOUT_ESTIMATE * len(all_compared())
    assert all(one.why and not one.why.startswith("raised") for one in without)


def test_what_runs_out_is_not_called_fits() -> None:
    found = verdicts(all_compared())
    assert found.run_out >= 100
    assert found.wrongly_fits <= HELD_WRONGLY_FITS * found.run_out
    assert found.wrongly_refused <= 0.02 * found.pass_


def test_published_runs_on_real_cards() -> None:
    signed = sorted(map(abs, published_errors()))
    assert len(signed) >= 10
    assert signed[len(signed) // 2] <= HELD_PUBLISHED
