"""Callbacks of a training that several processes make: most act in the main one alone."""

from collections.abc import Sequence

from gan_lab.engine.distributed import World
from gan_lab.training.callback import Callback, WithOthers
from gan_lab.training.run import Run


class OnMain(WithOthers):
    """Runs callbacks in the main process; all learn which seeds they found not to be finite.

    An error ends all processes; see `World.run_on_main`.
    """

    def __init__(self, callbacks: Sequence[Callback], world: World) -> None:
        super().__init__(callbacks)
        self._callbacks, self._world = callbacks, world

    def on_fit_start(self, run: Run) -> None:
        """See `Callback`."""

        def act() -> None:
            for callback in self._callbacks:
                callback.on_fit_start(run)

        self._world.run_on_main(act)

    def on_step_end(self, run: Run) -> None:
        """Run those that are due."""
        step, n_steps = run.state.step, run.config.trainer.steps

        def act() -> dict[int, str]:
            for callback in self._callbacks:
                if callback.is_due(step, n_steps):
                    callback.on_step_end(run)
            return run.failures

        run.failures = self._world.run_on_main(act)

    def on_fit_end(self, run: Run) -> None:
        """See `Callback`."""

        def act() -> None:
            for callback in self._callbacks:
                callback.on_fit_end(run)

        self._world.run_on_main(act)


def on_main(callbacks: Sequence[Callback], world: World) -> list[Callback]:
    """Return the callbacks for a training by these processes: themselves where there is one."""
    return list(callbacks) if world.alone else [OnMain(callbacks, world)]
