"""The sidecar's own loop, with networks that need no TensorFlow: loading, waiting, memory, and its ends."""

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from processes import Pids

from iblvideo_admin.engines import tensorflow1_sidecar as wire
from iblvideo_admin.engines.tensorflow1 import TensorFlow1
from iblvideo_admin.engines.weights import NetworkFiles
from iblvideo_admin.errors import UserError

STAND_IN = Path(__file__).parents[1] / "stand_ins/sidecar.py"
PATIENT_S = 30.0
Start = Callable[..., TensorFlow1]


def batch(number: int, size: int = 4) -> np.ndarray:
    return np.full((size, 6, 5), number, np.uint8)


def network(name: str = "nose_tip", snapshot: str = "snapshot-1", net_type: str = "resnet_50") -> NetworkFiles:
    return NetworkFiles(name, Path("/x"), Path(f"/x/{snapshot}"), Path("/x/pose_cfg.yaml"), (name,), 4, net_type)


def test_answers_belong_to_their_requests(start: Start) -> None:
    with start("the real main") as engine:
        assert engine.load([network("nose_tip"), network("paws")]) == {"stand_in": "1"}
        futures = [engine.submit(name, batch(number)) for number in range(10) for name in ("nose_tip", "paws")]
        assert [int(future.result(PATIENT_S)[0, 0, 0]) for future in futures] == [n // 2 for n in range(20)]
        assert engine.warnings == []


# ------------------------------------------------------------------------------------------------- loading


def test_the_first_network_is_used_while_the_others_load(start: Start) -> None:
    with start("the real main") as engine:
        begun = time.monotonic()
        engine.load([network("roi_detect"), network("eye", "slow-2.5")])
        assert engine.submit("roi_detect", batch(1)).result(PATIENT_S)[0, 0, 0] == 1
        waiting = engine.submit("eye", batch(2))
        assert not waiting.done() and time.monotonic() - begun < 2.5
        assert waiting.result(PATIENT_S)[0, 0, 0] == 2
        assert time.monotonic() - begun > 2.5


def test_the_start_limit_holds_until_all_are_loaded(start: Start) -> None:
    with start("the real main", answer_limit_s=0.5) as engine:
        engine.load([network("roi_detect"), network("eye", "slow-1.5")])
        assert engine.submit("eye", batch(2)).result(PATIENT_S)[0, 0, 0] == 2


@pytest.mark.parametrize("first", [True, False], ids=["first", "later"])
@pytest.mark.parametrize(
    ("snapshot", "code", "said"),
    [
        ("bad", "weights.damaged", "network eye: ValueError: no such snapshot"),
        ("late", "weights.damaged", "network eye: FileNotFoundError"),
        ("no tensorflow", "toolchain.not_provisioned", "No module named 'tensorflow'"),
        ("no cuda", "toolchain.not_provisioned", "ImportError: libcublas.so.10.0: not there"),
    ],
)
def test_a_network_that_cannot_be_loaded(start: Start, snapshot: str, code: str, said: str, first: bool) -> None:
    def use(engine: TensorFlow1) -> None:
        good, bad = network("roi_detect"), network("eye", snapshot)
        engine.load([bad, good] if first else [good, bad])
        for number in range(1000):
            engine.submit("roi_detect", batch(number % 250)).result(PATIENT_S)

    with start("the real main", more={"STAND_IN_S": "0.02"}) as engine, pytest.raises(UserError) as caught:
        use(engine)
    assert caught.value.code == code
    assert said in caught.value.message and "\n" not in caught.value.message


def test_a_network_that_was_not_loaded(start: Start) -> None:
    with start("the real main") as engine:
        engine.load([network()])
        with pytest.raises(UserError) as caught:
            engine.submit("tongue", batch(1)).result(PATIENT_S)
    assert caught.value.code == "engine.failed" and "tongue: KeyError" in caught.value.message


@pytest.mark.parametrize(
    ("script", "said"),
    [
        ("#!/bin/sh\nexit 0\n", "status 0"),
        ("#!/bin/sh\necho Python 2.7 >&2\nexit 3\n", "status 3"),
        ('#!/bin/sh\nexec "{python}" -I -S "$@"\n', "No module named"),  # a modern Python without any package
    ],
    ids=["no python", "old python", "bare python"],
)
def test_a_wrong_interpreter(tmp_path: Path, script: str, said: str) -> None:
    python = tmp_path / "python"
    python.write_text(script.format(python=sys.executable))
    python.chmod(0o755)
    with open(tmp_path / "log", "ab") as log, TensorFlow1(python, log) as engine, pytest.raises(UserError) as caught:
        engine.load([network()])
    assert caught.value.code == "toolchain.not_provisioned"
    assert said in caught.value.message and str(python) in caught.value.message


# ------------------------------------------------------------------------------------- side by side, and memory


def together(start: Start, images: np.ndarray) -> int:
    """How many requests ran at once, at most."""
    with start("the real main", more={"STAND_IN_S": "0.1"}) as engine:
        engine.load([network()])
        return int(max(f.result(PATIENT_S)[0, 0, 2] for f in [engine.submit("nose_tip", images) for _ in range(6)]))


def test_two_batches_run_side_by_side(start: Start) -> None:
    assert together(start, batch(1)) == 2


def test_whole_frames_run_alone(start: Start) -> None:
    assert together(start, np.zeros((1, 1024, 1280), np.uint8)) == 1


def test_a_batch_that_the_memory_does_not_hold_goes_in_halves(start: Start) -> None:
    with start("the real main", more={"STAND_IN_PICTURES": "4"}) as engine:
        engine.load([network("eye", net_type="mobilenet_v2_0.35"), network("paws"), network("tongue")])
        for _ in range(3):
            images = np.arange(7 * 6 * 5, dtype=np.uint8).reshape(7, 6, 5)
            for name in ("eye", "paws"):
                points = engine.submit(name, images).result(PATIENT_S)
                assert points[:, 0, 0].tolist() == images[:, 0, 0].tolist()
            engine.submit("tongue", images[:4]).result(PATIENT_S)
    said = "the memory did not suffice for 7 pictures of {} at once: 4 at a time"
    assert engine.warnings == [f"{said.format('eye')}; a mobilenet's results depend on it", said.format("paws")]


@pytest.mark.parametrize("pictures", [0, 1, 3])
def test_half_a_batch_is_too_much(start: Start, pictures: int) -> None:
    with start("the real main", more={"STAND_IN_PICTURES": str(pictures)}) as engine:
        engine.load([network("eye")])
        with pytest.raises(UserError) as caught:
            engine.submit("eye", batch(1, 8 if pictures else 1)).result(PATIENT_S)
    assert caught.value.code == "engine.out_of_memory" and "eye" in caught.value.message


def test_memory_for_one_at_a_time(start: Start) -> None:
    """Running side by side is ours: it costs nobody a whole batch."""
    with start("the real main", more={"STAND_IN_TOGETHER": "1", "STAND_IN_S": "0.05"}) as engine:
        engine.load([network("eye"), network("paws")])
        for number, future in enumerate([engine.submit(("eye", "paws")[n % 2], batch(n)) for n in range(20)]):
            assert (future.result(PATIENT_S)[:, 0, 0] == number).all()
    assert engine.warnings == []


# ------------------------------------------------------------------------------------------------------ its end


@pytest.mark.parametrize("seed", range(6))
def test_killed_at_any_moment(start: Start, pids: Pids, seed: int) -> None:
    """At the start, while networks load, and in the middle of batches."""
    moment = np.random.default_rng(seed).uniform(0.0, 1.2)

    def use(engine: TensorFlow1) -> None:
        engine.load([network("eye", "slow-0.2"), network("paws", "slow-0.2")])
        while True:
            for name in ("eye", "paws"):
                engine.submit(name, np.zeros((8, 100, 100), np.uint8))

    engine = start("the real main", more={"STAND_IN_S": "0.01"})
    killer = threading.Timer(moment, os.kill, (engine.pid, signal.SIGKILL))
    killer.start()
    begun = time.monotonic()
    with pytest.raises(UserError) as caught, engine:
        use(engine)
    killer.join()
    assert time.monotonic() - begun < moment + 5
    # the pipe may end inside a message
    assert caught.value.code in {"engine.crashed", "engine.garbage"}
    assert "memory" in caught.value.message or "inside a" in caught.value.message
    assert not pids.alive(1.0)


def test_closing_in_the_middle_of_a_batch(start: Start, pids: Pids) -> None:
    engine = start("the real main", more={"STAND_IN_S": "30"})
    engine.load([network()])
    futures = [engine.submit("nose_tip", batch(number)) for number in range(3)]
    time.sleep(0.2)
    begun = time.monotonic()
    engine.close()
    assert time.monotonic() - begun < 1.5
    assert all(isinstance(future.exception(0), UserError) for future in futures)
    assert not pids.alive()


@pytest.mark.parametrize(
    "request_",
    [
        b"this is no message, although it is longer than a header is",
        wire.pack(wire.HELLO, {}),
        wire.pack(wire.LOAD, {}),
        wire.pack(wire.INFER, {"id": 1}),
        wire.pack(wire.INFER, {"id": 1, "network": "eye", "shape": [1, 2, 3]}, b"bytes that do not come"),
    ],
    ids=["garbage", "no request", "no networks", "no network", "cut"],
)
def test_a_request_that_is_none_ends_it(tmp_path: Path, request_: bytes) -> None:
    (incoming, to_child), (from_child, outgoing) = os.pipe(), os.pipe()
    with open(tmp_path / "log", "wb") as log:
        child = subprocess.Popen(
            [sys.executable, str(STAND_IN), str(incoming), str(outgoing)],
            pass_fds=(incoming, outgoing),
            env={**os.environ, "STAND_IN": "the real main"},
            stderr=log,
        )
    os.close(incoming)
    os.write(to_child, request_)
    if b"eye" not in request_:
        assert child.wait(PATIENT_S) == 1
        assert b"Error" in (tmp_path / "log").read_bytes()
    os.close(to_child)
    assert child.wait(PATIENT_S) in {0, 1}
    for descriptor in (outgoing, from_child):
        os.close(descriptor)


PARENT = """
import sys, time
import numpy as np
from pathlib import Path
from iblvideo_admin.engines import tensorflow1_sidecar as wire
from iblvideo_admin.engines.tensorflow1 import TensorFlow1
from iblvideo_admin.engines.weights import NetworkFiles

stand_in, pids, seconds, submit = sys.argv[1:]
engine = TensorFlow1(Path(sys.executable), open(pids + ".log", "ab"), sidecar=Path(stand_in),
                     environment={"STAND_IN": "the real main", "STAND_IN_PIDS": pids, "STAND_IN_S": seconds})
engine.load([NetworkFiles("n", Path("/x"), Path("/x/s"), Path("/x/p"), ("n",), 4, "resnet_50")])
for _ in range(int(submit) - 1):
    engine.submit("n", np.zeros((4, 100, 100), np.uint8))
print("ready", flush=True)
for _ in range(100):
    engine.submit("n", np.zeros((4, 100, 100), np.uint8))
time.sleep(60)
"""


@pytest.mark.parametrize("waiting", [1, 8])
def test_it_ends_with_its_parent(pids: Pids, waiting: int) -> None:
    """Also while a network runs and more requests wait than the process has read."""
    parent = subprocess.Popen(
        [sys.executable, "-c", PARENT, str(STAND_IN), str(pids.path), "30", str(waiting)], stdout=subprocess.PIPE
    )
    assert parent.stdout is not None
    assert parent.stdout.readline() == b"ready\n"
    time.sleep(0.5)
    assert len(pids.alive()) == 1
    os.kill(parent.pid, signal.SIGKILL)
    parent.wait()
    parent.stdout.close()
    assert not pids.alive(2.0)
