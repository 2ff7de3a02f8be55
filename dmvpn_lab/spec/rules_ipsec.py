"""What tunnel protection must satisfy beyond the shape of its keys: one function a rule."""

from __future__ import annotations

from collections.abc import Iterator

from dmvpn_lab.errors import Problem
from dmvpn_lab.spec import transform
from dmvpn_lab.spec.lines import source_of
from dmvpn_lab.spec.load import Document
from dmvpn_lab.spec.model import Ipsec, Lab

GRE_HEADER, KEY, IP_HEADER = 4, 4, 20
NBMA_MTU = 1500


def a_source_has_one_protection(lab: Lab, document: Document) -> Iterator[Problem]:
    """IPsec selects by addresses and protocol, not by GRE key: tunnels of one source share their SAs.

    And a router that protects one lets no GRE in clear pass.
    """
    for name, node in lab.nodes.items():
        clouds = [cloud for cloud in node.clouds if cloud in lab.clouds]
        for cloud in clouds[1:]:
            if lab.clouds[cloud].ipsec != lab.clouds[clouds[0]].ipsec:
                shared = source_of(node, cloud) == source_of(node, clouds[0])
                said = "shares its source with that of" if shared else "is on the same router as that of"
                yield document.problem(
                    ("nodes", name, "clouds", cloud),
                    f"its tunnel {said} {clouds[0]!r}, but not its protection",
                    hint=f"give {cloud!r} and {clouds[0]!r} the same `ipsec`, or neither",
                )


def a_key_is_there(lab: Lab, document: Document) -> Iterator[Problem]:
    """A pre-shared key belongs to `pre-shared-key`, and only there."""
    for name, cloud in lab.clouds.items():
        ipsec = cloud.ipsec
        if ipsec is None:
            continue
        path = ("clouds", name, "ipsec", "pre-shared-key")
        if ipsec.authentication == "pre-shared-key" and ipsec.pre_shared_key is None:
            yield document.problem(path, "this key is missing", hint="such as `pre-shared-key: secret`")
        elif ipsec.authentication != "pre-shared-key" and ipsec.pre_shared_key is not None:
            hint = f"with {ipsec.authentication} the program makes the keys: leave it out"
            yield document.problem(path, f"not used with {ipsec.authentication}", hint=hint)


def keys_can_be_found(lab: Lab, document: Document) -> Iterator[Problem]:
    """IKEv1 main mode needs the key before it knows the identity: by address, which a lease is not."""
    for name, cloud in lab.clouds.items():
        if cloud.ipsec is not None and cloud.ipsec.ike == 1 and cloud.ipsec.authentication == "spoke-keys":
            yield document.problem(
                ("clouds", name, "ipsec", "authentication"),
                "IKEv1 main mode cannot find a spoke's key: it does not know yet whose it is",
                expected="`ike: 2`, or `certificates`",
            )


def identities_can_be_bound(lab: Lab, document: Document) -> Iterator[Problem]:
    """Who has the one key of a cloud can be anybody of it."""
    for name, cloud in lab.clouds.items():
        ipsec = cloud.ipsec
        if ipsec is not None and ipsec.bind_identity and ipsec.authentication == "pre-shared-key":
            yield document.problem(
                ("clouds", name, "ipsec", "bind-identity"),
                "one key for all proves no identity",
                expected="`authentication: spoke-keys` or `certificates`",
            )


def binds(ipsec: Ipsec) -> bool:
    """Whether registrations are bound to IKE identities: as written, else where it is possible."""
    possible = ipsec.authentication != "pre-shared-key"
    return possible if ipsec.bind_identity is None else ipsec.bind_identity


def protected_packets_fit(lab: Lab, document: Document) -> Iterator[Problem]:
    """A full tunnel packet fits the NBMA network also with GRE, ESP and UDP around it."""
    for name, cloud in lab.clouds.items():
        if cloud.ipsec is None:
            continue
        gre = GRE_HEADER + (KEY if cloud.key is not None else 0)
        rule = transform.parse(cloud.ipsec.transform_set)
        if rule.packet(cloud.mtu + gre) > NBMA_MTU:
            largest = next(mtu for mtu in range(cloud.mtu, 0, -1) if rule.packet(mtu + gre) <= NBMA_MTU)
            yield document.problem(
                ("clouds", name, "mtu"),
                f"{cloud.mtu} does not fit the NBMA network with IPsec",
                expected=f"{largest} or less",
            )


ALL = (
    a_source_has_one_protection,
    a_key_is_there,
    keys_can_be_found,
    identities_can_be_bound,
    protected_packets_fit,
)
