"""Rows are completed, written once for each seed that goes on, and begun anew."""

import dataclasses

import pytest

from gan_lab.training.callback import Callback, Interval
from gan_lab.training.callbacks.clock import TrainingClock
from gan_lab.training.callbacks.logging import Logging, StepMeans
from tests.helpers import small_run


class Records:
    """Keeps the rows instead of writing them."""

    def __init__(self):
        self.written = []

    def write_rows(self, step, rows):
        self.written.append((step, rows))

    def update(self, values, step):
        """Show nothing."""


def logging_of(run, train_seconds=0.0, evaluation_seconds=0.0):
    records, clock = Records(), TrainingClock([])
    clock.train_seconds, clock.evaluation_seconds = train_seconds, evaluation_seconds
    logging = Logging(records, [Callback(), Callback()], clock, records)
    logging.on_fit_start(run)
    return logging, records


def test_a_row_has_what_was_added_and_the_clocks_for_each_seed_that_goes_on():
    run = small_run(seeds=(3, 4, 5), n_critic=2)
    logging, records = logging_of(run, train_seconds=4.0)
    run.state.step, run.rows = 5, [{"a": 1.0}, {"a": 2.0}, {"a": 3.0}]
    run.drop([4])
    logging.on_step_end(run)
    ((step, rows),) = records.written
    assert (step, set(rows)) == (5, {0, 2})
    assert [rows[0]["a"], rows[2]["a"]] == [1.0, 3.0]
    for row in rows.values():
        assert (row["clock/discriminator_steps"], row["clock/generator_steps"]) == (10, 5)
        assert (row["clock/images"], row["time/train_seconds"]) == (2 * 5 * 8, 4.0)
    assert run.rows == [{}, {}, {}]


@pytest.mark.parametrize(
    ("seconds", "said"),  # of training and of looking, at each row
    [
        ([(50.0, 5.0), (100.0, 10.0)], "took 9 % of the time"),
        ([(20.0, 5.0), (400.0, 8.0)], ""),  # a machine that was busy at first
        ([(50.0, 1.0), (100.0, 20.0)], ""),
        ([(50.0, 1.0), (100.0, 2.0)], ""),  # below the budget of 3 %
        ([(5.0, 5.0), (9.0, 9.0)], ""),  # too short to tell
    ],
)
def test_looking_that_takes_too_much_all_along_is_told_once_at_the_end(seconds, said, capsys):
    run = small_run()
    logging, records = logging_of(run)
    clock = logging._clock
    for step, (clock.train_seconds, clock.evaluation_seconds) in enumerate(seconds, start=1):
        run.state.step = step
        logging.on_step_end(run)
        share = records.written[-1][1][0]["time/evaluation_share"]
        assert share == clock.evaluation_seconds / sum(seconds[step - 1])
    assert capsys.readouterr() == ("", "")
    assert logging.warnings(run.config) == []  # of intervals that are chosen
    trainer = dataclasses.replace(run.config.trainer, image_every=1)
    evaluator = dataclasses.replace(run.config.evaluator, budget=0.03)
    config = dataclasses.replace(run.config, trainer=trainer, evaluator=evaluator)
    told = logging.warnings(config)
    assert len(told) == bool(said)
    assert said in "".join(told)


def test_means_are_over_the_steps_since_the_last_row_and_none_where_none_was_made():
    run, means = small_run(), StepMeans(Interval(2))
    for _ in range(2):
        for _ in range(2):
            run.train_step()
            last = float(run.last_values()["loss/discriminator"])
        means.on_step_end(run)
    before = dict(run.rows[0])
    means.on_step_end(run)  # of a fork, whose first step this is
    assert run.rows[0] == before
    run.train_step()
    only = float(run.last_values()["loss/discriminator"])
    means.on_step_end(run)
    assert run.rows[0]["loss/discriminator"] == only != last
    assert before["loss/discriminator"] not in (last, only)
