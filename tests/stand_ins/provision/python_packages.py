"""Python 3.7 as Ubuntu and deadsnakes package it: the interpreter is one that lies on the host under another path."""

from __future__ import annotations

from stand_ins.provision.apt_repository import Package

TARGET = "/opt/python3.7/bin/python3.7"
_WRAPPER = """#!/bin/sh
# Stands in for the distribution's Python 3.7, where `venv` comes in a package of its own.
if [ "$1 $2" = "-m venv" ] && [ ! -e /usr/share/doc/python3.7-venv/copyright ]; then
    cat <<'END'
The virtual environment was not created successfully because ensurepip is not
available.  On Debian/Ubuntu systems, you need to install the python3-venv
package using the following command.

    apt install python3.7-venv
END
    exit 1
fi
exec {} "$@"
"""


def python_packages(version: str = "3.7.17-1+jammy1", target: str = TARGET) -> list[Package]:
    """``python3.7``, ``python3.7-venv``, ``python3.7-distutils``, ``python3.7-dev``."""
    same = f"python3.7 (= {version})"
    return [
        Package("python3.7", version, files={"/usr/bin/python3.7": _WRAPPER.format(target)}),
        *(
            Package(f"python3.7-{part}", version, (same,), {f"/usr/share/doc/python3.7-{part}/copyright": "stand-in\n"})
            for part in ("venv", "distutils", "dev")
        ),
    ]
