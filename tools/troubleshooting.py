"""Writes docs/troubleshooting.md from the catalogue of known failures.

``python tools/troubleshooting.py`` writes it; ``--check`` only says whether it is up to date.
"""

from __future__ import annotations

import sys
from pathlib import Path

from iblvideo_admin import toolchains
from iblvideo_admin.gpu import catalogue
from iblvideo_admin.gpu.catalogue import Entry

PAGE = Path(__file__).resolve().parent.parent / "docs" / "troubleshooting.md"
TOOLCHAIN = "dlc-tf1-cuda10.0"
HEAD = """\
<!-- made by tools/troubleshooting.py from iblvideo_admin/gpu/catalogue.yml; change it there -->

# Troubleshooting

`iblvideo-admin check-gpu` goes through the layers of a server from the card upwards, names the first that is at fault
and says what to type. What TensorFlow and DeepLabCut print on the way is looked up in the list below; so can you: find
the text of an error here. *Found by* names the check that sees a failure even where nothing is printed. Commands are
written for toolchain `{toolchain}` in its usual place.

Many failures have consequences further down in a log: where several texts match, the one of the lowest layer is the
cause. `Failed to load the native TensorFlow runtime` is always a consequence: read what stands above it.

"""
TITLES = {
    "provisioning": "Installing", "pci": "Layer 1: the card", "nouveau": "Layer 2: nouveau",
    "secure_boot": "Layer 3: Secure Boot", "headers": "Layer 4: kernel headers",
    "module": "Layer 5: the kernel module", "devices": "Layer 6: device files",
    "nvml": "Layer 7: the driver's answers", "capability": "Layer 8: driver and compute capability",
    "libraries": "Layer 9: CUDA's, cuDNN's and the driver's libraries", "health": "Layer 10: memory and other programs",
    "packages": "Layer 11: Python and its packages", "compute": "Layer 12: TensorFlow on the card",
    "network": "Layer 13: DeepLabCut", "weights": "Layer 14: weights", "host": "Layer 15: folders and disks",
}  # fmt: skip


def page() -> str:
    """The whole page: the known failures by layer."""
    parts = [HEAD.format(toolchain=TOOLCHAIN)]
    for layer in catalogue.LAYERS:
        entries = [entry for entry in catalogue.entries() if entry.layer == layer]
        if entries:
            parts.append(f"## {TITLES[layer]}\n\n")
            parts += [section(entry) for entry in entries]
    return "".join(parts).rstrip("\n") + "\n"


def section(entry: Entry) -> str:
    """One failure."""
    toolchain = toolchains.load(TOOLCHAIN)
    lines = [f"### {entry.number}. {entry.name.replace('-', ' ')}\n\n"]
    if entry.symptoms:
        lines.append("".join(f"    {symptom}\n" for symptom in entry.symptoms) + "\n")
    lines.append(f"{entry.cause}\n\n")
    lines.append(f"*Remedy:* {catalogue.remedy(entry, toolchain, toolchain.interpreter())}\n\n")
    if entry.found_by:
        lines.append(f"*Found by:* {', '.join(f'`{name}`' for name in entry.found_by)}\n\n")
    lines.append(f"*Seen in:* {', '.join(entry.evidence)}\n\n")
    return "".join(lines)


def main() -> int:
    """Write or check the page."""
    if "--check" not in sys.argv[1:]:
        PAGE.write_text(page(), encoding="utf-8")
        return 0
    if PAGE.exists() and PAGE.read_text(encoding="utf-8") == page():
        return 0
    print(f"out of date: {PAGE.name}; run `make docs`", file=sys.stderr)
    return 1


if __name__ == "__main__":
    sys.exit(main())
