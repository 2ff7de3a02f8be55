"""What is made of a ping's output."""

from __future__ import annotations

import asyncio

from dmvpn_lab.outage import Traffic

REPLY = "[1795951409.{at:06}] 64 bytes from 10.0.0.1: icmp_seq={number} ttl=64 time=0.6 ms\n"


def heard(*numbers: int) -> Traffic:
    """The traffic of these replies, in that order."""

    async def read() -> Traffic:
        stream, traffic = asyncio.StreamReader(), Traffic()
        for at, number in enumerate(numbers):
            stream.feed_data(REPLY.format(at=at, number=number).encode())
        stream.feed_eof()
        await traffic.read(stream)
        return traffic

    return asyncio.run(read())


def test_replies_that_are_all_there_in_any_order_are_no_loss() -> None:
    assert heard(1, 3, 2, 4).lost() == 0


def test_numbers_between_two_replies_are_lost() -> None:
    assert heard(1, 2, 5, 6, 8).lost() == 3


def test_what_went_out_before_the_first_reply_is_not_lost_by_a_fault() -> None:
    assert heard(5, 6, 7).lost() == 0


def test_no_reply_is_no_number_of_lost_ones() -> None:
    assert heard().lost() == 0
