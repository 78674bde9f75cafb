"""What TensorFlow 1.13.1 and DeepLabCut 2.1.5.2 make of the made-up networks: run once, in their Python 3.7.

    .cache/dlc-tf1-cpu/current/bin/python tests/engines/conversion/make_references.py [NET_TYPE ...]

Writes references/<net_type>.json: every variable's shape, the heads' scale, and the points found in each set of
pictures.  The heads are scaled until likelihoods are spread, so that the comparison says something.
"""

import json
import os
import sys
import tempfile

os.environ.setdefault("DLClight", "True")
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [HERE, os.path.join(HERE, "..", "..", "..", "iblvideo_admin", "engines")]

import made_up
import numpy as np
import tensorflow as tf
import tensorflow1_networks as networks


def write_snapshot(folder, config, net_type, head):
    """A snapshot of the made-up weights under the names that DeepLabCut's own graph gives its variables."""
    with tf.Graph().as_default():
        made = networks.pose_net(networks.read_config(config))
        made.inference(tf.zeros([1, 64, 64, 3]))
        variables = {variable.op.name: variable for variable in tf.global_variables()}
        shapes = {name: variable.shape.as_list() for name, variable in variables.items()}
        values = made_up.variables(net_type, {name: tuple(shape) for name, shape in shapes.items()}, head)
        with tf.Session() as session:
            for name, variable in variables.items():
                variable.load(values[name], session)
            tf.train.Saver(variables).save(session, os.path.join(folder, "snapshot-1"), write_meta_graph=False)
    return shapes


def reference(net_type):
    head = 0.2 if net_type.startswith("resnet") else 1.0  # near what comes out
    while True:
        with tempfile.TemporaryDirectory() as folder:
            config = os.path.join(folder, "pose_cfg.yaml")
            with open(config, "w") as file:
                json.dump(dict(made_up.description(net_type), batch_size=8), file)  # JSON is YAML
            shapes = write_snapshot(folder, config, net_type, head)
            network = networks.Network(os.path.join(folder, "snapshot-1"), config)
            found = {name: network.points(made_up.pictures(size)) for name, size in made_up.SIZES.items()}
        likelihoods = np.concatenate([points[..., 2].ravel() for points in found.values()])
        print(net_type, head, np.percentile(likelihoods, [0, 25, 50, 75, 100]).round(4), flush=True)
        if likelihoods.max() > 0.995:
            head *= 0.7
        elif likelihoods.max() < 0.9:
            head *= 1.3
        else:
            break
    about = {
        "made_with": networks.versions(),
        "head": head,
        "variables": shapes,
        "points": {name: points.round(6).tolist() for name, points in found.items()},
    }
    with open(os.path.join(made_up.FOLDER, "%s.json" % net_type), "w") as file:
        json.dump(about, file, indent=None, separators=(",", ":"), sort_keys=True)
        file.write("\n")


if __name__ == "__main__":
    for each in sys.argv[1:] or made_up.NET_TYPES:
        networks._Layers._made.clear()
        reference(each)
