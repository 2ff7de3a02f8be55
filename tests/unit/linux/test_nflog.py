"""Packets that nftables logs, decoded; received they are in tests/live/test_nflog.py."""

from __future__ import annotations

import struct
from ipaddress import IPv4Address

from dmvpn_lab.linux.netlink import attribute
from dmvpn_lab.linux.nflog import (
    ATTR_HWADDR,
    ATTR_IFINDEX_INDEV,
    ATTR_IFINDEX_OUTDEV,
    ATTR_PAYLOAD,
    Logged,
    decode,
)

HEAD = bytes(4)
INDEX = attribute(ATTR_IFINDEX_INDEV, struct.pack(">I", 7))
OUT = attribute(ATTR_IFINDEX_OUTDEV, struct.pack(">I", 9))
PAYLOAD = attribute(ATTR_PAYLOAD, b"E...")
GRE = attribute(ATTR_HWADDR, struct.pack(">HH8s", 4, 0, IPv4Address("172.16.1.1").packed + bytes(4)))
ETHERNET = attribute(ATTR_HWADDR, struct.pack(">HH8s", 6, 0, b"\x02\0\0\0\0\1\0\0"))


def test_the_hardware_address_of_a_packet_by_multipoint_gre_is_its_outer_source() -> None:
    assert decode(HEAD + INDEX + OUT + GRE + PAYLOAD) == Logged(7, 9, IPv4Address("172.16.1.1"), b"E...")


def test_other_links_have_no_outer_source() -> None:
    for address in (ETHERNET, b"", attribute(ATTR_HWADDR, b"\0\4")):
        assert decode(HEAD + INDEX + address + PAYLOAD) == Logged(7, 0, None, b"E...")


def test_a_packet_without_its_link_is_none() -> None:
    assert decode(HEAD + GRE + PAYLOAD) is None
    assert decode(b"") is None
