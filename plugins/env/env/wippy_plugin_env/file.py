"""env.storage.file: values in a file (manual page `system/env`, "File Storage")."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

from wippy.errors import INTERNAL, INVALID, NOT_FOUND, Error
from wippy_plugin_env.dotenv import parse, with_value

__all__ = ["FileStorage"]


class FileStorage:
    """Values in a file, which is read again whenever it has changed. `mode` is what the file gets when it is made."""

    def __init__(self, path: Path, mode: int) -> None:
        self._path = path
        self._mode = mode
        self._read_at: tuple[int, int, int] | None = None
        self._text = ""
        # Invariant: the values of _text.
        self._values: dict[str, str] = {}

    def create(self, directory_mode: int) -> None:
        """Make the file, and the directories above it, where they are missing.

        Raises Error(Internal) when the system refuses.
        """
        try:
            for directory in reversed([self._path.parent, *self._path.parent.parents]):
                if not directory.exists():
                    directory.mkdir()
                    directory.chmod(directory_mode)
            if not self._path.exists():
                # The narrowest mode first: nobody may read what is written before the file has its own.
                os.close(os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600))
                self._path.chmod(self._mode)
        except OSError as problem:
            raise Error(f"cannot create {self._path}: {problem.strerror}", INTERNAL) from None

    def get(self, name: str) -> str | None:
        self.refresh()
        return self._values.get(name)

    def set(self, name: str, value: str) -> None:
        self.refresh()
        text = with_value(self._text, name, value)
        try:
            self._replace(text.encode())
        except OSError as problem:
            raise Error(f"cannot write {self._path}: {problem.strerror}", INTERNAL) from None

    def refresh(self) -> None:
        """Read the file if it has changed.

        Raises Error: NotFound where there is none, Invalid where it is no environment file.
        """
        try:
            status = self._path.stat()
            now = (status.st_mtime_ns, status.st_size, status.st_ino)
            if now == self._read_at:
                return
            text = self._path.read_text(encoding="utf-8")
        except FileNotFoundError:
            raise Error(f"file {self._path} does not exist: create it, or set auto_create: true", NOT_FOUND) from None
        except UnicodeDecodeError:
            raise Error(f"{self._path}: the file is not valid UTF-8", INVALID, retryable=False) from None
        except OSError as problem:
            raise Error(f"cannot read {self._path}: {problem.strerror}", INTERNAL) from None
        self._values = parse(text, str(self._path))
        self._text, self._read_at = text, now

    def _replace(self, content: bytes) -> None:
        """Put a new file in the place of the old one in one step: a crash leaves the one or the other."""
        mode = self._path.stat().st_mode & 0o7777
        handle, temporary = tempfile.mkstemp(dir=self._path.parent, prefix=f".{self._path.name}.")
        try:
            with os.fdopen(handle, "wb") as file:
                file.write(content)
                file.flush()
                os.fsync(handle)
            os.chmod(temporary, mode)
            os.replace(temporary, self._path)
        except BaseException:
            os.unlink(temporary)
            raise
