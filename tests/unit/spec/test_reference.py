"""What is generated from the model is up to date, and means the same as the model."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml

from dmvpn_lab.controller import bundled_topologies
from dmvpn_lab.spec import reference
from tests.unit.spec.labs import BUNDLED, DUAL_HUB, TWO_CLOUDS

SCHEMA: dict[str, Any] = json.loads(reference.json_schema())
VALIDATOR = jsonschema.Draft202012Validator(SCHEMA)
WRONG = Path(__file__).parents[2] / "errors"


def complaints(document: Any) -> list[str]:
    return [error.json_path for error in VALIDATOR.iter_errors(document)]


def test_the_reference_is_what_the_model_says() -> None:
    assert reference.REFERENCE_PATH.read_text(encoding="utf-8") == reference.reference(), "run 'make docs'"


def test_the_json_schema_is_what_the_model_says() -> None:
    assert reference.SCHEMA_PATH.read_text(encoding="utf-8") == reference.json_schema(), "run 'make docs'"


def test_the_json_schema_is_one() -> None:
    jsonschema.Draft202012Validator.check_schema(SCHEMA)


def test_each_key_is_described_for_editors() -> None:
    sections = [SCHEMA, *SCHEMA["$defs"].values()]
    bare = [key for section in sections for key, value in section["properties"].items()
            if "description" not in value]  # fmt: skip
    assert bare == []


@pytest.mark.parametrize("name", BUNDLED)
def test_editors_accept_the_bundled_topologies(name: str) -> None:
    text = (bundled_topologies() / f"{name}.yml").read_text(encoding="utf-8")
    assert complaints(yaml.safe_load(text)) == []


@pytest.mark.parametrize("text", [DUAL_HUB, TWO_CLOUDS])
def test_editors_accept_what_the_model_accepts(text: str) -> None:
    assert complaints(yaml.safe_load(text)) == []


@pytest.mark.parametrize(
    ("case", "where"),
    [
        ("unknown-keys", {"$", "$.clouds.dmvpn", "$.clouds.dmvpn.routing", "$.nodes.hub"}),
        ("missing-keys", {"$", "$.clouds.dmvpn", "$.nodes.hub", "$.nodes['spoke-a'].clouds.dmvpn"}),
        ("values-out-of-range", {"$.clouds.dmvpn.mtu", "$.clouds.dmvpn['spoke-gre']"}),
        ("empty-sections", {"$.clouds", "$.nodes"}),
        ("bad-names", {"$.lab", "$.isp", "$.clouds", "$.nodes"}),
        ("no-addresses", {"$.nodes.hub.nbma", "$.clouds.other.subnet"}),
    ],
)
def test_editors_see_the_same_mistakes(case: str, where: set[str]) -> None:
    document = yaml.safe_load((WRONG / f"{case}.yml").read_text(encoding="utf-8"))
    assert where <= set(complaints(document))
