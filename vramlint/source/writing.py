"""Text → file, whole or not at all."""

from __future__ import annotations

import os
import stat

from vramlint.source.tree import SourceError


def write(path: str, text: str, original: bytes) -> None:
    """Replace the file's content by `text`, keeping its mode and any symlink to it.

    Raises `SourceError`: unwritable (read-only, no regular file, no room), changed (it no longer holds `original`).
    """
    import tempfile  # noqa: PLC0415 (costs start-up, and most runs write nothing)

    target = os.path.realpath(path)
    try:
        mode = os.stat(target).st_mode
        if not stat.S_ISREG(mode) or not mode & stat.S_IWUSR or not os.access(target, os.W_OK):
            raise SourceError("unwritable", "the file is read-only", path, None, "make it writable")
        with open(target, "rb") as file:
            if file.read() != original:
                raise SourceError("changed", "the file changed while it was being checked", path, None, "run again")
        handle, temporary = tempfile.mkstemp(dir=os.path.dirname(target), prefix=".vramlint-")
        try:
            with os.fdopen(handle, "wb") as file:
                file.write(text.encode("utf-8"))
                file.flush()
                os.fsync(file.fileno())
            os.chmod(temporary, stat.S_IMODE(mode))
            os.replace(temporary, target)
        except BaseException:
            os.unlink(temporary)
            raise
    except (OSError, UnicodeEncodeError) as error:
        why = getattr(error, "strerror", None) or error
        raise SourceError("unwritable", f"cannot be written: {why}", path) from None
