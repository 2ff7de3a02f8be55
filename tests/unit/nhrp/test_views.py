"""What the control socket is told about cache, servers and multicast."""

from __future__ import annotations

import json

from dmvpn_lab.nhrp.constants import PacketType
from dmvpn_lab.nhrp.packet import encode
from tests.unit.nhrp.builders import agent, deliver, hub, request, spoke_config
from tests.unit.nhrp.deck import HUB, HUB_NBMA, SPOKE, SPOKE_NBMA, TUNNEL
from tests.unit.nhrp.seen import reply


def test_a_registered_peer_is_shown_whole() -> None:
    made = hub()
    deliver(made, request(unique=True), now=1.0)
    assert made.nhrp(31.5) == [
        {
            "interface": TUNNEL,
            "network_id": 1,
            "protocol": str(SPOKE),
            "prefix_length": 32,
            "via": "10.0.0.11",
            "nbma": str(SPOKE_NBMA),
            "type": "dynamic",
            "flags": ["multicast", "registered", "unique"],
            "holding_time_s": 300,
            "expires_in_s": 269.5,
            "created_s_ago": 30.5,
        }
    ]


def test_flags_say_what_is_and_nothing_else() -> None:
    made = hub(map_multicast_dynamic=False)
    deliver(made, request(unique=False))
    assert made.nhrp(1.0)[0]["flags"] == ["registered"]


def test_a_static_map_of_a_server_is_shown_without_an_end() -> None:
    spoke = agent(spoke_config())
    spoke.source_changed(TUNNEL, SPOKE_NBMA, 0.0)
    (entry,) = spoke.nhrp(7.0)
    assert entry["type"] == "static"
    assert entry["flags"] == ["multicast", "nhs"]
    assert (entry["holding_time_s"], entry["expires_in_s"]) == (None, None)


def test_a_server_is_shown_with_state_and_counts() -> None:
    spoke = agent(spoke_config())
    assert spoke.nhs(0.0) == [
        {
            "interface": TUNNEL,
            "protocol": str(HUB),
            "nbma": str(HUB_NBMA),
            "priority": 0,
            "state": "waiting",
            "requests_sent": 0,
            "requests_failed": 0,
            "replies_received": 0,
            "replied_s_ago": None,
            "renews_in_s": None,
            "last_error": None,
        }
    ]
    sent = reply(spoke.source_changed(TUNNEL, SPOKE_NBMA, 0.0))
    assert spoke.nhs(0.0)[0]["state"] == "registering"
    assert spoke.nhs(0.0)[0]["renews_in_s"] is None
    answer = reply(deliver(hub(), sent))
    assert answer.type == PacketType.REGISTRATION_REPLY
    spoke.receive(TUNNEL, encode(answer), HUB_NBMA, 1.0)
    entry = spoke.nhs(11.0)[0]
    assert (entry["state"], entry["renews_in_s"], entry["replies_received"]) == ("registered", 90.0, 1)


def test_a_server_without_a_map_is_shown_without_address() -> None:
    assert agent(spoke_config(static_maps=())).nhs(0.0)[0]["nbma"] is None


def test_multicast_peers_are_shown_with_their_origin() -> None:
    made = hub(map_multicast=(HUB_NBMA,))
    deliver(made, request())
    assert made.multicast() == [
        {"interface": TUNNEL, "nbma": str(HUB_NBMA), "origin": "static", "packets": 0},
        {"interface": TUNNEL, "nbma": str(SPOKE_NBMA), "origin": "dynamic", "packets": 0},
    ]


def test_everything_shown_goes_through_json() -> None:
    made = hub()
    deliver(made, request())
    for shown in (made.nhrp(1.0), made.nhs(1.0), made.multicast(), made.counters()):
        assert json.loads(json.dumps(shown)) == shown


def test_counters_are_sorted_and_by_tunnel() -> None:
    made = hub()
    deliver(made, request())
    counted = made.counters()[TUNNEL]
    assert counted == {"received-registration-request": 1, "sent-registration-reply": 1}
    assert list(counted) == sorted(counted)
