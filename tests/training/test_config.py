"""What cannot be measured is refused before it is trained, and what goes wrong is warned of."""

import numpy as np
import pytest

from gan_lab.errors import ConfigError
from gan_lab.loggers.jsonl import read_metrics
from gan_lab.training.build import open_run
from tests.helpers import RING, run_config, train

CHEAP = ("trainer.steps=3", "network.width=8", "evaluator.floor_n_repeats=2")
CHEAP += ("neural_distance.steps=5",)


@pytest.mark.parametrize(
    "choice", ["data.n_held_out=19", "data.n_held_out=1780", "data.n_validation=19"]
)
def test_too_few_samples_of_any_part_are_refused(choice):
    with pytest.raises(ConfigError, match="need 20 of each"):
        open_run(run_config("data=digits", choice))


@pytest.mark.parametrize(("n_held_out", "n_validation"), [(20, "null"), (1697, "null"), (1757, 20)])
def test_a_lopsided_split_trains_to_its_end(tmp_path, n_held_out, n_validation):
    parts = (f"data.n_held_out={n_held_out}", f"data.n_validation={n_validation}")
    train(tmp_path / "run", "data=digits", *parts, *CHEAP)


def test_data_that_mostly_coincide_are_measured(tmp_path):
    rows = np.zeros((400, 1))
    rows[::7, 0] = 1.0
    np.save(tmp_path / "x.npy", rows)
    train(tmp_path / "run", "data=array", f"data.path={tmp_path / 'x.npy'}", *CHEAP)


def test_images_per_second_count_the_warm_up(tmp_path):
    keys = ("trainer.warmup_steps=10", "trainer.warmup_n_critic=20", "trainer.log_every=5")
    run = train(tmp_path / "run", *RING, "trainer.steps=10", *keys)
    for row in read_metrics(run / "metrics.jsonl")[1:]:
        per_step = row["time/images_per_second"] / row["time/steps_per_second"]
        assert per_step == pytest.approx(16 * 21, rel=1e-9)
