"""Read pages as GitHub does: links, anchors, and code blocks with the comments before them."""

import re
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
PAGES = [
    *(ROOT / name for name in ("README.md", "CONTRIBUTING.md", "CHANGELOG.md")),
    *sorted((ROOT / "docs").rglob("*.md")),
]
_FENCE = re.compile(r"^( *)(`{3,})(\w*)\s*$")
_COMMENT = re.compile(r"^<!-- (not run|file): (.+) -->$")


@dataclass(frozen=True)
class Block:
    """One fenced code block.

    Attributes:
        page: Relative to the repository.
        line: Of its opening fence.
        language: The word behind the fence.
        text: What is inside.
        not_run: Why it is not run, or None.
        file: The path that it is the content of, or None.
    """

    page: str
    line: int
    language: str
    text: str
    not_run: str | None
    file: str | None

    @property
    def name(self) -> str:
        return f"{self.page}:{self.line}"


def blocks(path: Path) -> list[Block]:
    """Return the fenced blocks of a page in order."""
    found: list[Block] = []
    comments: dict[str, str] = {}
    fence, opened, language, inside = "", 0, "", []
    for number, line in enumerate(path.read_text().splitlines(), start=1):
        match = _FENCE.match(line)
        if fence:
            if match and match[2] == fence and not match[3]:
                page = str(path.relative_to(ROOT))
                text = "\n".join(inside) + "\n"
                why, file = comments.get("not run"), comments.get("file")
                found.append(Block(page, opened, language, text, why, file))
                fence, comments = "", {}
            else:
                inside.append(line)
        elif match:
            fence, opened, language, inside = match[2], number, match[3], []
        elif comment := _COMMENT.match(line):
            comments[comment[1]] = comment[2]
        elif line.strip():
            comments = {}
    assert not fence, f"{path}: the block of line {opened} is not closed"
    return found


def prose(text: str) -> str:
    """Return a page's text without its code blocks and inline code."""
    text = re.sub(r"^ *(`{3,})\w*\s*$.*?^ *\1\s*$", "", text, flags=re.M | re.S)
    return re.sub(r"`[^`\n]+`", "`code`", text)


def links(path: Path) -> list[str]:
    """Return the targets of a page's links and pictures."""
    return re.findall(r"\]\(([^()\s]+)\)", prose(path.read_text()))


def anchors(path: Path) -> set[str]:
    """Return the anchors of a page: GitHub's of its headings, and the named ones."""
    text = re.sub(r"^ *(`{3,})\w*\s*$.*?^ *\1\s*$", "", path.read_text(), flags=re.M | re.S)
    found: set[str] = set(re.findall(r'<a id="([\w-]+)">', text))
    for heading in re.findall(r"^#{1,6} (.+)$", text, flags=re.M):
        plain = re.sub(r"\[([^]]*)\]\([^)]*\)", r"\1", heading).replace("`", "")
        slug = re.sub(r"[^\w\- ]", "", plain.strip().lower()).replace(" ", "-")
        number = 0
        while (name := slug if number == 0 else f"{slug}-{number}") in found:
            number += 1
        found.add(name)
    return found
