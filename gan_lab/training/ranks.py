"""Callbacks of a training that several processes make: most act in the main one alone."""

from collections.abc import Sequence

from gan_lab.engine.distributed import World
from gan_lab.training.callback import Callback, WithOthers, act_where_due
from gan_lab.training.run import Run


class OnMain(WithOthers):
    """Runs callbacks in the main process; all learn which seeds are not finite, and of a stop.

    An error ends all processes; see `World.run_on_main`.
    """

    def __init__(self, callbacks: Sequence[Callback], world: World) -> None:
        super().__init__(callbacks)
        self.callbacks, self._world = callbacks, world

    def on_fit_start(self, run: Run) -> None:
        """See `Callback`."""

        def act() -> None:
            for callback in self.callbacks:
                callback.on_fit_start(run)

        self._world.run_on_main(act)

    def on_step_end(self, run: Run) -> None:
        """Run those that are due."""

        def act() -> tuple[dict[int, str], bool]:
            act_where_due(self.callbacks, run, run.config.trainer.steps)
            return run.failures, run.stop_requested

        run.failures, run.stop_requested = self._world.run_on_main(act)

    def on_fit_end(self, run: Run) -> None:
        """See `Callback`."""

        def act() -> None:
            for callback in self.callbacks:
                callback.on_fit_end(run)

        self._world.run_on_main(act)


def on_main(callbacks: Sequence[Callback], world: World) -> list[Callback]:
    """Return the callbacks for a training by these processes: themselves where there is one."""
    return list(callbacks) if world.alone else [OnMain(callbacks, world)]


def members(callbacks: Sequence[Callback]) -> list[Callback]:
    """Return each callback of a list once, also those that run in the main process alone."""
    flat: dict[int, Callback] = {}
    for callback in callbacks:
        inner = members(callback.callbacks) if isinstance(callback, OnMain) else [callback]
        flat |= {id(each): each for each in inner}
    return list(flat.values())
