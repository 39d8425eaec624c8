"""What the dashboard serves: runs under their names, means beside them, the runs untouched."""

import json
import shutil

import pytest
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from tensorboard.plugins.custom_scalar import metadata as custom_scalars
from tensorboard.plugins.custom_scalar.layout_pb2 import Layout

from gan_lab.errors import ConfigError
from gan_lab.reports.analysis.charts import CURVES
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
    # A run's own layout beside these would draw charts twice.
    assert {path.parent.name for path in tmp_path.rglob("*.layout")} == {
        *("minimax", "hinge_spectral_norm", "real data", "verdict and tables")
    }
    assert not list(tmp_path.rglob("seed_*/*.layout"))


def charts_in(run):
    """Tags of the charts that a run lays out."""
    log = EventAccumulator(str(run)).Reload()
    [event] = log.Tensors(custom_scalars.CONFIG_SUMMARY_TAG)
    page = Layout.FromString(event.tensor_proto.string_val[0])
    charts = [chart for category in page.category for chart in category.chart]
    lines = [tag for chart in charts for tag in chart.multiline.tag]
    bands = [series.value for chart in charts for series in chart.margin.series]
    return {tag.strip("^$").replace("\\", "") for tag in [*lines, *bands]}


def test_a_run_alone_has_the_charts_of_its_curves_and_real_data(sweep, tmp_path):
    logs = NamedLogs(sweep / "b", tmp_path)
    assert not logs.has_means
    assert runs_in(tmp_path) == {"ring/hinge_spectral_norm/seed_7", "real data"}
    charts = charts_in(tmp_path / "real data")
    assert {"divergence/wasserstein", "gradient/generator_norm", "time/train_seconds"} <= charts
    assert not charts & {"discriminator_estimate/js", "discriminator_estimate/wasserstein"}
    [floor] = set(scalars(tmp_path / "real data", "divergence/wasserstein").values())
    floors = scalars(tmp_path / "ring/hinge_spectral_norm/seed_7", "divergence/wasserstein_floor")
    assert floor in floors.values()


def test_a_run_that_goes_on_has_all_charts_from_the_beginning(sweep, tmp_path):
    shutil.copytree(sweep / "b", tmp_path / "run")
    status = json.loads((tmp_path / "run" / "status.json").read_text())
    (tmp_path / "run" / "status.json").write_text(json.dumps(status | {"state": "running"}))
    (tmp_path / "run" / "metrics.jsonl").write_text("")
    NamedLogs(tmp_path / "run", tmp_path / "home")
    assert set(CURVES) < charts_in(tmp_path / "home" / "real data")
    shutil.copytree(tmp_path / "run", tmp_path / "runs" / "a")
    shutil.copytree(sweep / "a", tmp_path / "runs" / "b")
    NamedLogs(tmp_path / "runs", tmp_path / "means")
    of_points = {tag for tag, curve in CURVES.items() if not curve.is_of_features}
    assert of_points == charts_in(tmp_path / "means" / "mean" / "minimax")


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
