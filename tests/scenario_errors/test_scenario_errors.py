"""Wrong scenarios, each beside the exact text that it must print."""

from __future__ import annotations

from pathlib import Path

import pytest

from dmvpn_lab.errors import EXIT_USAGE, TopologyError
from dmvpn_lab.scenario import load

FOLDER = Path(__file__).parent
CASES = sorted(path.stem for path in FOLDER.glob("*.yml"))


@pytest.mark.parametrize("case", CASES)
def test_a_wrong_scenario_prints_what_is_wrong_where_and_what_to_do(
    case: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(FOLDER)
    with pytest.raises(TopologyError) as caught:
        load.read(Path(f"{case}.yml"))
    assert f"{caught.value}\n" == Path(f"{case}.txt").read_text(encoding="utf-8")
    assert caught.value.exit_code == EXIT_USAGE


def test_each_text_belongs_to_a_scenario() -> None:
    assert sorted(path.stem for path in FOLDER.glob("*.txt")) == CASES
