"""Transform sets in Cisco's words."""

from __future__ import annotations

import pytest

from dmvpn_lab.spec.transform import parse


@pytest.mark.parametrize(
    ("text", "esp", "ike", "ike_1"),
    [
        ("esp-gcm", "aes128gcm16", "aes128gcm16-prfsha256-x25519", "aes128-sha256-ecp256"),
        ("esp-gcm 256", "aes256gcm16", "aes256gcm16-prfsha384-ecp384", "aes256-sha384-ecp384"),
        ("esp-3des esp-sha-hmac", "3des-sha1", "3des-sha1-modp1024", "3des-sha1-modp1024"),
        ("esp-sha-hmac esp-3des", "3des-sha1", "3des-sha1-modp1024", "3des-sha1-modp1024"),
        ("esp-aes 256 esp-sha512-hmac", "aes256-sha512", "aes256-sha512-ecp256", "aes256-sha512-ecp256"),
        ("esp-aes esp-md5-hmac", "aes128-md5", "aes128-md5-ecp256", "aes128-md5-ecp256"),
    ],
)
def test_the_words_become_proposals(text: str, esp: str, ike: str, ike_1: str) -> None:
    made = parse(text)
    assert (made.esp, made.ike, made.ike_1) == (esp, ike, ike_1)


@pytest.mark.parametrize(
    "text",
    ["", "esp-3des", "esp-sha-hmac", "esp-gcm esp-sha-hmac", "esp-3des 128 esp-sha-hmac", "esp-gcm 64",
     "esp-3des esp-aes esp-sha-hmac", "aes128gcm16", "esp-sha-hmac esp-sha-hmac"],
)  # fmt: skip
def test_what_is_no_transform_set_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"esp-|a cipher"):
        parse(text)


def test_a_packet_has_esp_and_room_for_udp_around_it() -> None:
    # GCM: 20 IP, 8 UDP, 8 ESP, 8 IV, 1410 in blocks of 4, 16 check value
    assert parse("esp-gcm").packet(1408) == 20 + 8 + 8 + 8 + 1412 + 16
    assert parse("esp-3des esp-sha-hmac").packet(1408) == 20 + 8 + 8 + 8 + 1416 + 12
