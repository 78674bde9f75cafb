"""DeepLabCut 2.1's networks on TensorFlow 1.13, under Python 3.7: its own graphs, fed with grey pictures.

Imported by ``tensorflow1_sidecar`` alone.  TensorFlow and DeepLabCut's graph code are imported, and nothing else of
it: the packages' own ``__init__`` would import pandas, matplotlib, scikit-image and more (a quarter of the imports'
time and 70 MB), so empty packages with the same search path stand in their place.
"""

from __future__ import annotations

import copy
import importlib.util
import json
import sys
import types
from typing import Any

import numpy as np
import tensorflow as tf

_POSE = "deeplabcut.pose_estimation_tensorflow"
for _name in ("deeplabcut", _POSE, f"{_POSE}.nnet", f"{_POSE}.dataset"):
    _spec = importlib.util.find_spec(_name)
    if _spec is None:
        raise ImportError(f"No module named {_name!r}")
    sys.modules.setdefault(_name, types.ModuleType(_name)).__path__ = list(_spec.submodule_search_locations or ())

from deeplabcut.pose_estimation_tensorflow import config as dlc_config  # noqa: E402
from deeplabcut.pose_estimation_tensorflow import default_config  # noqa: E402
from deeplabcut.pose_estimation_tensorflow.nnet.net_factory import pose_net  # noqa: E402
from deeplabcut.version import __version__ as dlc_version  # noqa: E402

# what the description of a network says of its points and files; whatever else it says shapes the feature layers
_OF_THE_HEAD = {
    "all_joints", "all_joints_names", "dataset", "init_weights", "metadataset", "num_joints", "project_path",
    "scoremap_dir", "snapshot_prefix",
}  # fmt: skip


def versions() -> dict[str, str]:
    """What runs here."""
    python = sys.version.split()[0]
    return {"python": python, "numpy": np.__version__, "tensorflow": tf.__version__, "deeplabcut": dlc_version}


class Network:
    """One network: any number of (height, width) uint8 grey pictures of any size to points.

    The weights are read for the first pictures.  By then all networks must have been made, since a graph cannot
    grow while one of its sessions runs.
    """

    def __init__(self, snapshot: str, pose_config: str) -> None:
        self._snapshot = snapshot
        self._session: Any = None
        config = read_config(pose_config)
        config["batch_size"] = 8  # any number above one selects the graph that takes every number
        self._layers = _Layers.of(config)
        self._pose, self._saver = self._layers.add_head(config)

    def points(self, images: np.ndarray) -> np.ndarray:
        """(N, points, 3) float32 x, y, likelihood of (N, height, width) uint8 pictures."""
        if self._session is None:
            session = tf.Session(graph=self._layers.graph)
            for saver in (self._layers.saver, self._saver):
                saver.restore(session, self._snapshot)
            self._session = session
        pose = self._session.run(self._pose, {self._layers.images: images})
        # DeepLabCut's rows are y, x, likelihood, the points of one picture after the other
        return np.ascontiguousarray(pose.reshape(len(images), -1, 3)[:, :, [1, 0, 2]], np.float32)


class _Layers:
    """DeepLabCut's feature layers, built once for all networks that differ in nothing but their points.

    Each network adds its own head to the graph and has a session, hence weights, of its own.  The layers take two
    seconds to build, a head a tenth of one.
    """

    _made: dict[str, _Layers] = {}  # noqa: RUF012  ClassVar

    def __init__(self, config: Any) -> None:
        self._heads = 0
        self.graph = tf.Graph()
        with self.graph.as_default():
            self.images = tf.placeholder(tf.uint8, [None, None, None])
            grey = tf.cast(tf.expand_dims(self.images, 3), tf.float32)
            self._rgb = tf.tile(grey, [1, 1, 1, 3])
            self._features = pose_net(config).extract_features(self._rgb)
            self.saver = tf.train.Saver()

    @classmethod
    def of(cls, config: Any) -> _Layers:
        """The layers that a description asks for."""
        asked = {name: value for name, value in config.items() if name not in _OF_THE_HEAD}
        key = json.dumps(asked, sort_keys=True, default=str)
        if key not in cls._made:
            cls._made[key] = cls(config)
        return cls._made[key]

    def add_head(self, config: Any) -> tuple[Any, Any]:
        """The points that DeepLabCut's own ``inference`` gives, and the saver of the head's weights."""
        self._heads += 1
        scope = f"head{self._heads}"
        with self.graph.as_default(), tf.variable_scope(scope):
            network = pose_net(config)
            network.extract_features = lambda _: self._features
            points = network.inference(self._rgb)["pose"]
            own = {variable.op.name[len(scope) + 1 :]: variable for variable in tf.global_variables(f"{scope}/")}
            return points, tf.train.Saver(own)


def read_config(pose_config: str) -> Any:
    """DeepLabCut's description of a network, over its defaults.

    Its own function merges into those very defaults, so that the next network would inherit what it does not name.
    """
    dlc_config.cfg = copy.deepcopy(default_config.cfg)
    return dlc_config.load_config(pose_config)
