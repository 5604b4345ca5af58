"""Writes `docs/steps.md` from the steps themselves: run `make docs`, `make check` compares."""

from __future__ import annotations

import inspect
import re
import sys
from pathlib import Path

from datatools.steps import EXPORTS, STEPS, load_export, load_step
from datatools.steps.base import Filter, FlatMap, Global, Map, Source, Step

KINDS = {Source: "source", Map: "map", FlatMap: "flat map", Filter: "filter", Global: "global"}


def kind_of(step: type[Step]) -> str:
    return next(name for kind, name in KINDS.items() if issubclass(step, kind))


def shown_type(annotation: object) -> str:
    text = str(annotation) if not isinstance(annotation, type) else annotation.__name__
    text = re.sub(r"typing\.|annotated_types\.|datatools\.[a-z_.]+\.", "", text)
    return text.replace("NoneType", "None").replace("|", "or")


def fields(model: type[Step]) -> list[str]:
    lines = []
    for name, field in model.model_fields.items():
        default = "required" if field.is_required() else f"default `{field.default!r}`"
        described = re.sub(r"\s+", " ", field.description or "").strip()
        kind = shown_type(model.model_json_schema()["properties"][name].get("type", "see schema"))
        lines.append(f"- `{name}` ({kind}, {default}): {described}")
    return lines


def section(name: str) -> list[str]:
    step = load_step(name)
    takes = step.takes or ("nothing" if issubclass(step, Source) else "any record")
    gives = step.gives or "the same"
    lines = [f"## {name}", "", f"*{kind_of(step)}; takes {takes}, gives {gives}*", ""]
    lines += [inspect.cleandoc(step.__doc__ or "").replace("Example:\n", "Example:\n\n"), ""]
    return [*lines, *fields(step), ""]


def main() -> None:
    lines = [
        "# Steps",
        "",
        "Made from the classes by `make docs`. A name is the class, the YAML key and the label.",
        "",
    ]
    for name in STEPS:
        lines += section(name)
    lines += ["# Export formats", ""]
    for name in EXPORTS:
        lines += [f"## {name}", "", inspect.cleandoc(load_export(name).__doc__ or ""), ""]
    text = "\n".join(lines).rstrip() + "\n"
    if sys.argv[1:] == ["--stdout"]:
        sys.stdout.write(text)
        return
    (Path(__file__).parent / "steps.md").write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
