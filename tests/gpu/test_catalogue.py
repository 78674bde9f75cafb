"""The catalogue of known failures against what real programs printed, alone, in noise, two at once, and near misses."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from iblvideo_admin import toolchains
from iblvideo_admin.gpu import catalogue, check

ROOT = Path(__file__).resolve().parents[2]
CAPTURED = Path(__file__).parent / "captured"
FILES = sorted(CAPTURED.glob("*.txt"))
RECORDED = [(item["entry"], item["text"]) for item in yaml.safe_load((CAPTURED / "recorded.yml").read_text())]
TEXTS = [(int(path.name[:2]), path.read_text()) for path in FILES if not path.name.startswith("44")] + RECORDED
BENIGN = [
    "I tensorflow/stream_executor/cuda/cuda_gpu_executor.cc:998] successful NUMA node read from SysFS had negative "
    "value (-1), but there must be at least one NUMA node, so returning NUMA node zero",
    "W tensorflow/stream_executor/platform/default/dso_loader.cc:64] Could not load dynamic library "
    "'libnvinfer_plugin.so.7'; dlerror: libnvinfer_plugin.so.7: cannot open shared object file: No",
    "/usr/lib/python3.7/site-packages/tensorflow/python/framework/dtypes.py:526: FutureWarning: Passing (type, 1) or "
    "'1type' as a synonym of type is deprecated; in a future version of numpy, it will be understood as (type, (1,))",
]
# What a text says that is known, and its consequences' words, are in no near miss
NEAR = [
    "ImportError: libcublas.so.11: cannot open shared object file: No such file or directory",
    "ImportError: libcublas.so.10: cannot open shared object file: No such file or directory",
    "ImportError: libcublas.so.10.0.130: cannot open shared object file: No such file or directory",
    "ImportError: libcublas.so.10x0: cannot open shared object file",
    "ImportError: libmycublas.so.10.0: cannot open shared object file: No such file or directory",
    "I tensorflow/stream_executor/dso_loader.cc:152] successfully opened CUDA library libcublas.so.10.0 locally",
    "libcublas.so.10.0 => /usr/local/cuda-10.0/lib64/libcublas.so.10.0 (0x00007f)",
    "ImportError: libcudnn.so.8: cannot open shared object file: No such file or directory",
    "ImportError: libcudnn.so.7.6: cannot open shared object file: No such file or directory",
    "ImportError: libcudart.so.9.0: cannot open shared object file: No such file or directory",
    "ImportError: libcuda.so: cannot open shared object file: No such file or directory",
    "I tensorflow/stream_executor/dso_loader.cc:142] Couldn't open CUDA library libcupti.so.9.0. LD_LIBRARY_PATH: ",
    "ImportError: libcufft.so.10: cannot open shared object file: No such file or directory",
    "AttributeError: 'bytes' object has no attribute 'encode'",
    "AttributeError: 'str' object has no attribute 'decoder'",
    "AttributeError: module 'numpy' has no attribute 'float_'",
    "RuntimeWarning: numpy.ufunc size changed, may indicate binary incompatibility. Expected 192, got 216",
    "ImportError: cannot import name 'circle_perimeter' from 'skimage.draw'",
    "ModuleNotFoundError: No module named 'wxyz'",
    "Created TensorFlow device with 10813 MB memory) -> physical GPU (device: 0, compute capability: 7.5)",
    "Ignoring visible gpu device (device: 1, name: GeForce GT 710, pci bus id: 0000:02:00.0) with core count: 1.",
    "I tensorflow/stream_executor/cuda/cuda_diagnostics.cc:310] kernel version seems to match DSO: 470.256.2",
    "Loaded runtime CuDNN library: 7.6.5",
    "E tensorflow/stream_executor/cuda/cuda_dnn.cc:341] Possibly insufficient driver version: 470.256.2",
    "ERROR: No matching distribution found for tensorflow==1.13.10",
    "ERROR: No matching distribution found for tensorflow==1.13.1.post1",
    "ERROR: No matching distribution found for tensorflow==2.13.1",
    "Successfully uninstalled tensorflow-1.13.1",
    "ModuleNotFoundError: No module named 'tensorflow'",
    "module 'tensorflow' has no attribute 'placeholders'",
    "ptxas info    : Compiling entry function 'sm_70' for 'sm_70'",
    "NO_PUBKEY A4B469963BF863CD",
    "E: Unable to locate package python3.71",
    "HTTP Error 404: Not Found",
    "GET /resources/dlc/weights_v2.2.zip 200",
    "CUDA_ERROR_NOT_INITIALIZED",
    "OMP: Info #250: KMP_AFFINITY: pid 1 tid 1 thread 0 bound to OS proc set 0",
    "The TensorFlow library was compiled to use AVX instructions",
    "Failed to load the native TensorFlow runtime.",
]


def numbers(text: str) -> list[int]:
    return [hit.entry.number for hit in catalogue.match(text)]


def test_the_catalogue_is_whole() -> None:
    entries = catalogue.entries()
    assert [entry.number for entry in entries] == list(range(1, 48))
    assert ("provisioning", *check.LAYERS) == catalogue.LAYERS
    # nobody prints anything when these happen, so somebody must look
    assert all(entries[number - 1].found_by for number in (29, 33, 35, 43, 45, 46))
    assert {entry.number for entry in entries if not entry.matchers} == {29, 33, 43, 45, 46}


@pytest.mark.parametrize("entry", catalogue.entries(), ids=lambda entry: entry.name)
def test_what_people_see_is_matched_by_its_own_entry_alone(entry: catalogue.Entry) -> None:
    assert bool(entry.symptoms) == bool(entry.matchers)
    for symptom in entry.symptoms:
        assert entry.matches(symptom)
        assert numbers(symptom) == ([] if entry.benign else [entry.number])


def test_the_page_is_up_to_date() -> None:
    done = subprocess.run(
        [sys.executable, ROOT / "tools/troubleshooting.py", "--check"],
        env={"PYTHONPATH": str(ROOT), "PATH": ""}, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr


def test_every_entry_with_a_text_has_a_captured_or_a_recorded_one() -> None:
    shown = {number for number, _ in TEXTS} | {44}
    assert {entry.number for entry in catalogue.entries() if entry.matchers} == shown


@pytest.mark.parametrize(("number", "text"), TEXTS, ids=[path.stem for path in FILES if path.name[:2] != "44"]
                         + [f"recorded-{number}-{index}" for index, (number, _) in enumerate(RECORDED)])  # fmt: skip
def test_what_a_program_printed_is_named_and_first(number: int, text: str) -> None:
    assert numbers(text)[:1] == [number]
    [first, *_] = catalogue.match(text)
    assert first.line in text
    noise = "\n".join([*BENIGN, "some line", "noise " * 500])
    assert numbers(f"{noise}\n\x1b[31m{text}\x1b[0m\n{noise}") == numbers(text)


def test_working_programs_are_not_accused() -> None:
    assert numbers(next(path for path in FILES if path.name.startswith("44")).read_text()) == []
    assert [numbers(line) for line in BENIGN] == [[]] * 3
    assert all(catalogue.by_name("harmless-lines").matches(line) for line in BENIGN)


@pytest.mark.parametrize("line", NEAR)
def test_a_near_miss_is_none(line: str) -> None:
    assert numbers(line) == []


@pytest.mark.parametrize(
    ("first", "then", "order"),
    [
        (19, 20, [20, 19]),  # cuDNN did not start because the memory is taken
        (19, 21, [21, 19]),  # ... or because it is too old
        (28, 20, [20, 28]),
        (24, 25, [25, 24]),  # no device is found because the driver is two
        (24, 26, [26, 24]),
        (3, 26, [26, 3]),
        (6, 1, [1, 6]),
        (18, 19, [18, 19]),  # of one layer: as they were printed
        (15, 12, [15, 12]),
        (12, 15, [12, 15]),
    ],
)
def test_of_two_at_once_the_cause_comes_first(first: int, then: int, order: list[int]) -> None:
    texts = dict(reversed(TEXTS))
    assert [n for n in numbers(f"{texts[first]}\n{texts[then]}") if n in order] == order


noise = st.text(st.characters(codec="utf-8"), max_size=200)


@given(st.sampled_from(TEXTS), st.lists(noise, max_size=20), st.lists(noise, max_size=20))
def test_noise_around_changes_nothing(captured: tuple[int, str], before: list[str], after: list[str]) -> None:
    number, text = captured
    assert number in numbers("\n".join([*before, text, *after]))


@given(st.text(max_size=2000))
def test_noise_alone_accuses_nobody(text: str) -> None:
    assert numbers(text) == []
    assert len(catalogue.last_lines(text).splitlines()) <= 1


def test_a_very_long_text() -> None:
    """The cause may stand at either end; nothing takes long."""
    (number, text), noise = TEXTS[0], "x" * 100 + "\n"
    assert numbers(text + noise * 300_000) == numbers(noise * 300_000 + text) == [number]
    assert numbers("libcublas" * 500_000) == []


def test_an_unknown_failure_is_shown_with_its_last_lines() -> None:
    assert catalogue.last_lines("a\nb\n\nc\n  d  \n\n") == "b; c; d"
    assert catalogue.last_lines("") == ""


@pytest.mark.parametrize("name", toolchains.names())
def test_remedies_have_the_toolchains_own_versions(name: str) -> None:
    toolchain = toolchains.load(name)
    for entry in catalogue.entries():
        text = catalogue.remedy(entry, toolchain, Path("/envs/a b/bin/python"), Path("/cuda"))
        assert not re.search(r"\{(?!print)|\}(?!')", text), text
        assert not re.search(r"==\d", entry.remedy), "versions are written in the toolchains only"
    protobuf = catalogue.remedy(catalogue.by_name("protobuf-too-new"), toolchain, Path("/python"))
    assert protobuf == "`/python -m pip install --no-deps protobuf==3.20.3`"
    cuda = catalogue.remedy(catalogue.by_name("cuda-library-missing"), toolchain, Path("/python"), Path("/my/cuda"))
    assert "--toolkitpath=/my/cuda`" in cuda and "LD_LIBRARY_PATH=/my/cuda/lib64:" in cuda


@pytest.mark.parametrize(
    ("name", "version", "number"),
    [
        ("protobuf", "4.24.4", 6), ("protobuf", "3.20.3", None), ("numpy", "1.21.6", 9), ("numpy", "1.19.5", None),
        ("numpy", "2.0rc1", 9), ("h5py", "3.8.0", 8), ("tensorflow", "2.4.4", 32), ("tensorflow-gpu", "1.15", 5),
        ("scikit-image", "0.18.3", None), ("scikit-image", "missing", None), ("numpy", "", None), ("six", "9", None),
    ],
)  # fmt: skip
def test_what_a_packages_version_leads_to(name: str, version: str, number: int | None) -> None:
    entry = catalogue.of_package(name, version)
    assert (entry.number if entry else None) == number


GOOD = """\
entries:
  - {number: 1, name: a, layer: packages, matchers: [boom], cause: c, remedy: r, evidence: [e]}
"""


def test_a_small_catalogue_can_be_read() -> None:
    [entry] = catalogue.parse(GOOD)
    assert entry.matches("it went boom") and not entry.matches("BOOM")


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("number: 1, ", "", "no entry with a number"),
        ("cause: c", "cause: c, colour: red", "colour"),
        ("cause: c, ", "", "cause"),
        ("[boom]", "['(boom']", "no regular expression"),
        ("[boom]", "['.*']", "matches everything"),
        ("[boom]", "boom", "matchers"),
        ("[boom]", "[]", "matchers"),
        ("[boom]", "[3]", "matchers"),
        ("matchers: [boom], ", "", "nothing can ever find it"),
        ("packages", "cellar", "cellar"),
        ("cause: c", "cause: c, found_by: [attic]", "attic"),
        ("cause: c", "cause: ' '", "cause"),
        ("cause: c", "cause: c, benign: perhaps", "benign"),
        ("cause: c", "cause: c, package: numpy", "package"),
        ("cause: c", "cause: c, package: {name: numpy, from: 1.2}", "package"),
        ("cause: c", "cause: c, package: {name: Ruamel.Yaml, from: '1'}", "package"),
        (GOOD, "entries: 3", "list"),
        ("entries:", "other:", "list"),
        ("{number", "{{number", "YAML"),
        (GOOD[9:], GOOD[9:] * 2, "twice"),
        (GOOD[9:], GOOD[9:] + GOOD[9:].replace("1", "2"), "name a is there twice"),
    ],
)
def test_what_is_wrong_in_a_catalogue_is_said(old: str, new: str, said: str) -> None:
    with pytest.raises(catalogue.CatalogueError, match=re.escape(said)):
        catalogue.parse(GOOD.replace(old, new, 1))


# The same failures as other programs, shells and versions word them.
ALSO = [
    (
        1,
        "python: error while loading shared libraries: libcusolver.so.10.0: cannot open shared object file: No",
    ),
    (1, "Nov 24 08:00:01 rig3 job[123]: ImportError: /usr/local/cuda-10.0/lib64/libcublas.so.10.0: file too short"),
    (2, "ImportError: libcudnn.so.7: invalid ELF header"),
    (
        4,
        "2026-01-01 00:00:00.0: I tensorflow/dso_loader.cc:142] Couldn't open CUDA library libcurand.so.10.0.",
    ),
    (10, "AttributeError: module 'numpy' has no attribute 'typeDict'"),
    (11, "RuntimeError: module compiled against API version 0xf but this version of numpy is 0xd"),
    (13, '"dump()" has been removed, use'),
    (15, "ModuleNotFoundError: No module named 'wx.lib'"),
    (21, "Loaded runtime CuDNN library: 7104 (compatibility version 7100) but source was compiled with 7402."),
    (26, "NVIDIA-SMI has failed because it couldn\u2019t communicate with the NVIDIA driver."),
    (28, "InternalError: Blas xGEMMBatched launch failed : a.shape=[4,64,64]"),
    (28, "InternalError: Blas xGEMV launch failed : a.shape=[4,64]"),
    (31, "  No matching distribution found for tensorflow_gpu==1.13.1 (from -r requirements.txt (line 3))"),
    (32, "AttributeError: module 'tensorflow' has no attribute 'reset_default_graph'"),
    (35, "job.sh: line 3:  4711 Illegal instruction     (core dumped) python3.7 -c 'import tensorflow'"),
    (35, "Fatal Python error: Illegal instruction"),
    (40, "ModuleNotFoundError: No module named 'distutils.cmd'"),
    (41, "cp: cannot create '/env/deeplabcut/pose_estimation_tensorflow/models/pretrained/x': Permission denied"),
    (1, "progress " * 1000 + "ImportError: libcublas.so.10.0: cannot open shared object file"),
]
NEARER = [
    "Illegal instructions are listed below",
    "No module named 'tensorflow.contribution'",
    "NO_PUBKEY A4B469963BF863CCAA",
    "OSError: libfoo.so.10.0: file too short",
]


@pytest.mark.parametrize(("number", "line"), ALSO)
def test_other_words_for_the_same(number: int, line: str) -> None:
    assert numbers(line) == [number]


@pytest.mark.parametrize("line", NEARER)
def test_other_things_in_like_words(line: str) -> None:
    assert numbers(line) == []
