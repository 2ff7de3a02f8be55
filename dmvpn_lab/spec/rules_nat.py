"""What NAT must satisfy: who can be behind one, and with whom. One function a rule.

GRE has no ports: to a NAT router all GRE between one inside and one outside address is the same
conversation, so behind one address there can be one tunnel end for each hub. IPsec in transport
mode has the same limit, also in UDP: the hub's policies would be the same for both.
"""

from __future__ import annotations

from collections.abc import Iterator

from dmvpn_lab.errors import Problem
from dmvpn_lab.spec.load import Document
from dmvpn_lab.spec.model import Lab, Node


def known_nats(lab: Lab, document: Document) -> Iterator[Problem]:
    """A node is behind a NAT router that is there, and a NAT router has somebody behind it."""
    for name, node in lab.nodes.items():
        if node.behind is not None and node.behind not in lab.nats:
            expected = " or ".join(lab.nats) or "a name of `nats`"
            yield document.problem(("nodes", name, "behind"), "no such NAT router", expected=expected)
    for name in lab.nats:
        if all(node.behind != name for node in lab.nodes.values()):
            yield document.problem(
                ("nats", name), "nobody is behind it", hint=f"give a node `behind: {name}`, or remove it"
            )


def hubs_are_not_behind_nat(lab: Lab, document: Document) -> Iterator[Problem]:
    """A NAT router lets nobody in who was not asked, and a hub is asked by everybody."""
    for name, node in lab.nodes.items():
        if node.behind is not None and any(member.role == "hub" for member in node.clouds.values()):
            yield document.problem(
                ("nodes", name, "behind"), "a hub behind a NAT router", hint="spokes could not reach it"
            )


def one_spoke_a_hub_behind_a_nat(lab: Lab, document: Document) -> Iterator[Problem]:
    """Two spokes behind one NAT router need different hubs: GRE to the same one is the same to it."""
    taken: dict[tuple[str, str], str] = {}
    """NAT router and hub -> the spoke that has this hub from behind it."""
    for name, node in lab.nodes.items():
        if node.behind is None:
            continue
        for hub in _hubs(lab, node):
            other = taken.setdefault((node.behind, hub), name)
            if other != name:
                yield document.problem(
                    ("nodes", name, "behind"),
                    f"{other} is behind {node.behind}, too, and both register with {hub}: "
                    "GRE has no ports to tell them apart",
                    hint="give each a NAT router of its own, or a hub of its own",
                )
                break


def _hubs(lab: Lab, spoke: Node) -> list[str]:
    """The hubs of the clouds in which a node is a spoke."""
    clouds = {cloud for cloud, member in spoke.clouds.items() if member.role == "spoke"}
    return [name for name, node in lab.nodes.items()
            if any(m.role == "hub" and c in clouds for c, m in node.clouds.items())]  # fmt: skip


ALL = (known_nats, hubs_are_not_behind_nat, one_spoke_a_hub_behind_a_nat)
