"""CUDA, cuDNN, the driver's library and TensorFlow's files as stubs: the right names, headers and needs, no content.

Compiled with ``cc``.  ``toolkit``, ``driver`` and ``tensorflow`` make what layer 9 reads on a working host; with
``symbols`` (of :func:`wanted`) the stubs are so complete that the real TensorFlow can be imported with them.
"""

from __future__ import annotations

import subprocess
from collections.abc import Iterable, Mapping
from pathlib import Path

from iblvideo_admin import toolchains

TOOLCHAIN = toolchains.load("dlc-tf1-cuda10.0")
DRIVER_VERSION = "470.256.02"
HEADER = "#define CUDNN_MAJOR {}\n#define CUDNN_MINOR {}\n#define CUDNN_PATCHLEVEL {}\n"
# What the driver answers where there is no card
_DRIVER_CODE = """
static int result(void) { char *said = getenv("STAND_IN_CUINIT"); return said ? atoi(said) : 100; }
int cuInit(unsigned flags) { return result(); }
static const char *names[3][2] = {
  {"CUDA_ERROR_NO_DEVICE", "no CUDA-capable device is detected"},
  {"CUDA_ERROR_UNKNOWN", "unknown error"}, {"CUDA_ERROR_OUT_OF_MEMORY", "out of memory"}};
static int of(int code) { return code == 100 ? 0 : code == 999 ? 1 : 2; }
int cuGetErrorName(int code, const char **text) { *text = names[of(code)][0]; return 0; }
int cuGetErrorString(int code, const char **text) { *text = names[of(code)][1]; return 0; }
"""


def library(path: Path, soname: str | None = None, *, needed: Iterable[Path] = (), symbols: Iterable[str] = (),
            version: str = "", code: str = "", rpath: str = "") -> Path:  # fmt: skip
    """A shared library with these symbols (functions that return 0), under a version where one is given."""
    path.parent.mkdir(parents=True, exist_ok=True)
    script = path.with_suffix(".map")
    script.write_text(f"{version or 'NONE'} {{ global: *; }};\n")
    body = "#include <stdlib.h>\n" + code
    body += "".join(f"int {name}(void) {{ return 0; }}\n" for name in symbols if f" {name}(" not in code)
    options = [f"-Wl,-soname,{soname or path.name}", *([f"-Wl,--version-script={script}"] if version else [])]
    options += [f"-Wl,-rpath,{rpath}", "-Wl,--disable-new-dtags"] if rpath else []
    command = ["/usr/bin/env", "cc", "-w", "-shared", "-fPIC", "-o", path, "-x", "c", "-", "-x", "none", *options]
    subprocess.run([*command, "-Wl,--no-as-needed", *needed], input=body, text=True, check=True)
    script.unlink()
    return path


def toolkit(root: Path, symbols: Mapping[str, Iterable[str]] | None = None) -> Path:
    """CUDA 10.0 with cuDNN 7.6.5, laid out as their installers do."""
    cuda, cudnn = TOOLCHAIN.cuda, TOOLCHAIN.cudnn
    assert cuda is not None and cudnn is not None
    for name in cuda["libraries"]:
        folder = root / ("extras/CUPTI/lib64" if "cupti" in name else "lib64")
        _versioned(folder, name, name.replace(cuda["version"], cuda["release"]), symbols)
    version = cudnn["version"].split(".")
    _versioned(root / "lib64", cudnn["library"], f"libcudnn.so.{'.'.join(version[:3])}", symbols)
    library(root / "lib64/stubs/libcuda.so", "libcuda.so.1")
    (root / "include").mkdir()
    (root / "include/cudnn.h").write_text(HEADER.format(*version))
    (root / "version.txt").write_text(f"CUDA Version {cuda['release']}\n")
    return root


def driver(folder: Path, version: str = DRIVER_VERSION, symbols: Mapping[str, Iterable[str]] | None = None) -> Path:
    """libcuda.so.1 -> libcuda.so.VERSION.  ``STAND_IN_CUINIT`` is the number with which cuInit fails."""
    real = library(folder / f"libcuda.so.{version}", "libcuda.so.1", code=_DRIVER_CODE,
                   symbols=(symbols or {}).get("libcuda.so.1", ()))  # fmt: skip
    return _link(folder / "libcuda.so.1", real.name)


def tensorflow(environment: Path, cuda: Path, libcuda: Path) -> Path:
    """The two files that ``import tensorflow`` loads, needing what the real ones need."""
    folder = environment / f"lib/python{TOOLCHAIN.python}/site-packages/tensorflow"
    lib64, scratch = cuda / "lib64", environment / "libgomp.so.1"
    library(scratch)
    framework = library(
        folder / "libtensorflow_framework.so",
        needed=[libcuda, lib64 / "libcudnn.so.7", lib64 / "libcudart.so.10.0"],
        rpath="$ORIGIN/",
    )
    needed = [framework, scratch, *(lib64 / f"lib{name}.so.10.0" for name in ("cublas", "cusolver", "cudart"))]
    library(folder / "python/_pywrap_tensorflow_internal.so", needed=needed, rpath="$ORIGIN/:$ORIGIN/..:../lib64")
    scratch.unlink()
    return folder


def wanted(files: Iterable[Path]) -> dict[str, set[str]]:
    """Library -> the symbols that these files want of it; all of the driver's are named cu..., without a version."""
    from elftools.elf.elffile import ELFFile

    found: dict[str, set[str]] = {"libcuda.so.1": set()}
    for path in files:
        with path.open("rb") as file:
            elf = ELFFile(file)
            origin = {
                wanted["vna_other"]: needed.name
                for needed, versions in elf.get_section_by_name(".gnu.version_r").iter_versions()
                for wanted in versions
            }
            versions = elf.get_section_by_name(".gnu.version")
            for index, symbol in enumerate(elf.get_section_by_name(".dynsym").iter_symbols()):
                if symbol["st_shndx"] != "SHN_UNDEF" or not symbol.name:
                    continue
                number = versions.get_symbol(index)["ndx"]
                if isinstance(number, int) and number in origin:
                    found.setdefault(origin[number], set()).add(symbol.name)
                elif symbol.name.startswith("cu") and symbol.name[2].isupper():
                    found["libcuda.so.1"].add(symbol.name)
    return found


def _versioned(folder: Path, name: str, real: str, symbols: Mapping[str, Iterable[str]] | None) -> None:
    library(folder / real, name, symbols=(symbols or {}).get(name, ()), version=name if symbols else "")
    _link(folder / name, real)


def _link(link: Path, target: str) -> Path:
    link.symlink_to(target)
    return link
