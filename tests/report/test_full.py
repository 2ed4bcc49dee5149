"""The screen, as a person reads it."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace

import pytest

from vramlint.findings import Finding, Fix, Related, Safety
from vramlint.report import render
from vramlint.source import SourceFile, Span, read

ESCAPE = re.compile(r"\x1b\[[0-9;]*m")


def test_a_finding_shows_where_why_and_what_to_do(file: SourceFile, does_not_fit: Finding) -> None:
    assert render("full", [does_not_fit], {"train.yaml": file}) == """\
train.yaml:3:30: error VRM201 [does-not-fit] needs 13.3 GiB, rtx3070 has 7.8 GiB usable
  |
2 | max_length: 4096
  |             ---- of 4096 tokens each
3 | per_device_train_batch_size: 8
  |                              ^ 8 sequences at once
  = help: the logits take 6.9 GiB of it
  = fix: batch 8 → 4, accumulation 2 → 4 (safe) → needs 7.5 GiB, fits
  = fix: LoRA rank 8 (unsafe) → needs 12.0 GiB, not enough alone
  = help: a smaller model
  = help: gradient checkpointing on → needs 8.0 GiB, tight; by hand: the mapping is shared by two anchors

1 error; 1 fix with --fix
"""


def test_concise_is_the_first_line_alone(file: SourceFile, does_not_fit: Finding, unsafe_only: Finding) -> None:
    text = render("concise", [does_not_fit, unsafe_only], {"train.yaml": file})
    assert text == (
        "train.yaml:3:30: error VRM201 [does-not-fit] needs 13.3 GiB, rtx3070 has 7.8 GiB usable\n"
        "train.yaml:2:13: warning VRM310 [long-sequences] long\n"
    )


@pytest.mark.parametrize(
    ("severities", "expected"),
    [
        ((), "nothing found"),
        (("error",), "1 error"),
        (("warning", "error", "error", "info"), "2 errors, 1 warning, 1 info"),
        (("info", "info"), "2 info"),
    ],
)
def test_the_last_line_counts(
    file: SourceFile, unsafe_only: Finding, severities: tuple[str, ...], expected: str,
) -> None:
    findings = [replace(unsafe_only, severity=severity, fixes=()) for severity in severities]
    assert render("full", findings, {"train.yaml": file}).splitlines()[-1] == expected


def test_fixes_are_counted_once_per_finding_and_only_those_that_would_be_made(
    file: SourceFile, does_not_fit: Finding, unsafe_only: Finding,
) -> None:
    refused = replace(unsafe_only, fixes=tuple(replace(fix, refused="no") for fix in unsafe_only.fixes))
    not_enough = replace(does_not_fit, fixes=does_not_fit.fixes[1:2])
    for findings, expected in (
        ([does_not_fit], "1 fix with --fix"),
        ([does_not_fit, does_not_fit, unsafe_only], "2 fixes with --fix, 1 more with --unsafe-fixes"),
        ([unsafe_only, refused], "1 fix with --unsafe-fixes"),
        ([refused, not_enough], None),
    ):
        last = render("full", findings, {"train.yaml": file}).splitlines()[-1]
        assert last.partition("; ")[2] == (expected or "")


def finding_at(file: SourceFile, text: str, label: str = "") -> Finding:
    start = file.text.index(text)
    return Finding("VRM900", "a-name", "info", "m", file.path, Span(start, start + len(text)), label=label)


def caret_under(text: str) -> tuple[str, str]:
    """The line with the caret and the text it stands under, as columns of a terminal where each character takes one."""
    lines = text.splitlines()
    row = next(number for number, line in enumerate(lines) if "^" in line)
    first, last = lines[row].index("^"), lines[row].rindex("^") + 1
    return lines[row], lines[row - 1][first:last]


@pytest.mark.parametrize(
    "line",
    [
        "a: 1  # x\nkey: [one, WANTED]", "key:\tWANTED", "a: 1\r\nkey: WANTED\r\n",
        "\ufeffkey: WANTED", "key: ['é', WANTED]",
    ],
)
def test_the_caret_stands_under_the_value(line: str) -> None:
    file = read("a.yaml", line.encode())
    assert caret_under(render("full", [finding_at(file, "WANTED")], {"a.yaml": file}))[1] == "WANTED"


@pytest.mark.parametrize(("before", "columns"), [("日本", 4), ("é", 1), ("e\u0301", 1), ("🙂", 2), ("\t", 4)])
def test_the_caret_counts_columns_not_characters(before: str, columns: int) -> None:
    file = read("a.json", f'["{before}", 12]'.encode()) if before != "\t" else read("a.json", b'[\t"", 12]')
    row, _ = caret_under(render("full", [finding_at(file, "12")], {"a.json": file}))
    assert row.index("^") == len('1 | ["') + columns + len('", ')


def test_a_byte_order_mark_is_no_column() -> None:
    file = read("a.yaml", "\ufeffkey: 12\n".encode())
    assert render("concise", [finding_at(file, "12")], {"a.yaml": file}).startswith("a.yaml:1:6: ")


def test_a_minified_file_is_cut_around_the_place() -> None:
    file = read("a.json", ("{" + ",".join(f'"k{n}": 1' for n in range(20_000)) + ',"wanted": 99999}').encode())
    text = render("full", [finding_at(file, "99999", "here")], {"a.json": file})
    assert max(map(len, text.splitlines())) < 120
    assert caret_under(text)[1] == "99999"
    shown = next(line for line in text.splitlines() if "wanted" in line)
    assert shown.startswith("1 | …")


def test_an_empty_value_has_a_caret_of_one() -> None:
    file = read("a.yaml", b"key:\nb: 1\n")
    text = render("full", [Finding("V1", "n", "info", "m", "a.yaml", Span(4, 4))], {"a.yaml": file})
    assert "  |     ^" in text.splitlines()


def test_a_value_over_several_lines_is_marked_to_the_end_of_its_first() -> None:
    file = read("a.yaml", b"key: [one,\n  two]\n")
    text = render("full", [finding_at(file, "[one,\n  two]")], {"a.yaml": file})
    assert caret_under(text)[1] == "[one,"


@pytest.mark.parametrize("hostile", ["\x1b[2J", "\x1b]0;owned\x07", "\u202e", "\x9b2J", "\u2028", "\x00"])
def test_text_from_a_file_cannot_drive_the_terminal(hostile: str) -> None:
    file = replace(read("a.yaml", b"key: value\n"), text=f"key: v{hostile}lue\n")
    finding = Finding(
        "V1", "n", "error", f"bad {hostile}", f"a{hostile}.yaml", Span(5, 6), label=hostile, help=(hostile,),
        related=(Related(Span(0, 1, "other.yaml"), hostile),), fixes=(Fix(hostile, Safety.DISPLAY),),
    )
    for output_format in ("full", "concise"):
        text = render(output_format, [finding], {f"a{hostile}.yaml": file})
        assert hostile not in text
        assert all(character == "\n" or character.isprintable() for character in text)


def test_a_line_break_in_a_message_does_not_break_the_greppable_line(file: SourceFile, unsafe_only: Finding) -> None:
    text = render("concise", [replace(unsafe_only, message="one\ntrain.yaml:1:1: error")], {"train.yaml": file})
    assert text.count("\n") == 1


def test_a_file_without_text_is_reported_at_its_start() -> None:
    finding = Finding("VRM001", "unreadable", "error", "not UTF-8", "x.yaml")
    text = render("full", [finding], {})
    assert text.splitlines()[0] == "x.yaml:1:1: error VRM001 [unreadable] not UTF-8"


def test_places_in_other_files_are_named(file: SourceFile, unsafe_only: Finding) -> None:
    other = read("base.yaml", b"a: 1\nmax_length: 4096\n")
    finding = replace(unsafe_only, related=(Related(Span(17, 21, "base.yaml"), "from here"),))
    text = render("full", [finding], {"train.yaml": file, "base.yaml": other})
    assert "  = note: base.yaml:2:13: from here" in text.splitlines()


def test_colour_changes_nothing_but_colour(file: SourceFile, does_not_fit: Finding, unsafe_only: Finding) -> None:
    findings, files = [does_not_fit, unsafe_only], {"train.yaml": file}
    plain, coloured = (render("full", findings, files, colour=colour) for colour in (False, True))
    assert "\x1b[" in coloured
    assert "\x1b" not in plain
    assert ESCAPE.sub("", coloured) == plain


def test_what_fits_is_said(file: SourceFile, record: Callable[..., dict[str, object]]) -> None:
    target = {"id": "rtx3090", "name": "RTX 3090", "usable": 24 << 30}
    text = render("full", [], {"train.yaml": file}, records=[record(verdict="fits", target=target)])
    assert text == (
        "train.yaml: needs 12.0 GiB (11.0 GiB to 13.0 GiB), fits on rtx3090 with 24.0 GiB usable\nnothing found\n"
    )
    text = render("full", [], {"train.yaml": file}, records=[record(verdict="does-not-fit", target=target)])
    assert text == "nothing found\n"
