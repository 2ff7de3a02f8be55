"""Hypothesis strategies for packets: everything that the codec can carry."""

from __future__ import annotations

from hypothesis import strategies as st

from dmvpn_lab.nhrp.buffer import Address
from dmvpn_lab.nhrp.cie import Cie, encode_cie
from dmvpn_lab.nhrp.constants import ExtensionType, PacketType
from dmvpn_lab.nhrp.extensions import WITH_CIES, Extension
from dmvpn_lab.nhrp.packet import WITH_ENTRIES, Packet

octet = st.integers(0, 0xFF)
short = st.integers(0, 0xFFFF)
ipv4 = st.ip_addresses(v=4)
ipv6 = st.ip_addresses(v=6)
odd = st.binary(min_size=1, max_size=30).filter(lambda octets: len(octets) not in (4, 16))
any_address: st.SearchStrategy[Address] = st.one_of(st.none(), ipv4, ipv6, odd)


cies = st.builds(
    Cie,
    code=octet,
    prefix_length=octet,
    mtu=short,
    holding_time_s=short,
    nbma=any_address,
    protocol=any_address,
    preference=octet,
    nbma_subaddress=st.binary(max_size=20),
    unused=short,
)


@st.composite
def extensions(draw: st.DrawFn) -> Extension:
    """One of any type but the end marker; types 3, 4, 5 and 9 hold entries."""
    kind = draw(st.one_of(st.sampled_from(sorted(ExtensionType)[1:]), st.integers(1, 0x3FFF)))
    if kind in WITH_CIES:
        value = b"".join(map(encode_cie, draw(st.lists(cies, max_size=2))))
    else:
        value = draw(st.binary(max_size=40))
    return Extension(int(kind), draw(st.booleans()), value, draw(st.booleans()))


extension_parts = st.one_of(
    st.none(),
    st.lists(extensions(), max_size=5, unique_by=lambda each: each.type).map(tuple),
)


@st.composite
def packets(draw: st.DrawFn) -> Packet:
    """A packet of any type, with addresses that fit its families."""
    kind = draw(st.one_of(st.sampled_from(sorted(PacketType)), st.integers(1, 255)))
    afn = draw(st.sampled_from([1, 2, 3, 15]))
    protocol = draw(st.sampled_from([0x0800, 0x86DD, 0x00CC, 0x0080]))
    of_afn = {1: st.one_of(st.none(), ipv4), 2: st.one_of(st.none(), ipv6)}
    of_protocol = {0x0800: st.one_of(st.none(), ipv4), 0x86DD: st.one_of(st.none(), ipv6)}
    with_entries = kind in WITH_ENTRIES
    return Packet(
        type=int(kind),
        flags=draw(short),
        request_id=draw(st.integers(0, 0xFFFFFFFF)),
        source_nbma=draw(of_afn.get(afn, any_address)),
        source_protocol=draw(of_protocol.get(protocol, any_address)),
        destination_protocol=draw(of_protocol.get(protocol, any_address)),
        cies=draw(st.lists(cies, max_size=3).map(tuple)) if with_entries else (),
        extensions=draw(extension_parts),
        payload=b"" if with_entries else draw(st.binary(max_size=80)),
        hop_count=draw(octet),
        afn=afn,
        protocol_type=protocol,
        snap=draw(st.binary(min_size=5, max_size=5)),
        nbma_subaddress=draw(st.binary(max_size=20)),
    )
