"""TensorFlow's process misbehaves in every way: one clear error each, in time, and nothing is left running."""

import os
import subprocess
import sys
import time
from collections.abc import Callable
from concurrent.futures import Future
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest
from processes import Pids

from iblvideo_admin.engines import sidecar_process
from iblvideo_admin.engines import tensorflow1_sidecar as wire
from iblvideo_admin.engines.tensorflow1 import TensorFlow1
from iblvideo_admin.engines.weights import NetworkFiles
from iblvideo_admin.errors import UserError

PATIENT_S = 30.0

# behaviour -> the error's code, and a part of its message
MISBEHAVIOUR = {
    "crash at start": ("engine.crashed", "SIGKILL"),
    "exit at start": ("toolchain.not_provisioned", "status 3"),
    "hang at start": ("engine.timeout", "within 1 s"),
    "garbage first": ("engine.garbage", "not a message"),
    "closes its pipe": ("engine.garbage", "closed its pipe"),
    "other version": ("engine.garbage", f"protocol version {wire.VERSION + 1}"),
    "crash while loading": ("engine.crashed", "SIGKILL"),
    "no versions": ("engine.garbage", "versions"),
    "crash": ("engine.crashed", "SIGKILL"),
    "odd signal": ("engine.crashed", "signal"),
    "exit": ("engine.crashed", "status 3"),
    "hang": ("engine.timeout", "within 0.5 s"),
    "hang with a child": ("engine.timeout", "within 0.5 s"),
    "half a message": ("engine.timeout", "within 0.5 s"),
    "half a message and death": ("engine.garbage", "inside a message"),
    "garbage": ("engine.garbage", "not a message"),
    "huge length": ("engine.garbage", "impossible message"),
    "deep json": ("engine.garbage", "JSON"),
    "unknown id": ("engine.garbage", "answer to nothing"),
    "odd id": ("engine.garbage", ""),
    "no shape": ("engine.garbage", "shape"),
    "odd at_once": ("engine.garbage", ""),
    "other shape": ("engine.garbage", ""),
    "a row too few": ("engine.garbage", "shape"),
    "flat": ("engine.garbage", "shape"),
    "other kind": ("engine.garbage", "kind"),
    "huge shape": ("engine.garbage", ""),
    "error": ("engine.failed", "nose_tip: UnknownError: cuDNN"),
    "out of memory": ("engine.out_of_memory", "nose_tip: InternalError: Dst tensor"),
    "error without words": ("engine.failed", "nose_tip"),
}


def batch(number: int, size: int = 4) -> np.ndarray:
    return np.full((size, 6, 5), number, np.uint8)


def network(name: str = "nose_tip", snapshot: str = "snapshot-1") -> NetworkFiles:
    return NetworkFiles(name, Path("/x"), Path(f"/x/{snapshot}"), Path("/x/pose_cfg.yaml"), (name,), 4, "resnet_50")


def load_and_use(engine: TensorFlow1, batches: list[np.ndarray]) -> None:
    """What tracking does, with a look at the answers."""
    engine.load([network()])
    futures = [engine.submit("nose_tip", images) for images in batches]
    for images, future in zip(batches, futures, strict=True):
        assert (future.result(PATIENT_S)[:, 0, 0] == images[:, 0, 0]).all()


def test_a_good_one(start: Callable[..., TensorFlow1], pids: Pids) -> None:
    with start("good") as engine:
        assert engine.load([network()]) == {"stand_in": "1"}
        futures = [engine.submit("nose_tip", batch(number, 1 + number % 3)) for number in range(30)]
        for number, future in enumerate(futures):
            points = future.result(PATIENT_S)
            assert points.shape == (1 + number % 3, 1, 3) and points.dtype == np.float32
            assert (points[:, 0, 0] == number).all()
        assert len(pids.alive()) == 1
        before = time.monotonic()
    assert time.monotonic() - before < 2
    assert pids.all() and not pids.alive()


def test_pictures_that_are_not_contiguous(start: Callable[..., TensorFlow1]) -> None:
    images = np.arange(2 * 6 * 5, dtype=np.uint8).reshape(2, 6, 5)[:, ::-1, ::2]
    with start("good") as engine:
        engine.load([network()])
        points = engine.submit("nose_tip", images).result(PATIENT_S)
    assert points[:, 0, 0].tolist() == images[:, 0, 0].tolist()
    np.testing.assert_allclose(points[:, 0, 1], images.mean(axis=(1, 2)))


def test_noise_on_standard_output_goes_to_the_log(start: Callable[..., TensorFlow1], tmp_path: Path) -> None:
    with start("noise") as engine:
        engine.load([network()])
        assert engine.submit("nose_tip", batch(3)).result(PATIENT_S)[0, 0, 0] == 3
    log = (tmp_path / "log").read_text()
    assert "noise on standard output" in log and "noise on standard error" in log


@pytest.mark.parametrize("behaviour", MISBEHAVIOUR)
def test_misbehaviour(
    start: Callable[..., TensorFlow1], pids: Pids, behaviour: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sidecar_process, "KILL_LIMIT_S", 1.0)
    code, said = MISBEHAVIOUR[behaviour]
    limits = {"answer_limit_s": 0.5}
    if behaviour == "hang at start":
        limits["start_limit_s"] = 1.0
    engine = start(behaviour, **limits)
    begun = time.monotonic()
    with pytest.raises(UserError) as caught, engine:
        load_and_use(engine, [batch(number) for number in range(20)])
    assert time.monotonic() - begun < 12
    assert caught.value.code == code
    assert said in caught.value.message and "\n" not in caught.value.message
    with pytest.raises(UserError) as again:  # whoever comes later hears the same
        engine.submit("nose_tip", batch(1))
    assert again.value.code == code
    assert not pids.alive(0.5)


def test_everybody_who_waits_hears_of_it(start: Callable[..., TensorFlow1]) -> None:
    with start("crash") as engine:
        engine.load([network()])
        futures: list[Future[np.ndarray]] = []
        with suppress(UserError):
            for number in range(2000):
                futures.append(engine.submit("nose_tip", batch(number % 250)))
                time.sleep(0.001)
        assert 2 < len(futures) < 2000
        results = [future.exception(PATIENT_S) for future in futures]
    assert results[:2] == [None, None]
    assert {error.code for error in results[2:] if isinstance(error, UserError)} == {"engine.crashed"}
    assert None not in results[2:]


def test_a_submitter_that_is_held_back_is_freed(start: Callable[..., TensorFlow1], pids: Pids) -> None:
    """Pipe and queue are full of large batches when the process is killed."""
    with pytest.raises(UserError) as caught, start("hang", answer_limit_s=0.7) as engine:
        load_and_use(engine, [np.zeros((16, 500, 500), np.uint8)] * 40)
    assert caught.value.code == "engine.timeout"
    assert not pids.alive()


def test_memory_is_bounded(start: Callable[..., TensorFlow1]) -> None:
    """Only some batches are under way, however fast somebody submits."""
    with start("the real main", more={"STAND_IN_S": "0.05"}) as engine:
        engine.load([network()])
        futures: list[Future[np.ndarray]] = []
        most = 0
        for _ in range(30):
            futures.append(engine.submit("nose_tip", np.zeros((4, 300, 300), np.uint8)))
            most = max(most, sum(not future.done() for future in futures))
        for future in futures:
            future.result(PATIENT_S)
    assert most <= 14


def test_the_clock_stands_while_nothing_is_owed(start: Callable[..., TensorFlow1]) -> None:
    with start("good", answer_limit_s=0.6) as engine:
        engine.load([network()])
        engine.submit("nose_tip", batch(1)).result(PATIENT_S)
        time.sleep(1.3)
        assert engine.submit("nose_tip", batch(2)).result(PATIENT_S)[0, 0, 0] == 2


def test_a_long_queue_is_no_delay(start: Callable[..., TensorFlow1]) -> None:
    """The limit is for one batch: many that wait for their turn are in time."""
    with start("the real main", answer_limit_s=1.0, more={"STAND_IN_S": "0.3"}) as engine:
        engine.load([network()])
        for future in [engine.submit("nose_tip", batch(n)) for n in range(5)]:
            future.result(PATIENT_S)


def test_leaving_in_the_middle(start: Callable[..., TensorFlow1], pids: Pids) -> None:
    engine = start("hang")
    engine.load([network()])
    futures = [engine.submit("nose_tip", batch(number)) for number in range(8)]
    futures[1].result(PATIENT_S)
    before = time.monotonic()
    engine.close()
    assert time.monotonic() - before < 2
    assert not pids.alive()
    for future in futures[2:]:
        assert isinstance(future.exception(1), UserError)
    engine.close()
    with pytest.raises(UserError, match="closed"):
        engine.load([network()])


@pytest.mark.parametrize("behaviour", ["goes on after the end", "hang at start"])
def test_a_process_that_does_not_end_is_ended(start: Callable[..., TensorFlow1], pids: Pids, behaviour: str) -> None:
    engine = start(behaviour)
    if behaviour != "hang at start":
        engine.load([network()])
    before = time.monotonic()
    engine.close()
    assert time.monotonic() - before < 4
    assert not pids.alive()


def test_a_process_that_cannot_be_killed(
    start: Callable[..., TensorFlow1], pids: Pids, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A lost GPU can hold a process in the kernel for ever: the job ends all the same, the lease does not."""
    monkeypatch.setattr(sidecar_process, "KILL_LIMIT_S", 0.3)
    with monkeypatch.context() as powerless:
        powerless.setattr(os, "killpg", lambda *_: None)
        engine = start("hang", answer_limit_s=0.5)
        before = time.monotonic()
        with pytest.raises(UserError) as caught, engine:
            load_and_use(engine, [np.zeros((16, 500, 500), np.uint8)] * 40)
        assert caught.value.code == "engine.timeout"
        assert time.monotonic() - before < 12
        assert len(pids.alive()) == 1


def test_no_interpreter(tmp_path: Path) -> None:
    (tmp_path / "python").write_text("not a program")
    descriptors = len(os.listdir("/proc/self/fd"))
    for python in (tmp_path / "nothing", tmp_path / "python", tmp_path):
        with open(tmp_path / "log", "ab") as log, pytest.raises(UserError) as caught:
            TensorFlow1(python, log)
        assert caught.value.code == "toolchain.not_provisioned" and str(python) in caught.value.message
    assert len(os.listdir("/proc/self/fd")) <= descriptors


def test_nothing_is_left_open(start: Callable[..., TensorFlow1]) -> None:
    def count() -> int:
        return len(os.listdir("/proc/self/fd"))

    before = count()
    for behaviour in ("good", "crash at start", "garbage first"):
        with start(behaviour) as engine, suppress(UserError):
            engine.load([network()])
    assert count() <= before


def test_the_lease_is_inherited_and_our_python_is_not(
    start: Callable[..., TensorFlow1], pids: Pids, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PYTHONPATH", "/somewhere/modern")
    monkeypatch.setenv("PYTHONHOME", "/usr")
    with (
        open(tmp_path / "lease", "w") as lease,
        open(tmp_path / "other", "w"),
        start("good", lease=(lease.fileno(),)) as engine,
    ):
        engine.load([network()])
        [pid] = pids.all()
        open_files = {str(path.readlink()) for path in Path(f"/proc/{pid}/fd").iterdir()}
        environment = Path(f"/proc/{pid}/environ").read_bytes()
        assert str(tmp_path / "lease") in open_files and str(tmp_path / "other") not in open_files
        assert b"PYTHONPATH=" not in environment and b"PYTHONHOME=" not in environment
        assert os.getsid(pid) == pid  # Ctrl-C on the terminal is ours alone


STOPPED = """
import os, signal, subprocess, sys, time
from pathlib import Path
import numpy as np
from iblvideo_admin.engines.tensorflow1 import TensorFlow1

with TensorFlow1(Path(sys.executable), sys.stderr.buffer, sidecar=Path(sys.argv[1]), answer_limit_s=1.5,
                 environment={"STAND_IN": "the real main", "STAND_IN_S": "0.5"}) as engine:
    engine.load(networks := [eval(sys.argv[2])])
    future = engine.submit("nose_tip", np.full((4, 6, 5), 7, np.uint8))
    subprocess.Popen(["sh", "-c", f"sleep 2.5; kill -CONT {os.getpid()} {engine.pid}"])
    os.kill(engine.pid, signal.SIGSTOP)
    os.kill(os.getpid(), signal.SIGSTOP)
    print(future.result(30)[0, 0, 0])
"""


def test_time_in_which_we_stand_still_does_not_count() -> None:
    """Ctrl-Z, a paused machine: nobody is late for it."""
    described = f"__import__('iblvideo_admin').engines.weights.{network()!r}".replace("PosixPath", "Path")
    done = subprocess.run(
        [sys.executable, "-c", STOPPED, Path(__file__).parents[1] / "stand_ins/sidecar.py", described],
        capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert done.stdout == "7.0\n", done.stderr
