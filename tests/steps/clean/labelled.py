"""Pages written for these tests, their main text marked in them by comments: `<!--main-->` to
`<!--/main-->`."""

from html.parser import HTMLParser
from pathlib import Path

PAGES = sorted(Path(__file__).with_name("main_text_pages").glob("*.html"))


class _MainText(HTMLParser):
    def __init__(self):
        super().__init__()
        self.parts, self.inside = [], False

    def handle_comment(self, data):
        self.inside = data == "main" if data in ("main", "/main") else self.inside

    def handle_starttag(self, tag, attrs):
        self.parts.append("" if tag in ("a", "b", "code", "em", "span", "sup") else "\n")

    def handle_data(self, data):
        if self.inside:
            self.parts.append(data)


def labelled(path: Path) -> tuple[str, str]:
    """Return a page without its marks, and its main text."""
    source = path.read_text(encoding="utf-8")
    parser = _MainText()
    parser.feed(source)
    return source.replace("<!--main-->", "").replace("<!--/main-->", ""), "".join(parser.parts)
