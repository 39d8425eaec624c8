"""The errors a user sees: what was wrong, what was got, what to do."""


class ConfigError(ValueError):
    """The user's input cannot be run: one line on the screen, exit code 2, nothing written."""


class RunDiverged(RuntimeError):
    """A loss or a gradient is not finite: exit code 1, the state before it is saved."""
