"""What the judge reads: neutral texts that neither arm was made from.

Owns: `ReferenceSet`, documents by domain, and how longer texts are cut into documents. Refuses:
models, and any text of the arms: an arm is never judged on its own holdout, because a holdout of
A favours A.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from datatools.errors import DataError
from datatools.judge.pieces import split_text
from datatools.records import make_id

__all__ = ["CHUNK_BYTES", "ReferenceDocument", "ReferenceSet", "bundled_reference"]

CHUNK_BYTES: Final = 1024
"""Bytes of UTF-8 that a reference document aims at: long enough for two dozen windows of 13 words,
short enough that a few hundred kilobytes make some hundred documents."""


@dataclass(frozen=True)
class ReferenceDocument:
    """A piece of neutral text.

    Attributes:
        id: Unique in its set.
        text: Not empty.
        cluster: The source it was cut from; pieces of one source are not independent.
        language: ISO 639-1 code, or empty where unknown.
    """

    id: str
    text: str
    cluster: str
    language: str = ""

    @property
    def size(self) -> int:
        """Bytes of UTF-8."""
        return len(self.text.encode("utf-8", "surrogatepass"))


@dataclass(frozen=True)
class ReferenceSet:
    """Documents by domain. Domains are averaged with equal weights, whatever their sizes.

    Attributes:
        domains: Domain name to documents, both sorted by name and id.
    """

    domains: Mapping[str, tuple[ReferenceDocument, ...]]

    @classmethod
    def of(
        cls, rows: Iterable[Mapping[str, Any]], *, chunk_bytes: int = CHUNK_BYTES
    ) -> ReferenceSet:
        """Cut longer texts into documents and sort them into domains.

        Args:
            rows: Dictionaries with `id` and `text`, and optionally `domain` (default: `reference`),
                `language` and `cluster` (default: the id).
            chunk_bytes: See `split_text`.

        Raises:
            DataError: A row lacks `id` or `text`, an id occurs twice, or no row has any text.

        Example:
            >>> rows = [{"id": "a", "text": "가나다 라마바", "domain": "ko", "language": "ko"}]
            >>> ReferenceSet.of(rows).documents
            1
        """
        domains: dict[str, list[ReferenceDocument]] = {}
        seen: set[str] = set()
        for number, row in enumerate(rows):
            where = f"reference[{number}]"
            for field in ("id", "text"):
                if not isinstance(row.get(field), str):
                    raise DataError(where, f"needs a string `{field}`", got=row.get(field))
            if row["id"] in seen:
                raise DataError(where, "has an id that another row has", got=row["id"])
            seen.add(row["id"])
            domain = str(row.get("domain") or "reference")
            for at, piece in enumerate(split_text(row["text"], chunk_bytes)):
                if piece.strip():
                    document = ReferenceDocument(
                        id=f"{row['id']}#{at:04d}",
                        text=piece,
                        cluster=str(row.get("cluster") or row["id"]),
                        language=str(row.get("language") or ""),
                    )
                    domains.setdefault(domain, []).append(document)
        if not domains:
            raise DataError("reference", "holds no text", hint="Give neutral texts to read.")
        return cls(
            {
                name: tuple(sorted(domains[name], key=lambda document: document.id))
                for name in sorted(domains)
            }
        )

    @classmethod
    def open(cls, path: str | Path, *, chunk_bytes: int = CHUNK_BYTES) -> ReferenceSet:
        """Read a JSONL file of the rows that `of` takes.

        Raises:
            DataError: The file cannot be read, or a line is not a JSON object.
        """
        import orjson

        rows: list[Mapping[str, Any]] = []
        try:
            lines = Path(path).read_bytes().splitlines()
        except OSError as error:
            raise DataError(str(path), f"cannot be read ({error.strerror})") from error
        for number, line in enumerate(lines, start=1):
            if not line.strip():
                continue
            try:
                row = orjson.loads(line)
            except orjson.JSONDecodeError as error:
                raise DataError(f"{path}:{number}", f"is not JSON ({error})") from error
            if not isinstance(row, dict):
                raise DataError(f"{path}:{number}", "must be an object", got=row)
            rows.append(row)
        return cls.of(rows, chunk_bytes=chunk_bytes)

    @property
    def documents(self) -> int:
        """Number of documents."""
        return sum(len(documents) for documents in self.domains.values())

    @property
    def size(self) -> int:
        """Bytes of UTF-8 in all documents."""
        return sum(document.size for _, document in self.items())

    def items(self) -> list[tuple[str, ReferenceDocument]]:
        """Return every (domain, document), sorted by domain and id: the order of loss matrices."""
        return [(name, one) for name in sorted(self.domains) for one in self.domains[name]]

    def digest(self) -> str:
        """Return 32 hexadecimal digits that name the texts, domains and clusters."""
        parts: list[str] = []
        for name, one in self.items():
            parts += [name, one.id, one.cluster, one.language, one.text]
        return make_id(*parts)


def bundled_reference() -> ReferenceSet:
    """Return the package's own held-out texts: Korean prose, English prose, and Python's pages.

    Prose makes one domain per language: its two dozen subjects have a text or two each, too few to
    average apart. The set is small, enough for the `smoke` and `cpu` tiers; a verdict that matters
    deserves reference texts of the kind the model will meet.
    """
    from datatools import sample

    prose = [{**row, "domain": f"prose-{row['language']}"} for row in sample.heldout()]
    return ReferenceSet.of([*prose, *sample.heldout_pydoc()])
