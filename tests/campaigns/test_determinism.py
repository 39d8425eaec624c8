"""The same seed, machine, mode and threads give the same bits."""

import pytest

from gan_lab.runs import checkpoint
from tests.campaigns import determinism
from tests.helpers import RING, rows, state_digest, train


def test_the_same_run_in_two_processes_has_the_same_bits(tmp_path):
    keys = (*RING, "loss=hinge", "n_seeds=2")
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


def test_what_the_clock_chooses_changes_no_weight(tmp_path, workdir, monkeypatch):
    """evaluator.every=0 chooses by seconds when to look; looking moves nothing."""
    paced = [key for key in RING if not key.startswith(("evaluator.every", "trainer.image_every"))]
    runs = []
    for cost in (0.0, 1.0):
        with monkeypatch.context() as patch:
            patch.setattr(
                "gan_lab.training.intervals.IntervalCalibration.time_costs",
                lambda self, *looks, c=cost: setattr(self, "_costs", type(self._costs)(c, c)),
            )
            keys = (*paced, "evaluator.every=0", "trainer.steps=70", "trainer.log_every=100")
            runs.append(train(tmp_path / f"{cost}", *keys))
    cheap, dear = runs
    assert len(rows(cheap)) > len(rows(dear))
    states = [checkpoint.load_latest(run / "checkpoints").content["state"] for run in runs]
    assert checkpoint.digest(states[0]) == checkpoint.digest(states[1])
    common = {row["step"]: row for row in rows(dear)}
    for row in rows(cheap):
        for tag, value in common.get(row["step"], {}).items():
            if tag.startswith("divergence/"):
                assert row[tag] == value
