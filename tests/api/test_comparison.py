"""gan_lab.compare: the report of `python -m gan_lab compare` as tables and a page."""

import csv
from pathlib import Path

import numpy as np
import pytest

import gan_lab
from tests.helpers import RING, main


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """Two losses with two seeds each."""
    home = tmp_path_factory.mktemp("runs")
    return [
        gan_lab.train(*RING, loss=loss, steps=6, n_seeds=2, output=home / loss)
        for loss in ("minimax", "wasserstein")
    ]


def test_the_table_has_a_row_a_group_and_final_number(runs):
    table = gan_lab.compare(runs).table
    w1 = table[table.tag == "divergence/wasserstein"].set_index("group")
    assert len(w1) == 2
    for run, (_, row) in zip(runs, w1.loc[["minimax", "WGAN-GP"]].iterrows(), strict=True):
        values = [run.seed(s).evaluate()["wasserstein"].value for s in (0, 1)]
        assert row["mean"] == pytest.approx(np.mean(values), rel=1e-12)
        assert row["low"] < row["mean"] < row["high"]
        # The 95 % t interval of two values.
        half = 12.7062047 * abs(values[0] - values[1]) / 2
        assert row["high"] - row["low"] == pytest.approx(2 * half, rel=1e-6)
        assert (row["seeds"], row["unit"]) == (2, "data units")
        assert row["floor"] == run.evaluate()["wasserstein"].floor


def test_the_differences_are_paired_by_seed(runs):
    table = gan_lab.compare(runs).differences
    (row,) = [row for _, row in table.iterrows() if row.tag == "divergence/wasserstein"]
    mine, yours = ([r.seed(s).evaluate()["wasserstein"].value for s in (0, 1)] for r in runs)
    expected = np.mean(np.subtract(mine, yours))
    assert bool(row["paired"])
    assert row["seeds"] == 2
    assert abs(row["difference"]) == pytest.approx(abs(expected), rel=1e-12)


def test_runs_paths_and_what_holds_them_are_the_same(runs):
    table = gan_lab.compare(runs).table
    for same in (
        [run.path for run in runs],
        [str(run.path) for run in runs],
        runs[0].path.parent,
        [run.seed(s) for run in runs for s in (0, 1)],
    ):
        assert gan_lab.compare(same).table.equals(table)
    assert set(gan_lab.compare(runs[0]).table.group) < set(table.group)


def test_page_and_numbers_are_the_commands(runs, workdir):
    words = [str(run.path) for run in runs]
    assert main("compare", *words, "title=Mine", "output=command") == 0
    comparison = gan_lab.compare(runs, title="Mine")
    assert comparison.save("face/page.html") == Path("face/page.html")
    mine, yours = (Path(p).read_text() for p in ("face/page.html", "command/index.html"))
    assert len(mine) == len(yours) > 1e6
    assert "<title>Mine</title>" in mine
    with open("command/csv/finals.csv") as file:
        rows = list(csv.DictReader(file))
    table = comparison.table
    assert list(rows[0]) == list(table.columns)
    assert [row["mean"] for row in rows] == [str(mean) for mean in table["mean"]]


def test_it_prints_the_verdict_and_shows_the_table(runs):
    comparison = gan_lab.compare(runs)
    assert len(comparison.verdict) >= 1
    assert repr(comparison) == "\n".join(["minimax and WGAN-GP on ring", *comparison.verdict])
    assert any("W1" in sentence for sentence in comparison.verdict)
    assert "<table" in comparison._repr_html_()


def test_nothing_to_compare_is_refused():
    with pytest.raises(gan_lab.ConfigError, match="compare needs one run at least, got none"):
        gan_lab.compare([])
