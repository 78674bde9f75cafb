"""The file that units wait for: it is there exactly while the last verdict was ``pass``."""

from __future__ import annotations

import time
from pathlib import Path

from iblvideo_admin.errors import UserError
from iblvideo_admin.files import write_json
from iblvideo_admin.result import Result


class ReadyFile:
    """Written by :meth:`tell` for a verdict of ``pass``; removed where none was told, whatever the reason."""

    def __init__(self, path: Path | None) -> None:
        self._path, self._passed = path, False

    def __enter__(self) -> ReadyFile:
        return self

    def __exit__(self, *exception: object) -> None:
        if self._path is not None and not self._passed:
            self._remove(self._path)

    def tell(self, result: Result) -> None:
        """Write or keep away the file after a check.  Raises ``output.not_writable``."""
        if self._path is None or result.data["verdict"] != "pass":
            return
        try:
            write_json(self._path, {"time": time.time(), **{k: result.data[k] for k in ("level", "toolchain")}})
            self._path.chmod(0o644)
        except OSError as error:
            raise UserError("output.not_writable", f"{self._path} cannot be written: {error.strerror}") from error
        self._passed = True

    @staticmethod
    def _remove(path: Path) -> None:
        try:
            path.unlink()
        except (FileNotFoundError, NotADirectoryError):
            return
        except OSError as error:  # what stays there would lie
            raise UserError("output.not_writable", f"{path} cannot be removed: {error.strerror}") from error
