"""An Ansible module: holds the parts of a driver, and lets go again of what it held.

All parts are held together, or an upgrade replaces half of them. Modules that come ready-made (Ubuntu's linux-modules-nvidia)
are each of one kernel: held beside kernels that are not, they would be missing from the next kernel, and let go beside a held
driver they would be of another version than it. So the packages that bring kernels are held with them - unless DKMS, too, can
build the module for whatever kernel comes. What was held here is written down: what a person held stays so.
Standard library only, Python >= 3.8.
"""

from __future__ import annotations

import os
import re
import subprocess

DOCUMENTATION = """
module: held_packages
short_description: Holds packages, and lets go of those that it held
description: [Asks dpkg, and tells apt-mark.]
author: the iblvideo-admin authors
options:
  state: {type: str, required: true, description: "held; loose (whoever held them, as before they are replaced); free (those held here)."}
  parts: {type: list, elements: str, required: true, description: "Beginnings of lines NAME WANTED STATUS SOURCE, as patterns."}
  record: {type: path, default: /var/lib/misc/iblvideo-admin-held, description: What was held here.}
"""
EXAMPLES = """
- name: Hold the driver
  held_packages: {state: held, parts: [nvidia-driver]}
"""
RETURN = """
held: {type: list, returned: always, description: What is put on hold.}
let_go: {type: list, returned: always, description: What is taken off hold.}
"""

SHOW = [
    "dpkg-query",
    "--show",
    "--showformat",
    "${binary:Package} ${db:Status-Want} ${db:Status-Status} ${source:Package}\\n",
]
READY_MADE = re.compile(r"linux-modules-nvidia-")
BUILT_HERE = re.compile(r"nvidia-(?!headless)(\S+-)?dkms\b")
# what leads from one kernel to the next: a name without a kernel's number
KERNELS = re.compile(r"linux-image-(?!unsigned-|\S*\d+\.\d+\.\d)[a-z]")


def installed_of(shown):
    """Package -> (whether it is held, its line)."""
    lines = [line.split() for line in shown.splitlines()]
    return {
        words[0]: (words[1] == "hold", " ".join(words)) for words in lines if len(words) > 2 and words[2] == "installed"
    }


def parts_of(installed, patterns):
    """What belongs to a driver."""
    wanted = re.compile("|".join(patterns))
    return [name for name, (_, line) in installed.items() if wanted.match(line)]


def kernels_of(installed, parts):
    """What would bring a kernel that this driver has no module for."""
    if any(map(BUILT_HERE.match, parts)) or not any(map(READY_MADE.match, parts)):
        return []
    return [name for name in installed if KERNELS.match(name)]


def plan(state, installed, patterns, recorded):
    """(to be held, to be let go, the record after it)."""
    held = {name for name, (on_hold, _) in installed.items() if on_hold}
    parts = parts_of(installed, patterns)
    if state == "loose":
        return [], [name for name in parts if name in held], recorded
    together = parts + kernels_of(installed, parts) if state == "held" else []
    new = [name for name in together if name not in held]
    let_go = [name for name in recorded if name in held and name not in together]
    return new, let_go, [name for name in together if name in new or name in recorded]


def read_record(path):
    try:
        with open(path, encoding="utf-8") as file:
            return [line.strip() for line in file if line.strip() and not line.startswith("#")]
    except FileNotFoundError:
        return []


def write_record(path, before, names):
    if names == before:
        return
    if not names:
        os.unlink(path)
        return
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path + ".new", "w", encoding="utf-8") as file:
        file.write("# Packages that iblvideo-admin holds: nvidia_driver_hold=false lets them go.\n")
        file.write("".join(name + "\n" for name in names))
    os.replace(path + ".new", path)


def run(given, check_mode):
    def ask(*arguments):
        return subprocess.run(
            arguments, check=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE, encoding="utf-8"
        ).stdout

    recorded = read_record(given["record"])
    if given["state"] == "free" and not recorded:
        return {"changed": False, "held": [], "let_go": []}
    held, let_go, after = plan(given["state"], installed_of(ask(*SHOW)), given["parts"], recorded)
    if not check_mode:
        # a host that dies in between holds nothing of ours that is not written down
        write_record(given["record"], recorded, after + [name for name in recorded if name not in after])
        for word, names in (("hold", held), ("unhold", let_go)):
            if names:
                ask("apt-mark", word, *names)
        write_record(given["record"], read_record(given["record"]), after)
    return {"changed": bool(held or let_go), "held": held, "let_go": let_go}


def main():
    from ansible.module_utils.basic import AnsibleModule

    module = AnsibleModule(
        argument_spec={
            "state": {"type": "str", "choices": ["held", "loose", "free"], "required": True},
            "parts": {"type": "list", "elements": "str", "required": True},
            "record": {"type": "path", "default": "/var/lib/misc/iblvideo-admin-held"},
        },
        supports_check_mode=True,
    )
    os.umask(0o022)
    try:
        module.exit_json(**run(module.params, module.check_mode))
    except subprocess.CalledProcessError as error:
        module.fail_json(msg="{} ended with {}: {}".format(" ".join(error.cmd), error.returncode, error.stderr.strip()))
    except OSError as error:
        module.fail_json(msg=str(error))


if __name__ == "__main__":
    main()
