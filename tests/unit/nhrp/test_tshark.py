"""The real tshark reads every packet that we make, without a complaint.

The packets are taken from agents at work, so that what is proved is what is sent.
"""

from __future__ import annotations

import shutil
import subprocess
from dataclasses import dataclass, replace
from ipaddress import IPv4Address
from pathlib import Path

import pytest

from dmvpn_lab.nhrp.actions import Action, SendPacket
from dmvpn_lab.nhrp.cie import Cie, encode_cie
from dmvpn_lab.nhrp.constants import PacketType
from dmvpn_lab.nhrp.extensions import Extension, authentication
from dmvpn_lab.nhrp.packet import Packet, encode
from tests.unit.nhrp import pcap
from tests.unit.nhrp.builders import (
    HUB_NBMA,
    OTHER,
    OTHER_NBMA,
    SPOKE,
    SPOKE_NBMA,
    TUNNEL,
    agent,
    deliver,
    hub,
    purge,
    request,
    spoke_config,
)
from tests.vectors import cisco

SECRET = (authentication("secret"),)
FIELDS = (
    "nhrp.hdr.op.type",
    "frame.protocols",
    "_ws.expert.message",
    "_ws.malformed",
    "nhrp.hdr.chksum.status",
    "nhrp.dst.prot.addr",
    "nhrp.code",
    "nhrp.err.code",
)
GOOD_CHECKSUM = "1"


def sent(actions: list[Action]) -> bytes:
    """The only packet in a list of actions."""
    (data,) = [action.data for action in actions if isinstance(action, SendPacket)]
    return data


def first_request(**changes: object) -> bytes:
    """What a spoke sends when its tunnel comes up."""
    return sent(agent(spoke_config(**changes)).source_changed(TUNNEL, SPOKE_NBMA, 0.0))


def resolution(wanted: IPv4Address, flags: int = 0xC800) -> Packet:
    """A question for an address."""
    question = request(OTHER, OTHER_NBMA, destination_protocol=wanted, flags=flags, cies=())
    return replace(question, type=PacketType.RESOLUTION_REQUEST)


def at_work() -> dict[str, bytes]:
    """Every kind of packet that an agent sends."""
    busy, closed = hub(), hub(authentication="secret")
    taken = sent(deliver(busy, request(unique=True)))
    deliver(busy, request(OTHER, OTHER_NBMA), OTHER_NBMA)
    rival = request(nbma=OTHER_NBMA, unique=True)
    strange = request(extensions=(*SECRET, Extension(0x3801, True, b"x")))
    return {
        "registration request": first_request(),
        "registration request, unique": first_request(unique=True),
        "registration request, secret": first_request(authentication="secret"),
        "registration request, longest secret": first_request(authentication="12345678"),
        "registration reply, success": taken,
        "registration reply, secret": sent(deliver(closed, request(extensions=SECRET))),
        "registration reply, no extensions": sent(deliver(hub(), request(extensions=None))),
        "registration reply, code 4": sent(deliver(hub(), request(IPv4Address("10.9.9.9")))),
        "registration reply, code 5": sent(deliver(hub(), request(), ok=False)),
        "registration reply, code 14": sent(deliver(busy, rival, OTHER_NBMA)),
        "resolution reply, success": sent(deliver(busy, resolution(SPOKE), OTHER_NBMA)),
        "resolution reply, code 12": sent(deliver(busy, resolution(IPv4Address("10.0.0.99")))),
        "resolution reply, code 13": sent(deliver(busy, resolution(OTHER, 0xD800))),
        "purge reply": sent(deliver(hub(), purge())),
        "error indication, code 11": sent(deliver(closed, request())),
        "error indication, code 15": sent(deliver(closed, request(hop_count=0, extensions=SECRET))),
        "error indication, code 1": sent(deliver(closed, strange)),
    }


def from_the_codec() -> dict[str, bytes]:
    """The packet types that an agent reads and does not send, and all the parts at once."""
    entries = Cie(nbma=HUB_NBMA, protocol=OTHER), Cie(nbma=OTHER_NBMA, protocol=SPOKE, preference=9)
    record = b"".join(map(encode_cie, entries))
    everything = tuple(Extension(kind, True, record) for kind in (3, 4, 5))
    everything += (authentication("secret"), Extension(9, False, record))
    return {
        "resolution request": encode(resolution(SPOKE)),
        "purge request": encode(purge()),
        "purge request, no reply": encode(purge(flags=0x8000)),
        "traffic indication": encode(
            replace(
                request(cies=()), type=PacketType.TRAFFIC_INDICATION, payload=cisco.TRAFFIC_INDICATION[40:68]
            )
        ),
        "all extensions": encode(request(cies=entries, extensions=everything)),
    }


@dataclass(frozen=True)
class Dissection:
    """What tshark makes of one frame: field -> text, empty where there is none."""

    fields: dict[str, str]

    def complaint(self) -> str:
        """What is wrong in tshark's eyes."""
        checksum = self.fields["nhrp.hdr.chksum.status"]
        summed = "" if checksum == GOOD_CHECKSUM else f"checksum status {checksum!r}"
        return self.fields["_ws.expert.message"] + self.fields["_ws.malformed"] + summed


def dissect(path: Path, frames: dict[str, bytes]) -> dict[str, Dissection]:
    """Have tshark read the packets; name -> what it found."""
    program = shutil.which("tshark")
    assert program is not None, "tshark is missing; `make setup` installs it"
    pcap.write(path, frames.values())
    wanted = [part for field in FIELDS for part in ("-e", field)]
    argv = [program, "-n", "-r", str(path), "-T", "fields", "-E", "occurrence=f", *wanted]
    run = subprocess.run(argv, capture_output=True, text=True, check=True, timeout=60)
    lines = run.stdout.splitlines()
    assert len(lines) == len(frames), run.stderr
    cells = (dict(zip(FIELDS, line.split("\t"), strict=True)) for line in lines)
    return {name: Dissection(found) for name, found in zip(frames, cells, strict=True)}


SOUND = at_work() | from_the_codec()
BROKEN = {
    "cut": SOUND["registration reply, success"][:-20],
    "wrong checksum": SOUND["purge reply"][:12] + b"\0\0" + SOUND["purge reply"][14:],
}


@pytest.fixture(scope="module")
def dissected(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Dissection]:
    """All packets, read by one run of tshark."""
    return dissect(tmp_path_factory.mktemp("tshark") / "all.pcap", SOUND | BROKEN)


@pytest.mark.parametrize("name", SOUND)
def test_tshark_has_no_complaint(name: str, dissected: dict[str, Dissection]) -> None:
    found = dissected[name]
    assert found.complaint() == ""
    assert found.fields["frame.protocols"].startswith("ip:gre:nhrp")
    assert int(found.fields["nhrp.hdr.op.type"]) == SOUND[name][17]


@pytest.mark.parametrize("name", BROKEN)
def test_tshark_does_complain_about_a_broken_packet(name: str, dissected: dict[str, Dissection]) -> None:
    assert dissected[name].complaint() != ""


def test_every_type_that_we_encode_was_shown_to_tshark() -> None:
    assert {data[17] for data in SOUND.values()} == set(PacketType)


@pytest.mark.parametrize("code", [4, 5, 12, 13, 14])
def test_tshark_reads_the_code_of_a_refusal(code: int, dissected: dict[str, Dissection]) -> None:
    (found,) = [each for name, each in dissected.items() if name.endswith(f"reply, code {code}")]
    assert int(found.fields["nhrp.code"]) == code


@pytest.mark.parametrize("code", [1, 11, 15])
def test_tshark_reads_the_code_of_an_error(code: int, dissected: dict[str, Dissection]) -> None:
    assert int(dissected[f"error indication, code {code}"].fields["nhrp.err.code"]) == code
