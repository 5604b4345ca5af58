"""The light markup of the sample's texts, as HTML.

Owns: paragraphs, lists, fenced code and code in a line. Nothing else exists in these texts.
"""

from __future__ import annotations

import html
import re

__all__ = ["is_rich", "prose_html"]

_FENCE = re.compile(r"```(\w*)\n(.*?)\n```", re.DOTALL)
_CODE = re.compile(r"`([^`\n]+)`")


def prose_html(text: str) -> str:
    r"""Return `text` as HTML blocks, one per line; empty text gives an empty string.

    Example:
        >>> print(prose_html("Use `a < b`:\n\n- one\n- two\n\n```python\na < b\n```"))
        <p>Use <code>a &lt; b</code>:</p>
        <ul><li>one</li><li>two</li></ul>
        <pre><code class="language-python">a &lt; b</code></pre>
    """
    blocks: list[str] = []
    end = 0
    for fence in _FENCE.finditer(text):
        blocks += _paragraphs(text[end : fence.start()])
        language = f' class="language-{fence[1]}"' if fence[1] else ""
        blocks.append(f"<pre><code{language}>{html.escape(fence[2], quote=False)}</code></pre>")
        end = fence.end()
    blocks += _paragraphs(text[end:])
    return "\n".join(blocks)


def is_rich(text: str) -> bool:
    """Return whether `text` holds a list or fenced code, which plain text would flatten.

    Example:
        >>> is_rich("plain `code`"), is_rich("- item")
        (False, True)
    """
    return bool(_FENCE.search(text)) or any(line.startswith("- ") for line in text.split("\n"))


def _paragraphs(text: str) -> list[str]:
    blocks = []
    for block in re.split(r"\n[ \t]*\n", text.strip()):
        lines = block.split("\n")
        if block.strip() and all(line.startswith("- ") for line in lines):
            blocks.append("<ul>" + "".join(f"<li>{_inline(x[2:])}</li>" for x in lines) + "</ul>")
        elif block.strip():
            blocks.append(f"<p>{_inline(block)}</p>")
    return blocks


def _inline(text: str) -> str:
    return _CODE.sub(r"<code>\1</code>", html.escape(text, quote=False))
