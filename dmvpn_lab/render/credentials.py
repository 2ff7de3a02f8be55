"""The keys of a lab: derived from its topology, so that the same topology gives the same files.

A lab's secrets are no secrets: who has the topology has its keys. Nothing else may rest on them.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Iterator

from dmvpn_lab.render.identity import identity
from dmvpn_lab.spec.plan_types import IpsecPlan, NodePlan, Plan

FOLDER = "/etc/dmvpn-lab/pki"
CA, CERTIFICATE, KEY = f"{FOLDER}/ca.pem", f"{FOLDER}/certificate.pem", f"{FOLDER}/key.pem"


def secrets(plan: Plan, node: NodePlan, profile: IpsecPlan) -> list[dict[str, object]]:
    """The pre-shared keys that a router knows, each with the identities that share it."""
    if profile.authentication == "pre-shared-key":
        return [{"data": profile.pre_shared_key, "owners": []}]
    if profile.authentication == "spoke-keys":
        return [
            {"data": seed(plan, f"key/{hub.name}/{spoke.name}")[:32],
             "owners": [identity(plan, hub), identity(plan, spoke)]}
            for hub, spoke in _pairs(plan) if node.name in (hub.name, spoke.name)
        ]  # fmt: skip
    return []


def seed(plan: Plan, purpose: str) -> str:
    """64 hexadecimal digits that only this topology gives for this purpose."""
    return hmac.new(plan.digest.encode(), purpose.encode(), hashlib.sha256).hexdigest()


def files(plan: Plan, node: NodePlan, profile: IpsecPlan) -> dict[str, str]:
    """The PEM files of a router: CA, certificate and key; none without certificates."""
    if profile.authentication != "certificates":
        return {}
    from dmvpn_lab.render import pki  # a large library, which other labs do not need

    authority = pki.authority(seed(plan, "ca"), f"{plan.lab} lab CA")
    own = pki.certificate(authority, seed(plan, f"certificate/{node.name}"), identity(plan, node))
    return {CA: pki.pem(authority.certificate), CERTIFICATE: pki.pem(own.certificate), KEY: pki.key_pem(own)}


def _pairs(plan: Plan) -> Iterator[tuple[NodePlan, NodePlan]]:
    """Each hub with each of its spokes, once."""
    seen = set()
    for cloud in plan.clouds:
        for hub, _ in plan.members(cloud.name, "hub"):
            for spoke, _ in plan.members(cloud.name, "spoke"):
                if (hub.name, spoke.name) not in seen:
                    seen.add((hub.name, spoke.name))
                    yield hub, spoke
