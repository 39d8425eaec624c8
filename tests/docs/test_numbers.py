"""Numbers that pages state in their own sentences, read again from the results they come from.

Tables that are written from results are checked by `python -m scripts.docs --check`.
"""

import json
import re

from tests.docs.markdown import ROOT

TRIALS = json.loads((ROOT / "docs" / "tuning_images.json").read_text())
IMAGES = re.sub(r"\s+", " ", (ROOT / "docs" / "guide" / "images.md").read_text())
WORDS = {"one": 1.0, "five": 5.0}
DEFAULT = "preset=mnist_wgan_gp"


def stated(pattern):
    """The numbers, # in a pattern, of the only sentence of the page that has its form."""
    (found,) = re.findall(pattern.replace("#", r"(\w*\.?\w+)"), IMAGES)
    texts = found if isinstance(found, tuple) else (found,)
    return tuple(WORDS[text] if text in WORDS else float(text) for text in texts)


def trials(*choices):
    return [trial for trial in TRIALS if set(choices) & set(trial["keys"])]


def of_key(rows, key):
    return [float(k.split("=")[1]) for row in rows for k in row["keys"] if k.startswith(f"{key}=")]


def least(rows, step=None):
    """The least FD of some trials, at a step or the best of all."""
    return min(at["fd"] for row in rows for at in row["at"] if step in (None, at["step"]))


CLIP = trials("loss=wasserstein_clip", "preset=mnist_wgan_clip")


def test_the_trials_of_each_loss():
    assert stated(r"tuning_images.json\): # runs of the conv pair") == (len(TRIALS),)
    gp = trials("loss=wasserstein", DEFAULT)
    assert stated("Clipping got # of them .*, WGAN-GP #,") == (len(CLIP), len(gp))
    others = [trials(f"preset=mnist_{name}") for name in ("ns_r1", "hinge_sn", "relativistic")]
    assert sum(map(len, (CLIP, gp, *others))) == len(TRIALS)
    words = "with R1 #, the hinge loss # and the relativistic one #:"
    assert stated(words) == tuple(map(len, others))


def test_the_space_of_the_trials_with_clipping():
    for words, key in (
        ("learning rate # to #,", "optim.lr"),
        ("bound # to #,", "regularizer.weight_clipping.bound"),
        ("# to # critic updates", "trainer.n_critic"),
    ):
        values = of_key(CLIP, key)
        assert stated(words) == (min(values), max(values))
    (bar,) = stated("no trial with RMSprop, as published, came below #")
    rmsprop = [trial for trial in CLIP if "optim=rmsprop" in trial["keys"]]
    assert bar <= least(rmsprop) < 1.5 * bar


def test_what_moved_the_frechet_distance():
    every = {n: trials(f"regularizer.gradient_penalty.every={n}") for n in (4, 8)}
    same = {n: [t for t in every[n] if {DEFAULT, "data=mnist_5k"} <= set(t["keys"])] for n in every}
    fourth, eighth = stated(r"\(FD # against # and more at one minute")
    assert (fourth, eighth) == tuple(round(least(same[n], 2750), 3) for n in (4, 8))
    better, worse = stated(r"for WGAN-GP \(# against #\)")
    averaged = trials("trainer.ema=0.999")
    both = [t for t in averaged if {DEFAULT, "optim.betas=[0.0,0.9]"} <= set(t["keys"])]
    assert better == round(least(both, 2750), 3)
    assert worse == fourth  # the same trial
