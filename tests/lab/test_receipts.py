"""The measured runs that ship are those of lab/data/measured."""

from __future__ import annotations

import json

from lab.compare import rows
from lab.receipts import FILE, packed, text_of
from vramlint.catalog.measured import measured_runs


def test_every_shipped_run_was_measured() -> None:
    measured = {int(row.measured["peak_allocated"]) for row in rows()}
    shipped = measured_runs()
    assert len(shipped) >= 300
    assert {run.allocated for run in shipped} <= measured, "rows were measured again: run python -m lab.receipts"


def test_the_file_is_in_the_form_that_the_generator_gives() -> None:
    data = json.loads(FILE.read_text())
    assert text_of(data) == FILE.read_text()
    few = packed(rows()[:3])
    assert set(few) == set(data)
    assert {key for run in few["runs"] for key in run} <= {key for run in data["runs"] for key in run} | {"held_out"}
    assert all(run["architecture"] in few["architectures"] for run in few["runs"])
