"""The training loop: steps, and after each what the callbacks do."""

from collections.abc import Iterable, Iterator, Sequence

from gan_lab.training.callback import Callback, act_where_due
from gan_lab.training.run import Run


def fit(run: Run, n_steps: int, callbacks: Sequence[Callback] = ()) -> None:
    """Train until `n_steps` steps are made or a callback sets `run.stop_requested`.

    A step is n_critic updates of the discriminator, then those of the generator, all seeds at once
    (`engine.step`). Callbacks act in the order of the list, after each step at which they are due;
    at a run's first start also before the first step.

    Args:
        run: The opened run; it is trained in place.
        n_steps: The step to train to, counted from the start of the run.
        callbacks: All that happens besides.
    """
    for _ in fit_stepwise(run, n_steps, callbacks):
        pass


def fit_stepwise(run: Run, n_steps: int, callbacks: Sequence[Callback] = ()) -> Iterator[int]:
    """Do what `fit` does, and yield each step when it is complete, the first start's 0 as well."""
    for callback in callbacks:
        callback.on_fit_start(run)
    if not run.is_step_complete:  # of a new run, or one that was stopped amid the callbacks
        yield complete_step(run, n_steps, callbacks)
    while run.state.step < n_steps and not run.stop_requested:
        run.train_step()
        yield complete_step(run, n_steps, callbacks)
    for callback in callbacks:
        callback.on_fit_end(run)


def complete_step(run: Run, n_steps: int, callbacks: Iterable[Callback]) -> int:
    """Let the callbacks act that are due after a step; return the step."""
    act_where_due(callbacks, run, n_steps)
    run.is_step_complete = True
    return run.state.step
