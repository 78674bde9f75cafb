"""What a host tells of itself before anything is installed - cards, driver, kernel, room: an Ansible module. Changes nothing.

Facts only; roles/base/filter_plugins/cards.py judges them, with the tables that the command line uses, too.
Standard library only, Python >= 3.8.
"""

from __future__ import annotations

import os
import re
import shutil

DOCUMENTATION = """
module: lab_host
short_description: Lists NVIDIA's cards on the PCI bus, the driver that runs, what stands in a driver's way, and the room
description: [Reads /sys, /proc and pci.ids below `sysroot`.]
author: the iblvideo-admin authors
options:
  sysroot: {type: path, default: /, description: Where /sys and /proc are.}
  prefix: {type: path, required: true, description: The folder of everything that is installed.}
  folders: {type: list, elements: path, default: [], description: "Folders that should be there."}
"""
EXAMPLES = """
- name: Look
  lab_host: {prefix: /opt/iblvideo}
"""
RETURN = """
cards: {type: list, returned: always, description: "PCI address, number (10de:1b06) and name of each"}
driver: {type: str, returned: always, description: "Version of the driver that is loaded; empty: none"}
nouveau: {type: bool, returned: always, description: Whether the free driver holds the cards.}
secure_boot: {type: bool, returned: always, description: Whether the firmware lets signed modules in only.}
kernel: {type: str, returned: always, description: Release of the kernel that runs.}
headers: {type: bool, returned: always, description: Whether modules can be built for it.}
free_gb: {type: float, returned: always, description: Room on the disk of `prefix`.}
missing: {type: list, returned: always, description: "Those of `folders` that are not there."}
provisioned: {type: bool, returned: always, description: Whether a command line is installed below it.}
"""

NVIDIA, DISPLAY = "10de", ("0300", "0302")  # VGA and 3D: the classes that nvidia.ko takes
PCI_IDS = ("/usr/share/misc/pci.ids", "/usr/share/hwdata/pci.ids")


class Host:
    """One host's files below a root."""

    def __init__(self, root):
        self.root = root

    def path(self, path):
        return os.path.join(self.root, path.lstrip("/"))

    def read(self, path):
        """Empty where there is nothing to be read."""
        try:
            with open(self.path(path), "rb") as file:
                return file.read()
        except OSError:
            return b""

    def text(self, path):
        return self.read(path).decode("utf-8", "replace").strip()

    def names(self):
        """Device number -> name, of NVIDIA's part of pci.ids."""
        for path in PCI_IDS:
            part = re.search(r"^10de  .*\n((?:[\t#].*\n)+)", self.text(path) + "\n", re.MULTILINE)
            if part:
                return dict(re.findall(r"^\t([0-9a-f]{4})  (.+)$", part.group(1), re.MULTILINE))
        return {}

    def cards(self):
        """In the order of the bus, which is NVML's."""
        devices, names, found = "/sys/bus/pci/devices", self.names(), []
        folder = self.path(devices)
        for address in sorted(os.listdir(folder)) if os.path.isdir(folder) else []:
            vendor, kind, device = (
                self.text("/".join((devices, address, name)))[2:] for name in ("vendor", "class", "device")
            )
            if vendor == NVIDIA and kind.startswith(DISPLAY):
                found.append({"address": address, "id": vendor + ":" + device, "name": names.get(device, "")})
        return found

    def driver(self):
        version = re.search(r"\s(\d+\.\d+(?:\.\d+)?)\s", self.text("/proc/driver/nvidia/version") + " ")
        return version.group(1) if version else ""

    def secure_boot(self):
        """The last byte of a firmware variable whose name carries a number."""
        folder = "/sys/firmware/efi/efivars"
        if not os.path.isdir(self.path(folder)):
            return False
        variables = [name for name in os.listdir(self.path(folder)) if name.startswith("SecureBoot-")]
        return any(self.read(folder + "/" + name)[-1:] == b"\1" for name in variables)

    def headers(self, kernel):
        """`build` is a link that begins with /: it leads below our root, too."""
        build = "/lib/modules/" + kernel + "/build"
        if os.path.islink(self.path(build)):
            build = os.path.join(os.path.dirname(build), os.readlink(self.path(build)))
        return os.path.exists(self.path(build + "/Makefile"))

    def facts(self, kernel):
        return {
            "cards": self.cards(),
            "driver": self.driver(),
            "nouveau": os.path.isdir(self.path("/sys/module/nouveau")),
            "secure_boot": self.secure_boot(),
            "kernel": kernel,
            "headers": self.headers(kernel),
        }


def room(prefix):
    there = prefix
    while not os.path.exists(there):
        there = os.path.dirname(there)
    provisioned = os.path.lexists(os.path.join(prefix, "cli", "current"))
    return {"free_gb": round(shutil.disk_usage(there).free / 1e9, 1), "provisioned": provisioned}


def main():
    from ansible.module_utils.basic import AnsibleModule

    options = {
        "sysroot": {"type": "path", "default": "/"},
        "prefix": {"type": "path", "required": True},
        "folders": {"type": "list", "elements": "path", "default": []},
    }
    module = AnsibleModule(argument_spec=options, supports_check_mode=True)
    given = module.params
    missing = [folder for folder in given["folders"] if not os.path.isdir(folder)]
    facts = Host(given["sysroot"]).facts(os.uname().release)
    module.exit_json(changed=False, missing=missing, **facts, **room(os.path.abspath(given["prefix"])))


if __name__ == "__main__":
    main()
