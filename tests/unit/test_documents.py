"""What the documents point to is there."""

from __future__ import annotations

import re
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest

from tests.unit.vectors import ROOT

DOCUMENTS = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
PICTURES = sorted((ROOT / "docs").glob("*.svg"))

INLINE = r"\]\(([^)\s]+)\)"
REFERENCE = r"^\[[^]]+]: (\S+)$"


def name(path: Path) -> str:
    return str(path.relative_to(ROOT))


def links(document: Path) -> list[str]:
    text = document.read_text("utf-8")
    found = re.findall(INLINE, text) + re.findall(REFERENCE, text, re.MULTILINE)
    return [link for link in found if not link.startswith(("http://", "https://", "#"))]


@pytest.mark.parametrize("document", DOCUMENTS, ids=name)
def test_links_lead_to_files_that_exist(document: Path):
    targets = links(document)
    assert targets
    assert [target for target in targets if not (document.parent / target.partition("#")[0]).exists()] == []


@pytest.mark.parametrize("document", DOCUMENTS, ids=name)
def test_links_within_documents_lead_to_a_heading(document: Path):
    for target in links(document):
        path, _, heading = target.partition("#")
        if heading:
            text = (document.parent / path).read_text("utf-8")
            headings = re.findall(r"^#+ (.+)$", text, re.MULTILINE)
            assert heading in [re.sub(r"[^\w -]", "", each.lower()).replace(" ", "-") for each in headings]


@pytest.mark.parametrize("picture", PICTURES, ids=name)
def test_a_picture_is_described_for_those_who_do_not_see_it(picture: Path):
    svg = "{http://www.w3.org/2000/svg}"
    root = ET.parse(picture).getroot()
    assert root.get("role") == "img"
    assert root.findtext(f"{svg}title")
    assert root.findtext(f"{svg}desc")
