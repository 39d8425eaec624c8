"""Pictures leave no figure in memory: a long run draws many."""

import gc

import torch
from matplotlib.figure import Figure

from gan_lab.reports.plots.samples import points_picture


def n_figures():
    return sum(isinstance(each, Figure) for each in gc.get_objects())


def test_a_drawing_leaves_no_figure_and_thaws_what_was_there():
    points_picture(torch.randn(9, 2), torch.randn(9, 2), lambda x: x.square().sum(-1), "first")
    gc.collect()
    before, n_frozen = n_figures(), gc.get_freeze_count()
    for _ in range(3):
        points_picture(torch.randn(9, 2), torch.randn(9, 2), lambda x: x.square().sum(-1), "more")
    assert (n_figures(), gc.get_freeze_count()) == (before, n_frozen)
