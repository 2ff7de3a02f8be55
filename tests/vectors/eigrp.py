"""EIGRP packets of Cisco routers, from the public capture `EIGRP_adjacency.pcap` (AS 100, IOS 12.4).

Two routers, 10.0.0.1 and 10.0.0.2, become neighbours. The octets after the IP header.
"""

from __future__ import annotations

HELLO = bytes.fromhex("0205ee68000000000000000000000000000000640001000c010001000000000f000400080c040102")
"""Frame 9: a hello, hold time 15 s, release 12.4, TLVs 1.2."""

INIT = bytes.fromhex("0201fd8200000001000000170000000000000064")
"""Frame 12: the first update to a new neighbour, nothing in it but the flag."""

TABLE = bytes.fromhex(
    "020124b9000000080000001800000017000000640102001c0000000000000a00000064000005dc00ff01000018c0a801"
    "0102001d00000000000064000003e8000005dc00ff0100001e0a0000040102001c0000000000006e000003e8000005dc"
    "01ff01000018c0a8030102001d000000000000c8000003e8000005dc01ff0100001e0a00000c0102001c000000000000"
    "d2000003e8000005dc02ff01000018c0a8040102001d0000000000012c000003e8000005dc02ff0100001e0a00000801"
    "02001c00000000000136000003e8000005dc03ff01000018c0a802"
)
"""Frame 15: seven routes and the end of the table; acknowledges 23."""

ACK = bytes.fromhex("0205fd7e00000000000000000000001800000064")
"""Frame 17: an acknowledgment of 24."""

CONDITIONAL_HELLO = bytes.fromhex(
    "0205c352000000000000000000000000000000640001000c010001000000000f000400080c04010200030009040a0000"
    "010005000800000019"
)
"""Frame 18: a hello that names the one neighbour that must not take packet 25."""

CONDITIONAL_UPDATE = bytes.fromhex(
    "0201a2d8000000020000001900000000000000640102001c00000000ffffffff0003e8000005dc01ff01000018c0a801"
    "0102001d00000000ffffffff0003e8000005dc01ff0100001e0a0000040102001c00000000ffffffff0003e8000005dc"
    "02ff01000018c0a803"
)
"""Frame 19: packet 25, conditional: three routes poisoned."""

ALL = {"hello": HELLO, "init": INIT, "table": TABLE, "ack": ACK,
       "conditional-hello": CONDITIONAL_HELLO, "conditional-update": CONDITIONAL_UPDATE}  # fmt: skip
