"""How addresses are written in a topology: as text of one pattern, which editors know too."""

from __future__ import annotations

import re
from ipaddress import IPv4Address, IPv4Interface, IPv4Network, IPv6Address, IPv6Interface, IPv6Network
from typing import Annotated, Any

from pydantic import PlainSerializer, PlainValidator, WithJsonSchema

_OCTET = "(25[0-5]|2[0-4][0-9]|1[0-9][0-9]|[1-9]?[0-9])"
ADDRESS = rf"^{_OCTET}(\.{_OCTET}){{3}}$"
WITH_LENGTH = rf"{ADDRESS[:-1]}/(3[0-2]|[12]?[0-9])$"
ADDRESS_6 = r"^[0-9A-Fa-f:.]+$"
WITH_LENGTH_6 = rf"{ADDRESS_6[:-1]}/(12[0-8]|1[01][0-9]|[1-9]?[0-9])$"


def _address(value: Any) -> IPv4Address:
    if not isinstance(value, str) or not re.fullmatch(ADDRESS, value):
        raise ValueError("an IPv4 address, such as 10.0.0.1")
    return IPv4Address(value)


def _interface(value: Any) -> IPv4Interface:
    if not isinstance(value, str) or not re.fullmatch(WITH_LENGTH, value):
        raise ValueError("an IPv4 address with its prefix length, such as 172.16.1.1/24")
    return IPv4Interface(value)


def _network(value: Any) -> IPv4Network:
    wanted = "an IPv4 network without host bits, such as 10.0.0.0/24"
    if not isinstance(value, str) or not re.fullmatch(WITH_LENGTH, value):
        raise ValueError(wanted)
    try:
        return IPv4Network(value)
    except ValueError:
        raise ValueError(wanted) from None


def _address_6(value: Any) -> IPv6Address:
    try:
        return IPv6Address(_text(value, ADDRESS_6))
    except ValueError:
        raise ValueError("an IPv6 address, such as 2001:db8::1") from None


def _interface_6(value: Any) -> IPv6Interface:
    try:
        return IPv6Interface(_text(value, WITH_LENGTH_6))
    except ValueError:
        raise ValueError("an IPv6 address with its prefix length, such as 2001:db8:1::1/64") from None


def _network_6(value: Any) -> IPv6Network:
    try:
        return IPv6Network(_text(value, WITH_LENGTH_6))
    except ValueError:
        raise ValueError("an IPv6 network without host bits, such as 2001:db8::/64") from None


def _text(value: Any, pattern: str) -> str:
    if not isinstance(value, str) or not re.fullmatch(pattern, value):
        raise ValueError
    return value


def _as(kind: str, pattern: str, example: str) -> tuple[Any, Any]:
    text = {"type": "string", "description": kind, "pattern": pattern, "examples": [example]}
    return PlainSerializer(str, return_type=str), WithJsonSchema(text)


Interface = Annotated[
    IPv4Interface,
    PlainValidator(_interface),
    *_as("IPv4 address and prefix length", WITH_LENGTH, "172.16.1.1/24"),
]
Address = Annotated[IPv4Address, PlainValidator(_address), *_as("IPv4 address", ADDRESS, "10.0.0.1")]
Network = Annotated[IPv4Network, PlainValidator(_network), *_as("IPv4 network", WITH_LENGTH, "10.0.0.0/24")]

Interface6 = Annotated[
    IPv6Interface,
    PlainValidator(_interface_6),
    *_as("IPv6 address and prefix length", WITH_LENGTH_6, "2001:db8:1::1/64"),
]
Address6 = Annotated[IPv6Address, PlainValidator(_address_6), *_as("IPv6 address", ADDRESS_6, "2001:db8::1")]
Network6 = Annotated[
    IPv6Network, PlainValidator(_network_6), *_as("IPv6 network", WITH_LENGTH_6, "2001:db8::/64")
]
