"""What the comparison needs of Python 3.7: random resnets, what OpenCV reads, DeepLabCut's own numbers."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import numpy as np


def build(networks: list[dict[str, Any]]) -> None:
    """Write a resnet_50 snapshot for each network: one random trunk, heads of each network's own.

    Batch norm's gamma and beta are random and its moving averages are those of the first network's pictures, so
    that every layer's values are of the size that they have in a trained network.  The heads are scaled so that the
    scores' sigmoid is neither 0 nor 1 at their maxima.
    """
    import tensorflow as tf
    from tensorflow.contrib import slim
    from tensorflow.contrib.slim.nets import resnet_v1

    random = np.random.RandomState(3)
    tf.set_random_seed(3)
    placeholder = tf.placeholder(tf.float32, [None, None, None, 3])
    centred = placeholder - np.array([123.68, 116.779, 103.939], np.float32)  # DeepLabCut's mean_pixel
    options = {"global_pool": False, "output_stride": 16}
    with slim.arg_scope(resnet_v1.resnet_arg_scope(batch_norm_decay=0.0)):  # so one run replaces the averages
        resnet_v1.resnet_v1_50(centred, is_training=True, **options)
        features, _ = resnet_v1.resnet_v1_50(centred, is_training=False, reuse=tf.AUTO_REUSE, **options)
    trunk = {variable.op.name: variable for variable in tf.global_variables()}
    heads = {network["name"]: _heads(slim, tf, features, network) for network in networks}
    pictures = {network["name"]: np.stack([np.load(network["pictures"])] * 3, axis=3) for network in networks}
    with tf.Session() as session:
        session.run(tf.global_variables_initializer())
        for name, variable in trunk.items():
            if name.endswith("/gamma"):
                variable.load(random.uniform(0.5, 1.5, variable.shape.as_list()), session)
            elif name.endswith("/beta"):
                variable.load(random.normal(0, 0.3, variable.shape.as_list()), session)
        session.run(tf.get_collection(tf.GraphKeys.UPDATE_OPS), {placeholder: pictures[networks[0]["name"]]})
        for network in networks:
            variables, scores, offsets = heads[network["name"]]
            _scale(
                session, variables, random, *session.run([scores, offsets], {placeholder: pictures[network["name"]]})
            )
            saver = tf.train.Saver({**trunk, **variables})
            saver.save(session, network["snapshot"], write_meta_graph=False, write_state=False)


def _heads(slim: Any, tf: Any, features: Any, network: dict[str, Any]) -> tuple[dict[str, Any], Any, Any]:
    """DeepLabCut's two heads; their variables under the names that it restores."""
    scope, outputs = f"of_{network['name']}", []
    for head, channels in (("part_pred", network["points"]), ("locref_pred", 2 * network["points"])):
        with tf.variable_scope(f"{scope}/pose/{head}"):
            outputs.append(slim.conv2d_transpose(features, channels, [3, 3], 2, activation_fn=None, scope="block4"))
    variables = tf.global_variables(f"{scope}/")
    return {variable.op.name[len(scope) + 1 :]: variable for variable in variables}, outputs[0], outputs[1]


def _scale(session: Any, variables: dict[str, Any], random: Any, scores: np.ndarray, offsets: np.ndarray) -> None:
    """Scores with a deviation of 1.5 and maxima around 1; offsets with one of half of ``locref_stdev``."""
    for head, values, deviation in (("part_pred", scores, 1.5), ("locref_pred", offsets, 0.5)):
        weights, biases = (variables[f"pose/{head}/block4/{part}"] for part in ("weights", "biases"))
        factor = deviation / values.std(axis=(0, 1, 2))
        weights.load(session.run(weights) * factor[:, np.newaxis], session)
        top = values.max(axis=(1, 2)).mean(axis=0) if head == "part_pred" else values.mean(axis=(0, 1, 2))
        wanted = 1.0 if head == "part_pred" else 0.0
        biases.load(random.normal(wanted, 0.3, biases.shape.as_list()) - top * factor, session)


def misread(video: str, expected: str) -> int:
    """How many of a video's values OpenCV reads differently from what was written (all, if the frames' number is)."""
    import cv2

    wanted, capture, read = np.load(expected), cv2.VideoCapture(video), []
    while True:
        good, frame = capture.read()
        if not good:
            break
        read.append(frame)
    if len(read) != len(wanted) or int(capture.get(7)) != len(wanted):
        return int(wanted.size)
    return int((np.stack(read) != wanted[..., np.newaxis]).sum())


def main(folder: str, job: str, result: str) -> None:
    """``folder`` holds the runner of ``bench/reference``."""
    sys.path.insert(0, folder)
    import deeplabcut_runner

    asked = json.loads(Path(job).read_text(encoding="utf-8"))
    build(asked["networks"])
    misreads = {video: misread(video, expected) for video, expected in asked["videos"].items()}
    found = [deeplabcut_runner.analyse(one) for one in asked["analyses"]]
    Path(result).write_text(json.dumps({"misread": misreads, "found": found}), encoding="utf-8")


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], sys.argv[3])
