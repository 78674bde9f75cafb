"""Finds a Python 3.7 that can carry a virtual environment, and prints its path.

Used by the role `python`, by the demo and by the developers' tools. Standard library only, for any Python >= 3.7.

    python3 find_python37.py [--executable PATH] [--json]

A candidate counts only if it really runs, says 3.7, and has `venv`, `ensurepip` and `ssl`: a shim of pyenv exists for every
version that pyenv knows and fails when that version is not switched on. Exit 0: found; 3: none.
"""

import argparse
import glob
import json
import os
import subprocess
import sys

SERIES = "3.7"
REMEDY = (
    "install one (for example `pyenv install 3.7.17`, or `conda create -n py37 python=3.7`) "
    "and, if it lies in an unusual place, name it: {how}"
)
PROBE = (
    "import sys, ssl, venv, ensurepip, ctypes, sqlite3; print('%d.%d' % sys.version_info[:2]); print(sys.executable)"
)


def candidates():
    """Paths worth a try, best first; each is listed once."""
    home = os.path.expanduser("~")
    folders = [f for f in os.environ.get("PATH", "").split(os.pathsep) if f]
    # A version manager's shims tell where its versions are, also where its variables are not set.
    roots = [os.environ.get("PYENV_ROOT", ""), os.path.join(home, ".pyenv")]
    roots += [os.path.dirname(f.rstrip("/")) for f in folders if os.path.basename(f.rstrip("/")) == "shims"]
    conda = [os.path.join(home, n) for n in ("miniconda3", "anaconda3", "miniforge3", "mambaforge")]
    conda += ["/opt/conda", "/opt/miniconda3", "/opt/anaconda3"]
    conda += [os.environ.get("CONDA_PREFIX", ""), os.environ.get("MAMBA_ROOT_PREFIX", "")]

    patterns = [os.path.join(f, "python3.7") for f in folders]
    patterns += [os.path.join(r, "versions", "3.7.*", "bin", "python3.7") for r in roots if r]
    patterns += [
        "/opt/*3.7*/bin/python3.7",
        "/opt/*37*/bin/python3.7",
        "/usr/local/bin/python3.7",
        "/usr/bin/python3.7",
    ]
    for root in filter(None, conda):
        patterns += [os.path.join(root, "bin", "python3.7"), os.path.join(root, "envs", "*", "bin", "python3.7")]

    seen = set()
    for pattern in patterns:
        for path in sorted(glob.glob(pattern), reverse=True):
            if path not in seen:
                seen.add(path)
                yield path


def probe(path):
    """(real executable, None) of a usable Python 3.7, else (None, why not in a few words)."""
    env = {k: v for k, v in os.environ.items() if k not in ("PYTHONHOME", "PYTHONPATH", "__PYVENV_LAUNCHER__")}
    try:
        done = subprocess.run(
            [path, "-c", PROBE], stdin=subprocess.DEVNULL, capture_output=True, env=env, timeout=20, check=False
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        return None, f"does not run ({type(error).__name__})"
    output = done.stdout.decode("utf-8", "replace").split("\n")
    if done.returncode != 0:
        said = done.stderr.decode("utf-8", "replace").strip().split("\n")[-1]
        return None, "fails (%s)" % (said or f"exit {done.returncode}")
    if output[0] != SERIES:
        return None, f"is Python {output[0]}"
    return output[1], None


def find(executable="", also=""):
    """{"python": path or None, "rejected": [[path, why], ...]}; with `executable` nothing else is looked at."""
    rejected = []
    usual = [also] if also and os.path.lexists(also) else []
    for path in [executable] if executable else usual + list(candidates()):
        real, why = probe(path)
        if real:
            return {"python": real, "rejected": rejected}
        rejected.append([path, why])
    return {"python": None, "rejected": rejected}


def sentence(result, how):
    """One sentence for a person: what is missing and how to get it."""
    text = f"No usable Python {SERIES} was found"
    if result["rejected"]:
        text += " (" + "; ".join(f"{p} {w}" for p, w in result["rejected"]) + ")"
    return text + ": " + REMEDY.format(how=how) + "."


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--executable", default="", help="look at this one only")
    parser.add_argument("--also", default="", help="look here first, if something is there")
    parser.add_argument(
        "--how", default="--executable /path/to/python3.7", help="how a person names one, for the message"
    )
    parser.add_argument("--json", action="store_true", help="print everything that was looked at")
    args = parser.parse_args()
    result = find(args.executable, args.also)
    if args.json:
        result["message"] = "" if result["python"] else sentence(result, args.how)
        print(json.dumps(result))
    elif result["python"]:
        print(result["python"])
    else:
        sys.stderr.write(sentence(result, args.how) + "\n")
    return 0 if result["python"] else 3


if __name__ == "__main__":
    sys.exit(main())
