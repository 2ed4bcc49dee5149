"""Reading files loads nothing that a start would wait for: what it costs is timed in benchmarks/."""

from __future__ import annotations

import subprocess
import sys


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
