"""Proves that this Python's environment can track: imports, consistent packages, one network really run.

    python prove_environment.py --import tensorflow --import deeplabcut --allow "a line of pip check"

Runs under the toolchain's own Python (3.7). Prints one line `PROOF {"problems": [...]}`; exit 0: none.
"""

import argparse
import importlib
import json
import re
import subprocess
import sys


def said(error):
    """One line that says why.  TensorFlow's own has a whole traceback as its text, with the reason at its end."""
    lines = str(error).strip().split("\n")
    reasons = [line for line in lines if re.match(r"\w*(Error|Exception): ", line)]
    if lines[0].startswith("Traceback") and reasons:
        return reasons[-1]
    return "{}: {}".format(type(error).__name__, lines[0])


def check_imports(names):
    for name in names:
        try:
            importlib.import_module(name)
        except Exception as error:  # noqa: BLE001 - TensorFlow 1 raises whatever its libraries raise
            yield "import {}: {}".format(name, said(error))


def check_packages(allowed):
    done = subprocess.run(
        [sys.executable, "-m", "pip", "--disable-pip-version-check", "check"],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        check=False,
    )
    for line in done.stdout.decode("utf-8", "replace").strip().split("\n"):
        if line and line not in allowed and line != "No broken requirements found.":
            yield "pip check: " + line


def check_network():
    """DeepLabCut's own network with random weights on a small image: the shapes must be what its parts promise."""
    import numpy
    import tensorflow
    from deeplabcut.pose_estimation_tensorflow.default_config import cfg as default
    from deeplabcut.pose_estimation_tensorflow.nnet.net_factory import pose_net
    from easydict import EasyDict

    cfg = EasyDict(default)
    cfg.update(net_type="mobilenet_v2_0.35", num_joints=2, batch_size=1, location_refinement=True)
    cfg.update(stride=8.0, output_stride=16, deconvolutionstride=2)
    inputs = tensorflow.placeholder(tensorflow.float32, [1, 96, 128, 3])
    heads = pose_net(cfg).test(inputs)
    with tensorflow.Session() as session:
        session.run(tensorflow.global_variables_initializer())
        image = numpy.random.RandomState(0).uniform(0, 255, (1, 96, 128, 3))
        scores, offsets = session.run([heads["part_prob"], heads["locref"]], {inputs: image})
    if scores.shape != (1, 12, 16, 2) or offsets.shape != (1, 12, 16, 4):
        yield f"the network answers with shapes {scores.shape} and {offsets.shape}"
    elif not (numpy.isfinite(scores).all() and numpy.isfinite(offsets).all() and 0 < scores.min() <= scores.max() < 1):
        yield "the network's numbers are no probabilities"


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--import", dest="imports", action="append", default=[])
    parser.add_argument("--allow", action="append", default=[])
    parser.add_argument(
        "--ignore-packages", action="store_true", help="do not ask pip whether the packages fit together"
    )
    args = parser.parse_args()
    problems = list(check_imports(args.imports))
    if not args.ignore_packages:
        problems += check_packages(args.allow)
    if not problems:
        try:
            problems += check_network()
        except Exception as error:  # noqa: BLE001 - whatever it is, it is the answer
            problems.append("network: {}".format(said(error)))
    print("\nPROOF " + json.dumps({"problems": problems}))
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
