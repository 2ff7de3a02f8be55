"""Transform sets in the words of `crypto ipsec transform-set`, and what they mean to charon."""

from __future__ import annotations

from dataclasses import dataclass

EXAMPLE = "such as `esp-gcm 128`, `esp-aes 256 esp-sha256-hmac` or `esp-3des esp-sha-hmac`"
LENGTHS = ("128", "192", "256")
ESP_HEADER, ESP_TRAILER, UDP_HEADER, IP_HEADER = 8, 2, 8, 20
INTEGRITY = {
    "esp-md5-hmac": ("md5", 12),
    "esp-sha-hmac": ("sha1", 12),
    "esp-sha256-hmac": ("sha256", 16),
    "esp-sha384-hmac": ("sha384", 24),
    "esp-sha512-hmac": ("sha512", 32),
}
"""Cisco's word -> charon's word, and the octets of the check value."""


@dataclass(frozen=True, slots=True)
class Transform:
    """An understood transform set; the mode is transport."""

    esp: str
    """charon's ESP proposal."""
    ike: str
    """The IKE proposal that goes with it: as strong, and of its time."""
    ike_1: str
    """The same for IKEv1, which knows no combined-mode cipher."""
    iv: int
    """Octets."""
    block: int
    check_value: int

    def packet(self, payload: int) -> int:
        """Octets of an IPv4 packet with that payload in ESP, in UDP if a NAT is between."""
        padded = -(-(payload + ESP_TRAILER) // self.block) * self.block
        return IP_HEADER + UDP_HEADER + ESP_HEADER + self.iv + padded + self.check_value


def parse(text: str) -> Transform:
    """From the words, in either order. Raises ValueError that says what would do."""
    cipher, length, integrity = _words(text)
    bits = length or "128"
    if cipher == "esp-gcm" and integrity is None:
        cbc = "aes128-sha256-ecp256" if bits == "128" else f"aes{bits}-sha384-ecp384"
        prf, group = ("prfsha256", "x25519") if bits == "128" else ("prfsha384", "ecp384")
        return Transform(f"aes{bits}gcm16", f"aes{bits}gcm16-{prf}-{group}", cbc, 8, 4, 16)
    if cipher == "esp-gcm":
        raise ValueError("esp-gcm without an hmac: it authenticates by itself")
    if integrity is None:
        raise ValueError(f"an hmac beside {cipher}, {EXAMPLE}")
    hmac, check_value = INTEGRITY[integrity]
    if cipher == "esp-3des":
        ike = f"3des-{hmac}-modp1024"
        return Transform(f"3des-{hmac}", ike, ike, 8, 8, check_value)
    ike = f"aes{bits}-{hmac}-ecp256"
    return Transform(f"aes{bits}-{hmac}", ike, ike, 16, 16, check_value)


def _words(text: str) -> tuple[str, str | None, str | None]:
    """(cipher, key length, hmac)."""
    cipher = length = integrity = None
    for word in text.split():
        if word in INTEGRITY and integrity is None:
            integrity = word
        elif word in ("esp-3des", "esp-aes", "esp-gcm") and cipher is None:
            cipher = word
        elif word in LENGTHS and cipher in ("esp-aes", "esp-gcm") and length is None:
            length = word
        else:
            raise ValueError(f"a cipher and an hmac, {EXAMPLE}")
    if cipher is None:
        raise ValueError(f"a cipher, {EXAMPLE}")
    return cipher, length, integrity
