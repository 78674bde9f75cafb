"""The part of Alyx's OpenAPI document that ONE reads: paths, methods, parameters, fields."""

from __future__ import annotations

from typing import Any

_TASK_FILTERS = (
    "arguments cpu data_repository datetime django executable gpu graph id io_charge lab level limit log name offset "
    "parents priority ram session status time_elapsed_secs time_out_secs version"
)
_LISTS = {
    "tasks": _TASK_FILTERS,
    "sessions": "date_range django lab limit location nickname number offset projects subject task_protocol type users",
    "datasets": "collection created_by dataset_type django exists id limit name offset session subject",
    "data-repository": "django globus_endpoint_id limit name offset",
    "dataset-types": "limit offset",
    "data-formats": "limit offset",
    "labs": "django limit name offset",
    "check-protected": "",
}
_DETAILS = {"tasks": "id", "sessions": "id", "datasets": "id", "data-repository": "name", "files": "id"}


def document() -> dict[str, Any]:
    """``GET /api/schema``."""
    paths: dict[str, Any] = {"/api/schema": {"get": {}}, "/auth-token": {"post": {}}}
    for endpoint, filters in _LISTS.items():
        parameters = [{"name": name, "in": "query", "schema": {"type": "string"}} for name in filters.split()]
        paths[f"/{endpoint}"] = {"get": {"description": "", "parameters": parameters}}
    for endpoint, key in _DETAILS.items():
        parameters = [{"name": key, "in": "path", "required": True, "schema": {"type": "string"}}]
        methods = {"get": {"parameters": parameters}, "patch": {"parameters": parameters, **_body(endpoint)}}
        paths[f"/{endpoint}/{{{key}}}"] = methods
    paths["/tasks"]["post"] = _body("tasks")
    paths["/register-file"] = {"post": {"description": ""}}
    schemas = {_name(endpoint): {"type": "object", "properties": {"status": {}}} for endpoint in _DETAILS}
    return {
        "openapi": "3.0.3", "info": {"title": "", "version": "0.0.0"}, "paths": paths,
        "components": {"schemas": schemas},
    }  # fmt: skip


def _name(endpoint: str) -> str:
    return endpoint.title().replace("-", "")


def _body(endpoint: str) -> dict[str, Any]:
    content = {"application/json": {"schema": {"$ref": f"#/components/schemas/{_name(endpoint)}"}}}
    return {"requestBody": {"content": content}}
