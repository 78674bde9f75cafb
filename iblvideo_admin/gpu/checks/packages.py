"""Layer 11: the toolchain's Python and what is installed in it, against the lock."""

from __future__ import annotations

from iblvideo_admin.gpu.checks.base import Context, Finding, ProbeError, probe
from iblvideo_admin.toolchains import normalized

ID, LAYER, NEEDS, NEEDS_GPU = "packages", 11, (), False
_REMEDY = "Run `ansible-playbook site.yml` again: it builds the environment from the lock."


def check(context: Context) -> Finding:
    """The interpreter's series and every locked package's version."""
    toolchain = context.toolchain
    python = context.settings.interpreter(toolchain.name)
    try:
        answer = probe(context, "packages", {"python": str, "packages": dict})
    except ProbeError as error:
        return Finding("fail", f"the toolchain's Python {python} cannot be run", str(error), _REMEDY)
    if not answer["python"].startswith(f"{toolchain.python}."):
        return Finding("fail", f"{python} is Python {answer['python']}, not {toolchain.python}", "", _REMEDY)
    installed = {normalized(name): version for name, version in answer["packages"].items()}
    wrong = [
        f"{name} {installed.get(name, 'missing')} (locked {version})"
        for name, version in toolchain.versions().items()
        if installed.get(name) != version
    ]
    if wrong:
        return Finding("fail", f"{len(wrong)} packages differ from the lock", "; ".join(wrong[:8]), _REMEDY)
    count = len(toolchain.versions())
    return Finding("pass", f"Python {answer['python']}, {count} packages as locked", str(python))
