"""Checks of constructor arguments; the shell turns `Class.name` into the key that was typed."""


def check_count(owner: object, name: str, at_least: int = 1) -> None:
    """Refuses a field that is not a whole number >= at_least.

    Raises:
        ValueError: It is not.
    """
    got = getattr(owner, name)
    if isinstance(got, bool) or not isinstance(got, int) or got < at_least:
        raise ValueError(
            f"{type(owner).__name__}.{name}={got!r} is not a whole number >= {at_least}"
        )


def check_choice(owner: object, name: str, choices: list[str]) -> None:
    """Refuses a field that holds none of the choices.

    Raises:
        ValueError: It does not.
    """
    got = getattr(owner, name)
    if got not in choices:
        raise ValueError(
            f"{type(owner).__name__}.{name}={got!r} is unknown; take one of {', '.join(choices)}"
        )


def check_interval(
    owner: object,
    name: str,
    value: float,
    *,
    low_open: bool = True,
    high: float = float("inf"),
) -> None:
    """Refuses a value that is not a number in (0, high), or [0, high) with low_open=False.

    Raises:
        ValueError: It is not; nan and inf never are.
    """
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    if is_number and (0 < value < high or (value == 0 and not low_open)):
        return
    low = "(0" if low_open else "[0"
    raise ValueError(f"{type(owner).__name__}.{name}={value!r} is not a number in {low}, {high:g})")


def check_number(owner: object, name: str, value: float, *, at_least: float = 0.0) -> None:
    """Refuses a value that is not a finite number >= at_least.

    Raises:
        ValueError: It is not.
    """
    if isinstance(value, bool) or not isinstance(value, int | float):
        problem = "is not a number"
    elif not at_least <= value < float("inf"):
        problem = f"is not a finite number >= {at_least:g}"
    else:
        return
    raise ValueError(f"{type(owner).__name__}.{name}={value!r} {problem}")
