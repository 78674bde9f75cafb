"""The whole way on this machine, in one folder, without root: install, render a session, track it, look at it.

    python3 demo/run.py        (or: make demo)
    python3 demo/run.py --toolchain dlc-tf1-cpu        (or: make demo TOOLCHAIN=dlc-tf1-cpu)

Installs the real thing with the real roles; only the mouse is made up. Exits with the status of the step that failed;
3: something is missing that cannot be made here. `make` itself then ends with 2, as it always does when a recipe fails.
Standard library only. The second needs a Python 3.7; PYTHON37 names one in an unusual place.
"""

import argparse
import json
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
TOOLCHAINS = ROOT / "iblvideo_admin" / "toolchains"
SESSION = "demo_mouse/2026-01-15/001"
CANNOT = 3
USUAL = "onnx-cpu"
WITH_PYTHON37 = ("dlc-tf1-cpu",)


class StopError(Exception):
    """The demo ends here: an exit status, and what to say (nothing where the step has said it itself)."""

    def __init__(self, status, message=""):
        super().__init__(message)
        self.status = status


class Demo:
    def __init__(self, folder, toolchain, weights):
        self.folder = folder
        self.toolchain = toolchain
        self.weights = weights
        self.session = folder / "Subjects" / SESSION
        self.controller = folder / "controller"
        self.cli = folder / "bin" / "iblvideo-admin"
        self.python = folder / "cli" / "current" / "bin" / "python"
        self.python37 = None

    def steps(self):
        return (
            ("Look at this machine", self.preflight),
            ("Make the environment that Ansible runs in", self.make_controller),
            ("Install: ansible-playbook site.yml", self.provision),
            ("Render a session of three cameras", self.render),
            ("Track it: iblvideo-admin process", self.process),
            ("Look at the result", self.summary),
            ("Ask how the server is: iblvideo-admin status", self.status),
        )

    def preflight(self):
        lacking = [name for name in ("git", "make") if not shutil.which(name)]
        try:
            import ensurepip  # noqa: F401
            import venv  # noqa: F401
        except ImportError:
            lacking.append("python3-venv")
        if lacking:
            raise StopError(
                CANNOT, f"Missing on this machine: {', '.join(lacking)}; as root: apt-get install {' '.join(lacking)}"
            )
        if self.toolchain not in WITH_PYTHON37:
            say(f"Python {sys.version.split()[0]} for all of it; toolchain {self.toolchain}")
            return
        named = os.environ.get("PYTHON37", "")
        found = output(
            [
                sys.executable,
                ROOT / "roles/python/files/find_python37.py",
                "--executable",
                named,
                "--how",
                f"make demo TOOLCHAIN={self.toolchain} PYTHON37=/path/to/python3.7",
            ]
        )
        self.python37 = found.strip()
        say(f"Python {sys.version.split()[0]} for us, {self.python37} for the tracking environment")

    def make_controller(self):
        lock = TOOLCHAINS / "provision.lock"
        run([sys.executable, ROOT / "tools" / "locked_venv.py", self.controller, lock])

    def provision(self):
        (self.folder / "Subjects").mkdir(parents=True, exist_ok=True)
        (self.folder / "logs").mkdir(exist_ok=True)
        arguments = [self.controller / "bin" / "python", self.controller / "bin" / "ansible-playbook"]
        arguments += ["-i", ROOT / "demo" / "inventory", ROOT / "site.yml"]
        given = {"demo_folder": self.folder, "toolchain": self.toolchain}
        if self.python37:
            given["python37_executable"] = self.python37
        if self.weights:
            given["weights_source"] = self.weights
        for name, value in given.items():
            arguments += ["--extra-vars", json.dumps({name: str(value)})]
        log = self.folder / "logs" / "site.log"
        env = dict(environment(), ANSIBLE_CONFIG=str(ROOT / "ansible.cfg"), ANSIBLE_HOME=str(self.folder / "ansible"))
        env.update(ANSIBLE_NOCOLOR="1", LC_ALL="C.UTF-8")
        follow_play(arguments, env, log)
        say(f"everything Ansible said is in {shown(log)}")

    def render(self):
        run([self.python, "-m", "iblvideo_admin.demo", "render", self.session], self.folder)

    def process(self):
        run([self.cli, "process", self.folder / "Subjects"])

    def summary(self):
        run([self.python, "-m", "iblvideo_admin.demo", "summary", self.session], self.folder)

    def status(self):
        run([self.cli, "status"])


def environment():
    """Without what a user's shell may have set for another Python."""
    left_out = ("PYTHONPATH", "PYTHONHOME", "VIRTUAL_ENV", "IBLVIDEO_ADMIN_CONFIG")
    return {k: v for k, v in os.environ.items() if k not in left_out}


def run(arguments, cwd=ROOT):
    """`cwd`: `python -m` takes a package from there first, and the checkout holds one that is not installed."""
    done = subprocess.run([str(a) for a in arguments], cwd=str(cwd), env=environment(), check=False)
    if done.returncode:
        raise StopError(done.returncode if done.returncode > 0 else 1)


def output(arguments):
    done = subprocess.run(
        [str(a) for a in arguments],
        cwd=str(ROOT),
        env=environment(),
        stdout=subprocess.PIPE,
        encoding="utf-8",
        check=False,
    )
    if done.returncode:
        raise StopError(done.returncode if done.returncode > 0 else 1)
    return done.stdout


def start(arguments, env):
    words = [str(argument) for argument in arguments]
    pipe = subprocess.PIPE
    return subprocess.Popen(words, cwd=str(ROOT), env=env, stdout=pipe, stderr=subprocess.STDOUT, encoding="utf-8")


def follow_play(arguments, env, log):
    """Runs Ansible; its words go into the log, here appear one line a role, and what an error says."""
    role, began, recap, failing = None, time.monotonic(), "", []
    with open(str(log), "w", encoding="utf-8") as file, start(arguments, env) as play:
        for raw in play.stdout:
            file.write(raw)
            line = raw.rstrip()
            if line.startswith("localhost") and "changed=" in line:
                recap = " ".join(line.split(":", 1)[1].split()[:2])
            elif line.startswith(("[ERROR]", "fatal:", "failed:", "ERROR!")) or (
                failing and not line.startswith("PLAY")
            ):
                failing.append(line)
            elif line.startswith("TASK [") and " : " in line:
                name, task = line[len("TASK [") :].rsplit("]", 1)[0].split(" : ", 1)
                name = "check-gpu" if task == "Ask check-gpu" or role == "check-gpu" else f"role {name}"
                if name != role:
                    finish_role(role, began)
                    role, began = name, time.monotonic()
                if not task.startswith("Validating arguments"):
                    transient(f"{name}: {task}")
        status = play.wait()
    transient("")
    if status:
        for line in worth_reading(failing):
            print(f"   {line}", file=sys.stderr, flush=True)
        raise StopError(status, f"Ansible ended with {status}; all it said is in {shown(log)}")
    finish_role(role, began)
    say(recap)


def worth_reading(lines):
    """An error without the piece of playbook that it comes from; the details only where its headline says nothing."""
    headline, details, where = [], [], 0
    for line in lines:
        where = 1 if line.startswith("Origin:") else 2 if line.startswith(("fatal:", "failed:")) else where
        if where == 0 and line:
            headline.append(line.replace("[ERROR]: Task failed: ", "").replace("Action failed: ", ""))
        elif where == 2:
            details.append(line)
    return headline if headline and "non-zero return code" not in headline[0] else headline + details


def finish_role(role, began):
    if role:
        transient("")
        say(f"{role:<20} {time.monotonic() - began:5.1f} s")


def transient(text):
    """A line that the next one replaces; nothing where there is no terminal."""
    if sys.stdout.isatty():
        width = shutil.get_terminal_size().columns - 1
        sys.stdout.write("\r\033[K" + f"   {text}"[:width])
        sys.stdout.flush()


def say(text):
    print(f"   {text}", flush=True)


def shown(path):
    """As short as it can be typed from the checkout."""
    return path.relative_to(ROOT) if ROOT in path.parents else path


def main():
    if sys.version_info < (3, 10):  # noqa: UP036 - this very file is what an older one is given
        seen = sys.version.split()[0]
        print(f"Python 3.10 or newer is missing (this is {seen}): name one, as in make demo PYTHON=python3.11")
        return CANNOT
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--toolchain", choices=(USUAL, *WITH_PYTHON37), default=USUAL, help=f"default: {USUAL}")
    parser.add_argument(
        "--folder", type=Path, help="where everything goes; default: .demo, for other toolchains .demo/NAME"
    )
    parser.add_argument("--weights", type=Path, help="networks to use instead of the demo's own")
    args = parser.parse_args()
    folder = args.folder or (ROOT / ".demo" / ("" if args.toolchain == USUAL else args.toolchain))
    demo = Demo(folder.resolve(), args.toolchain, args.weights and args.weights.resolve())
    demo.folder.mkdir(parents=True, exist_ok=True)
    began = time.monotonic()
    steps = demo.steps()
    for number, (title, step) in enumerate(steps, 1):
        started = time.monotonic()
        print(f"\n[{number}/{len(steps)}] {title}", flush=True)
        try:
            step()
        except StopError as stop:
            if str(stop):
                print(f"   {stop}", file=sys.stderr, flush=True)
            return stop.status
        except KeyboardInterrupt:
            return 130
        print(f"   {time.monotonic() - started:.0f} s", flush=True)
    print(
        f"\nDone in {time.monotonic() - began:.0f} s. Everything is in {shown(demo.folder)}; `make clean` removes it."
        f"\nGo on with: {shown(demo.cli)} queue list, check-gpu, --help"
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
