"""Snapshots are read as TensorFlow wrote them, and damaged ones are named."""

from __future__ import annotations

import shutil
from pathlib import Path

import made_table
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from iblvideo_admin.engines import weights
from iblvideo_admin.engines.conversion import checkpoint
from iblvideo_admin.engines.weights import NetworkFiles
from iblvideo_admin.errors import UserError

ARRAYS = {"b/weights": np.arange(6, dtype="<f4").reshape(1, 2, 3), "a/biases": np.array([0.5], "<f4")}


@pytest.fixture
def eye(demo_weights: Path, tmp_path: Path) -> NetworkFiles:
    """A network of the demo, in a place where it may be damaged."""
    shutil.copytree(demo_weights, tmp_path / "weights")
    [network] = weights.load(tmp_path / "weights", ["eye"])
    return network


def write(folder: Path, index: bytes, data: bytes) -> Path:
    (folder / "made.index").write_bytes(index)
    (folder / "made.data-00000-of-00001").write_bytes(data)
    return folder / "made"


def test_a_real_snapshot_is_read(eye: NetworkFiles) -> None:
    """TensorFlow 1.13.1 wrote it: names, shapes, and values that a network can have."""
    found = checkpoint.read(eye.snapshot)
    assert found["MobilenetV2/Conv/weights"].shape == (3, 3, 3, 16)
    assert found["pose/part_pred/block4/biases"].shape == (4,)
    assert checkpoint.names(eye.snapshot) == {name: value.shape for name, value in found.items()}
    assert all(np.isfinite(value).all() for value in found.values())
    assert found["MobilenetV2/Conv/BatchNorm/moving_variance"].min() > 0
    only = checkpoint.read(eye.snapshot, lambda name: name.startswith("pose/"))
    assert set(only) == {name for name in found if name.startswith("pose/")}


def test_made_ones_come_back(tmp_path: Path) -> None:
    found = checkpoint.read(write(tmp_path, *made_table.checkpoint(ARRAYS.items())))
    assert found.keys() == ARRAYS.keys()
    for name, value in ARRAYS.items():
        np.testing.assert_array_equal(found[name], value)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [({"sliced": True}, "stored in slices"), ({"kind": 7}, "no numbers"), ({"checksum": 1}, "checksum"),
     ({"kind": 2}, "not the size of")],
)  # fmt: skip
def test_what_cannot_be_used_is_said(tmp_path: Path, arguments: dict[str, object], said: str) -> None:
    prefix = write(tmp_path, *made_table.checkpoint(ARRAYS.items(), **arguments))
    with pytest.raises(UserError, match=said) as raised:
        checkpoint.read(prefix)
    assert raised.value.code == "weights.damaged" and str(prefix) in raised.value.message


def test_a_big_endian_one_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="big-endian"):
        checkpoint.read(write(tmp_path, made_table.table([(b"", made_table.header(big_endian=True))]), b""))


def test_a_shard_that_is_missing_is_named(eye: NetworkFiles) -> None:
    path = Path(f"{eye.snapshot}.data-00000-of-00001")
    path.unlink()
    with pytest.raises(UserError, match="data-00000-of-00001: No such file"):
        checkpoint.read(eye.snapshot)


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    part=st.sampled_from(["index", "data-00000-of-00001"]),
    where=st.floats(0, 1, exclude_max=True),
    bit=st.integers(0, 7),
)
def test_one_wrong_bit_is_found(eye: NetworkFiles, part: str, where: float, bit: int) -> None:
    path = Path(f"{eye.snapshot}.{part}")
    good = path.read_bytes()
    bad = bytearray(good)
    bad[int(where * len(bad))] ^= 1 << bit
    path.write_bytes(bad)
    try:
        found = checkpoint.read(eye.snapshot)
    except UserError as error:
        assert error.code == "weights.damaged" and path.name in error.message  # noqa: PT017  it need not be raised
    else:  # the padding of the index's footer, or its empty description
        assert part == "index" and int(where * len(bad)) >= len(bad) - 100
        assert len(found) == 264
    finally:
        path.write_bytes(good)


@settings(max_examples=30, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(part=st.sampled_from(["index", "data-00000-of-00001"]), where=st.floats(0, 1, exclude_max=True))
def test_what_is_cut_off_is_found(eye: NetworkFiles, part: str, where: float) -> None:
    path = Path(f"{eye.snapshot}.{part}")
    good = path.read_bytes()
    path.write_bytes(good[: int(where * len(good))])
    try:
        with pytest.raises(UserError) as raised:
            checkpoint.read(eye.snapshot)
        assert raised.value.code == "weights.damaged" and path.name in raised.value.message
    finally:
        path.write_bytes(good)
