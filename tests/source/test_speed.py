"""Reading must stay a small part of a cold start: held relative to PyYAML on the same machine at the same time."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable

import pytest
import yaml

from vramlint.source import read


def best(job: Callable[[], object]) -> float:
    times = []
    for _ in range(9):
        begun = time.perf_counter()
        job()
        times.append(time.perf_counter() - begun)
    return min(times)


@pytest.mark.skipif(not hasattr(yaml, "CSafeLoader"), reason="PyYAML without libyaml is slow in itself")
@pytest.mark.parametrize("groups", [40, 1000])
def test_reading_yaml_with_positions_costs_little_more_than_loading_it(groups: int) -> None:
    text = "".join(f"key_{n}:\n  a: {n}\n  b: 2e-5\n  c: 'x'\n  d: true # comment\n" for n in range(groups))
    data = text.encode()
    assert best(lambda: read("a.yaml", data)) < 5 * best(lambda: yaml.load(text, yaml.CSafeLoader))


def test_importing_the_room_loads_no_parser_and_nothing_heavy() -> None:
    code = "import sys, vramlint.source; print(*sys.modules)"
    loaded = set(
        subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    )
    assert not loaded & {
        "yaml",
        "tomllib",
        "tomli",
        "tempfile",
        "vramlint.source.python_reader",
        "vramlint.source.yaml_reader",
    }
