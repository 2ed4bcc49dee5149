"""Text → file, whole or not at all."""

from __future__ import annotations

import os
import stat
import tempfile

from vramlint.source.tree import SourceError


def write(path: str, text: str, original: bytes) -> None:
    """Replace the file's content by `text`, keeping its mode and any symlink to it.

    Raises `SourceError` (unwritable, changed) if it is read-only or no longer holds `original`.
    """
    target = os.path.realpath(path)
    try:
        mode = os.stat(target).st_mode
        if not mode & stat.S_IWUSR:
            raise SourceError("unwritable", "the file is read-only", path)
        with open(target, "rb") as file:
            if file.read() != original:
                raise SourceError("changed", "the file changed while it was being checked", path)
        handle, temporary = tempfile.mkstemp(dir=os.path.dirname(target), prefix=".vramlint-")
        try:
            with os.fdopen(handle, "wb") as file:
                file.write(text.encode("utf-8"))
            os.chmod(temporary, stat.S_IMODE(mode))
            os.replace(temporary, target)
        except BaseException:
            os.unlink(temporary)
            raise
    except OSError as error:
        raise SourceError("unwritable", f"cannot be written: {error.strerror or error}", path) from None
