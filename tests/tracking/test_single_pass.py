"""Row i belongs to frame i, whatever the batch size, and the memory stays bounded."""

import threading
import time
import tracemalloc
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from iblvideo_admin.errors import UserError
from iblvideo_admin.rigs import Camera
from iblvideo_admin.tracking import single_pass
from iblvideo_admin.tracking.pictures import Box, Cutter

CAMERA = Camera("small", 16, 12, (30.0,), "roi_detect", ("nose_tip", "tongue"))
WINDOWS = {"nose_tip": Box(0, 0, 4, 4), "tongue": Box(8, 4, 6, 5)}


class NumberedReader:
    """Frames that carry their number in every window, all in one array that is written over, as a decoder's is."""

    def __init__(self, count: int) -> None:
        self.count = count
        self.judged: list[int] = []

    def frames(self) -> Iterator[np.ndarray]:
        frame = np.zeros((CAMERA.height, CAMERA.width), np.uint8)
        for number in range(self.count):
            frame[:] = 0
            for box in WINDOWS.values():
                frame[box.y, box.x : box.x + 2] = number % 256, number // 256
            yield frame
        frame[:] = 255

    def require_whole(self, decoded: int) -> None:
        self.judged.append(decoded)
        if decoded == 0:
            raise UserError("video.empty", "no frame")


def numbers(network: str, images: np.ndarray) -> np.ndarray:
    """Two points per picture; x and y of the second tell the frame and the network."""
    number = images[:, 0, 0].astype(int) + 256 * images[:, 0, 1].astype(int)
    points = np.zeros((len(images), 2, 3))
    points[:, 1, 0] = number
    points[:, 1, 1] = len(network)
    return points


def run(
    reader: NumberedReader, engine: Any, sizes: dict[str, int], progress: Any = lambda _: None
) -> dict[str, np.ndarray]:
    cutter = Cutter(CAMERA, np.arange(256, dtype=np.uint8), WINDOWS)
    return single_pass.run(reader, CAMERA, cutter, engine, sizes, progress)  # type: ignore[arg-type]


def check(found: dict[str, np.ndarray], count: int) -> None:
    assert set(found) == set(CAMERA.networks)
    for network, points in found.items():
        assert points.shape == (count, 2, 3) and points.dtype == np.float32
        assert points[:, 1, 0].tolist() == list(range(count))
        assert (points[:, 1, 1] == len(network)).all()


@given(st.integers(1, 300), st.integers(1, 17), st.integers(1, 17))
@settings(deadline=None, max_examples=60)
def test_row_i_belongs_to_frame_i(fake_engine_class: Any, count: int, nose: int, tongue: int) -> None:
    reader, engine = NumberedReader(count), fake_engine_class(numbers)
    check(run(reader, engine, {"nose_tip": nose, "tongue": tongue}), count)
    assert reader.judged == [count]
    for network, images in engine.batches:
        assert images.shape == (
            {"nose_tip": nose, "tongue": tongue}[network],
            *({"nose_tip": (4, 4), "tongue": (5, 6)}[network]),
        )


@given(st.integers(1, 120), st.integers(1, 9), st.integers(0, 999))
@settings(deadline=None, max_examples=30)
def test_answers_that_come_late_and_in_any_order(count: int, size: int, seed: int) -> None:
    """The engine's threads end in any order; the rows keep theirs."""
    generator = np.random.default_rng(seed)
    waiting: list[tuple[Future[np.ndarray], np.ndarray]] = []

    class Late:
        def submit(self, network: str, images: np.ndarray) -> Future[np.ndarray]:
            future: Future[np.ndarray] = Future()
            waiting.append((future, numbers(network, images).astype(np.float32)))
            while len(waiting) > 3:
                settle()
            return future

    def settle() -> None:
        future, points = waiting.pop(generator.integers(len(waiting)))
        future.set_result(points)

    ended = threading.Event()

    def settle_the_rest() -> None:
        while not ended.wait(0.001):
            while waiting:
                settle()

    reader = NumberedReader(count)
    original = reader.require_whole
    thread = threading.Thread(target=settle_the_rest)
    reader.require_whole = lambda n: (original(n), thread.start())[0]  # type: ignore[method-assign,assignment]
    try:
        check(run(reader, Late(), {"nose_tip": size, "tongue": size}), count)
    finally:
        ended.set()
        thread.join()


def test_the_last_batch_carries_pictures_of_the_one_before(fake_engine: Callable[..., Any]) -> None:
    """As DeepLabCut's does: the mobilenets' answers depend on the whole batch."""
    engine = fake_engine(numbers)
    run(NumberedReader(10), engine, {"nose_tip": 4, "tongue": 16})
    nose = [numbers(n, i)[:, 1, 0].tolist() for n, i in engine.batches if n == "nose_tip"]
    assert nose == [[0, 1, 2, 3], [4, 5, 6, 7], [8, 9, 6, 7]]
    tongue = [numbers(n, i)[:, 1, 0].tolist() for n, i in engine.batches if n == "tongue"]
    assert tongue == [[*range(10), *[9] * 6]]  # nothing before it: the last picture again


@given(st.integers(1, 60), st.lists(st.tuples(st.integers(1, 9), st.integers(1, 9)), min_size=2, max_size=2), st.data())
@settings(deadline=None, max_examples=60)
def test_every_picture_reaches_its_network_once_and_in_order(
    fake_engine_class: Any, count: int, sizes: list[tuple[int, int]], data: st.DataObject
) -> None:
    """Whatever the windows, the batch sizes and the number of frames: no frame lost, doubled or mixed up."""
    windows = {}
    for name, (height, width) in zip(CAMERA.networks, sizes, strict=True):
        x, y = data.draw(st.integers(0, CAMERA.width - width)), data.draw(st.integers(0, CAMERA.height - height))
        windows[name] = Box(x, y, width, height)
    batches = {name: data.draw(st.integers(1, 70)) for name in CAMERA.networks}
    generator = np.random.default_rng(count)
    frames = generator.integers(0, 256, (count, CAMERA.height, CAMERA.width)).astype(np.uint8)
    levels = generator.permutation(256).astype(np.uint8)

    class Frames(NumberedReader):
        def frames(self) -> Iterator[np.ndarray]:
            plane = np.empty(frames.shape[1:], np.uint8)
            for frame in frames:
                plane[...] = frame
                yield plane

    engine = fake_engine_class(lambda _, images: np.zeros((len(images), 1, 3)))
    cutter = Cutter(CAMERA, levels, windows)
    single_pass.run(Frames(count), CAMERA, cutter, engine, batches, lambda _: None)  # type: ignore[arg-type]
    for name, box in windows.items():
        size = batches[name]
        sent = np.concatenate([images for network, images in engine.batches if network == name])
        wanted = levels[frames[:, box.y : box.y + box.height, box.x : box.x + box.width]]
        np.testing.assert_array_equal(sent[:count], wanted)
        assert len(sent) == -(-count // size) * size
        beyond = sent[count:]
        before = np.tile(wanted[-1], (len(beyond), 1, 1)) if count < size else sent[count - size : len(sent) - size]
        np.testing.assert_array_equal(beyond, before)


def test_points_beyond_one_growth(fake_engine: Callable[..., Any]) -> None:
    """The points' array grows in steps; what it held stays."""
    count = 2 * single_pass.GROWTH + 3
    check(run(NumberedReader(count), fake_engine(numbers), {"nose_tip": 64, "tongue": 1000}), count)


def test_the_memory_grows_by_the_points_alone() -> None:
    """Not by a list of answers, nor by a second copy of all at the end; small batches make many answers."""

    class Forgetful:
        def submit(self, network: str, images: np.ndarray) -> Future[np.ndarray]:
            future: Future[np.ndarray] = Future()
            future.set_result(numbers(network, images).astype(np.float32))
            return future

    def peak(count: int) -> int:
        tracemalloc.start()
        try:
            run(NumberedReader(count), Forgetful(), {"nose_tip": 2, "tongue": 3})
            return tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()

    few, many = single_pass.GROWTH, 4 * single_pass.GROWTH
    points = 2 * 2 * 3 * 4  # bytes a frame: two networks' two points, three float32 each
    assert (peak(many) - peak(few)) / (many - few) <= 1.1 * points


def test_batches_are_not_written_to_after_they_were_sent(fake_engine: Callable[..., Any]) -> None:
    engine = fake_engine(numbers)
    sent: list[np.ndarray] = []
    original = engine.submit
    engine.submit = lambda network, images: (sent.append(images.copy()), original(network, images))[1]
    run(NumberedReader(11), engine, {"nose_tip": 4, "tongue": 3})
    for before, (_, after) in zip(sent, engine.batches, strict=True):
        np.testing.assert_array_equal(before, after)


def test_a_slow_engine_holds_the_decoder_back() -> None:
    """An engine that blocks after 2 batches: never more frames in memory than these and the ones being filled."""
    slots, ahead = threading.Semaphore(2), 0
    answered = 0

    with ThreadPoolExecutor(1) as pool:

        class Slow:
            def submit(self, network: str, images: np.ndarray) -> Future[np.ndarray]:
                slots.acquire()
                return pool.submit(self.work, network, images)

            def work(self, network: str, images: np.ndarray) -> np.ndarray:
                nonlocal answered
                time.sleep(0.001)
                answered += 1
                slots.release()
                return numbers(network, images).astype(np.float32)

        def progress(done: int) -> None:
            nonlocal ahead
            ahead = max(ahead, done - answered * 4 // 2)

        check(run(NumberedReader(400), Slow(), {"nose_tip": 4, "tongue": 4}, progress), 400)
    assert ahead <= 4 * 4


def test_progress_counts_frames_whose_points_are_found(fake_engine: Callable[..., Any]) -> None:
    """Not frames decoded: decoding runs ahead of the networks."""
    steps: list[int] = []
    run(NumberedReader(9), fake_engine(numbers), {"nose_tip": 4, "tongue": 2}, steps.append)
    assert steps == [0, 0, 0, 4, 4, 4, 4, 8, 8, 9]


def test_no_frames(fake_engine: Callable[..., Any]) -> None:
    with pytest.raises(UserError) as caught:
        run(NumberedReader(0), fake_engine(numbers), {"nose_tip": 4, "tongue": 4})
    assert caught.value.code == "video.empty"


@pytest.mark.parametrize("at", [0, 3, 4, 5])
def test_an_engine_that_fails_ends_the_pass(at: int) -> None:
    class Failing:
        calls = 0

        def submit(self, network: str, images: np.ndarray) -> Future[np.ndarray]:
            future: Future[np.ndarray] = Future()
            if Failing.calls == at:
                future.set_exception(UserError("engine.crashed", "it died"))
            else:
                future.set_result(numbers(network, images).astype(np.float32))
            Failing.calls += 1
            return future

    with pytest.raises(UserError, match="it died"):
        run(NumberedReader(10), Failing(), {"nose_tip": 4, "tongue": 4})
