"""Configuration: the order of its sources, its types, and what is refused."""

from __future__ import annotations

from pathlib import Path

import pytest

from iblvideo_admin import settings
from iblvideo_admin.errors import UserError


def load(tmp_path: Path, text: str | None = None, **environment: str) -> settings.Settings:
    env = {f"IBLVIDEO_ADMIN_{name.upper()}": value for name, value in environment.items()}
    if text is not None:
        file = tmp_path / "config.toml"
        file.write_text(text)
        env["IBLVIDEO_ADMIN_CONFIG"] = str(file)
    return settings.load(env)


def test_defaults_are_those_of_a_lab_server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(settings, "SYSTEM_FILE", tmp_path / "absent")
    monkeypatch.setenv("HOME", str(tmp_path))
    loaded = settings.load({})
    assert loaded.subjects_dir == Path("/mnt/s0/Data/Subjects")
    assert loaded.sources == ()


def test_later_sources_win(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    system = tmp_path / "system.toml"
    system.write_text('lab = "a"\ntoolchain = "dlc-tf1-cpu"\nsubjects_dir = "/data"\n')
    monkeypatch.setattr(settings, "SYSTEM_FILE", system)
    monkeypatch.setenv("HOME", str(tmp_path))
    own = tmp_path / ".config/iblvideo-admin/config.toml"
    own.parent.mkdir(parents=True)
    own.write_text('lab = "b"\nsubjects_dir = "/own"\n')
    loaded = settings.load({"IBLVIDEO_ADMIN_LAB": "c"})
    assert (loaded.toolchain, loaded.subjects_dir, loaded.lab) == ("dlc-tf1-cpu", Path("/own"), "c")
    assert loaded.sources == (str(system), str(own), "IBLVIDEO_ADMIN_LAB")


@pytest.mark.parametrize(
    "text",
    ["lab = 3", "subjects_dir = 'relative'", "nothing = 'x'", "lab = ", "windows = 'x'", "retry_wait_s = -1",
     "retry_wait_s = 'soon'", "retry_wait_s = true", "lab = ['a']"],
)  # fmt: skip
def test_what_is_refused(tmp_path: Path, text: str) -> None:
    with pytest.raises(UserError) as caught:
        load(tmp_path, text)
    assert caught.value.code == "settings.invalid"
    assert "config.toml" in caught.value.message and "\n" not in caught.value.message


def test_a_named_file_must_exist() -> None:
    with pytest.raises(UserError, match="does not exist"):
        settings.load({"IBLVIDEO_ADMIN_CONFIG": "/nowhere/config.toml"})


def test_numbers_from_the_environment(tmp_path: Path) -> None:
    assert load(tmp_path, retry_wait_s="2.5").retry_wait_s == 2.5
    with pytest.raises(UserError, match="IBLVIDEO_ADMIN_RETRY_WAIT_S"):
        load(tmp_path, retry_wait_s="nan")


def test_switches(tmp_path: Path) -> None:
    assert load(tmp_path, "").even_offsets is False
    assert load(tmp_path, "even_offsets = true").even_offsets is True
    assert load(tmp_path, "even_offsets = true", even_offsets="false").even_offsets is False
    assert load(tmp_path, even_offsets="True").even_offsets is True
    assert settings.as_data(load(tmp_path, even_offsets="true"))["even_offsets"] is True
    for wrong in ("1", "yes", ""):
        with pytest.raises(UserError, match="IBLVIDEO_ADMIN_EVEN_OFFSETS: even_offsets must be true or false"):
            load(tmp_path, even_offsets=wrong)
    with pytest.raises(UserError, match="true or false"):
        load(tmp_path, "even_offsets = 1")


def test_tables_come_from_files(tmp_path: Path) -> None:
    loaded = load(tmp_path, "[windows.body]\ntail_start = [430, 300]\n")
    assert loaded.windows == {"body": {"tail_start": [430, 300]}}


def test_an_empty_name_of_a_file_is_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(settings, "SYSTEM_FILE", tmp_path / "absent")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert settings.load({"IBLVIDEO_ADMIN_CONFIG": ""}).sources == ()


def test_files_as_other_systems_write_them(tmp_path: Path) -> None:
    file = tmp_path / "config.toml"
    file.write_bytes('\ufefflab = "ü"\r\nsubjects_dir = "/data"\r\n'.encode())
    assert settings.load({"IBLVIDEO_ADMIN_CONFIG": str(file)}).lab == "ü"


@pytest.mark.parametrize(
    "text",
    ["retry_wait_s = 1" + "0" * 400, "slurm = " + "[" * 5000, "subjects_dir = '~nobody-of-this-name/x'",
     'subjects_dir = "/a\\u0000b"', "retry_wait_s = nan", "lab = 2026-01-01"],
)  # fmt: skip
def test_values_that_only_look_right(tmp_path: Path, text: str) -> None:
    with pytest.raises(UserError) as caught:
        load(tmp_path, text)
    assert caught.value.code == "settings.invalid"


def test_a_folder_and_bytes_are_no_configuration(tmp_path: Path) -> None:
    (tmp_path / "bytes").write_bytes(b"\xff\xfe\x00")
    for path in (tmp_path, tmp_path / "bytes"):
        with pytest.raises(UserError, match="cannot be read"):
            settings.load({"IBLVIDEO_ADMIN_CONFIG": str(path)})


def test_a_file_to_begin_with_changes_nothing_and_names_everything(tmp_path: Path) -> None:
    """Each line without its comment sign is valid, too."""
    written = settings.template()
    plain = settings.load({"IBLVIDEO_ADMIN_CONFIG": str(_file(tmp_path, ""))})
    begun = settings.load({"IBLVIDEO_ADMIN_CONFIG": str(_file(tmp_path, written))})
    assert settings.as_data(begun) == settings.as_data(plain)
    for name, value in settings.as_data(plain).items():
        assert f"\n# {name} = " in written
        if value is not None and not isinstance(value, dict):
            [line] = [line for line in written.splitlines() if line.startswith(f"# {name} = ")]
            loaded = settings.load({"IBLVIDEO_ADMIN_CONFIG": str(_file(tmp_path, line[2:]))})
            assert settings.as_data(loaded)[name] == value


def _file(folder: Path, text: str) -> Path:
    (path := folder / "config.toml").write_text(text)
    return path
