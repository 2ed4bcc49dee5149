"""The one build step: `rules/` and `schemas/` are compiled into the wheel, each to one JSON."""

from __future__ import annotations

import json
import shutil
import sys
from pathlib import Path

from setuptools import setup
from setuptools.command.build_py import build_py

HERE = Path(__file__).resolve().parent


class BuildWithData(build_py):
    """`build_py`, then `vramlint/_data/*.json` beside the modules; an editable install reads the checkout instead."""

    def run(self) -> None:
        """Build the modules, then compile the data with this checkout's own code."""
        package = Path(self.build_lib) / "vramlint"
        if not self.editable_mode:
            shutil.rmtree(package, ignore_errors=True)  # modules of an earlier build, gone since
        super().run()
        if self.editable_mode:
            return
        directory = package / "_data"
        directory.mkdir(parents=True, exist_ok=True)
        for name, content in _compiled().items():
            directory.joinpath(name).write_text(_json(content), encoding="utf-8")

    def get_outputs(self, include_bytecode: bool = True) -> list[str]:
        """The built files, the compiled data among them."""
        built = [] if self.editable_mode else [str(Path(self.build_lib, "vramlint", "_data", name)) for name in DATA]
        return [*super().get_outputs(include_bytecode), *built]


DATA = ("rules.json", "schemas.json")


def _compiled() -> dict[str, object]:
    sys.path.insert(0, str(HERE))
    from vramlint.dialects import compiled_schemas  # noqa: PLC0415  # importable only from here on
    from vramlint.rules import compiled_rules  # noqa: PLC0415

    return dict(zip(DATA, (compiled_rules(), compiled_schemas()), strict=True))


def _json(content: object) -> str:
    return json.dumps(content, ensure_ascii=False, separators=(",", ":"))


setup(cmdclass={"build_py": BuildWithData})
