"""Frames: whole ones pass, others are errors."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dmvpn_lab.machine import wire
from dmvpn_lab.machine.wire import Kind, UnexpectedError, WireError

Pair = tuple[socket.socket, socket.socket]


@pytest.fixture
def pair() -> Iterator[Pair]:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        ours.settimeout(10)
        theirs.settimeout(10)
        yield ours, theirs


@pytest.mark.parametrize("kind", Kind)
@pytest.mark.parametrize("size", [0, 1, 70_000])
def test_a_frame_comes_out_as_it_went_in(pair: Pair, kind: Kind, size: int) -> None:
    ours, theirs = pair
    body = bytes(min(size, wire.LARGEST[kind]))
    wire.send_frame(ours, kind, body)
    assert wire.receive_frame(theirs) == (kind, body)


def test_frames_keep_their_order_and_their_ends(pair: Pair) -> None:
    ours, theirs = pair
    ours.sendall(b"".join(wire.encode_frame(kind, kind.value) for kind in Kind))
    assert [wire.receive_frame(theirs) for _ in Kind] == [(kind, kind.value) for kind in Kind]


def test_a_frame_is_a_letter_a_length_and_the_body() -> None:
    assert wire.encode_frame(Kind.STDOUT, b"abc") == b"O\x00\x00\x00\x03abc"


def test_json_is_a_frames_body(pair: Pair) -> None:
    ours, theirs = pair
    wire.send_json(ours, Kind.EXIT, {"code": 3})
    assert wire.receive_frame(theirs) == (Kind.EXIT, b'{"code": 3}')


def test_an_end_between_frames_is_an_orderly_end(pair: Pair) -> None:
    ours, theirs = pair
    wire.send_frame(ours, Kind.STDIN, b"x")
    ours.close()
    assert wire.receive_frame(theirs) == (Kind.STDIN, b"x")
    assert wire.receive_frame(theirs) is None


@pytest.mark.parametrize("length", range(1, 8))
def test_an_end_within_a_frame_is_an_error(pair: Pair, length: int) -> None:
    ours, theirs = pair
    ours.sendall(wire.encode_frame(Kind.STDIN, b"abc")[:length])
    ours.close()
    with pytest.raises(WireError, match="in the middle of a frame"):
        wire.receive_frame(theirs)


def test_what_begins_with_another_letter_is_no_frame(pair: Pair) -> None:
    ours, theirs = pair
    ours.sendall(b"GET / HTTP/1.1\r\n")
    with pytest.raises(WireError, match="no frame begins with b'G'"):
        wire.receive_frame(theirs)


@pytest.mark.parametrize("kind", Kind)
def test_a_length_over_the_limit_is_refused_before_it_is_waited_for(pair: Pair, kind: Kind) -> None:
    ours, theirs = pair
    ours.sendall(wire.HEADER.pack(kind.value, wire.LARGEST[kind] + 1))
    with pytest.raises(UnexpectedError, match=f"a {kind.name} frame of .* octets; .* are the most"):
        wire.receive_frame(theirs)


def test_a_kind_that_is_not_awaited_is_refused_before_it_is_waited_for(pair: Pair) -> None:
    ours, theirs = pair
    ours.sendall(wire.HEADER.pack(Kind.WRITTEN.value, 5))
    with pytest.raises(UnexpectedError, match="of kind WRITTEN, which nobody awaits"):
        wire.receive_frame(theirs, {Kind.EXIT: wire.WORDS})


@given(st.lists(st.tuples(st.sampled_from(Kind), st.binary(max_size=50)), max_size=8), st.data())
def test_frames_may_arrive_in_any_pieces(frames: list[tuple[Kind, bytes]], data: st.DataObject) -> None:
    raw = b"".join(wire.encode_frame(*frame) for frame in frames)
    cuts = sorted(data.draw(st.lists(st.integers(0, len(raw)), max_size=5)))
    ours, theirs = socket.socketpair()
    with ours, theirs:
        pieces = [raw[a:b] for a, b in zip([0, *cuts], [*cuts, len(raw)], strict=True)]

        def send() -> None:
            for piece in pieces:
                ours.sendall(piece)
            ours.shutdown(socket.SHUT_WR)

        sender = threading.Thread(target=send)
        sender.start()
        received = list(iter(lambda: wire.receive_frame(theirs), None))
        sender.join()
    assert received == frames
