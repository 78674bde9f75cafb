"""The real TensorFlow 1.13.1 and DeepLabCut 2.1.5.2: the numbers are DeepLabCut's own, and no process stays behind."""

import json
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from iblvideo_admin.engines import weights
from iblvideo_admin.engines.tensorflow1 import TensorFlow1, sidecar_environment

# DeepLabCut's own way: its prediction on RGB pictures
REFERENCE = """
import json, sys
import numpy as np
import tensorflow as tf
from deeplabcut.pose_estimation_tensorflow.config import load_config
from deeplabcut.pose_estimation_tensorflow.nnet import predict

job = json.load(open(sys.argv[1]))
config = load_config(job["pose_config"])
config["init_weights"] = job["snapshot"]
images = np.load(job["images"])
found = {}
for size in job["sizes"]:
    tf.reset_default_graph()
    config["batch_size"] = size  # DeepLabCut's graph takes this number of pictures and no other
    session, inputs, outputs = predict.setup_GPUpose_prediction(config)
    rows = []
    for start in range(0, len(images), size):
        rgb = np.stack([images[start:start + size]] * 3, axis=3)
        rows.append(session.run(predict.extract_GPUprediction(outputs, config), feed_dict={inputs: rgb}))
    found[str(size)] = np.concatenate(rows)[:, [1, 0, 2]]  # as its predict_videos does
np.savez(job["out"], **found)
"""


def pictures(count: int, height: int, width: int) -> np.ndarray:
    """Smooth blobs on noise: something for a network to be of two minds about."""
    generator = np.random.default_rng(5)
    rows, columns = np.indices((height, width))
    made = []
    for _ in range(count):
        x, y, r = generator.uniform(0.2, 0.8) * width, generator.uniform(0.2, 0.8) * height, generator.uniform(4, 20)
        blob = 160 * np.exp(-((rows - y) ** 2 + (columns - x) ** 2) / (2 * r * r))
        made.append(np.clip(40 + blob + generator.normal(0, 6, (height, width)), 0, 255).astype(np.uint8))
    return np.stack(made)


@pytest.mark.parametrize("name", ["eye"])
def test_the_numbers_are_deeplabcuts(dlc_python: Path, demo_weights: Path, tmp_path: Path, name: str) -> None:
    [network] = weights.load(demo_weights, [name])
    images, sizes = pictures(16, 100, 100), [4, 8]
    with open(tmp_path / "log", "ab") as log, TensorFlow1(dlc_python, log) as engine:
        versions = engine.load([network])
        ours = {
            size: np.concatenate(
                [engine.submit(name, images[start : start + size]).result() for start in range(0, len(images), size)]
            )
            for size in sizes
        }
    assert versions["tensorflow"] == "1.13.1" and versions["deeplabcut"] == "2.1.5.2"
    assert versions["python"].startswith("3.7.")

    np.save(tmp_path / "images.npy", images)
    job = {
        "pose_config": str(network.pose_config),
        "snapshot": str(network.snapshot),
        "images": str(tmp_path / "images.npy"),
        "sizes": sizes,
        "out": str(tmp_path / "found.npz"),
    }
    (tmp_path / "job.json").write_text(json.dumps(job))
    (tmp_path / "reference.py").write_text(REFERENCE)
    command = [str(dlc_python), str(tmp_path / "reference.py"), str(tmp_path / "job.json")]
    done = subprocess.run(command, check=False, env=sidecar_environment({}), capture_output=True)
    assert done.returncode == 0, done.stderr.decode()[-2000:]
    theirs = np.load(tmp_path / "found.npz")
    for size in sizes:
        wanted = theirs[str(size)].reshape(len(images), -1, 3)
        assert ours[size].shape == wanted.shape == (16, len(network.points), 3)
        np.testing.assert_allclose(ours[size], wanted, atol=1e-4)
    # the comparison means something: points are spread over the picture
    assert ours[8][..., 0].std() > 1


PARENT = """
import sys, time
import numpy as np
from pathlib import Path
from iblvideo_admin.engines import weights
from iblvideo_admin.engines.tensorflow1 import TensorFlow1

python, folder, log = sys.argv[1:]
engine = TensorFlow1(Path(python), open(log, "ab"))
print(engine._process.pid, flush=True)
engine.load(weights.load(Path(folder), ["roi_detect"]))
print("ready", flush=True)
while True:
    engine.submit("roi_detect", np.zeros((8, 1024, 1280), np.uint8))
"""


@pytest.mark.parametrize("when", ["starting", "running"])
def test_it_ends_with_its_parent(
    dlc_python: Path, demo_weights: Path, tmp_path: Path, alive: Callable[[int], bool], when: str
) -> None:
    """Within 2 s, while TensorFlow is imported and while a batch of seconds runs and more are waiting."""
    parent = subprocess.Popen(
        [sys.executable, "-c", PARENT, str(dlc_python), str(demo_weights), str(tmp_path / "log")],
        stdout=subprocess.PIPE,
    )
    assert parent.stdout is not None
    child = int(parent.stdout.readline())
    if when == "running":
        assert parent.stdout.readline() == b"ready\n", (tmp_path / "log").read_text()[-2000:]
    time.sleep(1.0)
    assert alive(child)
    parent.kill()
    parent.wait()
    parent.stdout.close()
    until = time.monotonic() + 2.0
    while alive(child) and time.monotonic() < until:
        time.sleep(0.05)
    assert not alive(child)
