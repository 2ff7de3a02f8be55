"""Runs the contract over each backend: the deck's lab on it, for all tests of the contract."""

from __future__ import annotations

import pytest

from dmvpn_lab.testing import Labs, LiveLab
from tests.live import backends

IN_CI_ON_DOCKER = frozenset(
    {
        "test_every_check_passes",
        "test_a_command_gives_its_output_and_exit_code",
        "test_a_file_that_is_put_is_there_whole_also_over_one_that_was",
        "test_each_node_has_its_name_and_only_the_interfaces_of_the_plan",
        "test_nothing_of_the_lab_is_in_the_hosts_own_network",
        "test_each_program_of_a_router_has_a_log",
        "test_a_new_address_of_a_spoke_is_got_over_and_undone",
        "test_an_agent_that_is_killed_is_not_missed",
        "test_the_hub_works_at_the_address_that_docker0_has_on_the_host",
    }
)
"""In an emulated machine a lab on Docker takes minutes to start: these share one, the rest is long."""


def pytest_report_header() -> str | None:
    """Say what is left out."""
    return backends.left_out()


@pytest.hookimpl(tryfirst=True)  # before `-m` looks at the marks
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """On containers only a part of the contract runs in CI."""
    for item in items:
        call = getattr(item, "callspec", None)
        backend = call.params.get("lab_backend") if call is not None else None
        name = getattr(item, "originalname", item.name)
        if backend == "containerlab" or (backend == "docker" and name not in IN_CI_ON_DOCKER):
            item.add_marker(pytest.mark.long)


@pytest.fixture(scope="session", params=backends.HERE)
def lab_backend(request: pytest.FixtureRequest) -> str:
    """One backend after the other."""
    name: str = request.param
    return name


@pytest.fixture
def dmvpn_lab(dmvpn_labs: Labs, lab_backend: str) -> LiveLab:
    """The deck's lab on one backend; a new one after a test that has broken it."""
    return dmvpn_labs.get("hub-and-spoke", lab_backend)
