"""The shell of all pages: whole, safe, offline."""

import base64
import hashlib
import io
import re

import pytest
from PIL import Image

from gan_lab.reports.html import document

NASTY = 'a "quoted" </script><b>@BODY@ & co'
SVG = b'<svg xmlns="http://www.w3.org/2000/svg"><script>alert(1)</script></svg>'


def png():
    buffer = io.BytesIO()
    Image.new("RGB", (3, 2), "red").save(buffer, "PNG")
    return buffer.getvalue()


PARTS = {
    "header": lambda t: document.header(t, t),
    "badge": lambda t: document.badge("open", t),
    "verdict": lambda t: document.verdict("good", t, t, [t]),
    "section": lambda t: document.section(t, ""),
    "section_name": lambda t: document.section("a", "", name=t),
    "paragraphs": lambda t: document.paragraphs([t]),
    "notes": lambda t: document.notes(t, [t]),
    "fold": lambda t: document.fold(t, ""),
    "figure": lambda t: document.figure(png(), t, t),
    "table": lambda t: document.table(t, [t, t], [[t, t], [t, f"1 [{t}]"]], note=t),
}


@pytest.mark.parametrize("part", PARTS)
def test_no_text_becomes_an_element(part):
    page = document.document(NASTY, PARTS[part](NASTY))
    assert "<b>" not in page
    assert "</script>" not in page
    assert page.count("&lt;b&gt;@BODY@") >= 2  # the title of the window, and the part


def test_a_page_runs_its_own_scripts_and_no_others():
    scripts = ("let a = 1;", "let b = '@TITLE@';")
    page = document.document(
        "t", "", data=document.script_json({"a": "</script>"}), scripts=scripts
    )
    policy = re.search(r'Security-Policy" content="([^"]+)"', page)[1]
    hashes = [base64.b64decode(each) for each in re.findall(r"'sha256-([^']+)'", policy)]
    assert hashes == [hashlib.sha256(script.encode()).digest() for script in scripts]
    assert all(f"<script>{script}</script>" in page for script in scripts)
    assert page.count("</script>") == 3
    assert "script-src 'none'" in document.document("t", "")
    assert "<script" not in document.document("t", "")


def test_a_picture_is_inside_the_page_and_its_kind_is_told_from_its_content():
    for picture, media_type in ((png(), "image/png"), (SVG, "image/svg+xml")):
        source = re.search(r'src="data:([^;]+);base64,([^"]+)"', document.figure(picture, "a"))
        assert source[1] == media_type
        assert base64.b64decode(source[2]) == picture
    with pytest.raises(ValueError, match="PNG, GIF, JPEG or SVG"):
        document.figure(b"<html>", "a")


def test_a_table_needs_as_many_cells_as_columns():
    page = document.table("t", ["a", "b"], [["x", "1 [0, 2]"]], marks={"x": "<svg></svg>"})
    assert '<th scope="row"><svg></svg> x</th>' in page
    assert '<td class="n">1 <span class="interval">[0, 2]</span></td>' in page
    with pytest.raises(ValueError, match="zip"):
        document.table("t", ["a", "b"], [["x"]])


def test_what_has_no_content_leaves_nothing_behind():
    assert document.bullets([]) == document.notes("To know", []) == ""
