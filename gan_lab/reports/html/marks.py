"""What marks a group everywhere on a page: its colour and its line."""

import html
import re
from collections.abc import Mapping

_PATTERNS = {"solid": "", "dash": "7 4", "dot": "2 3", "dashdot": "7 3 2 3"}
Looks = Mapping[str, Mapping[str, str]]  # label -> "colour" and "dash"


def swatch(look: Mapping[str, str]) -> str:
    """Return the line of a group that stands beside its name everywhere."""
    dash = _PATTERNS.get(look["dash"], look["dash"].replace("px", "").replace(",", " "))
    return (
        '<svg class="swatch" viewBox="0 0 28 8" width="28" height="8" aria-hidden="true">'
        f'<line x1="1" x2="27" y1="4" y2="4" stroke-dasharray="{html.escape(dash)}" '
        f'style="stroke:{ink(look["colour"])}"/></svg>'
    )


def ink(colour: str) -> str:
    """Return a colour that the style sheet may replace by one with contrast in the dark."""
    name = re.sub(r"[^0-9A-Fa-f]", "", colour).upper()
    return f"var(--ink-{name}, #{name})"


def with_swatch(text: str, looks: Looks) -> str:
    """Return a text, with the line of the group before it where it is the label of one."""
    return (swatch(looks[text]) + " " if text in looks else "") + html.escape(text)


def swatches(looks: Looks) -> dict[str, str]:
    """Return label -> line, for `document.table`."""
    return {label: swatch(look) for label, look in looks.items()}
