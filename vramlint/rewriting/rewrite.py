"""What `--fix`, `--diff` and `--add-ignore` do with one file: check, edit, and write it back whole or not at all."""

from __future__ import annotations

import os
import sys

from vramlint.dataclass import dataclass
from vramlint.linter import Checked, check_data
from vramlint.rewriting.fixing import diff_of, fix_data
from vramlint.rewriting.ignoring import add_ignores
from vramlint.rewriting.task import Task
from vramlint.screen import say
from vramlint.settings import Settings
from vramlint.source import SourceError, write

STANDARD_INPUT = "-"


@dataclass(frozen=True, slots=True)
class Rewritten:
    """The file's last check, whether anything was (or would be) edited, and why it could not be written."""

    checked: Checked
    is_changed: bool
    failure: str | None = None


def rewrite(path: str, name: str, data: bytes, settings: Settings, task: Task, *, named: bool) -> Rewritten:
    """Edit one file. `path` is where it is, `name` what it is called; standard input is written to standard output."""
    before = data

    def check(content: bytes) -> Checked:
        return check_data(name, content, settings.lint, settings.rules, named=named)

    done: tuple[str, ...] = ()
    if task.is_fixed or (task.is_shown and not task.is_ignored):
        fixed = fix_data(name, data, settings.lint, settings.rules, task.least, named=named)
        data, checked = fixed.data, fixed.checked
        done += tuple(f"fixed {title}" for title in fixed.done)
    else:
        checked = check(data)
    if task.is_ignored:
        ignored = add_ignores(checked, data, task.reason, check)
        data, checked = ignored.data, ignored.checked
        done += tuple(f"ignored {title}" for title in ignored.done)
    if task.is_shown:
        say(diff_of(name, before, data))
    elif path == STANDARD_INPUT:
        say_bytes(data)
    elif data != before:
        try:
            write(path, data.decode("utf-8"), before)
        except SourceError as error:
            hint = f" ({error.hint})" if error.hint else ""
            return Rewritten(check(before), False, f"{name}: {error.message}{hint}")
        for title in done:
            say(f"{name}: {title}\n", to_errors=True)
    return Rewritten(checked, data != before)


def say_bytes(data: bytes) -> None:
    """The bytes onto standard output as they are: no line end and no encoding is changed on the way."""
    sys.stdout.flush()
    stream = getattr(sys.stdout, "buffer", None)
    if stream is None:
        say(data.decode("utf-8", errors="replace"))
        return
    stream.write(data)
    stream.flush()


def could_not_comment(checked: Checked) -> str | None:
    """What to do instead of comments in a format that has none."""
    if checked.file is None or checked.file.format != "json" or not checked.findings:
        return None
    codes = ", ".join(f'"{code}"' for code in sorted({finding.code for finding in checked.findings}))
    name = checked.path.replace(os.sep, "/")
    return (
        f"{checked.path}: JSON has no comments; in vramlint.toml beside it, write\n"
        f'[per-file-ignores]\n"{os.path.basename(name)}" = [{codes}]\n'
    )
