"""The shapes of the control socket are what the agent says and what the lab side reads."""

from __future__ import annotations

import re
from pathlib import Path

import dmvpn_lab
from dmvpn_lab import answers
from dmvpn_lab.cli import eigrp
from dmvpn_lab.cli.show import SHOWS

PACKAGE = Path(dmvpn_lab.__file__).parent


def words_of(*folders: str) -> set[str]:
    """Every quoted word in the sources of these folders."""
    text = "".join(path.read_text() for folder in folders for path in sorted((PACKAGE / folder).glob("*.py")))
    return set(re.findall(r'"([a-z-]+)"', text))


def test_each_event_is_told_by_the_node_side() -> None:
    assert set(answers.EVENTS) - words_of("nhrp", "ipsec", "eigrp", "odr", "daemon") == set()


def test_each_trigger_is_one_that_the_core_gives() -> None:
    assert set(answers.TRIGGERS) - words_of("nhrp") == set()


def test_events_and_queries_have_one_name_each() -> None:
    for names in (answers.EVENTS, answers.QUERIES, answers.TRIGGERS):
        assert len(set(names)) == len(names)


def test_each_query_can_be_shown() -> None:
    plain = {name for name in answers.QUERIES if not name.startswith("eigrp-")}
    assert set(SHOWS) == {*plain, "routes", "eigrp", "dmvpn"}  # the last is made of several
    assert {*plain, *eigrp.QUERIES.values()} == set(answers.QUERIES)
