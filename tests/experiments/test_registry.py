"""The registry is complete and honest; its rows are judged by their own numbers."""

import json
from pathlib import Path

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
    assert sum(dict(costs).values()) < 600


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
    "fails_if": "one is two",
}


def study(path, low, high, claim="c", **more):
    path.mkdir(parents=True)
    record = {"id": claim, "measured": (low + high) / 2, "low": low, "high": high, **more}
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
        {"fails_if": " "},
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
    registry.save([registry.outcome(row, path)], {row.command: path}, tmp_path, 100)
    page = (tmp_path / "index.html").read_text()
    assert 'class="badge good">1 of 1 claims shown<' in page
    assert "<li>a note</li>" in page
    assert "One is one." in page
    assert 'href="studies/s/index.html"' in page
    page = (tmp_path / "report.md").read_text()
    assert "![a](studies/s/figures/a.png)" in page
    assert "- a note" in page
    assert "One is one." in page
    result = json.loads((tmp_path / "result.json").read_text())
    assert result["rows"][0]["verdict"] == "pass"
    assert result["seed"] == 100


def joinable(tmp_path, seed, low, high, **more):
    (row,) = registry.parse_rows([ROW])
    path = study(tmp_path / str(seed), low, high, **more)
    registry.save([registry.outcome(row, path)], {row.command: path}, tmp_path, seed)
    return json.loads((tmp_path / "result.json").read_text())


def test_results_of_several_base_seeds_join_with_the_worst_verdict_and_all_numbers(tmp_path):
    results = [joinable(tmp_path, 0, 0.95, 1.05), joinable(tmp_path, 100, 0.5, 1.0)]
    results.append(joinable(tmp_path, 200, 1.0, 1.0))
    joined = registry.join(results)
    (row,) = joined["rows"]
    assert joined["seeds"] == [0, 100, 200]
    assert joined["environment"]["git"] == results[0]["environment"]["git"]
    assert (row["verdict"], row["measured"]) == ("inconclusive", 0.75)
    assert [each["verdict"] for each in row["by_seed"]] == ["pass", "inconclusive", "pass"]
    said = registry.tables(joined["rows"])
    assert "seed 0: 1 [0.95, 1.05]; seed 100: 0.75 [0.5, 1]; seed 200: 1 |" in said
    assert registry.counts(joined["rows"]) == "1 claim: 1 inconclusive"
    broken = registry.join([*results, joinable(tmp_path, 300, 2.0, 3.0)])
    assert broken["rows"][0]["verdict"] == "fail"


def test_results_that_are_not_of_one_code_and_of_different_seeds_are_not_joined(tmp_path):
    first, second = (joinable(tmp_path, seed, 1.0, 1.0) for seed in (0, 100))
    with pytest.raises(ConfigError, match="one base seed"):
        registry.join([first, first])
    other = {**second["environment"], "git": {"commit": "0" * 40, "dirty": False}}
    with pytest.raises(ConfigError, match="different code"):
        registry.join([first, {**second, "environment": other}])
    rows = [{**row, "id": "two"} for row in second["rows"]]
    with pytest.raises(ConfigError, match="different rows"):
        registry.join([first, {**second, "rows": rows}])


def test_checks_are_counted_and_listed_apart_from_claims(tmp_path):
    claim, check = (
        joinable(tmp_path, seed, 1.0, 1.0, kind=kind)["rows"][0]
        for seed, kind in ((0, "claim"), (1, "check"))
    )
    assert registry.counts([claim, claim, check]) == "2 claims: 2 pass; 1 check: 1 pass"
    table, _, rest = registry.tables([check, claim]).partition("Checks.")
    assert table.count("One is one.") == rest.count("One is one.") == 1
    assert "one is two" in table


def test_reproduce_runs_a_study_and_says_what_it_found(workdir, capsys):
    assert main("reproduce", "divergence_zoo", "output=out") == 0
    said = capsys.readouterr().out
    assert "pass" in said
    assert said.split()[-1].endswith("out/index.html")
    assert {"index.html", "report.md", "result.json"} <= {str(file) for file in files("out")}


def test_reproduce_keeps_what_was_done_before_a_kill_and_repeats_the_rest(
    workdir, capsys, monkeypatch
):
    performed = []

    def perform(name, overrides, directory, tell):
        performed.append(name)
        config = study_of(compose_config("experiment", [f"experiment={name}", *overrides]))[1]
        ids = {row.claim for row in ROWS if row.study == name}
        found = [{"id": id, "measured": 1.0, "low": 1.0, "high": 1.0} for id in ids]
        directory.mkdir(parents=True, exist_ok=True)
        record = {"experiment": name, "config": plain(config), "claims": found}
        (directory / "result.json").write_text(json.dumps(record))
        (directory / "status.json").write_text('{"state": "done"}')

    monkeypatch.setattr("gan_lab.cli.reproduce.perform", perform)
    words = ("reproduce", "dirac_gan", "divergence_zoo", "output=out", "seed=100")
    main(*words)
    assert performed == ["dirac_gan", "divergence_zoo"]
    rows = json.loads(Path("out/result.json").read_text())["rows"]
    # As a kill leaves it: one study done, the other half done.
    Path("out/result.json").unlink()
    Path("out/studies/02_divergence_zoo/status.json").write_text('{"state": "running"}')
    main(*words)
    assert performed == ["dirac_gan", "divergence_zoo", "divergence_zoo"]
    assert json.loads(Path("out/result.json").read_text())["rows"] == rows
    assert capsys.readouterr().err.count("done before") == 1
    Path("out/result.json").unlink()
    assert main(*words[:-1]) == 2
    assert "another name, seed or configuration" in capsys.readouterr().err


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
    # The rows that are skipped say so; a new one waits for the next whole run.
    assert set(saved) == {row.id for row in ROWS}
    for row in ROWS:
        for key in ("relation", "expected", "tolerance", "command", "claim"):
            assert saved[row.id][key] == plain(getattr(row, key)), (row.id, key)


def test_every_registry_file_is_a_list_of_rows():
    for path in (ROOT / "conf" / "reproduce").glob("*.yaml"):
        assert OmegaConf.is_list(OmegaConf.load(path)), path
