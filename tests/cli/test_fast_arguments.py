"""The fast reader of the command line says what click says, or leaves it to click."""

from __future__ import annotations

import os
from typing import Any
from unittest import mock

import click
import pytest
from hypothesis import given
from hypothesis import strategies as st

from vramlint.cli import cli
from vramlint.fast_arguments import DEFAULTS, OTHER_COMMANDS, fast_arguments

WORDS = st.sampled_from([
    "train.yaml", "a b.toml", "--target", "rtx3070", "--target=rtx3090", "--output-format", "json", "nonsense",
    "--output-format=full",
    "--fix", "--diff", "--select", "VRM2", "--ignore=VRM401", "--isolated", "--exit-zero", "--force-exclude", "-v",
    "--help", "--", "-",
    "--fix=1", "--targ", "check", "estimate", "--reserve", "1GiB",
])


def by_click(arguments: list[str]) -> dict[str, Any]:
    """The options that click hands to `check`."""
    with cli.commands["check"].make_context("check", list(arguments[arguments[:1] == ["check"] :])) as context:
        return dict(context.params)


def plain(options: dict[str, Any]) -> dict[str, Any]:
    """Lists and tuples alike."""
    return {name: tuple(value) if isinstance(value, list) else value for name, value in options.items()}


@given(st.lists(WORDS, max_size=6))
def test_what_it_reads_click_reads_alike(arguments: list[str]) -> None:
    fast = fast_arguments(arguments, {})
    if fast is not None:
        assert plain(by_click(arguments)) == fast


def test_its_defaults_are_those_of_click() -> None:
    assert plain(by_click(["train.yaml"])) == {**DEFAULTS, "paths": ("train.yaml",)}


def test_the_command_line_of_the_hook_is_read_fast() -> None:
    assert fast_arguments(["--force-exclude", "--target", "rtx3070", "a.yaml", "b.toml"], {}) is not None
    assert fast_arguments(["a.yaml"], {}) is not None


def test_the_target_of_the_environment() -> None:
    with mock.patch.dict(os.environ, {"VRAMLINT_TARGET": "rtx3070 t4"}):
        assert fast_arguments(["train.yaml"]) == plain(by_click(["train.yaml"]))


@pytest.mark.parametrize("arguments", [
    ["--help"], ["estimate", "a.yaml"], ["--output-format", "pdf", "a.yaml"], ["--target"], [],
])
def test_what_needs_explaining_is_left_to_click(arguments: list[str]) -> None:
    assert fast_arguments(arguments, {}) is None


def test_every_command_is_known() -> None:
    assert isinstance(cli, click.Group)
    assert set(cli.commands) <= {"check", *OTHER_COMMANDS}
