"""What the dashboard serves: runs under their names, means beside them, the runs untouched."""

import shutil

import pytest
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from tensorboard.plugins.custom_scalar import metadata as custom_scalars

from gan_lab.errors import ConfigError
from gan_lab.reports.export.log_directory import NamedLogs
from tests.helpers import RING, files, train

KEYS = (*RING, "trainer.steps=4", "trainer.log_every=1", "evaluator.every=2")


@pytest.fixture(scope="module")
def sweep(tmp_path_factory):
    """Two losses, one of them with two seeds, in directories whose names say nothing."""
    home = tmp_path_factory.mktemp("sweep")
    train(home / "a", *KEYS, "loss=minimax", "n_seeds=2")
    train(home / "b", *KEYS, "loss=hinge", "seed=7")
    return home


def contents(home):
    return {path: (home / path).read_bytes() for path in files(home) if (home / path).is_file()}


def runs_in(home):
    return {str(path.parent.relative_to(home)) for path in home.rglob("*.series")}


def scalars(directory, tag):
    return {
        event.step: event.value for event in EventAccumulator(str(directory)).Reload().Scalars(tag)
    }


def test_runs_have_names_and_choices_with_several_seeds_means(sweep, tmp_path):
    before = contents(sweep)
    logs = NamedLogs(sweep, tmp_path)
    seeds = {"ring/minimax/seed_0", "ring/minimax/seed_1", "ring/hinge_spectral_norm/seed_7"}
    means = {"mean/minimax", "mean/hinge_spectral_norm", "real data", "verdict and tables"}
    assert runs_in(tmp_path) == seeds | means
    assert logs.has_means
    assert contents(sweep) == before
    tag = "divergence/wasserstein"
    each = [scalars(tmp_path / f"ring/minimax/seed_{seed}", tag) for seed in (0, 1)]
    mean = {step: (each[0][step] + each[1][step]) / 2 for step in each[0]}
    assert len(mean) >= 3
    assert scalars(tmp_path / "mean/minimax", tag) == pytest.approx(mean, rel=1e-5)
    # A layout of single runs beside that of the means would draw every chart twice.
    layouts = {path.parent.parent.name for path in tmp_path.rglob("*.layout")}
    assert "minimax" not in layouts


def test_a_run_alone_keeps_its_layout_and_is_shown_beside_real_data(sweep, tmp_path):
    logs = NamedLogs(sweep / "b", tmp_path)
    assert not logs.has_means
    assert runs_in(tmp_path) == {"ring/hinge_spectral_norm/seed_7", "real data"}
    for run in ("ring/hinge_spectral_norm/seed_7", "real data"):
        log = EventAccumulator(str(tmp_path / run)).Reload()
        assert custom_scalars.CONFIG_SUMMARY_TAG in log.Tags()["tensors"]
    [floor] = set(scalars(tmp_path / "real data", "divergence/wasserstein").values())
    floors = scalars(tmp_path / "ring/hinge_spectral_norm/seed_7", "divergence/wasserstein_floor")
    assert floor in floors.values()


def test_what_comes_later_is_linked_and_its_mean_replaces_the_earlier(sweep, tmp_path):
    source, home = tmp_path / "source", tmp_path / "home"
    shutil.copytree(sweep / "b", source / "first")
    logs = NamedLogs(source, home)
    before = {path: path.stat().st_mtime_ns for path in home.rglob("*.series")}
    logs.update()  # nothing is new
    assert {path: path.stat().st_mtime_ns for path in home.rglob("*.series")} == before
    assert not logs.has_means
    train(source / "second", *KEYS, "loss=hinge", "seed=8")
    logs.update()
    assert {
        "ring/hinge_spectral_norm/seed_7",
        "ring/hinge_spectral_norm/seed_8",
        "mean/hinge_spectral_norm",
    } <= runs_in(home)
    two = scalars(home / "mean/hinge_spectral_norm", "divergence/wasserstein")
    train(source / "third", *KEYS, "loss=hinge", "seed=9")
    logs.update()
    three = scalars(home / "mean/hinge_spectral_norm", "divergence/wasserstein")
    assert list(three) == list(two)
    tag = "divergence/wasserstein"
    each = [scalars(home / f"ring/hinge_spectral_norm/seed_{seed}", tag) for seed in (7, 8, 9)]
    assert three == pytest.approx({s: sum(e[s] for e in each) / 3 for s in two}, rel=1e-5)
    assert three != pytest.approx(two, rel=1e-5)


def test_what_holds_no_runs_is_refused(tmp_path):
    (tmp_path / "source").mkdir()
    with pytest.raises(ConfigError, match="holds no run"):
        NamedLogs(tmp_path / "source", tmp_path)
