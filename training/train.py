"""Train one demo network: ``python training/train.py DATA WEIGHTS NETWORK`` (Python 3.7, TensorFlow 1.13, DLC 2.1.5.2).

DeepLabCut's own network code and variable names, from random initialisation; DeepLabCut's own training cannot
start without a downloaded checkpoint.  A batch is one clip of 8 frames or one whole frame, never a mixture:
DeepLabCut runs the mobilenets' batch norm on the statistics of the batch at hand, also when it analyses videos, so
a network works only on batches that resemble those it was trained on.
"""

import argparse
import os
import random
import re
import shutil
import sys
import tempfile
import time
import warnings
from typing import NamedTuple

os.environ.setdefault("DLClight", "True")
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
warnings.filterwarnings("ignore")

import numpy as np
import tensorflow as tf
from deeplabcut.pose_estimation_tensorflow.config import load_config
from deeplabcut.pose_estimation_tensorflow.nnet import losses
from deeplabcut.pose_estimation_tensorflow.nnet.net_factory import pose_net

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import networks

MARGIN = 8  # as in crops.py
TILE = 160
RADIUS = 10.0  # grid cells nearer than this to a point should answer to it (px)
RATE, LAST_RATE, WARM_UP = 2e-3, 1e-5, 30
LATE = 3  # the first block of the backbone that ``late`` parts train


class Part(NamedTuple):
    """Some steps of a recipe with one kind of batch, at ``factor`` times RATE.

    Kinds: ``clips``; ``shown`` (clips, two of three with every point in sight at least twice); ``frames``;
    ``tiles`` (8 parts of one whole frame); ``both`` (clips and frames by turns).
    ``place`` weighs the place's loss against the score's.  ``late`` parts train only the layers from block ``LATE``
    on: the gradient need not pass the large early ones, which halves a step's time.
    """

    kind: str
    steps: int
    factor: float
    place: float = 10.0
    late: bool = False


class Recipe:
    """What one network is trained on: its parts are run one after another.

    ``wanted`` weighs the grid cells at a point against those away from it.
    """

    def __init__(self, parts, wanted=4.0):
        self.parts, self.wanted = parts, wanted


RECIPES = {
    "nose_tip": Recipe([Part("clips", 720, 1.0)]),
    "eye": Recipe([Part("clips", 1080, 1.0), Part("clips", 1000, 0.6)]),
    "paws": Recipe([Part("clips", 720, 1.0), Part("clips", 1100, 0.6)]),
    "tongue": Recipe([Part("clips", 720, 1.0), Part("shown", 700, 0.6)]),
    "tail_start": Recipe(
        [Part("both", 360, 1.0), Part("both", 260, 0.6), Part("both", 160, 0.3, place=50.0)],
        wanted=9.0,
    ),
    "roi_detect": Recipe(
        [
            Part("tiles", 300, 1.0),
            Part("frames", 54, 1.0),
            Part("tiles", 280, 0.6),
            Part("frames", 46, 0.6),
            Part("frames", 60, 0.35),
            Part("frames", 390, 0.5, place=50.0, late=True),
        ],
        wanted=9.0,
    ),
}


class Batches:
    """Draws batches (n, h, w) with points (n, k, 2) from a network's training data."""

    def __init__(self, path, name, rng):
        self._data = dict(np.load(path))
        self._rng = rng
        if "clips" in self._data:
            seen = np.isfinite(self._data["clip_points"][..., 0]).sum(axis=1).min(axis=1)
            self._shown = np.flatnonzero(seen >= 2)
        self._cut = name in ("nose_tip", "eye", "tongue", "tail_start")
        self._turn = 0

    def draw(self, kind):
        """One batch of this kind."""
        if kind == "both":
            self._turn += 1
            kind = "clips" if self._turn % 2 else "frames"
        if kind in ("clips", "shown"):
            i = self._rng.randint(len(self._data["clips"]))
            if kind == "shown" and self._rng.rand() < 2 / 3:
                i = self._rng.choice(self._shown)
            images, points = self._data["clips"][i], self._data["clip_points"][i]
            if self._cut:
                x, y = self._rng.randint(0, 2 * MARGIN + 1, 2)
                height, width = images.shape[1] - 2 * MARGIN, images.shape[2] - 2 * MARGIN
                images, points = images[:, y : y + height, x : x + width], points - [x, y]
            return images, points
        i = self._rng.randint(len(self._data["frames"]))
        image, points = self._data["frames"][i], self._data["frame_points"][i]
        if kind == "frames":
            return image[None], points[None]
        return self._tiles(image, points)

    def _tiles(self, image, points):
        """Eight tiles of one frame, half of them around points: together about as bright and busy as the frame."""
        height, width = image.shape
        images, moved = [], []
        for i in range(8):
            if i % 2:
                middle = points[self._rng.randint(len(points))] + self._rng.uniform(-70, 70, 2)
            else:
                middle = self._rng.uniform([0, 0], [width, height])
            x = int(np.clip(middle[0] - TILE / 2, 0, width - TILE))
            y = int(np.clip(middle[1] - TILE / 2, 0, height - TILE))
            images.append(image[y : y + TILE, x : x + TILE])
            moved.append(points - [x, y])
        return np.stack(images), np.stack(moved)


def targets(points, height, width):
    """Score (n, gh, gw, k) and place (n, gh, gw, 2 k) that the network should answer with."""
    for _ in range(3):
        height, width = -(-height // 2), -(-width // 2)
    grid_height, grid_width = 2 * -(-height // 2), 2 * -(-width // 2)
    y, x = np.mgrid[0:grid_height, 0:grid_width] * networks.STRIDE + networks.STRIDE / 2
    away = points[:, None, None] - np.stack([x, y], axis=-1)[None, :, :, None]
    with np.errstate(invalid="ignore"):
        score = np.hypot(away[..., 0], away[..., 1]) <= RADIUS
    place = np.where(score[..., None], away / networks.LOCREF_STDEV, 0.0)
    return score.astype(np.float32), place.reshape(place.shape[:3] + (-1,)).astype(np.float32)


def late_variables():
    """What ``late`` parts train: the backbone from block ``LATE`` on, and the heads."""
    early = re.compile(r"MobilenetV2/(Conv/|expanded_conv/|expanded_conv_[1-%d]/)" % (LATE - 1))
    return [v for v in tf.trainable_variables() if not early.match(v.name)]


def saved_variables():
    """The network's own variables, without those of the optimiser."""
    return [
        v
        for v in tf.global_variables()
        if "Adam" not in v.name and not v.name.startswith(("beta1_power", "beta2_power"))
    ]


def save(session, saver, model, step):
    """Replace the snapshot in ``model``/train; neither a graph file nor a list of checkpoints is left there."""
    folder = os.path.join(model, "train")
    with tempfile.TemporaryDirectory() as place:
        saver.save(
            session,
            os.path.join(place, "snapshot"),
            global_step=step,
            write_meta_graph=False,
            latest_filename="list",
        )
        for old in os.listdir(folder):
            if old.startswith("snapshot-"):
                os.remove(os.path.join(folder, old))
        for new in os.listdir(place):
            if new.startswith("snapshot-"):
                shutil.move(os.path.join(place, new), os.path.join(folder, new))


def train(options):
    """Train a network and write its folder below ``options.weights``."""
    name, recipe = options.network, RECIPES[options.network]
    rng = np.random.RandomState(options.seed)
    random.seed(options.seed)
    data = os.path.join(options.data, name + ".npz")
    batches = Batches(data, name, rng)
    model = networks.lay_out(options.weights, name, [str(p) for p in np.load(data)["points"]])
    settings = load_config(os.path.join(model, "test", "pose_cfg.yaml"))
    settings["weight_decay"] = 1e-4

    tf.set_random_seed(options.seed)
    images = tf.placeholder(tf.float32, [None, None, None, 3])
    score = tf.placeholder(tf.float32, [None, None, None, len(settings["all_joints"])])
    place = tf.placeholder(tf.float32, [None, None, None, 2 * len(settings["all_joints"])])
    rate, place_weight = tf.placeholder(tf.float32, []), tf.placeholder(tf.float32, [])
    heads = pose_net(settings).get_net(images)
    crossed = tf.nn.sigmoid_cross_entropy_with_logits(labels=score, logits=heads["part_pred"])
    cells = tf.maximum(tf.reduce_sum(score), 4.0)
    score_loss = tf.reduce_sum(crossed * (1 + recipe.wanted * score)) / cells
    mask = tf.reshape(tf.stack([score, score], axis=-1), tf.shape(place))
    place_loss = losses.huber_loss(place, heads["locref"], mask)
    with tf.control_dependencies(tf.get_collection(tf.GraphKeys.UPDATE_OPS)):
        loss = score_loss + place_weight * place_loss
        step_all = tf.train.AdamOptimizer(rate).minimize(loss)
        step_late = tf.train.AdamOptimizer(rate).minimize(loss, var_list=late_variables())
    saver = tf.train.Saver(saved_variables())
    threads = tf.ConfigProto(intra_op_parallelism_threads=options.threads, inter_op_parallelism_threads=1)
    with tf.Session(config=threads) as session:
        session.run(tf.global_variables_initializer())
        if options.start:
            folder = os.path.join(networks.model_folder(options.start, name), "train")
            last = max(f for f in os.listdir(folder) if f.endswith(".index"))
            saver.restore(session, os.path.join(folder, last[: -len(".index")]))
        total, begin = 0, time.time()
        for part in recipe.parts[options.skip :]:
            part_begin, history = time.time(), []
            steps, step_op = part.steps * options.share, step_late if part.late else step_all
            for step in range(int(steps)):
                slope = 0.5 * (1 + np.cos(np.pi * step / steps)) * min(1, (step + 1) / WARM_UP)
                grey, points = batches.draw(part.kind)
                wanted_score, wanted_place = targets(points, *grey.shape[1:])
                feed = {
                    images: np.repeat(grey[..., None], 3, axis=3),
                    score: wanted_score,
                    place: wanted_place,
                    place_weight: part.place,
                    rate: LAST_RATE + RATE * part.factor * slope,
                }
                history.append(session.run([step_op, score_loss, place_loss], feed)[1:])
                if step % 50 == 49:
                    means, spent = np.mean(history, axis=0), time.time() - part_begin
                    print(
                        f"{name} {part.kind} {step + 1} score {means[0]:.4f} place {means[1]:.5f}, {spent:.0f} s",
                        flush=True,
                    )
                    history = []
                total += 1
        save(session, saver, model, total)
        print(f"{name}: {total} steps, {(time.time() - begin) / 60:.1f} minutes", flush=True)


def main():
    """Train what the command line asks for."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data", help="folder that crops.py wrote")
    parser.add_argument("weights", help="folder of all networks")
    parser.add_argument("network", choices=sorted(RECIPES))
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--share", type=float, default=1.0, help="of the recipe's steps (less for a trial)")
    parser.add_argument("--start", help="go on from the snapshots of this folder of networks")
    parser.add_argument("--skip", type=int, default=0, help="leave out this many parts of the recipe (with --start)")
    train(parser.parse_args())


if __name__ == "__main__":
    main()
