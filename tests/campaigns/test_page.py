"""docs/reliability.md is what the campaigns left, and a campaign counts what it lost."""

import json

import pytest

from tests.campaigns import __main__ as reliability
from tests.campaigns import page
from tests.campaigns.record import RESULTS, ROOT, Campaign, Fault

FAULTS = [Fault("kill", "step 1"), Fault("kill", "step 2", "a | row"), Fault("full", "once")]


def campaign(**more):
    return Campaign("kills", "Kills", "Nothing is lost.", FAULTS, seconds=300, **more)


def test_the_page_in_the_repository_is_what_the_results_say():
    assert (ROOT / "docs" / "reliability.md").read_text() == page.render()


def test_every_campaign_has_left_its_result_in_the_repository_and_lost_nothing():
    results = {result["name"]: result for result in page.load(RESULTS)}
    assert results.keys() >= set(reliability.CAMPAIGNS)
    for result in results.values():
        assert result["lost"] == []
        assert all(row["lost"] == 0 and row["tried"] > 0 for row in result["rows"])


def test_a_campaign_counts_by_kind_in_order():
    assert campaign().rows() == [
        {"kind": "kill", "tried": 2, "survived": 1, "lost": 1},
        {"kind": "full", "tried": 1, "survived": 1, "lost": 0},
    ]
    assert campaign().lost == FAULTS[1:2]


def test_a_page_names_what_was_lost_and_shows_numbers_and_tables(tmp_path):
    rows = [{"step": 1, "MiB": 2.5}, {"step": 2, "MiB": 3.25}]
    path = campaign(measured={"slope": 0.125, "by step": rows}).save(tmp_path)
    assert json.loads(path.read_text())["lost"][0]["lost"] == "a | row"
    text = page.render(tmp_path)
    assert "| [Kills](#kills) | 3 | 2 | 1 |" in text
    assert "| **all** | 3 | 2 | 1 |" in text
    assert "- kill, step 2: a | row" in text
    assert "- slope: 0.125" in text
    assert "| step | MiB |" in text
    assert "| 2 | 3.25 |" in text


def test_the_script_s_exit_code_says_whether_something_was_lost(tmp_path, monkeypatch, capsys):
    class Module:
        @staticmethod
        def campaign(n, seed, tell):
            tell(f"{n} of seed {seed}")
            return campaign() if n > 2 else Campaign("kills", "Kills", "", FAULTS[:1])

    monkeypatch.setattr(reliability.importlib, "import_module", lambda name: Module)
    asked = ("--output", str(tmp_path), "--seed", "7")
    assert reliability.main(["kills", "3", *asked]) == 1
    assert "kill: 1 of 2 survived" in capsys.readouterr().out
    assert reliability.main(["kills", "2", *asked]) == 0
    with pytest.raises(SystemExit):
        reliability.main(["nothing"])
