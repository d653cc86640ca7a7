"""Makes HTML of values. Every text is escaped; only another element passes as markup.

el("p", "a < b", class_="mute")  →  <p class="mute">a &lt; b</p>
"""

from html import escape

_VOID = frozenset({"meta", "link", "input", "br"})


class Element:
    """Finished markup."""

    __slots__ = ("markup",)

    def __init__(self, markup: str) -> None:
        self.markup = markup

    def __str__(self) -> str:
        return self.markup


Child = Element | str | int | None


def el(tag: str, *children: Child, **attributes: str | bool | None) -> Element:
    """Makes an element. `class_` and `for_` lose their underscore, others become hyphens; None and False vanish."""
    shown = "".join(_attribute(name, value) for name, value in attributes.items())
    if tag in _VOID:
        return Element(f"<{tag}{shown}>")
    return Element(f"<{tag}{shown}>{''.join(map(_text, children))}</{tag}>")


def group(*children: Child) -> Element:
    return Element("".join(map(_text, children)))


def document(head: Element, body: Element) -> bytes:
    return f'<!doctype html>\n<html lang="en">{head}{body}</html>\n'.encode()


def _attribute(name: str, value: str | bool | None) -> str:
    if value is None or value is False:
        return ""
    spelled = name.rstrip("_").replace("_", "-")
    return f" {spelled}" if value is True else f' {spelled}="{escape(value)}"'


def _text(child: Child) -> str:
    if child is None:
        return ""
    return child.markup if isinstance(child, Element) else escape(str(child))
