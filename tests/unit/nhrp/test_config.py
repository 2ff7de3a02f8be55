"""What a tunnel's configuration says of renewals and of servers' addresses."""

from __future__ import annotations

import pytest

from tests.unit.nhrp.builders import hub_config, spoke_config
from tests.unit.nhrp.deck import HUB, HUB_NBMA, OTHER, OTHER_NBMA


@pytest.mark.parametrize(
    ("holding_time_s", "interval_s", "wanted"), [(300, None, 100), (7200, None, 2400), (300, 20, 20)]
)
def test_a_renewal_is_due_at_a_third_unless_an_interval_is_configured(
    holding_time_s: int, interval_s: int | None, wanted: float
) -> None:
    config = spoke_config(holding_time_s=holding_time_s, registration_interval_s=interval_s)
    assert config.renewal_s == wanted


def test_a_static_map_says_where_a_server_is() -> None:
    assert spoke_config().nbma_of(HUB) == HUB_NBMA
    assert spoke_config().nbma_of(OTHER) is None


def test_on_point_to_point_gre_everybody_is_at_the_destination_unless_mapped() -> None:
    config = spoke_config(mode="point-to-point", destination=OTHER_NBMA)
    assert config.nbma_of(OTHER) == OTHER_NBMA
    assert config.nbma_of(HUB) == HUB_NBMA


def test_a_hub_needs_no_server() -> None:
    assert hub_config().nhs == ()
