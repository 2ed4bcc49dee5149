"""Reads the command lines of hooks and editors without click, whose import is a third of a run; click reads all others.

What is given is what click would give (a test holds the two together), or None: then click reads it, or explains it.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import Any

OTHER_COMMANDS = ("estimate", "explain", "targets", "compare")
"""The other commands: where the first word is one, click reads on."""
DEFAULTS: dict[str, Any] = {
    "targets": (), "reserve": None, "settings": (), "model_config": None, "dialect": None, "stack": (), "isolated": False,
    "companions": (), "hub": False,
    "color": "auto", "output_format": None, "select": (), "ignore": (), "rules": (), "fail_on": None, "exit_zero": False,
    "strict": False, "fix": False, "fix_only": False, "unsafe_fixes": False, "diff": False, "add_ignore": False, "reason": "",
    "config": None, "stdin_filename": None, "force_exclude": False, "verbose": False,
}
MANY = {"--target": "targets", "--select": "select", "--ignore": "ignore"}
ONE = {"--output-format": "output_format", "--fail-on": "fail_on"}
CHOICES = {"output_format": ("full", "concise", "json", "sarif", "github"), "fail_on": ("error", "warning", "info")}
FLAGS = {
    "--isolated": "isolated", "--exit-zero": "exit_zero", "--fix": "fix", "--diff": "diff", "--strict": "strict",
    "--force-exclude": "force_exclude",
}


def fast_arguments(arguments: Sequence[str], environment: Mapping[str, str] | None = None) -> dict[str, Any] | None:
    """The options of `vramlint check` that the arguments say, or None where click has to look."""
    environment = os.environ if environment is None else environment
    if not arguments or arguments[0] in OTHER_COMMANDS or any(name.startswith("_VRAMLINT") for name in environment):
        return None
    found = dict(DEFAULTS)
    paths: list[str] = []
    words = iter(arguments[1:] if arguments[0] == "check" else arguments)
    for word in words:
        if not word.startswith("-"):
            paths.append(word)
            continue
        name, equals, value = word.partition("=")
        if name in FLAGS and not equals:
            found[FLAGS[name]] = True
            continue
        if name not in MANY and name not in ONE:
            return None
        given = value if equals else next(words, None)
        if given is None:
            return None
        if name in MANY:
            found[MANY[name]] = (*found[MANY[name]], given)
        else:
            if given not in CHOICES[ONE[name]]:
                return None
            found[ONE[name]] = given
    if not paths:
        return None
    if not found["targets"] and "VRAMLINT_TARGET" in environment:
        found["targets"] = tuple(environment["VRAMLINT_TARGET"].split())
    return {**found, "paths": tuple(paths)}
