"""Keys and certificates of a lab, checked by openssl and by what the agent reads."""

from __future__ import annotations

import json
import subprocess
from datetime import UTC, datetime
from pathlib import Path

import pytest

from dmvpn_lab.daemon import config as agent_config
from dmvpn_lab.render import agent, credentials, pki
from dmvpn_lab.render.files import files
from dmvpn_lab.spec import plan
from dmvpn_lab.spec.load import parse
from dmvpn_lab.spec.plan_types import Plan
from dmvpn_lab.spec.validate import validate

TOPOLOGIES = Path(__file__).parents[3] / "topologies"


def lab(authentication: str) -> Plan:
    """The certificates' topology with another authentication."""
    text = (TOPOLOGIES / "ipsec-certificates.yml").read_text()
    changed = text.replace("authentication: certificates", f"authentication: {authentication}")
    return plan.plan(validate(parse(changed.encode(), "x.yml")), "x.yml")


def openssl(*argv: str) -> str:
    return subprocess.run(["openssl", *argv], capture_output=True, text=True, check=True).stdout


def test_openssl_verifies_each_certificate_with_the_ca_and_finds_the_name(tmp_path: Path) -> None:
    for node, written in files(lab("certificates")).items():
        if credentials.CA not in written:
            continue
        for path in (credentials.CA, credentials.CERTIFICATE, credentials.KEY):
            (tmp_path / Path(path).name).write_text(written[path])
        said = openssl("verify", "-x509_strict", "-CAfile", str(tmp_path / "ca.pem"),
                       "-verify_hostname", f"{node}.ipsec-certificates.test",
                       str(tmp_path / "certificate.pem"))  # fmt: skip
        assert said.strip().endswith("OK")
        ours = openssl("pkey", "-in", str(tmp_path / "key.pem"), "-pubout")
        assert ours == openssl("x509", "-in", str(tmp_path / "certificate.pem"), "-pubkey", "-noout")


def test_routers_have_different_keys_and_one_ca() -> None:
    written = [each for each in files(lab("certificates")).values() if credentials.CA in each]
    assert len(written) == 3
    assert len({each[credentials.KEY] for each in written}) == 3
    assert len({each[credentials.CA] for each in written}) == 1


def test_another_topology_has_other_keys() -> None:
    assert credentials.seed(lab("certificates"), "ca") != credentials.seed(lab("spoke-keys"), "ca")


def test_a_certificate_may_end_when_one_wants() -> None:
    ca = pki.authority("ab" * 32, "ca")
    past = datetime(2021, 1, 1, tzinfo=UTC)
    made = pki.certificate(ca, "cd" * 32, "x.test", end=past)
    assert made.certificate.not_valid_after_utc == past


def test_each_spoke_shares_a_key_of_its_own_with_the_hub() -> None:
    made = lab("spoke-keys")
    read = {
        each.name: agent_config.parse(_document(made, each.name)).ipsec for each in made.routers()
    }  # fmt: skip
    hub, spoke_a, spoke_b = read["hub"], read["spoke-a"], read["spoke-b"]
    assert hub is not None
    assert spoke_a is not None
    assert spoke_b is not None
    assert set(hub.secrets) == {*spoke_a.secrets, *spoke_b.secrets}
    assert len({secret.data for secret in hub.secrets}) == 2
    for spoke in (spoke_a, spoke_b):
        assert set(spoke.secrets[0].owners) == {hub.identity, spoke.identity}


@pytest.mark.parametrize("authentication", ["spoke-keys", "certificates"])
def test_a_hub_knows_who_owns_each_tunnel_address_and_a_spoke_does_not_ask(authentication: str) -> None:
    made = lab(authentication)
    (hub,) = agent_config.parse(_document(made, "hub")).tunnels
    assert hub.owners is not None
    assert {str(address): name for address, name in hub.owners.items()}["10.0.0.11"] == (
        "spoke-a.ipsec-certificates.test"
    )
    (spoke,) = agent_config.parse(_document(made, "spoke-a")).tunnels
    assert spoke.owners is None


def _document(made: Plan, node: str) -> dict[str, object]:
    document: dict[str, object] = json.loads(agent.agent(made, made.node(node)))
    return document
