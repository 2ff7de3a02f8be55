"""IPsec SAs as charon tells them: the `list-sa`, `child-updown` and `child-rekey` messages of VICI."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from ipaddress import IPv4Address
from typing import Any

LIVE = frozenset({"INSTALLED", "UPDATING", "REKEYING"})
"""States of a child that carries traffic. Others are on their way in or out."""


@dataclass(frozen=True, slots=True)
class ChildSa:
    """One pair of ESP SAs (a CHILD_SA, or a phase 2) with a peer."""

    number: int
    """charon's unique id, counted from its start."""
    local: IPv4Address
    peer: IPv4Address
    identity: str
    """What the peer proved to be."""
    spi_in: int
    spi_out: int
    protocol: str
    """Transform as negotiated, such as `AES_GCM_16-128`."""
    ike: str
    """`IKEv1` or `IKEv2`."""
    encapsulated: bool = False
    """In UDP, because a NAT is between (RFC 3948)."""
    ike_id: str = ""
    """charon's unique id of the IKE SA that it belongs to."""
    initiated: bool = False
    """Whether that IKE SA was begun here."""

    @property
    def spis(self) -> tuple[int, int]:
        """Both."""
        return self.spi_in, self.spi_out


def decode_children(message: Mapping[str, Any]) -> Iterator[ChildSa]:
    """The live children in a message of VICI. What it does not understand it leaves out."""
    for ike in message.values():
        if isinstance(ike, Mapping):
            for child in ike.get("child-sas", {}).values():
                decoded = _child(ike, child)
                if decoded is not None and child.get("state") in LIVE:
                    yield decoded


def decode_numbers(message: Mapping[str, Any]) -> Iterator[int]:
    """The unique ids of all children in a message, in whatever state."""
    for ike in message.values():
        if isinstance(ike, Mapping):
            for child in ike.get("child-sas", {}).values():
                yield int(child["uniqueid"])


def decode_ikes(message: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """(name of the connection, unique id) of each IKE SA in a message."""
    for name, ike in message.items():
        if isinstance(ike, Mapping):
            yield name, str(ike.get("uniqueid", ""))


def decode_rekeyed(message: Mapping[str, Any]) -> tuple[int | None, ChildSa | None]:
    """(number of the old child, the new child) of a `child-rekey` message."""
    for ike in message.values():
        if not isinstance(ike, Mapping):
            continue
        for pair in ike.get("child-sas", {}).values():
            old, new = pair.get("old"), pair.get("new")
            if old is not None and new is not None:
                return int(old["uniqueid"]), _child(ike, new)
    return None, None


def decode_ike_rekeyed(message: Mapping[str, Any]) -> tuple[str, str] | None:
    """(unique id of the old IKE SA, that of the new one) of an `ike-rekey` message."""
    for ike in message.values():
        if isinstance(ike, Mapping) and "old" in ike and "new" in ike:
            return str(ike["old"].get("uniqueid", "")), str(ike["new"].get("uniqueid", ""))
    return None


def _child(ike: Mapping[str, Any], child: Mapping[str, Any]) -> ChildSa | None:
    try:
        return ChildSa(
            number=int(child["uniqueid"]),
            local=IPv4Address(ike["local-host"]),
            peer=IPv4Address(ike["remote-host"]),
            identity=ike["remote-id"],
            spi_in=int(child["spi-in"], 16),
            spi_out=int(child["spi-out"], 16),
            protocol=_transform(child),
            ike=f"IKEv{ike['version']}",
            encapsulated=child.get("encap") == "yes",
            ike_id=str(ike.get("uniqueid", "")),
            initiated=ike.get("initiator") == "yes",
        )
    except (KeyError, ValueError):
        return None


def _transform(child: Mapping[str, Any]) -> str:
    """`AES_GCM_16-128` or `3DES_CBC/HMAC_SHA1_96`."""
    cipher, length = child.get("encr-alg", "?"), child.get("encr-keysize")
    integrity = child.get("integ-alg")
    return f"{cipher}{f'-{length}' if length else ''}{f'/{integrity}' if integrity else ''}"
