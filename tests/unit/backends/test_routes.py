"""What the kernel says of routes; the messages were recorded from Linux after the `ip` command above each."""

from __future__ import annotations

from ipaddress import ip_address, ip_network

import pytest

from dmvpn_lab.backends.routes import Change, decode_changes

# ip route add 192.168.1.0/24 via 10.9.0.7
ADDED = bytes.fromhex(
    "3c000000180000069a650c6bf06a000002180000fe0300010000000008000f00fe00000008000100c0a80100"
    "080005000a0900070800040001000000"
)
# ip route add default nexthop via 10.9.0.7 nexthop via 10.9.0.8
TWO_WAYS = bytes.fromhex(
    "48000000180000069a650c6bf16a000002000000fe0300010000000008000f00fe00000024000900"
    "1000000001000000080005000a0900071000000001000000080005000a090008"
)
# ip route del default
DELETED = bytes.fromhex(
    "48000000190000009b650c6bf26a000002000000fe0300010000000008000f00fe00000024000900"
    "1000000001000000080005000a0900071000000001000000080005000a090008"
)
# ip route add 192.168.2.0/24 via 10.9.0.7 table 8193
IN_A_TABLE = bytes.fromhex(
    "3c000000180000069b650c6bf36a000002180000fc0300010000000008000f000120000008000100c0a80200"
    "080005000a0900070800040001000000"
)
# ip -6 route add 2001:db8::/32 dev lo
IPV6 = bytes.fromhex(
    "74000000180000069b650c6bf46a00000a200000fe0300010000000008000f00fe0000001400010020010db8"
    "000000000000000000000000080006000004000008000400010000002400"
    "0c0000000000000000000000000000000000000000000000000000000000000000000500140000000000"
)
RECORDED = [ADDED, TWO_WAYS, DELETED, IN_A_TABLE, IPV6]
CLONED_AT = 16 + 8
"""Where the flags of the first message are."""


def change(destination: str, *via: str, table: int = 254, gone: bool = False) -> Change:
    return Change(ip_network(destination), tuple(ip_address(each) for each in via), table, gone)


@pytest.mark.parametrize(
    ("datagram", "wanted"),
    [
        (ADDED, change("192.168.1.0/24", "10.9.0.7")),
        (TWO_WAYS, change("0.0.0.0/0", "10.9.0.7", "10.9.0.8")),
        (DELETED, change("0.0.0.0/0", "10.9.0.7", "10.9.0.8", gone=True)),
        (IN_A_TABLE, change("192.168.2.0/24", "10.9.0.7", table=8193)),
        (IPV6, change("2001:db8::/32")),
    ],
)
def test_a_route_is_told_as_the_kernel_has_it(datagram: bytes, wanted: Change) -> None:
    assert decode_changes(datagram) == [wanted]


def test_each_message_of_a_datagram_is_read() -> None:
    assert len(decode_changes(b"".join(RECORDED))) == len(RECORDED)


def test_copies_of_a_route_for_a_packet_and_other_messages_are_no_change() -> None:
    copy, other = bytearray(IPV6), bytearray(ADDED)
    copy[CLONED_AT + 1] |= 0x2  # RTM_F_CLONED
    other[4] = 16  # RTM_NEWLINK
    assert decode_changes(bytes(copy) + bytes(other)) == []
