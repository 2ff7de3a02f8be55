"""The pytest plugin: live labs as fixtures. Installed with the package; nothing to configure.

    def test_a_spoke_gets_over_a_new_address(dmvpn_lab):
        assert dmvpn_lab.address_change("spoke-a").after_s("registered") < 2

`dmvpn_lab` is the session's lab (`--lab-topology` on `--lab-backend`), `dmvpn_labs` starts others,
`wait_for` waits for a condition by the lab's events. Between tests every fault is undone. When a
test fails, a folder under `--lab-artefacts` holds events, captures, tables and logs; those that an earlier
run left there go when the first lab is asked for.

Imports nothing of the lab side before a fixture is used: every pytest on this host loads it.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Generator, Iterator
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any

import pytest

from dmvpn_lab import artefacts

if TYPE_CHECKING:
    from dmvpn_lab.testing import Labs, LiveLab

LABS = pytest.StashKey["Labs"]()
PACKAGE = Path(__file__).resolve().parent
NAME_LIMIT = 120
"""Characters of a folder's name."""


def pytest_addoption(parser: pytest.Parser) -> None:
    """The options of labs."""
    group = parser.getgroup("dmvpn-lab", "live DMVPN labs")
    group.addoption("--lab-topology", metavar="TOPOLOGY", default="hub-and-spoke",
                    help="topology file, or a bundled one's name (default: hub-and-spoke)")  # fmt: skip
    group.addoption("--lab-backend", metavar="BACKEND", default="netns",
                    help="how nodes are run, as in 'dmvpn-lab up --backend' (default: netns)")  # fmt: skip
    group.addoption("--keep-lab", action="store_true",
                    help="leave the labs running at the end; the next run takes them up again")  # fmt: skip
    group.addoption("--lab-capture", metavar="all|none|ROUTER,...", default="all", type=_routers,
                    help="whose NBMA links are captured, for a test that fails (default: all)")  # fmt: skip
    group.addoption(artefacts.OPTION, metavar="FOLDER", default=artefacts.FOLDER,
                    help="where a failed test leaves events, captures, tables and logs, and those of the "
                    f"last run go (default: {artefacts.FOLDER})")  # fmt: skip


@pytest.fixture(scope="session")
def dmvpn_labs(request: pytest.FixtureRequest) -> Iterator[Labs]:
    """All labs of the session: `get(topology, backend)` starts one, or returns it if it runs."""
    from dmvpn_lab.testing import Labs

    config = request.config
    artefacts.clear(_artefacts(config))
    labs = Labs(
        config.getoption("--lab-topology"),
        config.getoption("--lab-backend"),
        keep=config.getoption("--keep-lab"),
        capture=config.getoption("--lab-capture"),
        hold=True,
    )
    config.stash[LABS] = labs
    try:
        yield labs
    finally:
        del config.stash[LABS]
        for name in labs.close():
            _say(config, f"lab {name} runs on: dmvpn-lab inspect; dmvpn-lab down {name}")


@pytest.fixture(scope="session")
def dmvpn_lab(dmvpn_labs: Labs) -> LiveLab:
    """The session's lab. Override it to use another: `return dmvpn_labs.get("my-lab.yml")`."""
    __tracebackhide__ = True
    return dmvpn_labs.get()


@pytest.fixture
def wait_for(dmvpn_lab: LiveLab) -> Callable[..., Any]:
    """`wait_for(predicate, timeout_s=30, what="...")`: see LiveLab.wait_for."""
    return dmvpn_lab.wait_for


@pytest.fixture(autouse=True)
def _dmvpn_lab_clean(request: pytest.FixtureRequest) -> Iterator[None]:
    """Events and packets of this test only; its faults undone after it."""
    if "dmvpn_labs" in request.fixturenames:
        labs: Labs = request.getfixturevalue("dmvpn_labs")
        labs.before_test()
        yield
        labs.after_test()
    else:
        yield


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """A failed test leaves a folder; its path is in the report and in JUnit's properties."""
    whole = item.config.getoption("fulltrace")
    if call.excinfo is not None and not whole and _is_ours(call.excinfo.value):
        _cut(call.excinfo.tb)
    report = yield
    labs = item.config.stash.get(LABS, None)
    if report.failed and labs is not None and "dmvpn_labs" in getattr(item, "fixturenames", ()):
        folder = _folder(item, report.when or "call")
        problems = labs.save(folder)
        (folder / artefacts.FAILURE).write_text(f"{item.nodeid}\n\n{report.longreprtext}\n")
        item.user_properties.append(("dmvpn-lab-artefacts", str(folder)))
        report.sections.append(("dmvpn-lab", "\n".join([f"artefacts: {folder}", *problems])))
    return report


def _is_ours(error: BaseException) -> bool:
    """An error of the package: it says in its words what there is to say."""
    return type(error).__module__ in ("dmvpn_lab.errors", "dmvpn_lab.testing.lab")


def _cut(traceback: TracebackType | None) -> None:
    """End a traceback at the line that called the package; a fixture of this module hides itself."""
    while traceback is not None and traceback.tb_next is not None:
        file = Path(traceback.tb_next.tb_frame.f_code.co_filename)
        if PACKAGE in file.parents:
            if file != Path(__file__):
                traceback.tb_next = None
            return
        traceback = traceback.tb_next


def _folder(item: pytest.Item, when: str) -> Path:
    """A folder of this test's own."""
    name = re.sub(r"[^A-Za-z0-9._-]+", "-", item.nodeid.replace("::", "--")).strip("-")[-NAME_LIMIT:]
    folder = _artefacts(item.config) / name
    if when != "call":
        folder = folder / when
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def _artefacts(config: pytest.Config) -> Path:
    return Path(config.getoption(artefacts.OPTION)).absolute()


def _routers(words: str) -> tuple[str, ...] | None:
    """Of `--lab-capture`: None means all."""
    if words == "all":
        return None
    return () if words == "none" else tuple(words.split(","))


def _say(config: pytest.Config, text: str) -> None:
    """One line on the terminal, whatever is captured."""
    reporter: Any = config.pluginmanager.get_plugin("terminalreporter")
    if reporter is not None:
        reporter.write_line(f"dmvpn-lab: {text}")
