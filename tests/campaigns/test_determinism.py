"""The same seed, machine, mode and threads give the same bits."""

import pytest

from gan_lab.runs import checkpoint
from tests.campaigns import determinism
from tests.helpers import RING, load_checkpoint, rows, state_digest, train


def test_the_same_run_in_two_processes_has_the_same_bits_and_intervals(tmp_path):
    intervals = ("evaluator.every=0", "trainer.image_every=null")  # they follow from the rest
    keys = (*RING, *intervals, "loss=hinge", "n_seeds=2")
    assert determinism.twice(tmp_path, keys, steps=12) == ""


@pytest.mark.slow
def test_every_loss_in_every_mode_is_the_same_twice(tmp_path):
    assert determinism.campaign(steps=40, widths=()).lost == []


def test_a_difference_is_seen(tmp_path, workdir):
    one, other = (train(tmp_path / f"{s}", *RING, "trainer.steps=3", f"seed={s}") for s in (0, 1))
    assert state_digest(one) != state_digest(other)
    assert rows(one) != rows(other)
    path = max(checkpoint.available(one / "checkpoints").values())
    content = checkpoint.load(path)
    before = state_digest(one)
    next(iter(content["state"]["average"].values())).view(-1)[0] += 1e-3
    checkpoint.save(path, content)
    assert state_digest(one) != before


def test_measuring_and_drawing_change_no_weight_and_no_number(tmp_path, workdir):
    keys = (*RING, "trainer.steps=24", "trainer.log_every=100")
    often, seldom = (
        train(tmp_path / f"{every}", *keys, f"evaluator.every={every}", f"trainer.image_every={n}")
        for every, n in ((2, 3), (12, 0))
    )
    states = [load_checkpoint(run)["state"] for run in (often, seldom)]
    assert checkpoint.digest(states[0]) == checkpoint.digest(states[1])
    steps = [0, 12, 24]
    assert [row["step"] for row in rows(seldom)] == steps
    assert [row for row in rows(often) if row["step"] in steps] == rows(seldom)
