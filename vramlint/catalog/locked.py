"""`vramlint.lock`: the models that `--hub` fetched for a project, kept in its repository so that every run sees the same."""

from __future__ import annotations

import json
import os
from typing import Any

from vramlint.project import places

LOCK = "vramlint.lock"
VERSION = 1
LARGEST = 16 << 20


class LockError(ValueError):
    """A lock file that cannot be used; the message says why."""


def lock_path(directory: str) -> str:
    """The nearest lock file above a directory as far as its project goes; where there is none, the place for one: the root."""
    above = places(os.path.abspath(directory or "."))
    found = (os.path.join(place, LOCK) for place in above)
    return next((path for path in found if os.path.isfile(path)), os.path.join(above[-1], LOCK))


def read_lock(path: str) -> dict[str, Any]:
    """The models of a lock file by name; none where it is not there. Raises `LockError`."""
    try:
        if os.path.getsize(path) > LARGEST:
            raise LockError(f"{path} is over 16 MiB")
        with open(path, encoding="utf-8") as file:
            content = json.load(file)
    except FileNotFoundError:
        return {}
    except OSError as error:
        raise LockError(f"{path} cannot be read: {error.strerror or error}") from None
    except (ValueError, RecursionError):
        raise LockError(f"{path} is not valid JSON: delete it and run with --hub") from None
    models = content.get("models") if isinstance(content, dict) else None
    if not isinstance(models, dict) or content.get("version") != VERSION:
        raise LockError(f"{path} is no lock file of this version: delete it and run with --hub")
    return models


def locked_config(name: str, directory: str) -> tuple[dict[str, Any], str] | None:
    """The `config.json` that is locked for a model, and a word on where it is from; None if none is. Raises `LockError`."""
    path = lock_path(directory)
    if not os.path.isfile(path):
        return None
    entry = read_lock(path).get(name)
    if entry is None:
        return None
    config = entry.get("config") if isinstance(entry, dict) else None
    if not isinstance(config, dict):
        raise LockError(f"{path} holds no config for {name}: delete it and run with --hub")
    return config, f"{LOCK}, revision {str(entry.get('revision'))[:12]}"
