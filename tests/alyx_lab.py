"""A lab whose server has an Alyx: the stand-in, ONE's parameters as the role writes them, sessions on both sides."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

from lab import Lab
from stand_ins.alyx import Server, World

from iblvideo_admin import settings
from iblvideo_admin.rigs import CAMERAS
from iblvideo_admin.sessions import Video

LIMIT_S = 2.0


class AlyxLab(Lab):
    """A lab with its Alyx.  ``limit_s`` is how long a request may last."""

    def __init__(self, folder: Path, server: Server, repository: str = "testlab_SR", limit_s: float = LIMIT_S) -> None:
        folder.mkdir(exist_ok=True)
        super().__init__(folder)
        self.server = server
        self.environment |= {
            "IBLVIDEO_ADMIN_ALYX_URL": server.url,
            "IBLVIDEO_ADMIN_LAB": "testlab",
            "IBLVIDEO_ADMIN_DATA_REPOSITORY": repository,
            "IBLVIDEO_ADMIN_ALYX_EVERY_S": "0.3",
            "IBLVIDEO_ADMIN_ALYX_LIMIT_S": str(limit_s),
        }
        self.write_parameters()

    @property
    def world(self) -> World:
        return self.server.world

    @property
    def one(self) -> Path:
        """ONE's folder."""
        return self.folder / "home/.one"

    def write_parameters(self, **changed: Any) -> None:
        """As the role ``one`` does."""
        write_parameters(self.one, self.server, self.folder, **changed)

    def settings(self, **environment: str) -> settings.Settings:
        return settings.load({**self.environment, **environment})

    def mouse(self, subject: str, *cameras: str, frames: int = 3, **options: Any) -> tuple[str, tuple[str, str, str]]:
        """A session here and in Alyx, with its three tasks; gives their ids."""
        session = self.world.session(subject)
        for camera in cameras:
            self.video(camera, frames, self.session(subject, "2026-01-10"))
        return session, self.world.pipeline(session, **options)

    def tables(self) -> dict[str, bytes]:
        """Every traced camera's table: "subject left" -> content."""
        found = {}
        for path in sorted(self.subjects.glob("*/*/*/alf/_ibl_*Camera.dlc.pqt")):
            camera = next(name for name, camera in CAMERAS.items() if camera.table_name == path.name)
            found[f"{path.parts[-5]} {camera}"] = path.read_bytes()
        return found

    def at(self, subject: str, camera: str) -> Video:
        return Video(self.subjects / subject / "2026-01-10/001", CAMERAS[camera])


def write_parameters(folder: Path, server: Server, cache: Path, **changed: Any) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    folder.chmod(0o700)
    client = server.url.removeprefix("http://").replace(":", "_")
    login, password = server.data_login or (None, None)
    content = {
        "ALYX_URL": server.url, "ALYX_LOGIN": "dlc_server", "ALYX_PWD": server.world.users["dlc_server"],
        "HTTP_DATA_SERVER": server.data_url, "HTTP_DATA_SERVER_LOGIN": login, "HTTP_DATA_SERVER_PWD": password,
        **changed,
    }  # fmt: skip
    for name, text in ((".caches", {"CLIENT_MAP": {client: str(cache)}, "DEFAULT": client}), (f".{client}", content)):
        path = folder / name
        path.write_text(json.dumps(text))
        path.chmod(0o600)


def md5_of_bytes(content: bytes) -> str:
    """As Alyx writes it."""
    return hashlib.md5(content, usedforsecurity=False).hexdigest()
