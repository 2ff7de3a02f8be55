"""Generates what is derived from the schema: docs/topology.md and the JSON Schema.

python3 -m dmvpn_lab.spec.reference      writes both (make docs)
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from pydantic import BaseModel

from dmvpn_lab.spec.model import Cloud, Dhcp, External, Ipsec, Lab, Membership, Nat, Node, Routing, StaticMap

TOP = Path(__file__).resolve().parent.parent.parent
SCHEMA_PATH = TOP / "topologies" / "topology.schema.json"
REFERENCE_PATH = TOP / "docs" / "topology.md"
SECTIONS: tuple[tuple[str, type[BaseModel]], ...] = (
    ("The file", Lab),
    ("`clouds.NAME`", Cloud),
    ("`clouds.NAME.routing`", Routing),
    ("`clouds.NAME.ipsec`", Ipsec),
    ("`nats.NAME`", Nat),
    ("`nodes.NAME`", Node),
    ("`nodes.NAME.nbma`, for a lease", Dhcp),
    ("`nodes.NAME.external`", External),
    ("`nodes.NAME.clouds.NAME`", Membership),
    ("`nodes.NAME.clouds.NAME.map[]`", StaticMap),
)
INTRODUCTION = """<!-- Generated from dmvpn_lab/spec/model.py by `make docs`. -->
# Topology reference

A topology has **clouds** (DMVPNs) and **nodes** (hubs and spokes). What follows from the rest is left out:
the ISP router between the NBMA subnets (the last address of each), a host behind each LAN (the first free
address), and on each spoke the static map, the multicast map and the NHS of its hubs.

Editors that know the YAML language server check a file that begins with

    # yaml-language-server: $schema=topology.schema.json

for which `dmvpn-lab schema --output topology.schema.json` writes the schema. Times are in seconds.
"""


def json_schema() -> str:
    """The JSON Schema of a topology as text."""
    schema = Lab.model_json_schema()
    for section in (schema, *schema["$defs"].values()):
        for value in section["properties"].values():
            if "patternProperties" in value:
                value["additionalProperties"] = False  # a name that the pattern refuses is an error
    return json.dumps({"$schema": "https://json-schema.org/draft/2020-12/schema", **schema}, indent=2) + "\n"


def reference() -> str:
    """docs/topology.md."""
    parts = [INTRODUCTION]
    for title, section in SECTIONS:
        parts += [f"## {title}\n", (section.__doc__ or "").strip() + "\n"]
        rows = ["| key | default | meaning |", "|---|---|---|"]
        rows += [_row(section, name) for name in section.model_fields]
        parts.append("\n".join(rows) + "\n")
    return "\n".join(parts)


def _row(section: type[BaseModel], name: str) -> str:
    field = section.model_fields[name]
    return f"| `{field.alias}` | {_default(field)} | {field.description} |"


def _default(field: Any) -> str:
    if field.is_required():
        return "required"
    if field.default_factory is not None or field.default is None or field.default == ():
        return ""
    return f"`{json.dumps(field.default)}`"


def main() -> None:
    """Write both files."""
    SCHEMA_PATH.write_text(json_schema(), encoding="utf-8")
    REFERENCE_PATH.write_text(reference(), encoding="utf-8")


if __name__ == "__main__":
    main()
