"""The project as others get it: a copy of the checkout, built and installed."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import venv
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


def environment(**more: str) -> dict[str, str]:
    """This process's environment without what would make a child see the checkout or another git repository."""
    kept = {
        key: value for key, value in os.environ.items()
        if not key.startswith(("GIT_", "PYTEST", "VRAMLINT_")) and key not in ("PYTHONPATH", "VIRTUAL_ENV")
    }
    return {**kept, "NO_COLOR": "1", **more}


def run_command(
    *command: str | Path, cwd: Path, expect: int | None = 0, **more: str,
) -> subprocess.CompletedProcess[str]:
    """A command that must end with the exit code `expect`."""
    done = subprocess.run(
        [str(part) for part in command], cwd=cwd, env=environment(**more), capture_output=True, text=True, check=False,
        timeout=600, stdin=subprocess.DEVNULL,
    )
    said = f"{command}\n{done.stdout[-3000:]}\n{done.stderr[-3000:]}"
    assert expect is None or done.returncode == expect, said
    return done


@dataclass(frozen=True)
class Built:
    """The two archives."""

    sdist: Path
    wheel: Path


@dataclass(frozen=True)
class Installed:
    """An environment with the tool in it."""

    python: Path
    command: Path


@pytest.fixture(scope="session")
def run() -> Callable[..., subprocess.CompletedProcess[str]]:
    """Runs a command that must end with the exit code `expect`."""
    return run_command


@pytest.fixture(scope="session")
def commit() -> Callable[[Path], None]:
    """Makes a git repository of a directory, everything in it committed."""
    return committed


@pytest.fixture(scope="session")
def copy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The checkout's files without what git ignores, in a git repository of its own."""
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT, capture_output=True, text=True, check=False,
    )
    if listed.returncode:
        pytest.skip("not a git checkout")
    target = tmp_path_factory.mktemp("copy") / "vramlint"
    for name in filter(None, listed.stdout.split("\0")):
        if (ROOT / name).is_file():
            (target / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, target / name)
    committed(target)
    return target


def committed(directory: Path) -> None:
    """A new git repository with everything in the directory committed."""
    shutil.rmtree(directory / ".git", ignore_errors=True)
    who = ("-c", "user.name=Test", "-c", "user.email=test@example.com", "-c", "commit.gpgsign=false")
    run_command("git", "init", "-q", "-b", "main", cwd=directory)
    run_command("git", "add", "-A", cwd=directory)
    run_command("git", *who, "commit", "-qm", "all", cwd=directory)


@pytest.fixture(scope="session")
def built(copy: Path, tmp_path_factory: pytest.TempPathFactory) -> Built:
    """An sdist of the copy, and the wheel built from that sdist."""
    out = tmp_path_factory.mktemp("dist")
    run_command(sys.executable, "-m", "build", "--outdir", out, copy, cwd=out)
    [sdist], [wheel] = out.glob("*.tar.gz"), out.glob("*.whl")
    return Built(sdist, wheel)


@pytest.fixture(scope="session")
def install(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Installed]:
    """Installs what pip is told to, in a fresh environment."""

    def install(*what: str | Path) -> Installed:
        place = tmp_path_factory.mktemp("venv")
        venv.create(place, with_pip=True)
        scripts = place / ("Scripts" if os.name == "nt" else "bin")
        python = scripts / ("python.exe" if os.name == "nt" else "python")
        run_command(python, "-m", "pip", "install", "-q", *what, cwd=place)
        return Installed(python, scripts / "vramlint")

    return install
