"""HTML microdata of a page, in the shape JSON-LD gives the same statements.

Owns: which elements are items, which are properties and what their values are. Refuses: what the
items mean. `itemref`, which lets an item borrow properties from elsewhere in the page, is not
followed.
"""

from __future__ import annotations

from typing import Any, Final

__all__ = ["read_microdata"]

_ADDRESS: Final = {
    **dict.fromkeys(("a", "area", "link"), "href"),
    **dict.fromkeys(("audio", "embed", "iframe", "img", "source", "track", "video"), "src"),
    **dict.fromkeys(("data", "meter"), "value"),
    "object": "data",
    "time": "datetime",
}


def read_microdata(root: Any) -> list[dict[str, Any]]:
    """Return the items of a page, outermost first.

    Args:
        root: An element of a `resiliparse` tree.

    Returns:
        One dict per item that is no property of another: `@type` (list of strings), `@id` when
        given, and for each property the list of its values: a string where the element gives one
        (`content`, `href`, `datetime`), a dict for a nested item, else the element itself, whose
        text is the value.

    References:
        WHATWG, HTML Living Standard, section 5.2 Microdata, "Values".

    Example:
        >>> from resiliparse.parse.html import HTMLTree
        >>> page = HTMLTree.parse("<p itemscope itemtype=Q><meta itemprop=v content=3>")
        >>> read_microdata(page.document)
        [{'@type': ['Q'], 'v': ['3']}]
    """
    top: list[dict[str, Any]] = []
    # Siblings one by one: a list of children is built anew at every step of its iterator.
    walk: list[tuple[Any, dict[str, Any] | None]] = [(root.first_element_child, None)]
    while walk:
        node, item = walk.pop()
        if node is None:
            continue
        walk.append((node.next_element_sibling, item))
        names = (node.getattr("itemprop") or "").split() if item is not None else []
        inner = item
        if node.hasattr("itemscope"):
            inner = {"@type": (node.getattr("itemtype") or "").split()}
            if node.hasattr("itemid"):
                inner["@id"] = node.getattr("itemid")
            if not names:
                top.append(inner)
        for name in names:
            assert item is not None
            item.setdefault(name, []).append(_value(node) if inner is item else inner)
        walk.append((node.first_element_child, inner))
    return top


def _value(node: Any) -> Any:
    for attribute in ("content", _ADDRESS.get(node.tag)):
        if attribute and node.hasattr(attribute):
            return node.getattr(attribute)
    return node
