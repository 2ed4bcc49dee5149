"""What the README shows is what the tool prints."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")


def blocks(language: str) -> list[str]:
    """The fenced blocks of a language, in order."""
    return re.findall(rf"^```{language}\n(.*?)^```$", README, re.MULTILINE | re.DOTALL)


def test_the_screen_is_the_output_of_the_first_command() -> None:
    lint = blocks("sh")[0].strip().splitlines()[-1]
    program, *arguments = shlex.split(lint)
    assert program.endswith("vramlint")
    environment = {**os.environ, "NO_COLOR": "1", "PYTHONIOENCODING": "utf-8"}
    done = subprocess.run(
        [sys.executable, "-m", "vramlint", *arguments],
        cwd=ROOT, env=environment, capture_output=True, encoding="utf-8", check=False,
    )
    assert done.returncode == 1
    assert done.stdout == blocks("text")[0]


def test_there_are_two_commands_to_run() -> None:
    lint, tests = blocks("sh")
    assert "--target rtx3070 examples/reference/train.yaml" in lint
    assert "pytest" in tests


def test_links_lead_somewhere() -> None:
    for page in (ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md"))):
        for link in re.findall(r"\]\(([^)#]+)", page.read_text(encoding="utf-8")):
            if "://" not in link:
                assert (page.parent / link).exists(), f"{page.name} links to {link}"
