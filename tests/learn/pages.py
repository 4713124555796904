"""What holds of every page that an audit writes: one sound document that fetches nothing and can be heard."""

from __future__ import annotations

from html.parser import HTMLParser

EMPTY = {"area", "base", "br", "col", "hr", "img", "input", "link", "meta", "source", "wbr"}
"""Elements that have no end."""


class Page(HTMLParser):
    """A page as it was read; faults are found while reading.

    Attributes:
        faults: sentences.
        text: all that is shown, without markup.
        pictures: what each picture tells those who do not see it.
    """

    def __init__(self, text: str) -> None:
        super().__init__()
        self.faults: list[str] = []
        self.text = ""
        self.pictures: list[str] = []
        self._open: list[str] = []
        self._ids: list[str] = []
        self._links: list[str] = []
        self._seen: dict[str, dict[str, str | None]] = {}
        self.feed(text)
        self.close()
        self.faults += [f"<{name}> is not closed" for name in self._open]
        self.faults += [f"two elements are {name}" for name in set(self._ids) if self._ids.count(name) > 1]
        self.faults += [f"#{name} leads nowhere" for name in self._links if name not in self._ids]
        self.faults += [f"there is no <{name}>" for name in ("html", "title", "h1", "main") if name not in self._seen]
        if not self._seen.get("html", {}).get("lang"):
            self.faults.append("the page's language is not told")
        if not text.lower().startswith("<!doctype html>"):
            self.faults.append("no document type")

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        told = dict(attrs)
        self._seen.setdefault(tag, told)
        if tag not in EMPTY:
            self._open.append(tag)
        if told.get("id"):
            self._ids.append(told["id"] or "")
        for name in ("src", "href", "srcset", "data", "action", "poster"):
            target = told.get(name) or ""
            if target.startswith("#"):
                self._links.append(target[1:])
            elif target and not target.startswith("data:"):
                self.faults.append(f"<{tag}> fetches {target}")
        if tag == "img":
            self.pictures.append(told.get("alt") or "")
            if not self.pictures[-1].strip():
                self.faults.append("a picture has no words")

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.handle_starttag(tag, attrs)
        if tag not in EMPTY:
            self.handle_endtag(tag)

    def handle_endtag(self, tag: str) -> None:
        if not self._open or self._open.pop() != tag:
            self.faults.append(f"</{tag}> closes what is not open")

    def handle_data(self, data: str) -> None:
        if self._open and self._open[-1] not in {"style", "script"}:
            self.text += data
        if "@import" in data or "url(http" in data:
            self.faults.append("a style fetches something")
