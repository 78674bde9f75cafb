"""The report's page: a template whose every value is escaped, with its style and script inside."""

from __future__ import annotations

import time
from importlib import resources
from typing import Any

from iblvideo_admin.render.amounts import count, size, span
from iblvideo_admin.render.text import plain, when

_COLUMNS = (
    ("session", "session", "text", "subject/date/number"),
    ("camera", "camera", "text", ""),
    ("status", "status", "text", "the job's status, or why it failed"),
    ("since", "since", "number", "since when it is so"),
    ("frames", "frames", "number", "rows of the table"),
    ("fps", "frames/s", "number", "of the main pass"),
    ("sure", "sure", "number", "part of frames with a likelihood of 0.9 or more, mean over the points"),
    ("worst", "least sure", "text", "the point that is least sure"),
    ("missing", "missing", "number", "part of frames without a position"),
    ("jumps", "jumps", "number", "steps of more than 1/64 of the picture's width, in a thousand between sure frames"),
)


def page(data: dict[str, Any]) -> str:
    """One HTML document of what :func:`reporting.report.gather` found; it asks for nothing outside itself."""
    from markupsafe import Markup

    # our own files, and the only text that is not escaped
    own = {name: Markup(_file(f"report.{name}")) for name in ("css", "js")}  # noqa: S704
    template = _environment().get_template("report.html.j2")
    parts = {name: data[name] for name in ("rows", "sessions", "left_out", "chart", "codes")}
    return str(
        template.render(
            s=data["snapshot"],
            columns=_COLUMNS,
            details=[_detail(row) for row in data["rows"]],
            pictures=[row["picture"] for row in data["rows"]],
            **parts,
            **own,
        )
    )


def _environment() -> Any:
    from jinja2 import Environment, FunctionLoader, StrictUndefined

    environment = Environment(
        autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True, loader=FunctionLoader(_file)
    )
    environment.filters |= {
        "count": count, "iso": _iso, "percent": _percent, "plain": plain, "size": size, "span": span,
        "when": when,
    }  # fmt: skip
    return environment


def _file(name: str) -> str:
    return resources.files(__package__).joinpath("page", name).read_text(encoding="utf-8")


def _detail(row: dict[str, Any]) -> dict[str, Any]:
    """What is shown when a row is opened."""
    state = row["state"]
    said = [state.get("message"), state.get("because"), state.get("remedy"), *state.get("warnings", ()), row["problem"]]
    quality = row["quality"] or {"points": {}}
    return {
        "id": row["id"],
        "log": row["log"],
        "said": [plain(text) for text in said if text],
        "points": [
            [name, one["sure"], one["likelihood"], one["missing"], one["jumps"], _digits(one["course"])]
            for name, one in quality["points"].items()
        ],
    }


def _iso(seconds: float) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(seconds))


def _percent(part: float | None) -> str:
    return "" if part is None else f"{100 * part:.1f} %"


def _digits(course: list[float]) -> str:
    """A course in ninths, a digit each: a page of many videos is read ten times as fast."""
    return "".join(str(round(9 * min(max(part, 0.0), 1.0))) for part in course)
