"""The JSON Schema of a pipeline file, made from the steps themselves."""

from __future__ import annotations

from typing import Any

from datatools.pipeline.definition import Pipeline
from datatools.steps import EXPORTS, STEPS, load_export, load_step

__all__ = ["pipeline_schema"]


def pipeline_schema() -> dict[str, Any]:
    """Return the JSON Schema of a pipeline file, made from the steps themselves."""
    schema = Pipeline.model_json_schema(by_alias=True)
    definitions = schema.setdefault("$defs", {})
    step_options: list[dict[str, Any]] = [{"type": "string", "enum": list(STEPS)}]
    for name in STEPS:
        step_schema = load_step(name).model_json_schema(by_alias=True)
        definitions.update(step_schema.pop("$defs", {}))
        definitions[name] = step_schema
        step_options.append(_single(name))
    own = {"type": "string", "pattern": "^[A-Za-z_][A-Za-z0-9_.]*:[A-Za-z_][A-Za-z0-9_]*$"}
    step_options += [
        own,
        {"type": "object", "minProperties": 1, "maxProperties": 1, "propertyNames": own},
    ]
    export_options: list[dict[str, Any]] = [{"type": "string", "enum": list(EXPORTS)}]
    for name in EXPORTS:
        definitions[f"export-{name}"] = load_export(name).model_json_schema()
        export_options.append(_single(name, f"export-{name}"))
    dataset = definitions["Dataset"]["properties"]
    for field, options in (("steps", step_options), ("export", export_options)):
        described = dataset[field].get("description")
        dataset[field] = {"type": "array", "items": {"anyOf": options}}
        if described:
            dataset[field]["description"] = described
    for name in ("Step", "Export"):
        definitions.pop(name, None)
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "datatools pipeline",
        **{key: value for key, value in schema.items() if key != "title"},
    }


def _single(name: str, definition: str | None = None) -> dict[str, Any]:
    return {
        "type": "object",
        "properties": {
            name: {"anyOf": [{"$ref": f"#/$defs/{definition or name}"}, {"type": "null"}]}
        },
        "required": [name],
        "additionalProperties": False,
    }
