from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from vramlint.source import SourceError, write


def test_the_bytes_are_the_text_and_the_mode_is_kept(tmp_path: Path) -> None:
    path = tmp_path / "a.yaml"
    path.write_bytes(b"a: 1\r\n")
    path.chmod(0o640)
    write(str(path), "\ufeffa: é\r\nb: 1\n", b"a: 1\r\n")
    assert path.read_bytes() == "\ufeffa: é\r\nb: 1\n".encode()
    assert stat.S_IMODE(path.stat().st_mode) == 0o640
    assert os.listdir(tmp_path) == ["a.yaml"]


def test_a_symlink_stays_and_its_target_is_written(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    target, link = tmp_path / "real" / "a.yaml", tmp_path / "link.yaml"
    target.write_bytes(b"a: 1\n")
    link.symlink_to(target)
    write(str(link), "a: 2\n", b"a: 1\n")
    assert link.is_symlink()
    assert target.read_bytes() == b"a: 2\n"


def test_a_read_only_file_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.yaml"
    path.write_bytes(b"a: 1\n")
    path.chmod(0o444)
    with pytest.raises(SourceError) as caught:
        write(str(path), "a: 2\n", b"a: 1\n")
    assert caught.value.kind == "unwritable"
    assert path.read_bytes() == b"a: 1\n"


def test_a_file_that_changed_meanwhile_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.yaml"
    path.write_bytes(b"a: 5\n")
    with pytest.raises(SourceError) as caught:
        write(str(path), "a: 2\n", b"a: 1\n")
    assert caught.value.kind == "changed"
    assert path.read_bytes() == b"a: 5\n"


@pytest.mark.parametrize("name", ["gone.yaml", "."])
def test_what_is_no_file_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(SourceError) as caught:
        write(str(tmp_path / name), "a: 2\n", b"")
    assert caught.value.kind == "unwritable"


def test_a_failed_write_leaves_the_old_file_and_no_other(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "a.yaml"
    path.write_bytes(b"a: 1\n")

    def no_room(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "replace", no_room)
    with pytest.raises(SourceError, match="No space left"):
        write(str(path), "a: 2\n", b"a: 1\n")
    assert path.read_bytes() == b"a: 1\n"
    assert os.listdir(tmp_path) == ["a.yaml"]


def test_text_that_is_no_utf8_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.yaml"
    path.write_bytes(b"a: 1\n")
    with pytest.raises(SourceError):
        write(str(path), "a: \ud800\n", b"a: 1\n")
    assert path.read_bytes() == b"a: 1\n"
    assert os.listdir(tmp_path) == ["a.yaml"]
