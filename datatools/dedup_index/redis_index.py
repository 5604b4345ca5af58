"""An index in Redis, through datasketch's `MinHashLSH`: for machines that share no disk.

Owns what is stored beside datasketch's tables, and the commit. Signatures are datasketch's own, bit
for bit, so that any program with datasketch finds them:

    MinHashLSH(num_perm=128, params=(17, 7), prepickle=False, storage_config={
        "type": "redis", "basename": b"NAME", "redis": {"host": ..., "port": ...}})

    NAME_keys, NAME_bucket_*   datasketch's: ids as UTF-8, and the values of each band
    NAME:index                 parameters and additions as JSON: the commit
    NAME:numbers               id -> number in the order of addition
    NAME:records               id -> [id, source, url] as JSON
    NAME:values                id -> the signature, or the hash of a short text
    NAME:short:HASH            ids of short texts with that hash
    NAME:pending               ids of an addition that has not been committed
    NAME:lock                  the one writer

A document counts once its number is below the number of documents in `NAME:index`. An addition that
broke off leaves others, which the next one removes. Nothing is ever unpickled: datasketch's default
for Redis would run what another writer put there.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
from collections.abc import Iterator, Sequence
from datetime import date
from typing import Any
from urllib.parse import parse_qs, urlsplit, urlunsplit

import numpy as np
import numpy.typing as npt
import orjson

from datatools.dedup_index.history import Addition, History
from datatools.dedup_index.index import BUCKET, Added, DedupIndex, Found
from datatools.dedup_index.segment import Record
from datatools.dedup_index.sketching import Parameters
from datatools.engine.store import canonical_json, digest
from datatools.errors import ConfigError, DataError, IntegrityError, OutputHeldError
from datatools.kernels.hashing import normalise_then_hash
from datatools.kernels.minhash import signatures
from datatools.steps.base import Batch

__all__ = ["PASSWORD_VARIABLE", "RedisIndex"]

PASSWORD_VARIABLE = "REDIS_PASSWORD"  # noqa: S105 - the variable's name
"""Environment variable with the password of the server."""

_LOCK_S = 120
"""Seconds after which the lock of a writer that died is free."""
_TIMEOUT_S = 30


class RedisIndex(DedupIndex):
    """An index in Redis; see `DedupIndex`."""

    def __init__(self, address: str, server: Any, name: str, stored: bytes) -> None:
        self._server = server
        self._name = name
        try:
            value = orjson.loads(stored)
            parameters = Parameters.checked(address, value["parameters"])
            additions = tuple(Addition.from_json(one) for one in value["additions"])
        except (ValueError, KeyError, TypeError) as error:
            raise IntegrityError(
                address,
                f"{name}:index is not what an index stores: {error!r}",
                hint="Something else wrote there. Choose another name.",
            ) from None
        empty = digest({"redis": parameters.model_dump()})
        super().__init__(address, parameters, History(empty, additions))
        self._lsh = self._tables()

    @classmethod
    def create_at(cls, address: str, parameters: Parameters) -> RedisIndex:
        """Make an empty index of that name."""
        if parameters.unit != "word":
            raise ConfigError(
                f"{address} unit",
                "must be `word` in Redis, where signatures are datasketch's",
                got=parameters.unit,
            )
        server, name = _connect(address)
        stored = canonical_json({"parameters": parameters.model_dump(), "additions": []})
        with _reached(address):
            if not server.set(f"{name}:index", stored, nx=True):
                raise ConfigError(
                    address,
                    "there is an index already",
                    got=name,
                    hint="Open it, or choose another name.",
                )
        return cls(address, server, name, stored)

    @classmethod
    def open_at(cls, address: str) -> RedisIndex:
        """Open the index of that name."""
        server, name = _connect(address)
        with _reached(address):
            stored = server.get(f"{name}:index")
        if stored is None:
            raise ConfigError(
                address,
                "there is no index",
                got=name,
                hint=f"Make one: datatools index create '{address}'",
            )
        return cls(address, server, name, stored)

    def compact(self) -> None:
        """Do nothing: Redis holds no segments."""

    def verify(self) -> None:
        """Count the documents: digests are not stored, as the server owns the bytes."""
        with _reached(self.address):
            count = self._server.hlen(f"{self._name}:numbers")
            count -= self._server.scard(f"{self._name}:pending")
        if count < len(self):
            raise IntegrityError(
                self.address,
                f"should hold {len(self)} documents",
                got=count,
                hint="The server lost some. Make the index again.",
            )

    def _stored(self) -> tuple[None, None]:
        return None, None

    def _standard_error(self) -> float:
        threshold = self.parameters.threshold
        return float((threshold * (1 - threshold) / self.parameters.num_perm) ** 0.5)

    def _tables(self) -> Any:
        from datasketch import MinHashLSH

        connection = {
            key: value
            for key, value in self._server.connection_pool.connection_kwargs.items()
            if key in ("host", "port", "db", "username", "password", "socket_timeout")
        }
        return MinHashLSH(
            num_perm=self.parameters.num_perm,
            params=self.parameters.bands,
            prepickle=False,
            storage_config={
                "type": "redis",
                "basename": self._name.encode(),
                "redis": connection,
            },
        )

    def _bands(self, values: npt.NDArray[np.uint32]) -> list[list[bytes]]:
        """Return the key of each row in each of datasketch's tables."""
        lsh = self._lsh
        return [[lsh._H(row[start:end]) for row in values] for start, end in lsh.hashranges]

    # ----------------------------------------------------------------------------------------------
    # Reading

    def _match(self, batch: Batch, documents: int) -> Found:
        values, short = self._values(batch)
        with _reached(self.address):
            return self._closest(values, short, documents)

    def _closest(self, values: list[bytes], short: npt.NDArray[np.bool_], documents: int) -> Found:
        buckets = self._buckets(values, short)
        candidates = sorted({one for row in buckets for bucket in row for one in bucket})
        numbers = {
            one: int(number)
            for one, number in zip(candidates, self._get("numbers", candidates), strict=True)
            if number is not None and int(number) < documents
        }
        rows = len(buckets)
        skipped = np.zeros((rows, max(map(len, buckets), default=0)), np.int64)
        compared: list[list[bytes]] = []
        for row, of_row in enumerate(buckets):
            chosen: set[bytes] = set()
            for band, bucket in enumerate(of_row):
                there = sorted((one for one in bucket if one in numbers), key=numbers.__getitem__)
                skipped[row, band] = max(0, len(there) - BUCKET)
                chosen.update(there[:BUCKET])
            compared.append(sorted(chosen, key=numbers.__getitem__))
        wanted = sorted({one for row in compared for one in row}, key=numbers.__getitem__)
        stored = dict(zip(wanted, self._get("values", wanted), strict=True))
        if None in stored.values():
            raise IntegrityError(
                self.address,
                "the server lost a document that was committed",
                hint="Make the index again from the datasets that it holds.",
            )
        best = np.full(rows, -1, np.int64)
        similarity = np.zeros(rows, np.float64)
        names: dict[int, bytes] = {}
        for row, ids in enumerate(compared):
            # An id may stay in a bucket of an addition that broke off, and be another text's now.
            ids = [one for one in ids if len(stored[one]) == len(values[row])]
            if not ids:
                continue
            same = _equal_values(values[row], [stored[one] for one in ids])
            place = int(same.argmax())  # the first of the most similar: the earliest
            similarity[row] = same[place]
            if same[place] >= self.parameters.threshold:
                best[row] = numbers[ids[place]]
                names[int(best[row])] = ids[place]
        records = self._get("records", list(names.values()))
        return Found(
            best,
            similarity,
            skipped,
            {number: _record(record) for number, record in zip(names, records, strict=True)},
        )

    def _buckets(self, values: list[bytes], short: npt.NDArray[np.bool_]) -> list[list[set[bytes]]]:
        """Return the ids in each bucket of each row."""
        found: list[list[set[bytes]]] = [[] for _ in values]
        long_rows = np.flatnonzero(~short).tolist()
        if long_rows:
            for table, keys in zip(
                self._lsh.hashtables,
                self._bands(_as_array([values[row] for row in long_rows])),
                strict=True,
            ):
                for row, bucket in zip(long_rows, table.getmany(*keys), strict=True):
                    found[row].append(bucket)
        short_rows = np.flatnonzero(short).tolist()
        pipe = self._server.pipeline(transaction=False)
        for row in short_rows:
            pipe.smembers(self._short(values[row]))
        for row, bucket in zip(short_rows, pipe.execute(), strict=True):
            found[row].append(bucket)
        return found

    def _short(self, value: bytes) -> str:
        return f"{self._name}:short:{value.hex()}"

    def _get(self, table: str, ids: Sequence[bytes]) -> list[Any]:
        found: list[Any] = []
        for start in range(0, len(ids), 4096):
            found += self._server.hmget(f"{self._name}:{table}", ids[start : start + 4096])
        return found

    def _values(self, batch: Batch) -> tuple[list[bytes], npt.NDArray[np.bool_]]:
        """Return each row's signature or the hash of its words, and which are short."""
        signature, shingles = signatures(
            *batch.buffers("text"),
            ngram=self.parameters.ngram,
            num_perm=self.parameters.num_perm,
            seed=self.parameters.seed,
            compatible="datasketch",
        )
        short = shingles == 0
        values = [row.tobytes() for row in signature.astype("<u4")]
        if short.any():
            exact = normalise_then_hash(*batch.buffers("text")).astype(">u8")
            for row in np.flatnonzero(short).tolist():
                values[row] = exact[row].tobytes()
        return values, short

    # ----------------------------------------------------------------------------------------------
    # Writing

    @contextlib.contextmanager
    def _writing(self) -> Iterator[Any]:
        lock = self._server.lock(f"{self._name}:lock", timeout=_LOCK_S, blocking=False)
        with _reached(self.address):
            if not lock.acquire():
                raise OutputHeldError(
                    self.address,
                    "another process is changing this index",
                    hint=f"Wait for it to end; {_LOCK_S} s after it died the index is free.",
                )
            try:
                yield lock
            finally:
                with contextlib.suppress(Exception):  # it ran out, and another may hold it now
                    lock.release()

    def _add(
        self,
        batches: Iterator[Batch],
        added: date | None,
        dataset: str | None,
        name: str | None,
    ) -> Added:
        with self._writing() as lock:
            newest = self.open_at(self.address)
            self.history = newest.history
            self._remove_pending()
            if dataset is not None and self.history.holds_dataset(dataset):
                return Added(0, 0, again=True)
            day = self.history.day(self.address, added)
            told, sketched = hashlib.sha256(), hashlib.sha256()
            documents = known = 0
            for batch in batches:
                lock.reacquire()
                fresh = self._fresh(batch)
                known += len(batch) - len(fresh)
                if not fresh:
                    continue
                new = Batch(batch.df[fresh])
                records = [orjson.dumps(row) for row in new.df.select("id", "source", "url").rows()]
                values, short = self._values(new)
                self._store(new, records, values, short, len(self) + documents)
                documents += len(fresh)
                told.update(b"".join(records))
                sketched.update(b"".join(values))
            if documents or dataset is not None:
                content = digest([told.hexdigest(), sketched.hexdigest()])
                lock.reacquire()
                self._commit(self.history.followed_by(day, documents, content, dataset, name))
            return Added(documents, known)

    def _fresh(self, batch: Batch) -> list[int]:
        """Return the rows whose ids are not there yet."""
        ids = [one.encode() for one in batch.df["id"].to_list()]
        first: dict[bytes, int] = {}
        for row, (one, number) in enumerate(zip(ids, self._get("numbers", ids), strict=True)):
            if number is None:
                first.setdefault(one, row)
        return list(first.values())

    def _store(
        self,
        batch: Batch,
        records: list[bytes],
        values: list[bytes],
        short: npt.NDArray[np.bool_],
        number: int,
    ) -> None:
        from datasketch import LeanMinHash

        ids = [one.encode() for one in batch.df["id"].to_list()]
        # Before anything else, so that what a broken addition leaves can be removed.
        self._server.sadd(f"{self._name}:pending", *ids)
        with self._lsh.insertion_session() as session:
            for row in np.flatnonzero(~short).tolist():
                minhash = LeanMinHash(
                    seed=self.parameters.seed,
                    hashvalues=np.frombuffer(values[row], "<u4"),
                    scheme="affine32",
                )
                session.insert(ids[row], minhash, check_duplication=False)
        pipe = self._server.pipeline(transaction=False)
        for row in np.flatnonzero(short).tolist():
            pipe.sadd(self._short(values[row]), ids[row])
        numbers = range(number, number + len(ids))
        pipe.hset(f"{self._name}:values", mapping=dict(zip(ids, values, strict=True)))
        pipe.hset(f"{self._name}:records", mapping=dict(zip(ids, records, strict=True)))
        pipe.hset(f"{self._name}:numbers", mapping=dict(zip(ids, numbers, strict=True)))
        pipe.execute()

    def _commit(self, history: History) -> None:
        additions = [addition.to_json() for addition in history.additions]
        value = {"parameters": self.parameters.model_dump(), "additions": additions}
        pipe = self._server.pipeline(transaction=True)
        pipe.set(f"{self._name}:index", canonical_json(value))
        pipe.delete(f"{self._name}:pending")
        pipe.execute()
        self.history = history

    def _remove_pending(self) -> None:
        """Remove the documents of an addition that broke off.

        Their ids may stay in buckets, where nothing is known of them and they count for nothing.
        """
        pending = list(self._server.sscan_iter(f"{self._name}:pending"))
        for start in range(0, len(pending), 4096):
            ids = pending[start : start + 4096]
            self._lsh.keys.remove(*ids)
            for table in ("numbers", "records", "values"):
                self._server.hdel(f"{self._name}:{table}", *ids)
        self._server.delete(f"{self._name}:pending")


def _connect(address: str) -> tuple[Any, str]:
    """Return a client for the server and the index's name."""
    try:
        import redis
    except ImportError:
        raise ConfigError(
            address,
            "an index in Redis needs the library redis",
            hint="Install it: pip install 'datatools[redis]'",
        ) from None
    parts = urlsplit(address)
    if parts.password is not None:
        raise ConfigError(
            urlunsplit(parts._replace(netloc=f"***@{parts.hostname}")),
            "holds a password, which would be published with the pipeline's steps",
            hint=f"Set the environment variable {PASSWORD_VARIABLE} instead.",
        )
    asked = parse_qs(parts.query)
    names = asked.pop("name", [])
    if len(names) != 1 or asked:
        raise ConfigError(
            address,
            "must name the index, and nothing else, after the `?`",
            got=parts.query,
            hint="redis://host:port/db?name=NAME",
        )
    try:
        server = redis.Redis.from_url(
            urlunsplit(parts._replace(query="")),
            password=os.environ.get(PASSWORD_VARIABLE),
            socket_timeout=_TIMEOUT_S,
        )
    except ValueError as error:
        raise ConfigError(
            address, f"is not an address of Redis: {error}", hint="redis://host:port/db?name=NAME"
        ) from None
    return server, names[0]


@contextlib.contextmanager
def _reached(address: str) -> Iterator[None]:
    """Tell what the server refuses."""
    import redis

    try:
        yield
    except redis.exceptions.LockError:
        raise OutputHeldError(
            address,
            f"this process stood still for {_LOCK_S} s, and another may be changing the index",
            hint="Nothing was committed. Run again.",
        ) from None
    except (redis.exceptions.ConnectionError, redis.exceptions.TimeoutError) as error:
        raise ConfigError(
            address,
            f"Redis cannot be reached: {error}",
            hint=f"Start redis-server there, or mend the address. {PASSWORD_VARIABLE} holds the "
            "password, if there is one.",
        ) from None
    except redis.exceptions.RedisError as error:
        raise DataError(
            address, f"Redis refused: {error}", hint="Nothing was committed. Run again."
        ) from None


def _as_array(values: Sequence[bytes]) -> npt.NDArray[np.uint32]:
    """Return signatures as an array, uint32 of shape (rows, num_perm)."""
    return np.frombuffer(b"".join(values), "<u4").reshape(len(values), -1)


def _equal_values(value: bytes, others: Sequence[bytes]) -> npt.NDArray[np.float64]:
    """Return the share of equal values: 1 for short texts, which met by the hash of all words."""
    equal = (_as_array(others) == np.frombuffer(value, "<u4")).sum(axis=1)
    share: npt.NDArray[np.float64] = equal / (len(value) // 4)
    return share


def _record(stored: bytes) -> Record:
    id, source, url = orjson.loads(stored)
    return id, source, url
