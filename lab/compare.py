"""Estimates beside measurements: the measured rows, the error of each, and what the bands and verdicts are worth."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lab.case import complete, held_out, identity, short
from lab.cases import architecture_of, capability_of, on_small_card, run_of
from vramlint import memory

MEASURED = Path(__file__).parent / "data" / "measured"
LIMITS = (0.90, 0.95, 0.98, 1.02, 1.05, 1.10)
"""Cards that verdicts are tried on, as parts of the least capacity: of those below one the run runs out of memory."""


@dataclass(frozen=True, slots=True)
class Row:
    """One measured run: its completed case, its measurements in bytes, and the file it is in."""

    case: Mapping[str, Any]
    measured: Mapping[str, Any]
    file: str


@dataclass(frozen=True, slots=True)
class Compared:
    """A row beside its estimate. `why` is set where there is none; a band is (low, typical, high) in bytes."""

    row: Row
    allocated: tuple[int, int, int] | None = None
    required: tuple[int, int, int] | None = None
    why: str = ""

    @property
    def held_out(self) -> bool:
        """Whether nobody tuned on it."""
        return held_out(self.row.case)

    def truth(self, figure: str) -> int | None:
        """The measured bytes that `allocated` or `required` is to meet, None where it was not measured."""
        value = self.row.measured.get("peak_allocated" if figure == "allocated" else "least_capacity")
        return None if value is None else int(value)

    def band(self, figure: str) -> tuple[int, int, int] | None:
        """The estimate of `allocated` or `required`."""
        return self.allocated if figure == "allocated" else self.required

    def error(self, figure: str) -> float | None:
        """How far the typical estimate is off, as a part of the truth; above zero is too much."""
        truth, band = self.truth(figure), self.band(figure)
        return None if truth is None or band is None else band[1] / truth - 1


def rows(folder: Path = MEASURED) -> list[Row]:
    """Every measured run once, those that failed left out; later files do not repeat earlier ones."""
    found: dict[str, Row] = {}
    for path in sorted(folder.glob("*.jsonl")):
        for line in path.read_text().splitlines():
            case = json.loads(line)
            measured = case.pop("measured")
            if "error" not in measured and not str(case.get("note", "")).startswith("untrue"):
                key = identity(case)
                if key not in found or "least_capacity" in measured:
                    found[key] = Row(complete(case), measured, path.stem)
    return list(found.values())


def compare(row: Row) -> Compared:
    """The row's estimate beside it."""
    case = {**row.case, "measured": row.measured}
    try:
        small = on_small_card(case)
        made = memory.estimate(run_of(case), architecture_of(case), capability=capability_of(case), small_card=small)
    except (ValueError, ArithmeticError, LookupError, TypeError, AttributeError) as error:
        return Compared(row, why=f"raised {type(error).__name__}: {error}")
    if isinstance(made, memory.NoEstimate):
        return Compared(row, why=made.why)
    return Compared(
        row,
        (made.allocated.low, made.allocated.typical, made.allocated.high),
        (made.required.low, made.required.typical, made.required.high),
    )


@dataclass(frozen=True, slots=True)
class Errors:
    """Of several comparisons: how many, and their errors' sizes as parts of the truth; `mean` keeps the sign."""

    count: int
    median: float
    percentile95: float
    worst: float
    mean: float


def errors(compared: Iterable[Compared], figure: str) -> Errors | None:
    """The errors of one figure, None if no row has it."""
    signed = [error for one in compared if (error := one.error(figure)) is not None]
    if not signed:
        return None
    sizes = sorted(map(abs, signed))
    return Errors(len(sizes), quantile(sizes, 0.5), quantile(sizes, 0.95), sizes[-1], sum(signed) / len(signed))


def quantile(ordered: Sequence[float], part: float) -> float:
    """The value below which that part of the ordered values lies: the nearest one, never one between two."""
    return ordered[min(len(ordered) - 1, int(part * len(ordered)))]


@dataclass(frozen=True, slots=True)
class Bands:
    """How often the truth is at most the high end, and within the band.

    The band's width as a part of its typical value.
    """

    count: int
    covered: float
    inside: float
    median_width: float
    percentile95_width: float


def bands(compared: Iterable[Compared], figure: str) -> Bands | None:
    """What the bands of one figure are worth, None if no row has it."""
    covered, inside, widths = 0, 0, []
    for one in compared:
        truth, band = one.truth(figure), one.band(figure)
        if truth is not None and band is not None:
            covered += truth <= band[2]
            inside += band[0] <= truth <= band[2]
            widths.append((band[2] - band[0]) / band[1])
    if not widths:
        return None
    widths.sort()
    count = len(widths)
    return Bands(count, covered / count, inside / count, quantile(widths, 0.5), quantile(widths, 0.95))


@dataclass(frozen=True, slots=True)
class Verdicts:
    """Over rows with a least capacity × LIMITS.

    How many run out and how many of those are called fits; and the contrary.
    """

    run_out: int
    wrongly_fits: int
    pass_: int
    wrongly_refused: int
    tight: int


def verdicts(compared: Iterable[Compared]) -> Verdicts:
    """The verdict test: each row's required memory against cards around its least capacity."""
    run_out = wrongly_fits = passes = wrongly_refused = tight = 0
    for one in compared:
        if one.required is None or (least := one.truth("required")) is None:
            continue
        low, _, high = one.required
        for limit in LIMITS:
            card = least * limit
            fits, refused = high <= card, low > card
            tight += not (fits or refused)
            if limit < 1:
                run_out += 1
                wrongly_fits += fits
            else:
                passes += 1
                wrongly_refused += refused
    return Verdicts(run_out, wrongly_fits, passes, wrongly_refused, tight)


def groups(compared: Iterable[Compared], field: str) -> Iterator[tuple[str, list[Compared]]]:
    """The comparisons by a field of their case, the fields' values in order."""
    by_value: dict[str, list[Compared]] = {}
    for one in compared:
        value = one.row.case[field]
        if field == "framework" and value is None:
            value = "transformers, TRL"
        by_value.setdefault(value if isinstance(value, str) else json.dumps(value), []).append(one)
    yield from sorted(by_value.items())


def label(row: Row) -> str:
    """The row's case in one line: what differs from the defaults."""
    fields = {key: value for key, value in short(row.case).items() if key not in {"capacity", "note"}}
    arch = fields.pop("arch")
    return " ".join([str(arch), *(f"{key}={value}" for key, value in fields.items())])
