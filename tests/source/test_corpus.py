"""The readers and edits on real configs, where there are some; `python -m lab.edits FOLDER` is the whole of it."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from lab.edits import independent, is_right, operations_of
from vramlint.source import Edited, SourceError, apply, effective, format_of, read

EVERY_FILE = 25
EVERY_EDIT = 40


@pytest.fixture(scope="session")
def configs(corpus: Path) -> list[Path]:
    return [path for path in sorted(corpus.rglob("*")) if format_of(path.name)]


def test_what_other_parsers_read_we_read(configs: list[Path]) -> None:
    for path in configs[::4]:
        data = path.read_bytes()
        try:
            file = read(str(path), data)
        except SourceError as error:
            assert error.kind in ("syntax", "empty")  # noqa: PT017
            with pytest.raises((ValueError, yaml.YAMLError, AssertionError)):
                assert independent(data.decode(), format_of(path.name) or "")[0] is not None
        else:
            assert file.text.encode() == data
            for document in file.documents:
                effective(file, document).plain(())


def test_a_sample_of_edits_is_right(configs: list[Path]) -> None:
    made = 0
    for path in configs[::EVERY_FILE]:
        try:
            file = read(str(path), path.read_bytes())
        except SourceError:
            continue
        before = independent(file.text, file.format)
        for operation in list(operations_of(file))[::EVERY_EDIT]:
            result = apply(file, [operation])
            if isinstance(result, Edited):
                made += 1
                assert is_right(before, file, operation, result), (path, operation)
    assert made > 300
