"""Which symbols tensorflow-gpu 1.13.1 wants of CUDA, cuDNN and the driver: so that stubs need no wheel of 345 MB.

``tensorflow_gpu_symbols.txt`` is made from the wheel that the lock names::

    pip download tensorflow-gpu==1.13.1 --no-deps --python-version 3.7 --only-binary=:all: --dest FOLDER
    PYTHONPATH=.:tests python -m stand_ins.provision.symbols FOLDER/tensorflow_gpu-1.13.1-*.whl
"""

from __future__ import annotations

import sys
import tempfile
import zipfile
from functools import cache
from pathlib import Path

from stand_ins import cuda_libraries

FILE = Path(__file__).with_name("tensorflow_gpu_symbols.txt")
_HEAD = "# Made by stand_ins.provision.symbols from {}; not to be edited.  [library], then what is wanted of it.\n"
_FAMILIES = ("libcu", "libnv")


@cache
def wanted() -> dict[str, tuple[str, ...]]:
    """Library -> symbols, as :func:`stand_ins.cuda_libraries.library` takes them."""
    found: dict[str, list[str]] = {}
    library: list[str] = []
    for line in FILE.read_text().splitlines():
        if line.startswith("["):
            library = found.setdefault(line.strip("[]"), [])
        elif line and not line.startswith("#"):
            library.append(line)
    return {name: tuple(symbols) for name, symbols in found.items()}


def write(wheel: Path) -> None:
    """Make the file anew."""
    with tempfile.TemporaryDirectory() as folder, zipfile.ZipFile(wheel) as archive:
        names = [name for name in archive.namelist() if name.endswith(("_pywrap_tensorflow_internal.so",
                                                                       "/libtensorflow_framework.so"))]  # fmt: skip
        found = cuda_libraries.wanted(Path(archive.extract(name, folder)) for name in names)
    text = _HEAD.format(wheel.name)
    for library, symbols in sorted(found.items()):
        if library.startswith(_FAMILIES):
            text += "\n".join((f"\n[{library}]", *sorted(symbols), ""))
    FILE.write_text(text)


if __name__ == "__main__":
    write(Path(sys.argv[1]))
