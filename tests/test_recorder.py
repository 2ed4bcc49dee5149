"""What nvidia-smi is asked and how its answer is read; a stand-in answers, since no test machine has a driver."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from vramlint.monitor.recorder import nvidia_smi

MIB = 1 << 20


@pytest.fixture
def answering(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A script of that name, first on the path, with two cards and two processes on the second."""
    script = tmp_path / "nvidia-smi"
    script.write_text(f"""#!/bin/sh
case "$1" in
  --query-gpu=*) printf 'GPU-aaa, 10\\nGPU-bbb, 9000\\n' ;;
  *) printf 'GPU-bbb, 1, 500\\nGPU-bbb, {os.getpid()}, 8400\\n' ;;
esac
""")
    script.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=os.pathsep)
    return script


@pytest.mark.usefixtures("answering")
def test_it_is_this_process_on_its_own_card() -> None:
    assert nvidia_smi("bbb") == {"process": 8400 * MIB, "device": 9000 * MIB}


@pytest.mark.usefixtures("answering")
def test_a_process_that_a_container_hides_is_unknown() -> None:
    assert nvidia_smi("aaa") == {"process": None, "device": 10 * MIB}


def test_one_that_fails_or_says_nonsense_gives_nothing(answering: Path) -> None:
    answering.write_text("#!/bin/sh\nexit 9\n")
    assert nvidia_smi("bbb") is None
    answering.write_text("#!/bin/sh\necho '[N/A]'\n")
    for uuid in ("bbb", None):
        assert nvidia_smi(uuid) == {"process": None, "device": None}


def test_without_nvidia_smi_there_is_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    assert nvidia_smi(None) is None
