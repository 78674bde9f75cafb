"""Layer 9: what TensorFlow's own files need from CUDA, cuDNN and the driver, and what the loader will give them.

An import test would prove less: cuFFT, cuRAND and CUPTI are opened only when first used, and a library of the right
name may still be another CUDA's.  Only headers are read: nothing is loaded.
"""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Iterator
from functools import cached_property
from pathlib import Path

from iblvideo_admin.engines.start import library_environment
from iblvideo_admin.files import exists
from iblvideo_admin.gpu import catalogue, cudnn, elf, wheel_libraries
from iblvideo_admin.gpu.checks.base import Context, Finding, worst
from iblvideo_admin.gpu.libraries import Found, Loader

ID, LAYER, NEEDS, NEEDS_GPU = "libraries", 9, (), True

DRIVER = "libcuda.so.1"
TENSORFLOW = ("libtensorflow_framework.so", "python/_pywrap_tensorflow_internal.so")  # what `import tensorflow` loads
_ONLY_TRACING = "libcupti"  # no job asks for it
_PACKAGES = {"libgomp.so.1": "libgomp1", "libstdc++.so.6": "libstdc++6", "libgcc_s.so.1": "libgcc-s1"}
_DRIVER = re.compile(r"\d{3}(\.\d+)+")
_DISTRIBUTION_NVCC = "/usr/bin/nvcc"
_FOREIGN = {"compat": "of CUDA's compatibility package", "stubs": "of CUDA's stubs, which are for linking only"}


def check(context: Context) -> Finding:
    """Every library of the toolchain: there, readable, whole, of the right name and version, from the right place."""
    return worst(list((_Wheels(context) if context.toolchain.in_process else _Look(context)).findings()))


class _Wheels:
    """One look at what Python packages bring."""

    def __init__(self, context: Context) -> None:
        self.context, self.packages = context, wheel_libraries.site_packages()

    def findings(self) -> Iterator[Finding]:
        """Everything that is wrong, in the order in which it should be named; at least one finding."""
        again = catalogue.by_name("cuda-packages-missing")
        remedy = catalogue.remedy(again, self.context.toolchain, self.context.toolchain.interpreter())
        try:
            found = list(wheel_libraries.found(self.packages, self.context.sysroot))
        except (OSError, elf.BrokenLibraryError) as error:
            path, why = self.packages / wheel_libraries.PROVIDER, getattr(error, "strerror", None) or error
            if not path.parent.is_dir():
                yield Finding("skip", "there is no onnxruntime to ask what it needs", str(path), remedy)
            else:
                yield Finding("fail", f"onnxruntime's {path.name} cannot be loaded", f"{path}: {why}", remedy)
            return
        for each in found:
            if each.path is None or each.library is None:
                where = "; ".join(each.passed_over) or str(each.path or f"searched: {self.packages}/nvidia/*/lib")
                problem = each.problem or "is not found"
                yield Finding("fail", f"{each.name}, which onnxruntime needs, {problem}", where, remedy)
            elif not each.path.is_relative_to(self.packages):
                yield Finding("warn", f"{each.name} comes from outside the Python packages", str(each.path), remedy)
        driver = Loader(self.context.sysroot, ()).find(DRIVER)
        version = self.context.inventory.driver
        if driver.library is None:
            entry = catalogue.by_name("driver-library-missing")
            said = "; ".join(driver.passed_over) or "not in the system's folders"
            remedy = catalogue.remedy(entry, self.context.toolchain, self.context.toolchain.interpreter())
            yield Finding("fail" if version else "skip", f"{DRIVER} of the driver is not found", said,
                          remedy.replace("<branch>", version.split(".")[0]) if version else remedy)  # fmt: skip
        whole = f"{len(found)} libraries of CUDA 12 from Python packages"
        yield Finding("pass", f"{whole}, {DRIVER} of driver {version or 'N/A'}", str(self.packages))


class _Look:
    """One look at a host's libraries."""

    def __init__(self, context: Context) -> None:
        self.context, self.toolchain = context, context.toolchain
        assert self.toolchain.cuda is not None
        assert self.toolchain.cudnn is not None
        path = library_environment(context.settings, self.toolchain)["LD_LIBRARY_PATH"].split(os.pathsep)
        self.loader = Loader(context.sysroot, [Path(folder) for folder in path])
        self.root = self.loader.located(context.settings.cuda_root or self.toolchain.cuda["root"])
        self.python = self.toolchain.interpreter(context.settings.dlc_python)
        self.cuda, self.cudnn = self.toolchain.cuda, self.toolchain.cudnn
        self.ours = (*self.cuda["libraries"], str(self.cudnn["library"]))

    def findings(self) -> Iterator[Finding]:
        """Everything that is wrong, in the order in which it should be named; at least one finding."""
        needed: set[str] = set()
        for name in TENSORFLOW:
            try:
                library = elf.read(self.tensorflow / name)
            except (OSError, elf.BrokenLibraryError) as error:
                yield self._broken_tensorflow(self.tensorflow / name, error)
                break
            needed |= set(library.needed)
            self.loader.rpath += map(Path, library.rpath)
            yield from self._closed(self.tensorflow / name, self.tensorflow)
        else:
            if DRIVER not in needed:
                where = f"{self.tensorflow / TENSORFLOW[0]} does not need {DRIVER}"
                yield Finding("fail", "TensorFlow's files are the CPU build's: they need no CUDA", where,
                              self._remedy("cpu-tensorflow-beside"))  # fmt: skip
        found = {name: self.loader.find(name) for name in self.ours}
        for name in self.ours:
            yield from self._ours(found[name], lazy=bool(needed) and name not in needed)
        yield from self._cudnn(found[self.cudnn["library"]])
        yield from self._driver(self.loader.find(DRIVER))
        yield from self._system(needed, found)
        yield from self._notes()
        whole = f"{len(self.ours)} libraries of CUDA {self.cuda['version']} and cuDNN {self.cudnn['version']}, {DRIVER}"
        yield Finding("pass", f"{whole} of driver {self.context.inventory.driver or 'N/A'}", str(self.root))

    @cached_property
    def tensorflow(self) -> Path:
        """Its folder in the toolchain's environment, whether or not it is there."""
        environment = self.python.parent.parent
        return environment / f"lib/python{self.toolchain.python}/site-packages/tensorflow"

    def _broken_tensorflow(self, path: Path, error: Exception) -> Finding:
        if isinstance(error, FileNotFoundError) and not self.tensorflow.is_dir():
            return Finding("skip", "there is no TensorFlow to ask what it needs",
                           str(self.tensorflow), "Run `ansible-playbook site.yml`.")  # fmt: skip
        why = getattr(error, "strerror", None) or error
        readable = f"`chmod -R a+rX {self.python.parent.parent}`"
        remedy = readable if isinstance(error, PermissionError) else self._remedy("newer-tensorflow-1")
        return Finding("fail", f"TensorFlow's {path.name} cannot be loaded", f"{path}: {why}", remedy)

    def _ours(self, found: Found, *, lazy: bool) -> Iterator[Finding]:
        """One of CUDA's libraries, or cuDNN."""
        name, later = found.name, " (opened only when first used)" if lazy else ""
        status = "warn" if name.startswith(_ONLY_TRACING) else "fail"
        entry = "lazy-library-missing" if lazy else "cuda-library-missing"
        again = self._remedy("cudnn-missing" if name == self.cudnn["library"] else entry)
        if found.path is None:
            uncached = [folder for folder in self.loader.configured if os.path.lexists(folder / name)]
            if found.forbidden:
                again = f"`chmod -R a+rX {self.root}`"
            elif uncached:
                again = f"`ldconfig`: {uncached[0]} is not in the loader's cache"
            yield Finding(status, f"{name} is not found{later}", self._searched(found), again)
        elif found.library is None:
            yield Finding(status, f"{name} cannot be loaded: {found.problem}", str(found.path), again)
        elif found.library.soname != name:
            where = f"{found.path} -> {os.path.realpath(found.path)}"
            summary = f"{name} is another library: it calls itself {found.library.soname}"
            yield Finding(status, summary, where, f"`rm {found.path}`, then: {again}")
        else:
            yield from self._closed(found.path, self.root, status)
            if found.passed_over:
                yield Finding("warn", f"{name} is taken from {found.path}, past one that cannot be used",
                              "; ".join(found.passed_over), again)  # fmt: skip
            elif found.path.parent not in self.loader.library_path:
                yield Finding("warn", f"{name} comes from outside the toolchain's CUDA", str(found.path), again)

    def _driver(self, found: Found) -> Iterator[Finding]:
        """It comes with the driver, and from nowhere else."""
        version, path = self.context.inventory.driver, found.path
        owner = f"driver {version}" if version else "the driver"
        if path is None:
            stub = self.root / "lib64/stubs/libcuda.so"
            seen = [*found.passed_over, *([f"{stub} is for linking only"] if exists(stub) else [])]
            remedy = self._remedy("driver-library-missing")
            # without a driver there is nothing that it could be a part of: the layers below say why there is none
            yield Finding("fail" if version else "skip", f"{DRIVER} of {owner} is not found",
                          "; ".join(seen) or "not in the system's folders",
                          remedy.replace("<branch>", version.split(".")[0]) if version else remedy)  # fmt: skip
            return
        real = Path(os.path.realpath(path))
        where = f"{path} -> {real}"
        for part, what in _FOREIGN.items():
            if part in (*path.parts, *real.parts):
                remedy = f"`rm {path}`, or take {path.parent} out of /etc/ld.so.conf.d; then `ldconfig`."
                yield Finding("fail", f"{DRIVER} is that {what}, not that of {owner}", where, remedy)
                return
        if path.parent in self.loader.library_path:
            yield Finding("fail", f"{DRIVER} in CUDA's folder hides that of {owner}", where, f"`rm {path}`")
        elif found.library is None:
            again = f"`apt-get install --reinstall $(dpkg -S {real} | cut -d: -f1)`"
            yield Finding("fail", f"{DRIVER} of {owner} cannot be loaded: {found.problem}", where, again)
        elif found.library.soname != DRIVER:
            yield Finding(
                "fail", f"{DRIVER} is another library: it calls itself {found.library.soname}", where, "`ldconfig`"
            )
        elif version and found.version != version and all(map(_DRIVER.fullmatch, (version, found.version))):
            yield Finding("fail", f"{DRIVER} is of driver {found.version}, but driver {version} runs", where,
                          self._remedy("driver-library-mismatch"))  # fmt: skip
        else:
            yield from self._closed(path, path.parent)

    def _cudnn(self, found: Found) -> Iterator[Finding]:
        """Not older than what TensorFlow was built with, and one version only."""
        if found.library is None or found.path is None:
            return
        wanted = int(self.cudnn["number"])
        oldest, remedy = int(self.cudnn.get("oldest", wanted)), self._remedy("cudnn-too-old")
        real, has = os.path.realpath(found.path), cudnn.library_version(found.path)
        try:
            header = cudnn.header_version(self.root)
        except (OSError, ValueError) as error:
            yield Finding("warn", "cuDNN's header cannot be read", str(error), remedy)
            header = None
        said = f"; its header says {cudnn.spelled(header)}" if header else ""
        if has is None:
            summary = f"which cuDNN it is cannot be told: {found.name} is no link to a versioned file"
            yield Finding("warn", summary, f"{real}{said}", remedy)
            return
        spelled = cudnn.spelled(has)
        if has // 1000 != wanted // 1000 or has // 100 < oldest // 100:
            summary = f"cuDNN {spelled} does not serve TensorFlow, which needs {cudnn.spelled(oldest)} or a later"
            yield Finding("fail", f"{summary} {oldest // 1000}", f"{real}{said}", remedy)
        elif has != wanted:
            yield Finding(
                "warn", f"cuDNN {spelled} is not the toolchain's {cudnn.spelled(wanted)}", f"{real}{said}", remedy
            )
        if header and header != has:
            yield Finding("warn", f"cuDNN's library is {spelled}, its header {cudnn.spelled(header)}", real, remedy)

    def _system(self, needed: set[str], ours: dict[str, Found]) -> Iterator[Finding]:
        """The distribution's.  Python may bring its own, so layer 12 has the last word."""
        beside = {Path(name).name for name in TENSORFLOW}
        names = needed.union(*(f.library.needed for f in ours.values() if f.library)) - beside - set(ours) - {DRIVER}
        found = {name: self.loader.find(name) for name in names | {"libc.so.6"}}
        if found["libc.so.6"].path is None:  # a machine that is described by a folder has none
            return
        for name in sorted(names):
            if found[name].library is None:
                package = _PACKAGES.get(name)
                remedy = f"`apt-get install {package}`" if package else f"`apt-file search {name}` names its package."
                yield Finding("warn", f"{name}, which TensorFlow or CUDA needs, cannot be loaded",
                              found[name].problem or self._searched(found[name]), remedy)  # fmt: skip

    def _notes(self) -> Iterator[Finding]:
        """What stops nothing, and misleads people."""
        if os.path.lexists(self.context.sysroot.path(_DISTRIBUTION_NVCC)):
            entry = catalogue.by_name("other-nvcc")
            yield Finding("warn", f"{_DISTRIBUTION_NVCC} belongs to another CUDA", entry.cause, entry.remedy)
        try:
            text = (self.root / "version.txt").read_bytes()[:200].decode("utf-8", "replace").strip()
        except OSError:
            return
        if not text.startswith(f"CUDA Version {self.cuda['version']}."):
            summary = f"{self.root} does not call itself CUDA {self.cuda['version']}"
            yield Finding("warn", summary, f"version.txt: {text!r}", self._remedy("cuda-library-missing"))

    def _searched(self, found: Found) -> str:
        seen = self.loader.elsewhere(found.name.partition(".so")[0] + ".so.")
        others = [name for name in seen if Path(name).name != found.name]
        said = [*found.passed_over, *([f"there is only {', '.join(others[:4])}"] if others else [])]
        return "; ".join(said) or f"searched: {', '.join(map(str, self.loader.library_path))}, the loader's cache"

    def _closed(self, path: Path, top: Path, status: str = "fail") -> Iterator[Finding]:
        """For root, who may read all: what others may not, from ``top`` on.  Other users meet it as the loader does."""
        real, base = Path(os.path.realpath(path)), Path(os.path.realpath(top))
        for item in (real, *(folder for folder in real.parents if folder.is_relative_to(base))):
            mode = item.stat().st_mode
            if os.geteuid() == 0 and not mode & (stat.S_IXOTH if item.is_dir() else stat.S_IROTH):
                yield Finding(status, f"{path.name} may not be read by the service's user",
                              f"{item} has mode {stat.S_IMODE(mode):04o}", f"`chmod -R a+rX {top}`")  # fmt: skip
                return

    def _remedy(self, name: str) -> str:
        return catalogue.remedy(catalogue.by_name(name), self.toolchain, self.python, self.context.settings.cuda_root)
