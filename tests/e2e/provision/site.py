"""Servers, the inventory that describes them, and playbooks of ours run against them over ssh."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from e2e.hosts import Host, Hosts

ROOT = Path(__file__).resolve().parents[3]
LIMIT_S = 1500


@dataclass(frozen=True)
class Said:
    """What one run of Ansible said."""

    returncode: int
    text: str
    """Everything, with its lines."""
    seconds: float

    @property
    def words(self) -> str:
        """Everything on one line: Ansible breaks lines where it likes."""
        return " ".join(self.text.split())

    def counts(self, host: Host) -> dict[str, int]:
        """``ok``, ``changed``, ``failed``, ... of a host's recap."""
        recap = re.search(rf"^{host.name}\s*:(.*)$", self.text, re.MULTILINE)
        assert recap, self.text[-3000:]
        return {name: int(number) for name, number in re.findall(r"(\w+)=(\d+)", recap[1])}

    def changes(self) -> list[str]:
        """The names of the tasks that changed something, on any host."""
        tasks = re.split(r"^(?:TASK|RUNNING HANDLER) \[(.*?)\] \**$", self.text, flags=re.MULTILINE)[1:]
        named = [
            name
            for name, said in zip(tasks[::2], tasks[1::2], strict=True)
            if re.search("^changed: ", said, re.MULTILINE)
        ]
        recaps = [int(number) for number in re.findall(r"\bchanged=(\d+)", self.text)]
        assert recaps and bool(named) == any(recaps), self.text[-3000:]
        return named

    def good(self) -> Said:
        """Itself, where nothing failed."""
        assert self.returncode == 0, self.text[-6000:]
        return self

    def failed(self, *sentences: str) -> Said:
        """Itself, where it failed and said each of these."""
        assert self.returncode != 0, self.text[-3000:]
        for sentence in sentences:
            assert sentence in self.words, (sentence, self.text[-4000:])
        return self


class Site:
    """``servers`` with ``variables`` in their inventory, and the checkout ``root`` that works on them."""

    def __init__(
        self, hosts: Hosts, folder: Path, servers: Sequence[Host], *, root: Path = ROOT, **variables: Any
    ) -> None:
        self.folder, self.servers, self.hosts, self.root = folder, list(servers), hosts, root
        folder.mkdir(parents=True, exist_ok=True)
        self.variables = variables
        self.inventory = hosts.inventory(folder / "inventory.yml", servers, **variables)

    def change(self, **variables: Any) -> None:
        """Other words in the inventory, as a person edits it."""
        self.variables |= variables
        self.inventory = self.hosts.inventory(self.inventory, self.servers, **self.variables)

    def command(self, playbook: str, *arguments: str, **variables: Any) -> list[str]:
        """An argument list; ``variables`` for this run only."""
        program = [sys.executable, str(Path(sys.executable).parent / "ansible-playbook"), "-i", str(self.inventory)]
        extra = ["--extra-vars", json.dumps(variables)] if variables else []
        return [*program, *arguments, *extra, playbook]

    def environment(self) -> dict[str, str]:
        """As a person's shell, but for what would depend on who runs the tests."""
        ours = {"ANSIBLE_CONFIG": str(self.root / "ansible.cfg"), "ANSIBLE_HOME": str(self.folder / "ansible")}
        # what Ansible fetches for all hosts goes below the home of whoever runs it
        return {**os.environ, **ours, "HOME": str(self.folder), "LC_ALL": "C.UTF-8", "ANSIBLE_NOCOLOR": "1"}

    def play(self, playbook: str = "site.yml", *arguments: str, **variables: Any) -> Said:
        """Run it to its end."""
        begun = time.monotonic()
        done = subprocess.run(
            self.command(playbook, *arguments, **variables),
            cwd=self.root,
            env=self.environment(),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            encoding="utf-8",
            check=False,
            timeout=LIMIT_S,
        )
        return Said(done.returncode, done.stdout, time.monotonic() - begun)

    def start(self, playbook: str = "site.yml", *arguments: str, **variables: Any) -> subprocess.Popen[str]:
        """Run it meanwhile; its words go to its standard output."""
        return subprocess.Popen(
            self.command(playbook, *arguments, **variables),
            cwd=self.root,
            env=self.environment(),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            encoding="utf-8",
        )
