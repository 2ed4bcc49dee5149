"""The values in force under one trainer: what is said, else the default of its classes, else the run's own."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from vramlint.dialects.adaptor import adaptor_for
from vramlint.dialects.follows import follow
from vramlint.dialects.gather import MARKED, Gathered
from vramlint.dialects.recognised import OURS, Origin
from vramlint.dialects.settlement import Settlement
from vramlint.dialects.values import fitted_default
from vramlint.dialects.walk import Reading
from vramlint.run import Run, Value

PLAIN = Run()
RUN_DEFAULTS: dict[str, Any] = {
    name: getattr(PLAIN, name) for name in Run.__match_args__ if name not in ("unknown", "stack", "trainer")
}


def settled(
    reading: Reading, gathered: Gathered, trainer: str, stack: Mapping[str, str],
) -> tuple[Settlement, dict[str, Origin]]:
    """The values in force under one trainer: said, else the default of its classes, else the run's own."""
    adaptor = adaptor_for(reading.tables.name)
    classes = adaptor.classes_for(reading, trainer)
    values = marks_of(reading, gathered, classes, stack)
    origins: dict[str, Origin] = {}
    for key, own in RUN_DEFAULTS.items():
        if key in gathered.values:
            values[key] = gathered.values[key]
            continue
        default = reading.tables.default(key, classes, stack)
        values[key] = own if default is None else fitted_default(key, default.value)
        origins[key] = Origin("default", why=default.why if default else OURS)
    settlement = Settlement(gathered, trainer, stack, values)
    follow(settlement, reading.tables.about.get("follows", []))
    adaptor.settle(settlement, reading)
    return settlement, origins


def marks_of(
    reading: Reading, gathered: Gathered, classes: list[str], stack: Mapping[str, str],
) -> dict[str, Value]:
    """The dialect's own facts, said or by default."""
    marks: dict[str, Value] = {key: value for key, value in gathered.values.items() if key.startswith(MARKED)}
    for key in reading.tables.marks(classes):
        default = reading.tables.default(key, classes, stack)
        if default is not None and key not in gathered.unknown:
            marks.setdefault(key, default.value)
    return marks
