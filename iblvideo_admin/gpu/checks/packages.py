"""Layer 11: the processor, the toolchain's Python and what is installed in it, against the lock."""

from __future__ import annotations

import errno
import os
import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

from iblvideo_admin.files import exists
from iblvideo_admin.gpu import catalogue
from iblvideo_admin.gpu.checks.base import Context, Finding, ProbeError, explained, probe, worst
from iblvideo_admin.gpu.sysroot import CannotLookError
from iblvideo_admin.toolchains import Toolchain, normalized

ID, LAYER, NEEDS, NEEDS_GPU = "packages", 11, (), False

_ANSWER = {"python": str, "packages": dict, "damaged": dict, "pip_check": list, "environment": dict}
_NO_COMPLAINT = "No broken requirements found."
# packages of which a toolchain has one: they install the same module
_BUILDS = {"tensorflow1": ("tensorflow", "tensorflow-gpu"), "onnx": ("onnxruntime", "onnxruntime-gpu")}
_MARKER = ".iblvideo-admin.json"  # of the role base, in every environment that it makes
_BOTH = " and "  # between versions that are there at once, as the probe writes them
_MANY = 8  # from here on a new environment is the shorter way


def check(context: Context) -> Finding:
    """AVX, the interpreter's series, every locked package's version and files, `pip check`, a job's DLClight."""
    processor = [] if context.toolchain.in_process else [_processor(context)]  # onnxruntime needs no AVX
    return worst([*processor, *_environment(context)])


def _processor(context: Context) -> Finding:
    """TensorFlow's wheel ends with an illegal instruction where AVX is missing; layer 12 sees that too."""
    try:
        text = context.sysroot.text("/proc/cpuinfo") or ""
    except CannotLookError as error:
        return Finding("warn", "whether the processor has AVX is not known", str(error))
    processors = re.findall(r"^flags\s*:(.*)$", text, re.MULTILINE)
    if not processors:
        return Finding("warn", "whether the processor has AVX is not known", "/proc/cpuinfo tells no flags")
    if any("avx" not in flags.split() for flags in processors):
        model = re.search(r"^model name\s*:\s*(.*)$", text, re.MULTILINE)
        entry = catalogue.by_name("cpu-without-avx")
        evidence = f"/proc/cpuinfo: no avx in the flags of {model[1] if model else 'the processor'}"
        return Finding("fail", entry.cause, evidence, entry.remedy)
    return Finding("pass", "AVX")


def _environment(context: Context) -> Iterator[Finding]:
    toolchain = context.toolchain
    python = toolchain.interpreter(context.settings.dlc_python)
    try:
        answer = probe(context, "packages", _ANSWER)
    except ProbeError as error:
        found = explained(context, error, f"the toolchain's Python {python} cannot be run")
        remedy = _again(python)
        if closed := _closed(python):
            remedy = (
                f"`chmod a+x {closed}`, or, where that is somebody's home: move the interpreter elsewhere. {remedy}"
            )
        yield found if catalogue.match(error.said) else replace(found, remedy=remedy)
        return
    if not toolchain.runs_on(answer["python"]):
        yield Finding("fail", f"{python} is Python {answer['python']}, not {toolchain.python}",
                      f"the lock {toolchain.lock.name} is for {toolchain.python}", _again(python))  # fmt: skip
        return
    yield from _versions(toolchain, python, answer["packages"])
    yield from _damaged(toolchain, python, answer["damaged"])
    complaints = [
        str(line) for line in answer["pip_check"] if line not in (*toolchain.pip_check_allowed, _NO_COMPLAINT)
    ]
    if complaints:
        yield Finding("fail", "`pip check`: packages do not fit together", "; ".join(complaints[-3:]), _again(python))
    if "DLClight" in toolchain.environment and (light := answer["environment"].get("DLClight")) != "True":
        entry = catalogue.by_name("dlclight-not-set")
        said = "DLClight is not set" if light is None else f"DLClight is {light!r}"
        yield Finding("fail", f"{said} where jobs run: DeepLabCut would ask for wxPython", entry.cause, entry.remedy)
    yield Finding("pass", f"Python {answer['python']}, {len(toolchain.versions())} packages as locked", str(python))


def _versions(toolchain: Toolchain, python: Path, packages: dict[str, Any]) -> Iterator[Finding]:
    locked = toolchain.versions()
    installed = {normalized(name): str(version) for name, version in packages.items()}
    builds = _BUILDS[toolchain.engine]
    build = next(name for name in reversed(builds) if name in locked)
    if strange := [name for name in builds if name != build and name in installed]:
        newer = catalogue.of_package(strange[0], installed[strange[0]])
        entry = newer or catalogue.by_name(f"cpu-{builds[0]}-beside")
        beside = "beside" if build in installed else "instead of"
        yield Finding("fail", f"{strange[0]} {installed[strange[0]]} is installed {beside} {build}", entry.cause,
                      catalogue.remedy(entry, toolchain, python))  # fmt: skip
    wrong = {name: installed.get(name, "missing") for name, version in locked.items() if installed.get(name) != version}
    if not wrong:
        return
    known = {name: found for name, version in wrong.items() if (found := catalogue.of_package(name, version))}
    order = sorted(wrong, key=lambda name: name not in known)
    differ = ", ".join(f"{name} is {wrong[name]} (locked {locked[name]})" for name in order[:_MANY])
    more = f" and {len(wrong) - _MANY} more" if len(wrong) > _MANY else ""
    causes = "; ".join(dict.fromkeys(entry.cause for entry in known.values()))
    pins = " ".join(f"{name}=={locked[name]}" for name in order)
    remedy = f"`{python} -m pip install --no-deps {pins}`" if len(wrong) <= _MANY else _again(python)
    if doubled := " ".join(name for name in order if _BOTH in wrong[name]):  # pip takes away one at a time
        remedy = f"`{python} -m pip uninstall -y {doubled}` twice, then {remedy}"
    yield Finding("fail", f"not as locked: {differ}{more}", causes, remedy)


def _damaged(toolchain: Toolchain, python: Path, damaged: dict[str, Any]) -> Iterator[Finding]:
    """Files that are not as pip has put them there: a full disk, a cut-off copy, somebody's clean-up."""
    if not damaged:
        return
    names = sorted(damaged)
    locked = toolchain.versions()
    pins = [f"{name}=={locked[name]}" for name in map(normalized, names) if name in locked]
    remedy = f"`{python} -m pip install --no-deps --force-reinstall {' '.join(pins)}`"
    more = f" and {len(names) - _MANY} more" if len(names) > _MANY else ""
    summary = f"files of {', '.join(names[:_MANY])}{more} are missing or damaged"
    evidence = "; ".join(str(damaged[name]) for name in names[:_MANY])
    if all(os.strerror(errno.EACCES) in str(told) for told in damaged.values()):
        summary = f"files of {', '.join(names[:_MANY])}{more} may not be read by this user"
        yield Finding("fail", summary, evidence, f"`chmod -R a+rX {python.parent.parent}`")
        return
    yield Finding(
        "fail", summary, evidence, remedy if "pip" not in names and 0 < len(pins) <= _MANY else _again(python)
    )


def _closed(python: Path) -> Path | None:
    """The first on the way to the interpreter itself that this user may not enter or run, if it is there at all."""
    real = Path(os.path.realpath(python))
    way = (*reversed(real.parents), real)
    return next((part for part in way if os.path.lexists(part) and not os.access(part, os.X_OK)), None)


def _again(python: Path) -> str:
    """How to get a new environment: one of ours that is known as proven would be left alone."""
    folder = python.parent.parent
    if not exists(folder / _MARKER):
        return "`ansible-playbook site.yml` makes the environment; or set dlc_python to the toolchain's interpreter."
    return f"`rm -r $(readlink -f {folder})`, then `ansible-playbook site.yml`: it makes the environment anew."
