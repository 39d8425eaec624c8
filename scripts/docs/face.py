"""The library face, from its signatures and docstrings, for docs/reference/api.md."""

import dataclasses
import inspect
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

NAMES = ("train", "load", "TrainedRun", "steps", "compare", "Comparison", "measure", "Estimates")
NAMES += ("Estimate",)
Table = Callable[[Sequence[str], Sequence[Sequence[str]]], str]


def page(table: Table) -> str:
    """Return a chapter a name of the face."""
    from gan_lab import api  # torch

    return "\n\n".join(_chapter(name, getattr(api, name), table) for name in NAMES)


def _chapter(name: str, item: Any, table: Table) -> str:
    text, sections = _sections(inspect.getdoc(item) or "")
    parts = [f"## gan_lab.{name}"]
    parts += [] if inspect.isclass(item) else [f"`gan_lab.{name}{_signature(item)}`"]
    parts.append(_escape(text))
    for title in ("Args", "Attributes", "Raises"):
        if title in sections:
            head = ("error", "when") if title == "Raises" else (title.lower()[:-1], "meaning")
            head = ("argument", "meaning") if title == "Args" else head
            rows = [(f"`{key}`", _escape(value)) for key, value in _entries(sections[title])]
            parts.append(table(head, rows))
        if title == "Args" and "Returns" in sections:
            parts.append(f"Returns: {_escape(_joined(sections['Returns']))}")
    if inspect.isclass(item) and not dataclasses.is_dataclass(item):
        parts += [table(("member", "meaning"), rows)] if (rows := list(_members(item))) else []
    if "Example" in sections:
        parts.append(f"```python\n{_code(sections['Example'])}\n```")
    return "\n\n".join(parts)


def _members(item: type) -> Any:
    for name, member in vars(item).items():
        doc = inspect.getdoc(member)
        if not name.startswith("_") and doc and not isinstance(member, type):
            call = _signature(member) if inspect.isfunction(member) else ""
            yield f"`{name}{call}`", _escape(_sections(doc)[0].replace("\n\n", " "))


def _signature(function: Callable[..., Any]) -> str:
    """Return names and defaults without types, which the docstring says in words."""
    parameters = [
        each.replace(annotation=inspect.Parameter.empty)
        for each in inspect.signature(function).parameters.values()
        if each.name != "self"
    ]
    return str(inspect.Signature(parameters))


def _sections(doc: str) -> tuple[str, Mapping[str, Sequence[str]]]:
    """Return a docstring's paragraphs, one a line, and the lines of its sections by title."""
    body: list[str] = []
    sections: dict[str, list[str]] = {}
    lines = body
    for line in doc.splitlines():
        if match := re.fullmatch(r"(Args|Attributes|Returns|Raises|Example):", line):
            lines = sections.setdefault(match[1], [])
        else:
            lines.append(line)
    sections = {title: [each for each in lines if each] for title, lines in sections.items()}
    paragraphs = [_joined(each.splitlines()) for each in "\n".join(body).split("\n\n")]
    return "\n\n".join(paragraphs), sections


def _entries(lines: Sequence[str]) -> list[tuple[str, str]]:
    """Return name and text of each `name: text`, whose further lines are indented more."""
    entries: list[tuple[str, str]] = []
    for line in lines:
        match = re.match(r"    (\w[\w, ]*): (.*)", line)
        if match:
            entries.append((match[1], match[2]))
        else:
            entries[-1] = (entries[-1][0], f"{entries[-1][1]} {line.strip()}")
    return entries


def _joined(lines: Sequence[str]) -> str:
    return " ".join(line.strip() for line in lines).strip()


def _code(lines: Sequence[str]) -> str:
    """Return the code of an interactive session, with an empty line below its imports."""
    code = "\n".join(re.sub(r"^(>>>|\.\.\.) ?", "", line.strip()) for line in lines)
    return re.sub(r"^(import .*\n)(?!import)", r"\1\n", code, count=1, flags=re.M)


def _escape(text: str) -> str:
    """Return text that Markdown shows as it is; code in backticks is left alone."""
    parts = text.split("`")
    parts[::2] = [re.sub(r"([*<])", r"\\\1", part) for part in parts[::2]]
    return "`".join(parts)
