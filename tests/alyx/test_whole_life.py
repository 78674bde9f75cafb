"""Three sessions and nine tasks, from Waiting to registered tables, through the command line."""

from __future__ import annotations

from alyx_lab import AlyxLab, md5_of_bytes

CAMERAS = {"KS001": ("right", "body"), "KS002": ("body",), "KS003": ("left",)}


def test_three_sessions_and_nine_tasks(alyx_lab: AlyxLab) -> None:
    world = alyx_lab.world
    tasks = {subject: alyx_lab.mouse(subject, *cameras)[1] for subject, cameras in CAMERAS.items()}
    document = alyx_lab.json("process", "--source", "alyx")
    assert document["exit_code"] == 0, document
    for parent, task, child in tasks.values():
        assert (world.status(parent), world.status(task), world.status(child)) == ("Complete", "Complete", "Waiting")
        assert world.seen(task) == ["Started", "Complete"]
        row = world.tasks[task]
        assert (
            row["version"].startswith("iblvideo-admin_") and row["time_elapsed_secs"] > 0 and "Complete" in row["log"]
        )
    tables = alyx_lab.tables()
    assert sorted(tables) == sorted(f"{subject} {camera}" for subject, used in CAMERAS.items() for camera in used)
    registered = {f"{world.sessions[d['session']]['subject']} {d['name'][5:-14]}": d for d in world.registered()}
    assert registered.keys() == tables.keys() and len(world.registered()) == len(tables)
    for name, content in tables.items():
        row = registered[name]
        assert (row["file_size"], row["hash"]) == (len(content), md5_of_bytes(content))
        assert row["version"].endswith("+weights_v9.9") and row["collection"] == "alf"
        exists = {record["data_repository"]: record["exists"] for record in row["file_records"]}
        assert exists == {"testlab_SR": True, "flatiron_testlab": False}
    again = alyx_lab.json("process", "--source", "alyx")
    assert again["exit_code"] == 0 and again["data"]["jobs"] == []
    assert len(world.registered()) == len(tables)
