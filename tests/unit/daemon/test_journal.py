"""The state file: whole, or without its last line; never larger than it must be."""

from __future__ import annotations

import os
from dataclasses import replace
from ipaddress import IPv4Address
from pathlib import Path

import pytest

from dmvpn_lab.daemon import journal
from dmvpn_lab.daemon.journal import Journal
from dmvpn_lab.nhrp.cache import Binding
from dmvpn_lab.nhrp.saved import NOTHING, Changes, Saved
from tests.unit.nhrp.deck import OTHER, OTHER_NBMA, SPOKE, SPOKE_NBMA, TUNNEL

BOUND = Binding(TUNNEL, SPOKE, SPOKE_NBMA, 1.5, unique=True, holding_time_s=300, expires=301.5, request_id=5)
OTHERS = replace(BOUND, protocol=OTHER, nbma=OTHER_NBMA, unique=False)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "agent.state"


def opened(path: Path) -> Journal:
    made = Journal(path)
    made.open()
    return made


def bound(*bindings: Binding, last_id: int = 7) -> Changes:
    return Changes(last_id, [(1, b.protocol, b) for b in bindings])


def gone(protocol: IPv4Address, domain: int = 1) -> Changes:
    return Changes(7, [(domain, protocol, None)])


def left(path: Path) -> Saved:
    """What the next agent would be told; it does not begin its own file."""
    return Journal(path)._read(path)


def test_the_next_agent_is_told_all_that_was_written_though_nobody_closed_the_file(path: Path) -> None:
    opened(path).write(bound(BOUND, OTHERS))
    assert left(path).bindings == (BOUND, OTHERS)


def test_the_newest_of_several_bindings_of_an_address_counts(path: Path) -> None:
    made = opened(path)
    made.write(bound(BOUND))
    moved = replace(BOUND, nbma=OTHER_NBMA, expires=400.0)
    made.write(bound(moved))
    assert left(path).bindings == (moved,)


def renewed(binding: Binding, domain: int = 1) -> Changes:
    assert binding.expires is not None
    return Changes(7, [], [(domain, (binding.expires, [binding]))])


def test_a_renewal_moves_the_end_of_its_binding_and_of_no_other(path: Path) -> None:
    made = opened(path)
    made.write(bound(BOUND, OTHERS))
    later = replace(BOUND, expires=901.25, request_id=9)
    made.write(renewed(replace(BOUND, expires=601.0, request_id=8)))
    made.write(renewed(later))
    made.write(renewed(replace(OTHERS, expires=999.0), domain=2))  # where it is not
    assert left(path).bindings == (later, OTHERS)
    opened(path)
    assert left(path).bindings == (later, OTHERS)


def test_a_binding_that_moves_or_goes_takes_its_renewals_with_it(path: Path) -> None:
    made = opened(path)
    made.write(bound(BOUND, OTHERS))
    for each in (BOUND, OTHERS):
        made.write(renewed(replace(each, expires=901.25)))
    moved = replace(BOUND, nbma=OTHER_NBMA, expires=400.0)
    made.write(bound(moved))
    made.write(gone(OTHER))
    for _ in range(2):
        assert left(path).bindings == (moved,)
        opened(path)


def test_what_is_gone_is_gone_in_its_own_domain_only(path: Path) -> None:
    made = opened(path)
    made.write(bound(BOUND, OTHERS))
    made.write(gone(SPOKE, domain=2))
    assert len(left(path).bindings) == 2
    made.write(gone(SPOKE))
    assert left(path).bindings == (OTHERS,)


def test_a_second_agent_goes_on_from_what_the_first_left_and_the_third_from_both(path: Path) -> None:
    opened(path).write(bound(BOUND))
    opened(path).write(bound(OTHERS))
    assert sorted(left(path).bindings, key=lambda each: each.octets) == [BOUND, OTHERS]


def test_no_request_id_that_was_used_is_used_by_the_next_agent(path: Path) -> None:
    made = opened(path)
    for last_id in (7, 8, 1500, 5000, 5001):
        made.write(Changes(last_id, []))
        saved = left(path).last_id
        assert saved is not None
        assert last_id <= saved <= last_id + journal.ID_BLOCK


def test_request_ids_that_begin_again_at_zero_are_saved_too(path: Path) -> None:
    made = opened(path)
    made.write(Changes(0xFFFFFFFF, []))
    made.write(Changes(3, []))
    assert left(path).last_id == 3 + journal.ID_BLOCK


def test_a_request_id_is_not_a_write_each_time(path: Path) -> None:
    made = opened(path)
    made.write(Changes(100, []))
    size = path.stat().st_size
    for last_id in range(100, 100 + journal.ID_BLOCK + 1):
        made.write(Changes(last_id, []))
    assert path.stat().st_size == size


def test_a_file_that_was_cut_anywhere_gives_the_lines_that_are_whole(path: Path) -> None:
    opened(path).write(bound(BOUND, OTHERS))
    whole = path.read_bytes()
    for length in range(len(whole)):
        path.write_bytes(whole[:length])
        bindings = left(path).bindings
        assert bindings == (BOUND, OTHERS)[: len(bindings)]
        assert len(bindings) == max(0, whole[:length].count(b"\n") - 2)


@pytest.mark.parametrize(
    "junk", [b"", b"\n", b"\xff\xfe\n", b"[]\n", b"{}\n", b'{"version": 99}\n', b"null\n", b"1\n2\n3\n"]
)
def test_a_file_of_somebody_else_is_taken_for_none(path: Path, junk: bytes) -> None:
    path.write_bytes(junk)
    made = Journal(path)
    assert made.open() == NOTHING
    assert not made.found
    made.write(bound(BOUND))
    assert left(path).bindings == (BOUND,)


def test_a_record_that_cannot_be_read_is_not_the_others_trouble(path: Path) -> None:
    made = opened(path)
    made.write(bound(BOUND))
    with path.open("ab") as file:
        file.write(b'{"bind": 1}\n{"bind": 1, "protocol": "x"}\n[1]\n{"gone": null}\nnonsense\n')
    made.write(bound(OTHERS))
    assert left(path).bindings == (BOUND, OTHERS)


def test_times_of_an_earlier_boot_mean_nothing(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    opened(path).write(bound(BOUND))
    boot = path.parent / "boot_id"
    boot.write_text("another\n")
    monkeypatch.setattr(journal, "BOOT_ID", boot)
    assert left(path) == NOTHING


def test_the_file_stays_in_proportion_to_the_bindings_however_often_they_are_renewed(path: Path) -> None:
    made = opened(path)
    bindings = [replace(BOUND, protocol=IPv4Address(int(SPOKE) + n)) for n in range(300)]
    largest = 0
    for renewal in range(20):
        for each in bindings:
            each.expires = 500.0 + renewal
            made.write(renewed(each) if renewal else bound(each))
            largest = max(largest, path.read_bytes().count(b"\n"))
    assert largest <= journal.GARBAGE * 300 + 2
    assert {b.expires for b in left(path).bindings} == {519.0}
    assert len(left(path).bindings) == 300


def test_a_file_that_cannot_be_written_is_given_up_and_leaves_nothing_untrue(path: Path) -> None:
    made = opened(path)
    made.write(bound(BOUND))
    assert made._file is not None
    full = os.open("/dev/full", os.O_WRONLY)
    os.dup2(full, made._file)
    os.close(full)
    made.write(bound(OTHERS))
    assert made.failed
    assert not path.exists()
    made.write(bound(OTHERS))


def test_without_a_path_nothing_is_kept(tmp_path: Path) -> None:
    made = Journal(None)
    assert made.open() == NOTHING
    made.write(bound(BOUND))
    made.close()
    assert list(tmp_path.iterdir()) == []
