"""XML from strangers: nothing in it is fetched or expanded, and every complaint names the line."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

from lxml import etree

LARGEST_BYTES = 200_000_000
LINES_NAMED = 5

Element = Any  # lxml ships no types


class XmlError(ValueError):
    """A file that can't be used; the message says file, line and what to do."""


class UnsupportedError(XmlError):
    """A sound file with features that we don't support: `features` maps each to its lines."""

    def __init__(self, path: Path, features: dict[str, list[int]]) -> None:
        self.features = features
        told = "; ".join(f"{name} ({_lines(lines)})" for name, lines in features.items())
        super().__init__(
            f"{path.name}: this file needs what we don't support: {told}. "
            "Remove these elements from a copy of the file, or take another one"
        )


def _lines(lines: list[int]) -> str:
    named = ", ".join(str(line) for line in lines[:LINES_NAMED])
    more = f" and {len(lines) - LINES_NAMED} more" if len(lines) > LINES_NAMED else ""
    return f"line{'s' if len(lines) > 1 else ''} {named}{more}"


def read_root(path: Path) -> Element:
    """The root element of a file. Raises XmlError; OSError where the file can't be read."""
    if path.stat().st_size > LARGEST_BYTES:
        raise XmlError(f"{path.name}: larger than {LARGEST_BYTES // 10**6} MB: cut it into parts")
    parser = etree.XMLParser(
        resolve_entities=False, no_network=True, load_dtd=False, dtd_validation=False,
        huge_tree=False, remove_comments=True, remove_pis=True,
    )  # fmt: skip
    try:
        tree = etree.fromstring(path.read_bytes(), parser).getroottree()
    except etree.XMLSyntaxError as error:
        raise XmlError(
            f"{path.name}: damaged XML: {error.msg}. Fetch the file again from its source"
        ) from None
    if tree.docinfo.doctype:
        raise XmlError(
            f"{path.name}: has a document type declaration ({tree.docinfo.doctype[:60]}); none is "
            "accepted, as it can make a reader fetch or expand things: remove it"
        )
    return tree.getroot()


class Reader:
    """Values out of elements of one file, with complaints that name the line."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.unsupported: dict[str, list[int]] = {}

    def wrong(self, element: Element, problem: str) -> XmlError:
        """The complaint about an element, to be raised."""
        return XmlError(f"{self.path.name}, line {element.sourceline}: {problem}")

    def refuse(self, element: Element, feature: str) -> None:
        """Remember a feature that is not supported; reading goes on to find all of them."""
        self.unsupported.setdefault(feature, []).append(int(element.sourceline))

    def child(self, element: Element, name: str) -> Element:
        """The child of that name, which must be there."""
        found = element.find(name)
        if found is None:
            raise self.wrong(element, f"<{element.tag}> has no <{name}>")
        return found

    def number(self, element: Element) -> float:
        """The element's text as a finite number."""
        text = (element.text or "").strip()
        try:
            value = float(text)
        except ValueError:
            value = math.nan
        if not math.isfinite(value):
            raise self.wrong(element, f"<{element.tag}> is {text!r}; accepted: a finite number")
        return value

    def whole(self, element: Element, attribute: str) -> int:
        """An attribute as a whole number: identifiers and references."""
        text = element.get(attribute)
        try:
            return int(text)
        except (TypeError, ValueError):
            raise self.wrong(
                element, f"<{element.tag}> has {attribute}={text!r}; accepted: a whole number"
            ) from None
