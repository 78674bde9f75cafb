"""The real TensorFlow 1.13.1 and DeepLabCut 2.1.5.2: the numbers are DeepLabCut's own, and no process stays behind."""

import json
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from iblvideo_admin.engines import tensorflow1, weights
from iblvideo_admin.engines.tensorflow1 import TensorFlow1, sidecar_environment
from iblvideo_admin.engines.weights import NetworkFiles
from iblvideo_admin.errors import UserError

ENGINES = Path(tensorflow1.__file__).parent

# DeepLabCut's own way: its prediction on RGB pictures, each network in a process of its own
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


@pytest.mark.parametrize("compared", ["eye", pytest.param("tongue", marks=pytest.mark.full)])
def test_the_numbers_are_deeplabcuts(dlc_python: Path, demo_weights: Path, tmp_path: Path, compared: str) -> None:
    """Of networks that share a graph and run side by side, each with its own weights."""
    networks = {network.name: network for network in weights.load(demo_weights, ["tongue", "eye", "nose_tip"])}
    images, sizes = pictures(16, 100, 100), [4, 8]
    with open(tmp_path / "log", "ab") as log, TensorFlow1(dlc_python, log) as engine:
        versions = engine.load(list(networks.values()))
        asked = {
            (name, size): [engine.submit(name, images[at : at + size]) for at in range(0, len(images), size)]
            for size in sizes
            for name in networks
        }
        ours = {of: np.concatenate([future.result() for future in futures]) for of, futures in asked.items()}
    assert versions["tensorflow"] == "1.13.1" and versions["deeplabcut"] == "2.1.5.2"
    assert versions["python"].startswith("3.7.")

    np.save(tmp_path / "images.npy", images)
    wanted = deeplabcuts(dlc_python, networks[compared], tmp_path, sizes)
    for size in sizes:
        assert ours[compared, size].shape == (16, len(networks[compared].points), 3)
        np.testing.assert_allclose(ours[compared, size], wanted[size].reshape(16, -1, 3), atol=1e-4)
    # the comparison means something: points are spread over the picture, and networks differ
    assert ours["eye", 8][..., 0].std() > 1
    assert abs(ours["eye", 8][:, 0] - ours["nose_tip", 8][:, 0]).max() > 1


def deeplabcuts(python: Path, network: NetworkFiles, folder: Path, sizes: list[int]) -> dict[int, np.ndarray]:
    job = {
        "pose_config": str(network.pose_config),
        "snapshot": str(network.snapshot),
        "images": str(folder / "images.npy"),
        "sizes": sizes,
        "out": str(folder / "found.npz"),
    }
    (folder / "job.json").write_text(json.dumps(job))
    in_python37(python, folder, REFERENCE, str(folder / "job.json"))
    with np.load(folder / "found.npz") as found:
        return {size: found[str(size)] for size in sizes}


def in_python37(python: Path, folder: Path, program: str, *arguments: str) -> str:
    """What a program prints that sees the engine's files as the sidecar does."""
    (folder / "program.py").write_text(f"import sys\nsys.path.insert(0, {str(ENGINES)!r})\n{program}")
    command = [str(python), str(folder / "program.py"), *arguments]
    done = subprocess.run(command, check=False, env=sidecar_environment({}), capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-2000:]
    return done.stdout


# TensorFlow's own error, from an allocation that no machine can make
OUT_OF_MEMORY = """
import numpy as np
import tensorflow as tf
import tensorflow1_networks
from tensorflow1_sidecar import Served, Turns

class Large(tensorflow1_networks.Network):
    def points(self, images):
        if len(images) > 4:
            with tf.Graph().as_default(), tf.Session() as session:
                size = tf.placeholder(tf.int32)
                session.run(tf.fill([size, size], 1.0), {size: 1 << 22})
        return super(Large, self).points(images)

network = Large(*sys.argv[1:3])
served = Served(network, Turns())
served.warm_up()
images = np.random.RandomState(0).randint(0, 255, (8, 100, 100)).astype("u1")
found = served.points(images)
assert served.at_once == 4
assert (found == np.concatenate([network.points(images[:4]), network.points(images[4:])])).all()
print("halved")
"""

# the second description leaves to the defaults what the first one sets
DESCRIPTIONS = """
import tensorflow1_networks
first, second = (tensorflow1_networks.read_config(path) for path in sys.argv[1:3])
print(first["stride"], second["stride"], second["num_joints"])
"""


def test_tensorflows_out_of_memory(dlc_python: Path, demo_weights: Path, tmp_path: Path) -> None:
    [eye] = weights.load(demo_weights, ["eye"])
    assert "halved" in in_python37(dlc_python, tmp_path, OUT_OF_MEMORY, str(eye.snapshot), str(eye.pose_config))


def test_no_network_inherits_from_another(dlc_python: Path, tmp_path: Path) -> None:
    """DeepLabCut's own reader leaves what one description says in the defaults of the next."""
    first, second = tmp_path / "first/pose_cfg.yaml", tmp_path / "second/pose_cfg.yaml"
    for path, text in ((first, "stride: 4.0\nnum_joints: 4\n"), (second, "num_joints: 1\n")):
        path.parent.mkdir()
        path.write_text(text)
    printed = in_python37(dlc_python, tmp_path, DESCRIPTIONS, str(first), str(second))
    assert printed.splitlines()[-1] == "4.0 8.0 1"


@pytest.mark.parametrize("missing", ["tensorflow", "deeplabcut"])
def test_an_environment_that_lacks_a_package(
    dlc_python: Path, demo_weights: Path, tmp_path: Path, missing: str
) -> None:
    without = (
        f"import sys, runpy; sys.modules['{missing}'] = None; del sys.argv[:2]; "
        "sys.path[0] = sys.argv[0].rpartition('/')[0]; runpy.run_path(sys.argv[0], run_name='__main__')"
    )
    site = tmp_path / "python"
    site.write_text(f'#!/bin/sh\nexec {dlc_python} -c "{without}" "$@"\n')
    site.chmod(0o755)
    networks = weights.load(demo_weights, ["eye"])
    with open(tmp_path / "log", "ab") as log, TensorFlow1(site, log) as engine, pytest.raises(UserError) as caught:
        engine.load(networks)
    assert caught.value.code == "toolchain.not_provisioned" and missing in caught.value.message


def test_weights_that_are_not_this_networks(dlc_python: Path, demo_weights: Path, tmp_path: Path) -> None:
    eye, nose = weights.load(demo_weights, ["eye", "nose_tip"])
    wrong = replace(nose, snapshot=eye.snapshot)

    def use(engine: TensorFlow1) -> None:
        engine.load([eye, wrong])
        engine.submit("nose_tip", pictures(1, 100, 100)).result()

    with (
        open(tmp_path / "log", "ab") as log,
        TensorFlow1(dlc_python, log) as engine,
        pytest.raises(UserError) as caught,
    ):
        use(engine)
    assert caught.value.code == "weights.damaged"
    assert "nose_tip" in caught.value.message


PARENT = """
import sys, time
import numpy as np
from pathlib import Path
from iblvideo_admin.engines import weights
from iblvideo_admin.engines.tensorflow1 import TensorFlow1

python, folder, log = sys.argv[1:]
engine = TensorFlow1(Path(python), open(log, "ab"))
print(engine.pid, flush=True)
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
