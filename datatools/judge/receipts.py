"""The receipts of a comparison: every number that a verdict is derived from, per document.

Owns: what was run on what, the nats of every reference document under every run, and storing them.
Refuses: decisions; `verdict.recompute` makes them from receipts alone, without training.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Literal

import numpy as np
import numpy.typing as npt
import orjson
from pydantic import BaseModel, ConfigDict, ValidationError

from datatools.errors import DataError
from datatools.judge.tiers import PlannedRun, Tier

__all__ = ["ArmFacts", "DocumentReceipt", "Header", "Receipts", "RunReceipt"]

_FORMAT: Final = 1
_METADATA: Final = b"datatools.judge"


class ArmFacts(BaseModel):
    """What an arm was.

    Attributes:
        name: What the verdict calls it.
        documents: Documents with text.
        size: Bytes of UTF-8.
        digest: Names ids and texts.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    documents: int
    size: int
    digest: str


class Header(BaseModel):
    """What was compared, and how.

    Attributes:
        format: Version of this layout.
        version: Version of datatools.
        tier: The tier, whole: its zones and limits belong to the verdict.
        seed: The comparison's seed.
        a: The first arm.
        b: The second arm.
        shared_ids: Documents of B whose id A has too.
        reference: Digest of the reference set.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    format: int = _FORMAT
    version: str
    tier: Tier
    seed: int
    a: ArmFacts
    b: ArmFacts
    shared_ids: int
    reference: str


class DocumentReceipt(BaseModel):
    """One reference document.

    Attributes:
        id: Its name in the reference set.
        domain: Its domain.
        cluster: The source it was cut from.
        language: ISO 639-1 code, or empty.
        size: Bytes of UTF-8.
        seen_a: Share of its windows that occur in arm A.
        seen_b: The same for arm B.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    id: str
    domain: str
    cluster: str
    language: str
    size: int
    seen_a: float
    seen_b: float


class RunReceipt(BaseModel):
    """One fitted model.

    Attributes:
        planned: Which run of the tier this was.
        voice: The voice's full name, e.g. `ngram-6`.
        texts: Documents it trained on.
        size: Bytes of UTF-8 it trained on, repetitions not counted.
        tokens: Tokens it trained on, repetitions counted; None for a model without tokens.
        seconds: Time to fit and to read the reference.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    planned: PlannedRun
    voice: str
    texts: int
    size: int
    tokens: int | None
    seconds: float


@dataclass(frozen=True, eq=False)
class Receipts:
    """All of a comparison.

    Attributes:
        header: What was compared.
        documents: The reference documents, in order.
        runs: The fitted models; none where the arms or the reference ruled a verdict out.
        nll: Nats, float64 of shape (runs, documents).
    """

    header: Header
    documents: tuple[DocumentReceipt, ...]
    runs: tuple[RunReceipt, ...]
    nll: npt.NDArray[np.float64]

    def losses(
        self, planned: Sequence[PlannedRun], keep: npt.NDArray[np.bool_]
    ) -> npt.NDArray[np.float64]:
        """Return the loss matrix of these runs over the documents in `keep`."""
        at = {run.planned: row for row, run in enumerate(self.runs)}
        return self.nll[[at[one] for one in planned]][:, keep]

    def save(self, path: str | os.PathLike[str]) -> Path:
        """Write `.json`, or `.parquet` with one row per document and one column per run.

        Raises:
            DataError: The name ends otherwise.
        """
        path = Path(path)
        _check_suffix(path)
        temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
        try:
            if path.suffix == ".json":
                temporary.write_bytes(orjson.dumps(self._as_dict(), option=orjson.OPT_INDENT_2))
            else:
                self._write_parquet(temporary)
            os.replace(temporary, path)
        finally:
            temporary.unlink(missing_ok=True)
        return path

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> Receipts:
        """Read what `save` wrote; every float comes back with the same bits.

        Raises:
            DataError: The file is missing, or holds something else.
        """
        path = Path(path)
        _check_suffix(path)
        try:
            content = (
                orjson.loads(path.read_bytes()) if path.suffix == ".json" else _read_parquet(path)
            )
            if content["header"]["format"] != _FORMAT:
                raise DataError(
                    str(path),
                    f"must have format {_FORMAT}",
                    got=content["header"]["format"],
                    hint="Read it with the version of datatools that wrote it.",
                )
            runs = tuple(RunReceipt.model_validate(run) for run in content["runs"])
            documents = tuple(DocumentReceipt.model_validate(one) for one in content["documents"])
            nll = np.array(content["nll"], dtype=np.float64).reshape(len(runs), len(documents))
            header = Header.model_validate(content["header"])
        except OSError as error:
            raise DataError(str(path), f"cannot be read ({error.strerror})") from error
        except (ValidationError, ValueError, KeyError, TypeError) as error:
            raise DataError(str(path), f"holds no receipts of a comparison ({error})") from error
        return cls(header, documents, runs, nll)

    def _as_dict(self) -> dict[str, Any]:
        return {
            "header": self.header.model_dump(mode="json"),
            "documents": [one.model_dump(mode="json") for one in self.documents],
            "runs": [run.model_dump(mode="json") for run in self.runs],
            "nll": self.nll.tolist(),
        }

    def _write_parquet(self, path: Path) -> None:
        import pyarrow as pa
        import pyarrow.parquet as pq

        content = self._as_dict()
        fields = list(DocumentReceipt.model_fields)
        columns: dict[str, Any] = {
            name: [one[name] for one in content["documents"]] for name in fields
        }
        columns |= {f"nll_{row:03d}": self.nll[row] for row in range(len(self.runs))}
        meta = orjson.dumps({"header": content["header"], "runs": content["runs"]})
        table = pa.table(columns).replace_schema_metadata({_METADATA: meta})
        pq.write_table(table, path, compression="zstd")


def _read_parquet(path: Path) -> dict[str, Any]:
    import pyarrow.parquet as pq

    table = pq.read_table(path)
    content: dict[str, Any] = orjson.loads((table.schema.metadata or {})[_METADATA])
    fields = list(DocumentReceipt.model_fields)
    content["documents"] = table.select(fields).to_pylist()
    content["nll"] = [
        table.column(f"nll_{row:03d}").to_numpy() for row in range(len(content["runs"]))
    ]
    return content


def _check_suffix(path: Path) -> None:
    known: tuple[Literal[".json"], Literal[".parquet"]] = (".json", ".parquet")
    if path.suffix not in known:
        raise DataError(str(path), "must end in .json or .parquet", got=path.suffix)
