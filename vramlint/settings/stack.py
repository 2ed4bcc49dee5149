"""Which library versions a project uses, as far as its lock, requirements or environment files beside a config say."""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Iterator, Mapping

from vramlint.dataclass import dataclass, field
from vramlint.project import places

CURRENT: Mapping[str, str] = {
    "torch": "2.11.0", "transformers": "5.17.0", "peft": "0.21.2", "trl": "1.16.0", "bitsandbytes": "0.50.2",
    "liger-kernel": "0.8.5", "accelerate": "1.15.0",
}
"""The newest versions that the estimate knows: what a library in no stack is taken to be."""
LAST_OF_MAJOR: Mapping[tuple[str, int], str] = {("transformers", 4): "4.57", ("torch", 1): "1.13", ("trl", 0): "0.29"}
"""The last minor versions before a major one, which `<5` comes to (from the projects' release pages)."""
LOCKS = ("uv.lock", "poetry.lock", "pdm.lock")
OTHERS = ("environment.yml", "environment.yaml", "pyproject.toml")
MOST_BYTES = 8 << 20
NAMES = "|".join(sorted(CURRENT, key=len, reverse=True)).replace("-", "[-_.]")


@dataclass(frozen=True, slots=True)
class Stack:
    """Library → version where it is older than the current one, and in which files that was found (`said`: for people).

    `installed` are the libraries that these files name, with a version or without.
    """

    versions: Mapping[str, str] = field(default_factory=dict)
    said: str = ""
    installed: frozenset[str] = frozenset()


NONE = Stack()


def stack_near(directory: str, cache: dict[str, Stack]) -> Stack:
    """What the nearest directory that says something says: from `directory` up to its repository's root.

    Outside of a repository, up to the current directory if that is above; else `directory` alone. Never raises.
    """
    found = cache.get(directory)
    if found is None:
        stacks = (_stack_in(place) for place in places(os.path.abspath(directory)))
        found = cache[directory] = next((stack for stack in stacks if stack.said or stack.installed), NONE)
    return found


def merged(found: Stack, stated: Mapping[str, str], where: str) -> Stack:
    """The stack with versions that were stated put over those found; `current` states the current version."""
    if not stated:
        return found
    kept = {library: version for library, version in found.versions.items() if library not in stated}
    kept |= {library: version for library, version in stated.items() if not is_current(library, version)}
    return Stack(kept, f"{where}, {found.said}" if found.said else where, found.installed)


def fault_of(library: str, version: str) -> str | None:
    """What is wrong with a stated version, or None."""
    if library not in CURRENT:
        return f"there is no library {library!r} in a stack: there are {', '.join(CURRENT)}"
    if version == "current":
        return None
    if not re.fullmatch(r"\d{1,4}(\.\d{1,6}){0,3}([._-]?(a|b|rc|post|dev)\d*)*(\+[\w.]+)?", version, re.ASCII):
        return f"{version!r} is no version of {library}: write it as {CURRENT[library]}"
    if numbers(version)[0] > numbers(CURRENT[library])[0] + 1:
        return f"{library} {version} is not known: the newest known is {CURRENT[library]}"
    return None


def is_current(library: str, version: str) -> bool:
    """Whether nothing newer than this version is known."""
    return version == "current" or (library in CURRENT and numbers(version) >= numbers(CURRENT[library])[:2])


def numbers(version: str) -> tuple[int, ...]:
    """`4.48.1.post1` as (4, 48, 1)."""
    found = re.match(r"\d+(?:\.\d+)*", version)
    return tuple(int(part[:9]) for part in found[0].split(".")) if found else ()


def resolved(library: str, requirement: str) -> str | None:
    """The newest version that a requirement (`==4.48.1`, `>=4.40,<5`, `~=4.48.0`, `^4.40`) lets in; None if it says nothing."""
    requirement = requirement.split(";", maxsplit=1)[0].replace(" ", "")
    newest: str | None = None
    says = False
    for part in requirement.split(","):
        found = re.match(r"(===?|~=|<=|>=|!=|\^|<|>|~|=)?v?(\d+(?:\.\d+)*)(\.\*)?", part)
        if not found or found[1] == "!=":
            continue
        sign, version = found[1] or "==", found[2]
        says = True
        if sign in ("==", "===", "="):
            return version
        bound = _bound(library, sign, version)
        if bound and (newest is None or numbers(bound) < numbers(newest)):
            newest = bound
    return newest or (CURRENT[library] if says else None)


def _bound(library: str, sign: str, version: str) -> str | None:
    """The newest version on the right side of one upper bound; None for a lower one, or where that is not known."""
    parts = numbers(version)
    if sign == "<=":
        return version
    if sign == "<":
        return _before(library, parts, version)
    if sign == "~=":
        return _before(library, (parts[0] + 1,), version) if len(parts) < 3 else f"{parts[0]}.{parts[1]}"
    if sign == "^":
        is_zeroth = parts[0] == 0 and len(parts) > 1
        return f"0.{parts[1]}" if is_zeroth else _before(library, (parts[0] + 1,), version)
    if sign == "~":
        return f"{parts[0]}.{parts[1]}" if len(parts) > 1 else _before(library, (parts[0] + 1,), version)
    return None


def _before(library: str, parts: tuple[int, ...], version: str) -> str | None:
    """The version before a bound: `<4.46` comes to 4.45, `<5` to the last of 4."""
    if any(parts[2:]):
        return ".".join(map(str, (*parts[:2], parts[2] - 1))) if parts[2] else f"{parts[0]}.{parts[1]}"
    if len(parts) > 1 and parts[1]:
        return f"{parts[0]}.{parts[1] - 1}"
    major = parts[0] - 1
    if major >= numbers(CURRENT[library])[0]:
        return CURRENT[library]
    return LAST_OF_MAJOR.get((library, major), version)


def _stack_in(directory: str) -> Stack:
    """What the files of one directory say; of two that speak of one library, an exact pin wins, else the first."""
    versions: dict[str, str] = {}
    pinned: set[str] = set()
    files: list[str] = []
    installed: set[str] = set()
    for name in _files_of(directory):
        text = _text(os.path.join(directory, name))
        installed |= {_library(match[1]) for match in re.finditer(_NAMED, text, re.MULTILINE)}
        for library, version, is_exact in _said_by(name, text):
            if fault_of(library, version) or library in pinned or (library in versions and not is_exact):
                continue
            versions[library] = version
            pinned |= {library} if is_exact else set()
            files += [name] if name not in files else []
    old = {library: version for library, version in versions.items() if not is_current(library, version)}
    return Stack(old, ", ".join(files), frozenset(installed))


def _files_of(directory: str) -> list[str]:
    try:
        with os.scandir(directory) as entries:
            names = {entry.name for entry in entries}
    except OSError:
        return []
    wanted = sorted(name for name in names if name.startswith("requirements") and name.endswith(".txt"))
    return [name for name in (*LOCKS, "Pipfile.lock", *wanted[:8], *OTHERS) if name in names]


def _text(path: str) -> str:
    """The file's text; empty for what is no plain file, is too large or cannot be read."""
    try:
        found = os.stat(path)
        if not stat.S_ISREG(found.st_mode) or found.st_size > MOST_BYTES:
            return ""
        with open(path, encoding="utf-8", errors="replace") as file:
            return file.read(MOST_BYTES)
    except OSError:
        return ""


def _said_by(name: str, text: str) -> Iterator[tuple[str, str, bool]]:
    """Library, version, and whether that is exact, of all that a file says."""
    if name in LOCKS:
        for match in re.finditer(rf'^name = "({NAMES})"\s*^version = "([^"\n]+)"', text, re.MULTILINE):
            yield _library(match[1]), match[2].split("+")[0], True
        return
    if name == "Pipfile.lock":
        for match in re.finditer(rf'"({NAMES})"\s*:\s*\{{[^{{}}]*?"version"\s*:\s*"==([^"\n]+)"', text):
            yield _library(match[1]), match[2], True
        return
    for line in text.splitlines():
        bare = line.split("#")[0]
        for match in re.finditer(_REQUIREMENT, bare):
            requirement = re.sub(r"^\s*=\s*[\"']", "", match[2]).strip("\"' ")
            version = resolved(_library(match[1]), requirement)
            if version is not None:
                yield _library(match[1]), version, bool(re.match(r"={0,3}\s*v?\d", requirement))


_NAMED = rf"^[ \t]*(?:name = |dependencies = \[ *|- *)?[\"']?({NAMES})(?![\w-])"
"""A library at the head of its line, in a lock, a list of requirements or of dependencies."""
_REQUIREMENT = rf"(?<![\w./-])({NAMES})(?:\[[^\]]*\])?((?:\s*=\s*[\"'][\^~<>=]|\s*[~<>=!]=?=?|\s+=\s*[\"'])[^\"'#;\]}}]*)"


def _library(name: str) -> str:
    return name.lower().replace("_", "-").replace(".", "-")
