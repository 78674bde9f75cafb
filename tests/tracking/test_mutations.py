"""Damaged videos: each ends with all rows that can be decoded and a warning, or with a code; never otherwise.

The videos are tracked in a child process, so that a crash or a hang of the decoder is seen as such.
"""

import hashlib
import importlib.util
import json
import random
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest

from iblvideo_admin.errors import UserError
from iblvideo_admin.rigs import CAMERAS, NETWORKS
from iblvideo_admin.sessions import Video
from iblvideo_admin.tracking.track import track

SEEDS = 300
QUICK = 30  # of them in every run
CHUNK = 10
LIMIT = 60  # seconds per video: far more than any needs
COUNT = 30
CODES = {"video.corrupt", "video.truncated", "video.empty", "video.wrong_size", "video.missing"}
FFMPEG = shutil.which("ffmpeg")

# ------------------------------------------------------------------------------------ in the child process


def refused(path: Path) -> bool:
    """Whether an MJPEG decoder that is told to refuse damage does: it says nothing otherwise."""
    with av.open(str(path), metadata_errors="replace") as container:
        stream = container.streams.video[0]
        stream.codec_context.options = {"err_detect": "explode"}
        try:
            return stream.codec_context.name == "mjpeg" and not list(container.decode(stream))
        except av.error.FFmpegError:
            return True


def oracle(path: Path) -> dict[str, Any]:
    """What one thread decodes, and whether the libraries noticed any damage."""
    seen: dict[str, Any] = {"rows": [], "noticed": refused(path)}
    with av.open(str(path), metadata_errors="replace") as container:
        stream = container.streams.video[0]
        stream.thread_type = "NONE"
        packets = container.demux(stream)
        while True:
            try:
                packet = next(packets)
            except StopIteration:
                return seen
            except av.error.FFmpegError:
                seen["noticed"] = True
                return seen
            seen["noticed"] |= packet.is_corrupt
            try:
                frames = packet.decode()
            except av.error.FFmpegError:
                seen["noticed"] = True
                continue
            for frame in frames:
                seen["noticed"] |= frame.is_corrupt
                plane = frame.planes[0]
                lines = np.frombuffer(memoryview(plane), np.uint8).reshape(-1, plane.line_size)
                luma = np.ascontiguousarray(lines[: frame.height, : frame.width])
                seen["rows"].append(hashlib.md5(luma).hexdigest())  # noqa: S324


def sure(network: str, images: np.ndarray) -> np.ndarray:
    points = np.zeros((len(images), len(NETWORKS[network].points), 3))
    points[...] = (300, 250, 0.99)
    return points


def outcome(path: Path, weights: Path, engine: Any, *, by_hand: bool) -> dict[str, Any]:
    """How a session's body video ends: its rows and warnings, or its code."""
    session = path.parent.parent
    windows = {"tail_start": (430.0, 300.0)} if by_hand else None
    try:
        done = track(Video(session, CAMERAS["body"]), engine(sure), weights, by_hand=windows)
    except UserError as error:
        return {"code": error.code, "message": error.message}
    return {"rows": done.frames, "warnings": done.warnings, "oracle": oracle(path)}


def child(weights: Path, paths: list[Path]) -> None:
    """Track each video; a line of JSON each."""
    import faulthandler

    spec = importlib.util.spec_from_file_location("helpers", Path(__file__).with_name("conftest.py"))
    assert spec and spec.loader
    helpers = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(helpers)
    for number, path in enumerate(paths):
        faulthandler.dump_traceback_later(LIMIT, exit=True)
        found = outcome(path, weights, helpers.FakeEngine, by_hand=number % 2 == 0)
        print(json.dumps({"path": str(path), **found}), flush=True)
        faulthandler.cancel_dump_traceback_later()


# ------------------------------------------------------------------------------------ the damaged videos


def moving(count: int) -> Iterator[np.ndarray]:
    """A texture that moves under noise: packets of some size, and much to refer to."""
    generator = np.random.default_rng(5)
    texture = np.kron(generator.integers(30, 220, (90, 100)), np.ones((8, 8), int))
    for number in range(count):
        part = texture[3 * number : 3 * number + 512, 2 * number : 2 * number + 640]
        yield np.clip(part + generator.normal(0, 3, part.shape), 16, 235).astype(np.uint8)


WITH_B = {"crf": "28", "preset": "veryfast", "g": "12", "bf": "3", "threads": "1"}
WITHOUT_B = {**WITH_B, "bf": "0"}
BASES: dict[str, dict[str, Any]] = {
    "index at the end": {"options": WITH_B},
    "index in front": {"options": WITH_B, "flags": "faststart"},
    "fragments": {"options": WITH_B, "flags": "frag_keyframe+empty_moov"},
    "matroska": {"options": WITH_B, "container_format": "matroska"},
    "avi": {"options": WITHOUT_B, "container_format": "avi"},
    "mjpeg": {"codec": "mjpeg", "pix_fmt": "yuvj420p", "container_format": "avi"},
}


@pytest.fixture(scope="session")
def bases(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    """Sound videos of the body camera in several containers."""
    spec = importlib.util.spec_from_file_location("helpers", Path(__file__).with_name("conftest.py"))
    assert spec and spec.loader
    helpers = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(helpers)
    folder, pictures = tmp_path_factory.mktemp("bases"), list(moving(COUNT))
    made = {}
    for name, how in BASES.items():
        made[name] = helpers.write_video(folder / f"{name}.mp4", pictures, rate=60, **how).read_bytes()
    for name, muxer in (("mpegts", "mpegts"), ("raw stream", "h264"), ("flv", "flv")):
        path = helpers.write_video(folder / name, pictures, container_format=muxer, options=WITH_B)
        made[name] = path.read_bytes()
    small = helpers.write_video(folder / "small.mp4", [picture[:256, :320] for picture in pictures], options=WITH_B)
    made["another size"] = small.read_bytes()
    return made


def flipped(content: bytearray, chance: random.Random) -> None:
    for _ in range(chance.choice((1, 1, 2, 20, 100))):
        content[chance.randrange(len(content))] ^= 1 << chance.randrange(8)


def header_flipped(content: bytearray, chance: random.Random) -> None:
    """Where the containers have their tables: the first and last bytes."""
    for _ in range(chance.choice((1, 3, 10))):
        place = chance.randrange(1500)
        content[place if chance.random() < 0.5 else len(content) - 1 - place] ^= 1 << chance.randrange(8)


def cut(content: bytearray, chance: random.Random) -> None:
    del content[int(len(content) * chance.choice((chance.random(), 0.98, 0.999))) :]


def emptied(content: bytearray, chance: random.Random) -> None:
    place = chance.randrange(len(content))
    length = min(chance.choice((100, 4096, 30_000)), len(content) - place)
    content[place : place + length] = bytes(length)


def garbled(content: bytearray, chance: random.Random) -> None:
    place = chance.randrange(len(content) - 300)
    content[place : place + 300] = chance.randbytes(300)


def shortened(content: bytearray, chance: random.Random) -> None:
    place = chance.randrange(len(content))
    del content[place : place + chance.choice((1, 50, 5000))]


def lengthened(content: bytearray, chance: random.Random) -> None:
    place = chance.choice((len(content), chance.randrange(len(content))))
    content[place:place] = chance.randbytes(chance.choice((1, 1000)))


def swapped(content: bytearray, chance: random.Random) -> None:
    size = 4096
    one, other = (size * chance.randrange(len(content) // size) for _ in range(2))
    content[one : one + size], content[other : other + size] = content[other : other + size], content[one : one + size]


DAMAGES: tuple[Callable[[bytearray, random.Random], None], ...] = (
    flipped,
    header_flipped,
    cut,
    emptied,
    garbled,
    flipped,
    shortened,
    lengthened,
    swapped,
)


def others(path: Path, bases: dict[str, bytes], which: int) -> None:
    """What is no video of the camera at all."""
    kind = which % 10
    if kind < 4:
        path.write_bytes(bases[("mpegts", "raw stream", "flv", "another size")[kind]])
    elif kind == 4:
        path.write_text("frame,x,y\n" * 1000)
    elif kind == 5:
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr("video.mp4", bases["avi"])
    elif kind == 6:
        path.write_bytes(b"GIF89a" + bases["avi"][:500])
    elif kind == 7:
        path.mkdir()
    elif kind == 8:
        path.write_bytes(bases["index in front"][:40])
    else:
        path.write_bytes(random.Random(which).randbytes(100_000))  # noqa: S311


def damaged(path: Path, bases: dict[str, bytes], seed: int) -> str:
    """Write the video of a seed; its base's name, or "" for no video at all."""
    path.parent.mkdir(parents=True)
    if seed % 10 == 9:
        others(path, bases, seed // 10)
        return ""
    chance = random.Random(seed)  # noqa: S311
    base = list(BASES)[chance.randrange(len(BASES))]
    content = bytearray(bases[base])
    DAMAGES[seed % len(DAMAGES)](content, chance)
    path.write_bytes(content)
    return base


def rows_of_ffmpeg(path: Path) -> int:
    """How many frames the ffmpeg command decodes."""
    assert FFMPEG
    command = [FFMPEG, "-nostdin", "-v", "quiet", "-i", str(path), "-map", "0:v:0", "-fps_mode", "passthrough"]
    lines = subprocess.run(
        [*command, "-f", "framemd5", "-"], capture_output=True, text=True, timeout=LIMIT, check=False
    )
    return sum(not line.startswith("#") for line in lines.stdout.splitlines())


CHUNKS = [
    pytest.param(first, marks=() if first < QUICK else pytest.mark.full, id=f"{first}-{first + CHUNK - 1}")
    for first in range(0, SEEDS, CHUNK)
]


@pytest.fixture(scope="session")
def sound(bases: dict[str, bytes], tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[str]]:
    """The frames of the undamaged videos."""
    folder, frames = tmp_path_factory.mktemp("sound"), {}
    for name in BASES:
        (folder / "video").write_bytes(bases[name])
        frames[name] = oracle(folder / "video")["rows"]
        assert len(frames[name]) == COUNT
    return frames


@pytest.mark.parametrize("first", CHUNKS)
def test_damaged_videos(
    tmp_path: Path,
    weights_dir: Path,
    bases: dict[str, bytes],
    sound: dict[str, list[str]],
    first: int,
) -> None:
    made = {}
    for seed in range(first, first + CHUNK):
        video = Video(tmp_path / f"mouse/2024-01-31/{seed:03}", CAMERAS["body"])
        made[str(video.path)] = damaged(video.path, bases, seed)
    command = [sys.executable, __file__, str(weights_dir), *made]
    run = subprocess.run(command, capture_output=True, text=True, timeout=CHUNK * LIMIT, check=False)
    assert run.returncode == 0, f"{run.stdout[-300:]}\n{run.stderr[-3000:]}"
    outcomes = [json.loads(line) for line in run.stdout.splitlines()]
    assert [one["path"] for one in outcomes] == list(made)
    silent = 0
    for one in outcomes:
        path, base = Path(one["path"]), made[one["path"]]
        if "code" in one:
            assert one["code"] in CODES and one["message"], one
            assert not list(path.parent.parent.glob("alf/*.pqt")), one
            continue
        assert base, one  # what is no video cannot be complete
        rows = one["oracle"]["rows"]
        assert one["rows"] == len(rows), one
        if FFMPEG and first >= QUICK:  # other versions of ffmpeg may see a damaged stream otherwise
            assert len(rows) == rows_of_ffmpeg(path), one
        whole = rows == sound[base]
        assert one["warnings"] or not one["oracle"]["noticed"], one
        assert one["warnings"] or len(rows) == COUNT, one
        silent += not whole and not one["warnings"]
    # wrong values inside a valid stream: no decoder can tell them from right ones
    print(f"{silent} of {CHUNK} videos have changed pictures that libav took for sound")
    assert silent <= CHUNK // 5


if __name__ == "__main__":
    child(Path(sys.argv[1]), [Path(path) for path in sys.argv[2:]])
