"""What tracking asks of an engine."""

from __future__ import annotations

from concurrent.futures import Future
from typing import TYPE_CHECKING, Protocol

from iblvideo_admin.engines.weights import NetworkFiles

if TYPE_CHECKING:  # who only starts jobs needs none
    import numpy as np


class Engine(Protocol):
    """Runs the networks of a weights folder.

    ``submit`` may return before the networks have run, so that the caller decodes meanwhile; it blocks once
    a few batches are under way, which bounds the memory.  Used as a context manager: leaving it ends whatever
    the engine started.
    """

    name: str
    warnings: list[str]  # what the provenance should tell of how the networks ran

    def load(self, networks: list[NetworkFiles]) -> dict[str, str]:
        """Make the networks ready, the first of them first; gives the versions of the software that runs them.

        Returns as soon as the first network can be used.  The others get ready meanwhile: what is submitted to one
        that is not waits.  One that cannot be loaded ends the engine; the error names it.  Called once.
        """

    def submit(self, network: str, images: np.ndarray) -> Future[np.ndarray]:
        """Run one network on (N, height, width) uint8 grey pictures.

        The future gives (N, points, 3) float32: x, y in px of the picture, likelihood.  Batches may run side by
        side and end in any order.  ``images`` must not be written to afterwards.  Failures are :class:`UserError`,
        most with an ``engine.`` code, raised here or by the future.
        """

    def __enter__(self) -> Engine: ...

    def __exit__(self, *exception: object) -> None: ...
