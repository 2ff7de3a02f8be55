"""What charon says of its SAs, as measured with strongSwan 6.0.1."""

from __future__ import annotations

from typing import Any

from dmvpn_lab.ipsec.sa import (
    decode_children,
    decode_ike_rekeyed,
    decode_ikes,
    decode_numbers,
    decode_rekeyed,
)


def child(**changes: Any) -> dict[str, Any]:
    return {
        "uniqueid": "3", "state": "INSTALLED", "spi-in": "c1d4f7aa", "spi-out": "c2b3a455",
        "encr-alg": "AES_GCM_16", "encr-keysize": "128", **changes,
    }  # fmt: skip


def message(**children: dict[str, Any]) -> dict[str, Any]:
    ike = {
        "uniqueid": "1", "version": "2", "state": "ESTABLISHED", "local-host": "172.16.1.1",
        "remote-host": "172.17.0.1", "remote-id": "hub.lab.test", "child-sas": children,
    }  # fmt: skip
    return {"up": "yes", "peer-172.17.0.1": ike}


def test_a_child_is_read_with_its_spis_and_the_identity_of_its_peer() -> None:
    (read,) = decode_children(message(gre=child()))
    assert (read.number, str(read.peer), read.identity) == (3, "172.17.0.1", "hub.lab.test")
    assert (read.spi_in, read.spi_out) == (0xC1D4F7AA, 0xC2B3A455)
    assert (read.protocol, read.ike, read.encapsulated) == ("AES_GCM_16-128", "IKEv2", False)


def test_cipher_and_hmac_are_told_and_a_nat_too() -> None:
    told = child(
        **{"encr-alg": "3DES_CBC", "encr-keysize": None, "integ-alg": "HMAC_SHA1_96", "encap": "yes"}
    )
    (read,) = decode_children(message(gre=told))
    assert (read.protocol, read.encapsulated) == ("3DES_CBC/HMAC_SHA1_96", True)


def test_children_on_their_way_out_are_not_live_but_have_numbers() -> None:
    both = message(old=child(uniqueid="1", state="DELETED"), new=child(uniqueid="2"))
    assert [each.number for each in decode_children(both)] == [2]
    assert sorted(decode_numbers(both)) == [1, 2]


def test_a_child_without_spis_is_left_out() -> None:
    half = child()
    del half["spi-in"]
    assert list(decode_children(message(gre=half))) == []


def test_an_ike_sa_without_children_has_none() -> None:
    assert list(decode_children({"peer-172.17.0.1": {"uniqueid": "4", "state": "CONNECTING"}})) == []
    assert list(decode_ikes({"peer-172.17.0.1": {"uniqueid": "4"}})) == [("peer-172.17.0.1", "4")]


def test_a_rekeying_names_the_old_and_the_new_child() -> None:
    pair = {"old": child(uniqueid="3", state="REKEYED"), "new": child(uniqueid="5")}
    old, new = decode_rekeyed(message(gre=pair))
    assert old == 3
    assert new is not None
    assert new.number == 5


def test_who_began_the_ike_sa_is_read_with_its_number() -> None:
    told = message(gre=child())
    told["peer-172.17.0.1"]["initiator"] = "yes"
    (ours,) = decode_children(told)
    (theirs,) = decode_children(message(gre=child()))
    assert (ours.ike_id, ours.initiated, theirs.initiated) == ("1", True, False)


def test_a_rekeyed_ike_sa_has_an_old_and_a_new_number() -> None:
    pair = {"old": {"uniqueid": "1"}, "new": {"uniqueid": "4"}}
    assert decode_ike_rekeyed({"peer-172.17.0.1": pair}) == ("1", "4")
    assert decode_ike_rekeyed(message(gre=child())) is None
