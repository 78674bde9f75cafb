"""Write what check-gpu says on every machine of nvml_machines.py into this folder.

Read the difference before keeping it.
"""

from __future__ import annotations

import json
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from gpu import nvml_machines
from lab import Lab


def main(names: list[str]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        for name in names or nvml_machines.CASES:
            own = Path(folder) / name
            own.mkdir()
            said = nvml_machines.expected(nvml_machines.checked(name, Lab(own), Path(folder) / "common"))
            text = json.dumps(said, indent=2, ensure_ascii=False) + "\n"
            (nvml_machines.GOLDEN / f"{name}.json").write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main(sys.argv[1:])
