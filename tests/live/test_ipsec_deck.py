"""The deck's own transform set of 2004, as far as kernel and strongSwan still have it."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.live import labs

pytestmark = pytest.mark.live


def test_the_decks_transform_set_under_ikev1_protects_every_tunnel(tmp_path: Path) -> None:
    path = labs.topology(tmp_path, "ipsec-deck", "test-ipsec-deck")
    with labs.running(path) as lab:
        results = lab.verify()
    assert [f"{r.name} {r.node}: {r.observed}" for r in results if not r.passed] == []
    pairs = [r.observed for r in results if r.name == "encryption" and "SA pair" in r.observed]
    assert pairs == ["IKEv1, 3DES_CBC/HMAC_SHA1_96, 1 SA pair"] * 2
