"""Real pages with their main text, and how a found text is scored against it.

The Web Content Extraction Benchmark (Murrough Foley, "WCXB: A Multi-Type Web Content Extraction
Benchmark", 2026, CC BY 4.0) gives pages of seven types; the part read here is of its development
set. The article extraction benchmark of Scrapinghub (MIT) gives news articles. Both are read from
../shared/data; nothing of them is part of this project.
"""

from __future__ import annotations

import gzip
import io
import json
import re
import tarfile
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import NamedTuple
from urllib.parse import urlsplit

import zstandard

__all__ = [
    "TYPE_COUNTS",
    "LabelledPage",
    "by_type",
    "news_pages",
    "over_mix",
    "wcxb_pages",
    "word_f1",
    "words_of",
]

SHARED = Path(__file__).resolve().parent.parent.parent / "shared" / "data" / "b_html"

TYPE_COUNTS = {
    "article": 793, "service": 165, "product": 119, "collection": 117, "forum": 113, "listing": 99,
    "documentation": 91,
}  # fmt: skip
"""Pages of each type in the benchmark's development set: its own mix. Of the pages at hand more are
of the smaller types."""


class LabelledPage(NamedTuple):
    """A page, in UTF-8, and its main text as people corrected it."""

    name: str
    url: str
    type: str
    html: bytes
    text: str

    @property
    def site(self) -> str:
        """The registered domain, near enough: two labels, three where the second is short."""
        labels = (urlsplit(self.url).hostname or self.name).removeprefix("www.").split(".")
        return ".".join(labels[-2:] if len(labels) < 3 or len(labels[-2]) > 3 else labels[-3:])


def _members(name: str) -> Iterator[tuple[str, bytes]]:
    with (SHARED / name).open("rb") as packed:
        raw = zstandard.ZstdDecompressor().stream_reader(packed).read()
    with tarfile.open(fileobj=io.BytesIO(raw)) as tar:
        for member in tar:
            file = tar.extractfile(member)
            if file is not None:
                data = file.read()
                yield member.name, gzip.decompress(data) if member.name.endswith(".gz") else data


def _utf8(html: bytes) -> bytes:
    return html.decode("utf-8", "replace").encode()


def wcxb_pages() -> list[LabelledPage]:
    """Return 469 pages of the benchmark's development set."""
    pages, facts = {}, {}
    for name, data in _members("wcxb_dev_A.tar.zst"):
        key = Path(name).name.partition(".")[0]
        if name.endswith(".json"):
            facts[key] = json.loads(data)
        else:
            pages[key] = _utf8(data)
    found = []
    for key in sorted(pages):
        truth = facts[key]["ground_truth"]
        kind = (facts[key].get("_internal") or {}).get("page_type") or "article"
        kind = kind.get("primary", "article") if isinstance(kind, dict) else kind
        kind = "collection" if kind == "category" else kind
        url = facts[key].get("url") or truth.get("url") or ""
        found.append(LabelledPage(key, url, kind, pages[key], truth.get("main_content") or ""))
    return found


def news_pages() -> list[LabelledPage]:
    """Return 92 news articles."""
    pages, facts = {}, {}
    for name, data in _members("aeb_A.tar.zst"):
        if name.endswith(".json"):
            facts = json.loads(data)
        else:
            pages[Path(name).name.partition(".")[0]] = _utf8(data)
    return [
        LabelledPage(key, facts[key].get("url", ""), "news", pages[key], facts[key]["articleBody"])
        for key in sorted(pages)
        if key in facts
    ]


def words_of(text: str) -> list[str]:
    """Return the words of a text as the benchmark counts them."""
    return re.findall(r"\w+", text.lower())


def word_f1(found: str, truth: str) -> float:
    """Return F1 over the words of two texts, as bags; 1 if both have none, 0 if one has none."""
    got, wanted = Counter(words_of(found)), Counter(words_of(truth))
    if not got or not wanted:
        return float(not got and not wanted)
    return 2 * (got & wanted).total() / (got.total() + wanted.total())


def by_type(scored: Iterable[tuple[str, float]]) -> dict[str, float]:
    """Return the mean score of each type, in the order of their names."""
    scores = defaultdict(list)
    for kind, value in scored:
        scores[kind].append(value)
    return {kind: sum(values) / len(values) for kind, values in sorted(scores.items())}


def over_mix(means: dict[str, float]) -> float:
    """Return the mean over the benchmark's own mix of types; others do not count."""
    counted = {kind: mean for kind, mean in means.items() if kind in TYPE_COUNTS}
    total = sum(TYPE_COUNTS[kind] for kind in counted)
    return sum(TYPE_COUNTS[kind] * mean for kind, mean in counted.items()) / total
