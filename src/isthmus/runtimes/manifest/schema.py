"""The JSON Schema of `isthmus.toml`, for editors, from the table of keys the reader checks by.

It says what a schema can: keys, kinds and choices. What parts say of each other, and what is in a
pattern or a version range, is for the reader.
"""

from __future__ import annotations

import json
from typing import Any

from isthmus import tomltext
from isthmus.runtimes.manifest.keys import MANIFEST, Key, Table
from isthmus.runtimes.manifest.kinds import KINDS
from isthmus.runtimes.manifest.values import NAME

__all__ = ["manifest_schema", "manifest_schema_text"]

Schema = dict[str, Any]


def manifest_schema() -> Schema:
    """The schema, JSON Schema 2020-12. No part refers to another: every editor can follow."""
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$id": "urn:isthmus:manifest-schema:1",
        "$comment": "Generated from isthmus/runtimes/manifest/keys.py.",
        "title": "isthmus.toml",
        **_table(MANIFEST),
    }


def manifest_schema_text() -> str:
    """The schema as the file's text."""
    return json.dumps(manifest_schema(), indent=2, ensure_ascii=False) + "\n"


def _table(table: Table) -> Schema:
    schema: Schema = {
        "type": "object",
        "description": table.help,
        "properties": {key.name: _key(key) for key in table.keys},
        "additionalProperties": False,
    }
    required = [key.name for key in table.keys if key.required]
    if required:
        schema["required"] = required
    if table.one_of:
        schema |= {"minProperties": 1, "maxProperties": 1}
    return schema


def _key(key: Key) -> Schema:
    if key.table is None:
        return {"description": key.help, **KINDS[key.kind].schema, **_shown(key)}
    if not key.named:
        return {**_table(key.table), "description": key.help}
    return {
        "type": "object",
        "description": key.help,
        "propertyNames": {"pattern": f"^{NAME}$"},
        "additionalProperties": _table(key.table),
    }


def _shown(key: Key) -> Schema:
    shown: Schema = {}
    if key.default:
        shown["default"] = _parsed(key.default)
    if key.example:
        shown["examples"] = [_parsed(key.example)]
    return shown


def _parsed(value: str) -> Any:
    return tomltext.loads(f"value = {value}")["value"]
