"""Networks converted to ONNX, run in this very process by onnxruntime: on the CPU, or on one NVIDIA card.

On the CPU each batch runs on one thread, as many batches side by side as there are processors: a small network gains
more by that than by sharing out its convolutions.  Whole frames need much memory, so that two at a time share the
processors.  On a card two batches are under way: one is fed while the other runs.
"""

from __future__ import annotations

import os
import platform
import threading
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from iblvideo_admin.engines import answers, cuda_device
from iblvideo_admin.engines.conversion import FRAMES, POINTS, cache
from iblvideo_admin.engines.tensorflow1_sidecar import LARGE, Turns
from iblvideo_admin.engines.weights import NetworkFiles
from iblvideo_admin.errors import UserError

PROVIDERS = {False: "CPUExecutionProvider", True: "CUDAExecutionProvider"}
_WHOLE_AT_ONCE = 2
_ON_CARD_AT_ONCE = 2
_AHEAD = 2  # batches that wait while all workers are busy
_TICK_S = 0.25
# onnxruntime says in several ways that there is no more memory, all of them with one kind of exception
_OUT_OF_MEMORY = ("Failed to allocate memory", "out of memory", "bad allocation", "CUDNN_STATUS_ALLOC_FAILED",
                  "CUBLAS_STATUS_ALLOC_FAILED")  # fmt: skip


@dataclass
class _Served:
    """A network at work: its session once there is one, and how many pictures it gets at once (0: a whole batch)."""

    files: NetworkFiles
    session: Any = None
    ready: threading.Event = field(default_factory=threading.Event)
    at_once: int = 0
    warned: bool = False


class Onnx:
    """``networks`` is the folder of converted networks; ``gpu`` the card's UUID, empty for the CPU.

    See :class:`iblvideo_admin.engines.base.Engine`.
    """

    name = "onnx"

    def __init__(self, networks: Path, *, gpu: str = "", threads: int | None = None) -> None:
        import onnxruntime

        self.warnings: list[str] = []
        self._ort, self._folder, self._gpu = onnxruntime, networks, gpu
        self._threads = threads or len(os.sched_getaffinity(0))
        self._served: dict[str, _Served] = {}
        self._failure: UserError | None = None
        self._lock = threading.Lock()
        self._pending: set[Future[np.ndarray]] = set()
        self._turns, self._alone = Turns(), False
        self._whole = threading.BoundedSemaphore(1 if gpu else _WHOLE_AT_ONCE)
        workers = _ON_CARD_AT_ONCE if gpu else self._threads
        self._room = threading.Semaphore(workers + _AHEAD)
        self._workers = ThreadPoolExecutor(workers, "onnx")
        self._options = onnxruntime.RunOptions()
        self._loader: threading.Thread | None = None

    def load(self, networks: list[NetworkFiles]) -> dict[str, str]:
        """See :class:`iblvideo_admin.engines.base.Engine`."""
        if not networks:
            return {}
        self._served = {network.name: _Served(network) for network in networks}
        first, *others = self._served.values()
        try:
            self._open(first, whole=True)
        except UserError as error:
            self._fail(error)
            raise
        self._loader = threading.Thread(target=self._open_others, args=(others,), daemon=True)
        self._loader.start()
        return self._versions()

    def submit(self, network: str, images: np.ndarray) -> Future[np.ndarray]:
        """See :class:`iblvideo_admin.engines.base.Engine`."""
        while not self._room.acquire(timeout=_TICK_S):
            self._require_open()
        future: Future[np.ndarray] = Future()
        with self._lock:
            if self._failure is not None:
                self._room.release()
                raise self._failure
            self._pending.add(future)
            self._workers.submit(self._work, future, self._served[network], images)
        return future

    def __enter__(self) -> Onnx:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    def close(self) -> None:
        """End at once, also in the middle of a batch."""
        self._fail(UserError("engine.failed", "the engine was closed"))
        self._workers.shutdown(wait=True, cancel_futures=True)
        if self._loader is not None:
            self._loader.join()
        for served in self._served.values():
            served.session = None

    def _require_open(self) -> None:
        if self._failure is not None:
            raise self._failure

    def _fail(self, error: UserError) -> None:
        """Whoever waits or comes later hears of the first error."""
        with self._lock:
            self._failure = self._failure or error
            waiting = list(self._pending)
            self._pending.clear()
        self._options.terminate = True
        for served in self._served.values():
            served.ready.set()
        for future in waiting:
            future.set_exception(self._failure)

    def _open_others(self, others: Sequence[_Served]) -> None:
        for served in others:
            if self._failure is not None:
                return
            try:
                self._open(served)
            except UserError as error:
                self._fail(error)
            except Exception as error:  # noqa: BLE001  nobody else would hear of it
                self._fail(UserError("engine.failed", f"network {served.files.name}: {answers.in_one_line(error)}"))

    def _open(self, served: _Served, *, whole: bool = False) -> None:
        """Convert the network if nobody has, and start its session; ``whole``: it gets whole frames."""
        files = served.files
        converted = cache.get(files, self._folder)
        options = self._ort.SessionOptions()
        options.intra_op_num_threads = max(1, self._threads // _WHOLE_AT_ONCE) if whole and not self._gpu else 1
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")  # who waits leaves the core to others
        options.log_severity_level = 3
        try:
            session = self._ort.InferenceSession(
                str(converted.path), options, providers=providers(self._gpu), enable_fallback=0
            )
        except UserError:
            raise
        except Exception as error:
            raise self._error(files.name, error) from error
        # onnxruntime would go on with the CPU, and say so in a log that nobody reads
        if (used := session.get_providers()[0]) != PROVIDERS[bool(self._gpu)]:
            raise UserError("engine.failed", f"onnxruntime does not run on the GPU: it took {used}")
        if session.get_outputs()[0].shape[1] != len(files.points):
            raise UserError("weights.damaged", f"{files.folder} names {len(files.points)} points and has others")
        served.session = session
        served.ready.set()

    def _work(self, future: Future[np.ndarray], served: _Served, images: np.ndarray) -> None:
        try:
            served.ready.wait()
            self._require_open()
            points = self._points(served, images)
        except UserError as error:
            self._settle(future, error)
        except Exception as error:  # noqa: BLE001  whatever it is, somebody waits
            self._settle(future, self._error(served.files.name, error))
        else:
            self._settle(future, points)
        self._room.release()

    def _settle(self, future: Future[np.ndarray], answer: np.ndarray | UserError) -> None:
        """Give a future its answer, unless it has heard already why there is none."""
        with self._lock:
            waits = future in self._pending
            self._pending.discard(future)
        if not waits:
            return
        if isinstance(answer, UserError):
            future.set_exception(answer)
        else:
            future.set_result(answer)

    def _points(self, served: _Served, images: np.ndarray) -> np.ndarray:
        """As the engine's.  Where the memory does not suffice: first alone, then in halves, once and for all."""
        whole = self._whole if images[0].size >= LARGE else nullcontext()
        while True:
            size, alone = served.at_once or len(images), self._alone
            try:
                with whole, self._turns.turn(alone):
                    parts = [self._run(served, images[at : at + size]) for at in range(0, len(images), size)]
            except Exception as error:
                if not _is_out_of_memory(error) or (alone and size == 1):
                    raise
                if alone:
                    served.at_once = (size + 1) // 2
                self._alone = True
            else:
                if size < len(images):
                    self._warn(served, size, len(images))
                return parts[0] if len(parts) == 1 else np.concatenate(parts)

    def _run(self, served: _Served, images: np.ndarray) -> np.ndarray:
        points: np.ndarray = served.session.run([POINTS], {FRAMES: np.ascontiguousarray(images)}, self._options)[0]
        return points

    def _warn(self, served: _Served, size: int, pictures: int) -> None:
        """Once for each network; a mobilenet's results depend on it."""
        with self._lock:
            if not served.warned:
                self.warnings.append(answers.parted(served.files, pictures, size))
            served.warned = True

    def _error(self, network: str, error: Exception) -> UserError:
        said = f"network {network}: {answers.in_one_line(error)}"
        return UserError("engine.out_of_memory" if _is_out_of_memory(error) else "engine.failed", said)

    def _versions(self) -> dict[str, str]:
        return {
            "python": platform.python_version(),
            "numpy": np.__version__,
            "onnxruntime": self._ort.__version__,
            "provider": PROVIDERS[bool(self._gpu)],
        }


def providers(gpu: str) -> list[Any]:
    """What a session asks onnxruntime for: the CPU, or the card with this UUID.  Raises ``gpu.lost``."""
    if not gpu:
        return [PROVIDERS[False]]
    import onnxruntime

    onnxruntime.preload_dlls()  # CUDA and cuDNN of the Python packages, not whatever the system's loader finds
    options = {
        "device_id": cuda_device.ordinal(gpu),
        "use_tf32": 0,  # ten bits of mantissa: points would move
        "arena_extend_strategy": "kSameAsRequested",  # others may want the card's memory, too
        "cudnn_conv_algo_search": "HEURISTIC",
    }
    return [(PROVIDERS[True], options)]


def _is_out_of_memory(error: Exception) -> bool:
    return isinstance(error, MemoryError) or any(words in str(error) for words in _OUT_OF_MEMORY)
