"""The real tshark reads every packet that we make, without a complaint.

The packets are taken from agents at work, so that what is proved is what is sent.
"""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Callable
from dataclasses import dataclass, replace
from ipaddress import IPv4Address
from pathlib import Path

import pytest

from dmvpn_lab.nhrp.actions import Action, SendPacket
from dmvpn_lab.nhrp.agent import Agent
from dmvpn_lab.nhrp.cie import Cie, encode_cie
from dmvpn_lab.nhrp.constants import PacketType
from dmvpn_lab.nhrp.extensions import Extension, authentication
from dmvpn_lab.nhrp.packet import Packet, encode
from tests.unit.nhrp import pcap
from tests.unit.nhrp.builders import agent, deliver, hub, purge, request, spoke_config
from tests.unit.nhrp.deck import HUB_NBMA, OTHER, OTHER_NBMA, SPOKE, SPOKE_NBMA, TUNNEL
from tests.unit.nhrp.dual import OTHER_6, SPOKE_6, dual_hub, dual_spoke, question, request_6
from tests.vectors import cisco

SECRET = (authentication("secret"),)
FIELDS = (
    "nhrp.hdr.op.type",
    "frame.protocols",
    "_ws.expert.message",
    "_ws.malformed",
    "nhrp.hdr.chksum.status",
    "nhrp.hdr.pro.type",
    "nhrp.src.prot.addr_bytes",
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


def sent_6() -> list[bytes]:
    """What a spoke with both families sends when its tunnel comes up."""
    done = dual_spoke().source_changed(TUNNEL, SPOKE_NBMA, 0.0)
    return [action.data for action in done if isinstance(action, SendPacket)]


def resolution(wanted: IPv4Address, flags: int = 0xC800) -> Packet:
    """A question for an address."""
    question = request(OTHER, OTHER_NBMA, destination_protocol=wanted, flags=flags, cies=())
    return replace(question, type=PacketType.RESOLUTION_REQUEST)


def busy() -> Agent:
    """A hub with a unique spoke and one that is not."""
    made = hub()
    deliver(made, request(unique=True))
    deliver(made, request(OTHER, OTHER_NBMA), OTHER_NBMA)
    return made


def closed() -> Agent:
    """A hub with a secret."""
    return hub(authentication="secret")


def everything() -> Packet:
    """All extensions, with entries in them."""
    entries = Cie(nbma=HUB_NBMA, protocol=OTHER), Cie(nbma=OTHER_NBMA, protocol=SPOKE, preference=9)
    record = b"".join(map(encode_cie, entries))
    records = tuple(Extension(kind, True, record) for kind in (3, 4, 5))
    return request(cies=entries, extensions=(*records, *SECRET, Extension(9, False, record)))


def indication() -> Packet:
    """A redirect, about the data packet that a router's own was about."""
    about = cisco.TRAFFIC_INDICATION[40:68]
    return replace(request(cies=()), type=PacketType.TRAFFIC_INDICATION, payload=about)


RIVAL = request(nbma=OTHER_NBMA, unique=True)
STRANGE = request(extensions=(*SECRET, Extension(0x3801, True, b"x")))
AT_WORK: dict[str, Callable[[], bytes]] = {
    "registration request": lambda: first_request(),
    "registration request, unique": lambda: first_request(unique=True),
    "registration request, secret": lambda: first_request(authentication="secret"),
    "registration request, longest secret": lambda: first_request(authentication="12345678"),
    "registration reply, success": lambda: sent(deliver(hub(), request(unique=True))),
    "registration reply, secret": lambda: sent(deliver(closed(), request(extensions=SECRET))),
    "registration reply, no extensions": lambda: sent(deliver(hub(), request(extensions=None))),
    "registration reply, code 4": lambda: sent(deliver(hub(), request(IPv4Address("10.9.9.9")))),
    "registration reply, code 5": lambda: sent(deliver(hub(), request(), ok=False)),
    "registration reply, code 14": lambda: sent(deliver(busy(), RIVAL, OTHER_NBMA)),
    "resolution reply, success": lambda: sent(deliver(busy(), resolution(SPOKE), OTHER_NBMA)),
    "resolution reply, code 12": lambda: sent(deliver(busy(), resolution(IPv4Address("10.0.0.99")))),
    "resolution reply, code 13": lambda: sent(deliver(busy(), resolution(OTHER, 0xD800))),
    "purge reply": lambda: sent(deliver(hub(), purge())),
    "error indication, code 11": lambda: sent(deliver(closed(), request())),
    "error indication, code 15": lambda: sent(deliver(closed(), request(hop_count=0, extensions=SECRET))),
    "error indication, code 1": lambda: sent(deliver(closed(), STRANGE)),
}
"""Every kind of packet that an agent sends."""
OF_IPV6: dict[str, Callable[[], bytes]] = {
    "IPv6: registration request": lambda: sent_6()[1],
    "IPv6: registration request, link-local": lambda: sent_6()[2],
    "IPv6: registration reply": lambda: sent(deliver(dual_hub(), request_6())),
    "IPv6: resolution reply": lambda: sent(deliver(dual_hub(), question(OTHER_6), OTHER_NBMA)),
    "IPv6: error indication": lambda: sent(deliver(dual_hub(), request_6(hop_count=0))),
}
"""The same of a dual stack: the protocol type is 0x86DD, and the NBMA addresses are IPv4."""
FROM_THE_CODEC: dict[str, Callable[[], bytes]] = {
    "resolution request": lambda: encode(resolution(SPOKE)),
    "purge request": lambda: encode(purge()),
    "purge request, no reply": lambda: encode(purge(flags=0x8000)),
    "traffic indication": lambda: encode(indication()),
    "all extensions": lambda: encode(everything()),
}
"""The packet types that an agent reads and does not send, and all the parts at once."""
SOUND = AT_WORK | OF_IPV6 | FROM_THE_CODEC
BROKEN: dict[str, Callable[[], bytes]] = {
    "cut": lambda: SOUND["registration reply, success"]()[:-20],
    "wrong checksum": lambda: SOUND["purge reply"]()[:12] + bytes(2) + SOUND["purge reply"]()[14:],
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
    assert program is not None, "tshark is missing; `make unit` installs it"
    pcap.write(path, frames.values())
    wanted = [part for field in FIELDS for part in ("-e", field)]
    argv = [program, "-n", "-r", str(path), "-T", "fields", "-E", "occurrence=f", *wanted]
    run = subprocess.run(argv, capture_output=True, text=True, check=True, timeout=60)
    lines = run.stdout.splitlines()
    assert len(lines) == len(frames), run.stderr
    cells = (dict(zip(FIELDS, line.split("\t"), strict=True)) for line in lines)
    return {name: Dissection(found) for name, found in zip(frames, cells, strict=True)}


@pytest.fixture(scope="module")
def dissected(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Dissection]:
    """All packets, read by one run of tshark."""
    frames = {name: make() for name, make in (SOUND | BROKEN).items()}
    return dissect(tmp_path_factory.mktemp("tshark") / "all.pcap", frames)


@pytest.mark.parametrize("name", SOUND)
def test_tshark_has_no_complaint(name: str, dissected: dict[str, Dissection]) -> None:
    found = dissected[name]
    assert found.complaint() == ""
    assert found.fields["frame.protocols"].startswith("ip:gre:nhrp")
    assert int(found.fields["nhrp.hdr.op.type"]) == SOUND[name]()[17]


def test_tshark_reads_the_addresses_of_an_ipv6_request(dissected: dict[str, Dissection]) -> None:
    found = dissected["IPv6: registration request"].fields
    assert found["nhrp.hdr.pro.type"] == "0x86dd"
    assert found["nhrp.src.prot.addr_bytes"] == SPOKE_6.packed.hex()


@pytest.mark.parametrize("name", BROKEN)
def test_tshark_does_complain_about_a_broken_packet(name: str, dissected: dict[str, Dissection]) -> None:
    assert dissected[name].complaint() != ""


def test_every_type_that_we_encode_was_shown_to_tshark() -> None:
    assert {make()[17] for make in SOUND.values()} == set(PacketType)


@pytest.mark.parametrize("code", [4, 5, 12, 13, 14])
def test_tshark_reads_the_code_of_a_refusal(code: int, dissected: dict[str, Dissection]) -> None:
    (found,) = [each for name, each in dissected.items() if name.endswith(f"reply, code {code}")]
    assert int(found.fields["nhrp.code"]) == code


@pytest.mark.parametrize("code", [1, 11, 15])
def test_tshark_reads_the_code_of_an_error(code: int, dissected: dict[str, Dissection]) -> None:
    assert int(dissected[f"error indication, code {code}"].fields["nhrp.err.code"]) == code
