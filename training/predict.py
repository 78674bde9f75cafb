"""Run one network over images with DeepLabCut's own inference (Python 3.7, TensorFlow 1.13, DLC 2.1.5.2).

``python training/predict.py WEIGHTS NETWORK IN.npy OUT.npy BATCH``: grey images (n, h, w) in, (n, k, 3) out: x, y in
pixels of the image and likelihood.  The last batch is filled up with its last image.
"""

import os
import sys
import warnings

os.environ.setdefault("DLClight", "True")
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
warnings.filterwarnings("ignore")

import numpy as np
from deeplabcut.pose_estimation_tensorflow.config import load_config
from deeplabcut.pose_estimation_tensorflow.nnet import predict

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import networks


def main():
    """Predict what the command line asks for."""
    weights, name, source, target, size = sys.argv[1:]
    size, images = int(size), np.load(source, mmap_mode="r")
    model = networks.model_folder(weights, name)
    settings = load_config(os.path.join(model, "test", "pose_cfg.yaml"))
    folder = os.path.join(model, "train")
    last = max(file for file in os.listdir(folder) if file.endswith(".index"))
    settings["init_weights"] = os.path.join(folder, last[: -len(".index")])
    settings["batch_size"] = size
    session, inputs, outputs = predict.setup_pose_prediction(settings)
    found = []
    for begin in range(0, len(images), size):
        batch = np.asarray(images[begin : begin + size])
        filled = np.concatenate([batch, np.repeat(batch[-1:], size - len(batch), axis=0)])
        colour = np.repeat(filled[..., None], 3, axis=3)
        if size == 1:
            pose = predict.getpose(colour[0], settings, session, inputs, outputs)[None]
        else:
            pose = predict.getposeNP(colour, settings, session, inputs, outputs)
        found.append(pose.reshape(size, -1, 3)[: len(batch)])
    np.save(target, np.concatenate(found))


if __name__ == "__main__":
    main()
