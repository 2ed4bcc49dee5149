"""Errors, bands and verdicts, on comparisons made by hand."""

import pytest

from lab.case import complete
from lab.compare import Compared, Row, bands, errors, label, quantile, rows, verdicts

GIB = 2**30


def compared(allocated: float, truth: float, required: tuple[float, float, float] | None = None) -> Compared:
    row = Row(complete({"arch": "gpt2"}), {"peak_allocated": truth * GIB, "least_capacity": truth * GIB}, "by hand")
    low, middle, high = required or (allocated, allocated, allocated)
    return Compared(
        row,
        (int(allocated * 0.98 * GIB), int(allocated * GIB), int(allocated * 1.02 * GIB)),
        (int(low * GIB), int(middle * GIB), int(high * GIB)),
    )


def test_an_error_is_a_part_of_the_truth_with_its_sign() -> None:
    assert compared(11, 10).error("allocated") == pytest.approx(0.1)
    assert compared(9, 10).error("required") == pytest.approx(-0.1)
    assert Compared(compared(9, 10).row, why="none").error("allocated") is None


def test_errors_are_summed_up_by_size_and_the_mean_keeps_the_sign() -> None:
    found = errors([compared(10 + step, 10) for step in range(-10, 11)], "allocated")
    assert found is not None
    assert (found.count, found.worst) == (21, pytest.approx(1.0))
    assert found.median == pytest.approx(0.5)
    assert found.mean == pytest.approx(0.0, abs=1e-9)
    assert errors([], "allocated") is None


def test_a_quantile_is_one_of_the_values() -> None:
    assert quantile([1, 2, 3, 4], 0.5) == 3
    assert quantile([1, 2, 3, 4], 0.95) == 4
    assert quantile([7], 0.5) == 7


def test_a_band_is_judged_by_what_it_covers_and_by_its_width() -> None:
    found = bands([compared(10, 10), compared(10, 10.1), compared(10, 10.3), compared(10, 9.7)], "allocated")
    assert found is not None
    assert (found.covered, found.inside) == (0.75, 0.5)
    assert found.median_width == pytest.approx(0.04)


def test_verdicts_are_tried_around_the_least_capacity() -> None:
    sure = verdicts([compared(10, 10, (9.9, 10, 10.1))])
    assert (sure.run_out, sure.wrongly_fits, sure.pass_, sure.wrongly_refused, sure.tight) == (3, 0, 3, 0, 0)
    assert verdicts([compared(9, 10, (8.9, 9, 9.4))]).wrongly_fits == 2  # 9.5 and 9.8 run out
    assert verdicts([compared(11, 10, (10.3, 11, 12))]).wrongly_refused == 1  # 10.2 passes
    assert verdicts([compared(10, 10, (8, 10, 12))]).tight == 6


def test_every_case_is_compared_once() -> None:
    measured = rows()
    assert len({label(row) for row in measured}) == len(measured)
    assert all("error" not in row.measured for row in measured)
