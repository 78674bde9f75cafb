"""The weights folder's layout: one DeepLabCut project per network, as the IBL's come (Python 3.7 and newer)."""

import os

DATE = "Jan1"
SCORER = "mic"
NET_TYPE = "mobilenet_v2_0.35"
STRIDE = 8.0
LOCREF_STDEV = 7.2801

# name in the pipeline -> project folder; the order of points comes with the training data
FOLDERS = {
    "roi_detect": "roi_detect-mic-2020-01-01",
    "nose_tip": "nose_tip-mic-2020-01-01",
    "eye": "eye-mic-2020-01-01",
    "paws": "paw2-mic-2020-01-01",
    "tongue": "tongue-mic-2020-01-01",
    "tail_start": "tail-mic-2020-01-01",
}


def model_folder(weights, name):
    """Where a network's model lies below the folder of all weights."""
    task = FOLDERS[name].split("-")[0]
    return os.path.join(weights, FOLDERS[name], "dlc-models", "iteration-0", f"{task}{DATE}-trainset95shuffle1")


def pose_settings(points):
    """The content of ``pose_cfg.yaml`` for a network of these points."""
    return {
        "all_joints": [[i] for i in range(len(points))],
        "all_joints_names": list(points),
        "batch_size": 1,
        "dataset": "none",
        "deconvolutionstride": 2,
        "global_scale": 0.8,
        "init_weights": "none",
        "location_refinement": True,
        "locref_stdev": LOCREF_STDEV,
        "mirror": False,
        "net_type": NET_TYPE,
        "num_joints": len(points),
        "num_outputs": 1,
        "output_stride": 16,
        "scoremap_dir": "test",
        "stride": STRIDE,
    }


def project_settings(name, points):
    """The content of a project's ``config.yaml``; ``project_path`` is a place holder that a pipeline rewrites."""
    return {
        "Task": FOLDERS[name].split("-")[0],
        "TrainingFraction": [0.95],
        "alphavalue": 0.7,
        "batch_size": 8,
        "bodyparts": list(points),
        "colormap": "jet",
        "corner2move2": [50, 50],
        "cropping": False,
        "date": DATE,
        "default_net_type": NET_TYPE,
        "dotsize": 12,
        "iteration": 0,
        "move2corner": True,
        "numframes2pick": 20,
        "pcutoff": 0.1,
        "project_path": "/weights/" + FOLDERS[name],
        "resnet": None,
        "scorer": SCORER,
        "skeleton": [],
        "skeleton_color": "black",
        "snapshotindex": -1,
        "start": 0,
        "stop": 1,
        "video_sets": {},
        "x1": 0,
        "x2": 640,
        "y1": 277,
        "y2": 624,
    }


def lay_out(weights, name, points):
    """Write a network's two kinds of settings below ``weights``; its model folder is returned."""
    import yaml

    model = model_folder(weights, name)
    files = {os.path.join(weights, FOLDERS[name], "config.yaml"): project_settings(name, points)}
    for part in ("train", "test"):
        os.makedirs(os.path.join(model, part), exist_ok=True)
        files[os.path.join(model, part, "pose_cfg.yaml")] = pose_settings(points)
    for path, settings in files.items():
        with open(path, "w") as file:
            yaml.safe_dump(settings, file, default_flow_style=False)
    return model
