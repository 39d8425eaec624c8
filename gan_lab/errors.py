"""The errors a person sees: what was wrong, what was got, what to do. Nothing else is imported."""


class ConfigError(ValueError):
    """The user's input cannot be run: one line on the screen, exit code 2, nothing written."""


class RunDiverged(RuntimeError):
    """A loss or a gradient stopped being finite: exit code 1, the state before it is saved."""
