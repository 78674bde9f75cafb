"""Why an environment does not work is said in one line, whatever its libraries say it with."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = Path(__file__).resolve().parents[2] / "roles/dlc/files/prove_environment.py"
# How TensorFlow 1 words it: the traceback is the message.
TENSORFLOW = """Traceback (most recent call last):
  File "pywrap_tensorflow.py", line 58, in <module>
    from tensorflow.python.pywrap_tensorflow_internal import *
ImportError: libcuda.so.1: cannot open shared object file: No such file or directory


Failed to load the native runtime.
above this error message when asking for help.
"""


@pytest.mark.parametrize(("raised", "said"), [
    (f"ImportError({TENSORFLOW!r})",
     "ImportError: libcuda.so.1: cannot open shared object file: No such file or directory"),
    ("ImportError('Traceback (most recent call last):')", "ImportError: Traceback (most recent call last):"),
    ("ValueError('numpy.ufunc size changed\\nKeyError: not the reason')", "ValueError: numpy.ufunc size changed"),
    ("KeyError()", "KeyError:"),
])  # fmt: skip
def test_an_import_that_fails(tmp_path: Path, raised: str, said: str) -> None:
    (tmp_path / "broken.py").write_text(f"raise {raised}\n")
    words = ["--import", "json", "--import", "broken", "--ignore-packages"]
    done = subprocess.run(
        [sys.executable, str(SCRIPT), *words], env={"PYTHONPATH": str(tmp_path)}, capture_output=True, text=True,
        check=False,
    )  # fmt: skip
    assert done.returncode == 1
    problems = json.loads(done.stdout.partition("PROOF ")[2])["problems"]
    assert [problem.strip() for problem in problems] == [f"import broken: {said}"]
