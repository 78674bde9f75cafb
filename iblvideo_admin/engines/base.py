"""What tracking asks of an engine."""

from __future__ import annotations

from concurrent.futures import Future
from typing import Protocol

import numpy as np

from iblvideo_admin.engines.weights import NetworkFiles


class Engine(Protocol):
    """Runs the networks of a weights folder.

    ``submit`` may return before the networks have run, so that the caller decodes meanwhile; it blocks once
    a few batches are under way, which bounds the memory.  Used as a context manager: leaving it ends whatever
    the engine started.
    """

    name: str
    warnings: list[str]  # what the provenance should tell of how the networks ran

    def load(self, networks: list[NetworkFiles]) -> dict[str, str]:
        """Make the networks ready; returns the versions of the software that will run them."""

    def submit(self, network: str, images: np.ndarray) -> Future[np.ndarray]:
        """Run one network on (N, height, width) uint8 grey pictures.

        The future gives (N, points, 3) float32: x, y in px of the picture, likelihood.  ``images`` must not be
        written to afterwards.  Failures are :class:`UserError` with an ``engine.`` code, raised here or by the
        future.
        """

    def __enter__(self) -> Engine: ...

    def __exit__(self, *exception: object) -> None: ...
