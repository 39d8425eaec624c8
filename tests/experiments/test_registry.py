"""The registry is complete and honest; its rows are judged by their own numbers."""

import json

import pytest
from omegaconf import OmegaConf

from gan_lab.cli.experiment import study_of
from gan_lab.cli.reproduce import rows_of_the_registry
from gan_lab.config.catalogue import choices
from gan_lab.config.compose import compose_config
from gan_lab.errors import ConfigError
from gan_lab.experiments import registry
from gan_lab.runs.run_dir import plain
from tests.helpers import ROOT, files, main

ROWS = rows_of_the_registry()
QUICK = [row for row in ROWS if row.runs(everything=False)]


def test_the_registry_has_what_it_promises():
    assert len(QUICK) >= 24
    assert sum(row.trains for row in QUICK) >= 10
    assert sum(row.evidence == "V" for row in QUICK) >= 8
    assert {row.study for row in ROWS} - {None} == set(choices("experiment"))


def test_what_runs_by_default_fits_into_ten_minutes():
    costs = {(row.command, row.cost) for row in QUICK}
    assert len(costs) == len(dict(costs))  # rows that share a run say one cost
    assert sum(dict(costs).values()) < 540


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.id)
def test_a_row_is_well_formed(row):
    assert row.statement.endswith(".")
    assert row.citation
    if row.command is not None:
        _, name, *overrides = row.command.split()
        study_of(compose_config("experiment", [f"experiment={name}", *overrides]))


ROW = {
    **{"id": "one", "statement": "One is one.", "citation": "ours", "evidence": "D"},
    **{"protocol": "exact", "command": "experiment parallel_segments", "claim": "c"},
    **{"statistic": "1", "relation": "equals", "expected": 1, "tolerance": 0.1, "unit": ""},
    **{"trains": False, "seeds": 1, "bound": None, "cost": 1, "needs": None},
}


def study(path, low, high, claim="c"):
    path.mkdir(parents=True)
    record = {"id": claim, "measured": (low + high) / 2, "low": low, "high": high}
    content = {"experiment": "x", "claims": [{**record, "verdict": "pass"}], "notes": ["a note"]}
    (path / "result.json").write_text(json.dumps(content))
    return path


@pytest.mark.parametrize(
    ("low", "high", "verdict"),
    [(0.95, 1.05, "pass"), (1.2, 1.3, "fail"), (0.5, 1, "inconclusive"), (0, 2, "inconclusive")],
)
def test_a_row_judges_by_its_own_number_not_by_the_studys_verdict(tmp_path, low, high, verdict):
    (row,) = registry.parse_rows([ROW])
    assert registry.outcome(row, study(tmp_path / "s", low, high)).verdict == verdict


def test_a_row_without_a_study_is_skipped_and_says_why():
    (row,) = registry.parse_rows([{**ROW, "command": None, "claim": None, "needs": "gpu"}])
    assert not row.runs(everything=True)
    assert registry.outcome(row, None, "needs gpu").verdict == "skipped: needs gpu"


def test_a_claim_that_the_study_does_not_make_is_an_error(tmp_path):
    (row,) = registry.parse_rows([ROW])
    with pytest.raises(ConfigError, match="makes no claim 'c'"):
        registry.outcome(row, study(tmp_path / "s", 0, 1, claim="other"))


@pytest.mark.parametrize(
    "change",
    [
        *({"evidence": "X"}, {"protocol": "rough"}, {"relation": "near"}, {"extra": 1}),
        *({"claim": None}, {"command": None, "claim": None}, {"command": "train"}),
    ],
)
def test_a_malformed_row_is_refused(change):
    with pytest.raises(ConfigError, match="one"):
        registry.parse_rows([{**ROW, **change}])


def test_two_rows_of_one_name_are_refused():
    with pytest.raises(ConfigError, match="two rows"):
        registry.parse_rows([ROW, ROW])


def test_what_was_only_recalled_is_not_shown_as_published():
    rows = [{**ROW, "evidence": "R", "measured": 1.0, "low": 1.0, "high": 1.0, "verdict": "pass"}]
    assert "ours" not in registry.table(rows)
    assert "recalled, not read" in registry.table(rows)


def test_the_page_shows_rows_notes_and_pictures(tmp_path):
    (row,) = registry.parse_rows([ROW])
    path = study(tmp_path / "studies" / "s", 0.95, 1.05)
    (path / "figures").mkdir()
    (path / "figures" / "a.png").write_bytes(b"")
    registry.save([registry.outcome(row, path)], {row.command: path}, tmp_path)
    page = (tmp_path / "index.html").read_text()
    assert 'class="badge good">1 of 1 claims shown<' in page
    assert "<li>a note</li>" in page
    assert "One is one." in page
    assert 'href="studies/s/index.html"' in page
    page = (tmp_path / "report.md").read_text()
    assert "![a](studies/s/figures/a.png)" in page
    assert "- a note" in page
    assert "One is one." in page
    assert json.loads((tmp_path / "result.json").read_text())["rows"][0]["verdict"] == "pass"


def test_reproduce_runs_a_study_and_says_what_it_found(workdir, capsys):
    assert main("reproduce", "divergence_zoo", "output=out") == 0
    said = capsys.readouterr().out
    assert "pass" in said
    assert said.split()[-1].endswith("out/index.html")
    assert {"index.html", "report.md", "result.json"} <= {str(file) for file in files("out")}


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["nope"], "no row or study of the registry is called 'nope'"),
        (["lst=true"], "did you mean 'list'?"),
        (["list=yes"], "list=yes is neither true nor false"),
        (["output="], "output= has no value"),
        (["--foo"], "takes no '--foo'"),
    ],
)
def test_bad_input_is_refused_in_one_line(arguments, said, workdir, capsys):
    assert main("reproduce", *arguments) == 2
    assert said in capsys.readouterr().err
    assert files(".") == []


def test_the_list_shows_every_row_and_runs_nothing(workdir, capsys):
    assert main("reproduce", "list=true") == 0
    said = capsys.readouterr().out
    assert all(row.id in said for row in ROWS)
    assert files(".") == []


def test_rows_that_can_run_here_say_the_number_of_the_studys_claim():
    # The kept result of a whole run: relation, expected and tolerance agree with the code's.
    kept = ROOT / "docs" / "reproduce.json"
    saved = {row["id"]: row for row in json.loads(kept.read_text())["rows"]}
    assert set(saved) == {row.id for row in ROWS}
    for row in ROWS:
        for key in ("relation", "expected", "tolerance", "command", "claim"):
            assert saved[row.id][key] == plain(getattr(row, key)), (row.id, key)


def test_every_registry_file_is_a_list_of_rows():
    for path in (ROOT / "conf" / "reproduce").glob("*.yaml"):
        assert OmegaConf.is_list(OmegaConf.load(path)), path
