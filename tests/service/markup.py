"""A page as a person with a screen reader, or a browser without scripts, has it: its elements, and what is wrong."""

from collections.abc import Iterator
from html.parser import HTMLParser
from typing import NamedTuple

_VOID = frozenset({"meta", "input"})


class Element(NamedTuple):
    """An element: its name, its attributes, the elements around it, and its words with those below it."""

    name: str
    attributes: dict[str, str]
    around: tuple[str, ...]
    words: list[str]

    @property
    def text(self) -> str:
        """The words, one space between each."""
        return " ".join(" ".join(self.words).split())


class Markup(HTMLParser):
    """Reads a page; ``problems`` are what no page may have."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.elements: list[Element] = []
        self.problems: list[str] = []
        self._open: list[Element] = []
        self.feed(page)
        self.close()
        self.problems += [f"<{each.name}> is never closed" for each in self._open]
        self.problems += self._faults()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Enter an element."""
        found = Element(tag, {name: value or "" for name, value in attrs}, tuple(each.name for each in self._open), [])
        self.elements.append(found)
        if tag not in _VOID:
            self._open.append(found)

    def handle_endtag(self, tag: str) -> None:
        """Leave an element."""
        if not self._open or self._open[-1].name != tag:
            self.problems.append(f"</{tag}> closes nothing")
        else:
            self._open.pop()

    def handle_data(self, data: str) -> None:
        """Give words to every element they are in."""
        for each in self._open:
            each.words.append(data)

    def all(self, name: str, **attributes: str) -> list[Element]:
        """Return the elements of a name with attributes."""
        return [
            each
            for each in self.elements
            if each.name == name
            and all(each.attributes.get(key.rstrip("_")) == value for key, value in attributes.items())
        ]

    @property
    def text(self) -> str:
        """The words of the page, its styles apart."""
        return self.all("main")[0].text

    def rows(self) -> list[list[str]]:
        """Return the words of every cell of every row with cells, table after table."""
        found: list[list[str]] = []
        for each in self.elements:
            if each.name == "tr":
                found.append([])
            elif each.name in ("td", "th") and "tbody" in each.around:
                found[-1].append(each.text)
        return [row for row in found if row]

    def links(self) -> dict[str, str]:
        """Return address by words of all links."""
        return {each.text: each.attributes["href"] for each in self.all("a")}

    def fields(self, action: str) -> dict[str, str]:
        """Return the hidden fields of the form that is sent to an address."""
        found: dict[str, str] = {}
        inside = False
        for each in self.elements:
            if each.name == "form":
                inside = each.attributes["action"] == action
            elif each.name == "input" and inside and each.attributes.get("type") == "hidden":
                found[each.attributes["name"]] = each.attributes["value"]
        return found

    def _faults(self) -> Iterator[str]:
        ids = [each.attributes["id"] for each in self.elements if "id" in each.attributes]
        yield from (f"the id {name} stands twice" for name in set(ids) if ids.count(name) > 1)
        for each in self.elements:
            yield from (
                f"{each.name} has {name}" for name in each.attributes if name.startswith("on") or name == "style"
            )
            labelled = each.attributes.get("aria-labelledby", "").split()
            yield from (f"nothing has the id {name}" for name in labelled if name not in ids)
        yield from (f"<{name}> is not allowed" for name in ("script", "iframe", "object") if self.all(name))
        yield from self._structure()

    def _structure(self) -> Iterator[str]:
        for name in ("main", "h1", "title"):
            outside = [each for each in self.all(name) if "svg" not in each.around]
            if len(outside) != 1:
                yield f"there are {len(outside)} <{name}>"
        if not self.all("a", class_="skip") or self.all("html")[0].attributes.get("lang") != "en":
            yield "no way past the head, or no language"
        for each in self.all("table"):
            if "caption" not in self._below(each):
                yield "a table has no caption"
        for each in self.all("th"):
            if each.attributes.get("scope") not in ("row", "col"):
                yield "a head of a table has no scope"
        yield from self._pictures()
        for each in [*self.all("input"), *self.all("select")]:
            if each.attributes.get("type") != "hidden" and "label" not in each.around:
                yield f"the field {each.attributes.get('name')} has no label"

    def _pictures(self) -> Iterator[str]:
        for each in self.all("svg"):
            if each.attributes.get("role") == "img" and "aria-labelledby" not in each.attributes:
                yield "a picture has no words"
            if each.attributes.get("role") != "img" and each.attributes.get("aria-hidden") != "true":
                yield "a picture is neither told nor hidden"

    def _below(self, element: Element) -> set[str]:
        place, depth = self.elements.index(element), len(element.around)
        found = set()
        for each in self.elements[place + 1 :]:
            if len(each.around) <= depth:
                break
            found.add(each.name)
        return found
