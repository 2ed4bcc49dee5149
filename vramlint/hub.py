"""`--hub`: fetches a model's `config.json` from the Hugging Face hub, once, and records it in the project's lock file.

The one module that touches the network; it is imported only where the flag is given.
"""

from __future__ import annotations

import importlib.util
import json
import os
import re
import tempfile
from typing import Any

from vramlint.catalog.locked import LOCK, VERSION, LockError, lock_path, read_lock

NAME = re.compile(r"[A-Za-z0-9][\w.-]{0,95}/[A-Za-z0-9][\w.-]{0,95}")
SECONDS = 20
LARGEST = 1 << 20


class HubError(Exception):
    """A config that could not be had; the message says why, and what to do."""


def is_there() -> bool:
    """Whether the library that talks to the hub is installed."""
    return importlib.util.find_spec("huggingface_hub") is not None


def fetch(name: str, directory: str) -> None:
    """Put the `config.json` of a model into the lock file of the project that `directory` is in. Raises `HubError`."""
    if not NAME.fullmatch(name) or ".." in name:
        raise HubError("it is no name of a model on the hub")
    path = lock_path(directory)
    try:
        models = read_lock(path)
    except LockError as error:
        raise HubError(str(error)) from None
    config, revision = _downloaded(name)
    models[name] = {"revision": revision, "config": config}
    _write(path, models)


def _downloaded(name: str) -> tuple[dict[str, Any], str]:
    from huggingface_hub import hf_hub_download  # noqa: PLC0415  # an extra, and half a second
    from huggingface_hub.errors import EntryNotFoundError, GatedRepoError, RepositoryNotFoundError  # noqa: PLC0415

    try:
        path = hf_hub_download(name, "config.json", etag_timeout=SECONDS)
    except GatedRepoError:
        raise HubError("its owner asks for consent: accept the terms on its page and log in (hf auth login)") from None
    except RepositoryNotFoundError:
        raise HubError("there is no such model on the hub, or it is private and you are not logged in") from None
    except EntryNotFoundError:
        raise HubError("it has no config.json on the hub") from None
    except Exception as error:
        raise HubError(f"the hub did not answer: {type(error).__name__}") from error
    if os.path.getsize(path) > LARGEST:
        raise HubError("its config.json is over 1 MiB")
    with open(path, encoding="utf-8") as file:
        try:
            config = json.load(file)
        except (ValueError, RecursionError):
            raise HubError("its config.json is not valid JSON") from None
    if not isinstance(config, dict):
        raise HubError("its config.json is no JSON object")
    return config, os.path.basename(os.path.dirname(path))


def _write(path: str, models: dict[str, Any]) -> None:
    """The lock file anew, whole or not at all."""
    text = json.dumps({"version": VERSION, "models": dict(sorted(models.items()))}, indent=1, ensure_ascii=False) + "\n"
    try:
        handle, temporary = tempfile.mkstemp(dir=os.path.dirname(path), prefix=".vramlint-")
        try:
            with os.fdopen(handle, "w", encoding="utf-8") as file:
                file.write(text)
            os.chmod(temporary, 0o644)
            os.replace(temporary, path)
        except BaseException:
            os.unlink(temporary)
            raise
    except OSError as error:
        raise HubError(f"{LOCK} cannot be written: {error.strerror or error}") from None
