"""Packet sockets on a tunnel (packet(7)): what the NHRP socket and the multicast tap share.

SOCK_DGRAM: the data is the inner packet, and the link-layer address is the outer (NBMA) address.
"""

from __future__ import annotations

import ctypes
import errno
import socket
import struct
from collections.abc import Sequence
from ipaddress import IPv4Address

ETH_P_ALL = 0x0003
ETH_P_IP = 0x0800
ETH_P_IPV6 = 0x86DD
SOL_PACKET = 263
PACKET_AUXDATA = 8
PACKET_QDISC_BYPASS = 20
SO_RCVBUFFORCE = 33
SO_ATTACH_FILTER = 26

Instruction = tuple[int, int, int, int]
"""Classic BPF: code, jump if true, jump if false, constant (linux/filter.h)."""


def open_packet_socket(
    interface: str, protocol: int, receive_buffer: int, program: Sequence[Instruction] = ()
) -> socket.socket:
    """A non-blocking packet socket bound to an interface; OSError when that is not there.

    The filter is in place before the first packet: the socket hears nothing until it is bound.
    """
    sock = socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK | socket.SOCK_CLOEXEC, 0)
    try:
        sock.setsockopt(socket.SOL_SOCKET, SO_RCVBUFFORCE, receive_buffer)
        if program:
            attach_filter(sock, program)
        sock.bind((interface, protocol))
    except BaseException:
        sock.close()
        raise
    return sock


def attach_filter(sock: socket.socket, program: Sequence[Instruction]) -> None:
    """Let the kernel drop what the program rejects."""
    code = b"".join(struct.pack("=HBBI", *each) for each in program)
    buffer = ctypes.create_string_buffer(code, len(code))
    fprog = struct.pack("@HP", len(program), ctypes.addressof(buffer))
    sock.setsockopt(socket.SOL_SOCKET, SO_ATTACH_FILTER, fprog)


def send_packet(
    sock: socket.socket, data: bytes, interface: str, protocol: int, nbma: IPv4Address | bytes
) -> None:
    """Send out of an interface to a NBMA address. Raises OSError.

    A socket that was bound while the link was down, or lived through that, holds one ENETDOWN
    for the next call, be the link up by now or not: hence the second try.
    """
    packed = nbma if isinstance(nbma, bytes) else nbma.packed
    address = (interface, protocol, 0, 0, packed)
    try:
        sock.sendto(data, address)
    except OSError as error:
        if error.errno != errno.ENETDOWN:
            raise
        sock.sendto(data, address)
