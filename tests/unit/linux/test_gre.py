"""What is asked of the kernel for a GRE link; the links themselves are live."""

from __future__ import annotations

from ipaddress import IPv4Address, IPv4Interface

from dmvpn_lab.linux.gre import Gre, encode_gre, local_of
from dmvpn_lab.linux.link import Link
from dmvpn_lab.linux.netlink import attributes

LOCAL, REMOTE = IPv4Address("172.16.1.1"), IPv4Address("172.17.0.1")
IFLAGS, OFLAGS, IKEY, OKEY, LOCAL_AT, REMOTE_AT, TTL, PMTUDISC = 2, 3, 4, 5, 6, 7, 8, 10


def gre(key: int | None = 1, remote: IPv4Address | None = None) -> Gre:
    return Gre("tunnel0", key, remote, (IPv4Interface("10.0.0.11/24"),), 1400)


def test_a_key_goes_both_ways_in_network_byte_order() -> None:
    asked = attributes(encode_gre(gre(key=0x01020304), LOCAL))
    assert asked[IFLAGS] == asked[OFLAGS] == b"\x20\x00"
    assert asked[IKEY] == asked[OKEY] == b"\1\2\3\4"


def test_key_zero_is_a_key_and_no_key_is_none() -> None:
    assert attributes(encode_gre(gre(key=0), LOCAL))[IFLAGS] == b"\x20\x00"
    assert attributes(encode_gre(gre(key=None), LOCAL))[IFLAGS] == b"\0\0"


def test_multipoint_has_no_remote_and_point_to_point_has_one() -> None:
    assert attributes(encode_gre(gre(), LOCAL))[REMOTE_AT] == bytes(4)
    assert attributes(encode_gre(gre(remote=REMOTE), LOCAL))[REMOTE_AT] == REMOTE.packed


def test_every_message_has_all_settings_so_that_a_change_resets_none() -> None:
    for local in (None, LOCAL):
        asked = attributes(encode_gre(gre(), local))
        assert set(asked) == {IFLAGS, OFLAGS, IKEY, OKEY, LOCAL_AT, REMOTE_AT, TTL, PMTUDISC}
        assert (asked[TTL], asked[PMTUDISC]) == (b"\x40", b"\1")


def test_the_local_address_of_a_link_is_read_back() -> None:
    assert local_of(Link(1, "t", 0, 1400, "gre", {LOCAL_AT: LOCAL.packed})) == LOCAL
    assert local_of(Link(1, "t", 0, 1400, "gre", {LOCAL_AT: bytes(4)})) is None
    assert local_of(Link(1, "t", 0, 1400, "gre", {})) is None
