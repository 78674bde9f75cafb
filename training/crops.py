"""Render the training data of the demo networks: ``python training/crops.py OUT [--network NAME ...]``.

One file ``OUT/<network>.npz`` each: ``clips`` (n, 8, h, w) uint8 with ``clip_points`` (n, 8, k, 2), and for the
networks that also work on whole frames ``frames`` (m, h, w) with ``frame_points`` (m, k, 2).  Points are in pixels
of the network's input, nan where hidden.  Clips are ``MARGIN`` px larger than the window on every side: the
training cuts the window out at a random place.
"""

from __future__ import annotations

import argparse
import dataclasses
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
import inputs

from iblvideo_admin.demo.difficulty import COMPRESSION, TRAINING_LOOK, TRAINING_SEEDS
from iblvideo_admin.demo.scenes import Points, Style, View
from iblvideo_admin.demo.texture import Grain, to_luma
from iblvideo_admin.rigs import CAMERAS, NETWORKS, Network

Rng = np.random.Generator
CLIP = 8
MARGIN = 8
CLIPS = {"nose_tip": 400, "eye": 480, "paws": 360, "tongue": 480, "tail_start": 220}
FRAMES = {"roi_detect": 720}
# around a window at half size: whole half-size pixels outside it that the upscaling needs
_BORDER = 8


class Source:
    """Views drawn with training seeds; each ``take`` moves to another time, light, sharpness and place."""

    def __init__(self, camera: str, seeds: tuple[int, ...]) -> None:
        self.camera = CAMERAS[camera]
        self._views = [View(self.camera, seed, TRAINING_LOOK) for seed in seeds]
        self._grain = Grain(seeds[0], self.camera.width, self.camera.height, 1.0)

    def take(self, rng: Rng, count: int) -> Take:
        """``count`` states of one scene: half of the takes are consecutive frames, half are far apart."""
        scene = self._views[rng.integers(len(self._views))].scene
        drawn = Style.draw(TRAINING_LOOK, rng)
        scene.style = dataclasses.replace(drawn, fur=scene.style.fur)
        rate = rng.choice([*self.camera.rates, 30.0])
        step = 1 / rate if rng.random() < 0.5 else rng.uniform(0.05, 1.0)
        motion = scene.motion(rng.uniform(0, 1000) + step * np.arange(count))
        return Take(scene, motion, self._grain, rng)


class Take:
    """Some states of one scene and a way to picture them."""

    def __init__(self, scene: Any, motion: Any, grain: Grain, rng: Rng) -> None:
        self.scene, self.motion, self._grain, self._rng = scene, motion, grain, rng
        rest = scene.motion(np.arange(0, 400, 0.37))
        self.rest: Points = {name: np.nanmean(xy, axis=0) for name, xy in scene.positions(rest).items()}

    def pictured(self, window: tuple[int, int, int, int] | None, compress: bool = True) -> list[inputs.Grey]:
        """Every state as full range grey, of a window of the scaled scene (even sides) or of all of it."""
        x0, y0, width, height = window or (0, 0, *self.scene.scaled_size)
        frames = []
        for i in range(len(self.motion.light)):
            state = self.motion.at(i)
            picture = self.scene.picture(state, (x0, y0, width, height))
            grain = self._grain.frame(int(self._rng.integers(1 << 30)))[:height, :width] * np.float32(
                self.scene.style.noise
            )
            frames.append(to_luma(picture, self.scene.style.gain * float(state.light), grain))
        if not compress:
            return [np.clip((f - 16.0) * 255 / 219 + 0.5, 0, 255).astype(np.uint8) for f in frames]
        low, high = COMPRESSION.training_crf
        return inputs.through_video(frames, int(self._rng.integers(low, high + 1)), COMPRESSION.preset)

    def points(self, network: Network) -> npt.NDArray[np.float64]:
        """The network's points (n, k, 2) in scene px."""
        found = self.scene.positions(self.motion)
        return np.stack([found[name] for name in network.points], axis=1)


def window_clip(take: Take, network: Network, rng: Rng) -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.float64]]:
    """A clip (8, h, w) around a window of the networks' frame, and its points (8, k, 2)."""
    spec = network.window
    assert spec is not None
    anchors = np.stack([take.rest[name] for name in spec.anchors])
    corner = np.array(inputs.window_at(anchors, network)) + rng.integers(-4, 5, 2) - MARGIN
    width, height = spec.width + 2 * MARGIN, spec.height + 2 * MARGIN
    if take.scene.scale == 1:
        frames = take.pictured((int(corner[0]), int(corner[1]), width, height))
    else:
        half = corner // 2 - _BORDER
        size = (width // 2 + 2 * _BORDER, height // 2 + 2 * _BORDER)
        skip = corner - 2 * half
        frames = [
            inputs.resized(frame, 2 * size[0], 2 * size[1])[skip[1] :, skip[0] :][:height, :width]
            for frame in take.pictured((int(half[0]), int(half[1]), *size))
        ]
    return inputs.stretched(np.stack(frames), network), take.points(network) - corner


def paws_clip(take: Take, network: Network, rng: Rng) -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.float64]]:
    """A clip (8, 102, 128) of whole frames; the points times the network's factor are those of the frame."""
    assert network.scaled_to is not None
    frames = take.pictured(None, compress=rng.random() < 0.6)
    if take.scene.scale != 1:
        frames = [inputs.resized(frame, *take.scene.size) for frame in frames]
    small = np.stack([inputs.resized(frame, *network.scaled_to) for frame in frames])
    return small, take.points(network) / network.points_factor


def render(network: Network, seed: int) -> dict[str, npt.NDArray[Any]]:
    """All arrays of one network's file."""
    rng = np.random.default_rng([seed, list(NETWORKS).index(network.name)])
    seeds = TRAINING_SEEDS
    data: dict[str, list[Any]] = {"clips": [], "clip_points": [], "frames": [], "frame_points": []}
    if network.name == "tail_start":
        sources, shares = [Source("body", seeds)], [1.0]
    else:
        sources, shares = [Source("left", seeds[::2]), Source("right", seeds[1::2])], [0.5, 0.5]
    for _ in range(CLIPS.get(network.name, 0)):
        source = sources[rng.choice(len(sources), p=shares)]
        take = source.take(rng, CLIP)
        if network.name == "tongue" and rng.random() < 0.25:
            take.motion = dataclasses.replace(take.motion, tongue=np.zeros(CLIP))
        make = paws_clip if network.scaled_to else window_clip
        frames, points = make(take, network, rng)
        data["clips"].append(frames)
        data["clip_points"].append(points)
        if network.name == "tail_start":
            whole = source.take(rng, 2)
            data["frames"] += whole.pictured(None)
            data["frame_points"] += list(whole.points(network))
    for _ in range(FRAMES.get(network.name, 0)):
        take = sources[rng.choice(len(sources), p=shares)].take(rng, 1)
        frame = take.pictured(None)[0]
        data["frames"].append(frame if take.scene.scale == 1 else inputs.resized(frame, *take.scene.size))
        data["frame_points"].append(take.points(network)[0])
    return {name: np.stack(rows) for name, rows in data.items() if rows}


def main() -> None:
    """Render what the command line asks for."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("out", type=Path)
    parser.add_argument("--network", action="append", choices=list(NETWORKS), help="only this one (repeatable)")
    parser.add_argument("--seed", type=int, default=0, help="draws of times, light and compression")
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    for name in options.network or NETWORKS:
        begin = time.monotonic()
        arrays = render(NETWORKS[name], options.seed)
        np.savez(options.out / f"{name}.npz", points=np.array(NETWORKS[name].points), **arrays)
        shapes = {key: value.shape for key, value in arrays.items()}
        print(f"{name}: {shapes}, {time.monotonic() - begin:.0f} s", flush=True)


if __name__ == "__main__":
    main()
