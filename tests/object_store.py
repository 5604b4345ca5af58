"""A real S3 server on this machine for tests, and what lies at an output's URL."""

from __future__ import annotations

import contextlib
import hashlib
import logging
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

KEYS = {
    "AWS_ACCESS_KEY_ID": "test",
    "AWS_SECRET_ACCESS_KEY": "test",
    "AWS_DEFAULT_REGION": "us-east-1",
    "AWS_EC2_METADATA_DISABLED": "true",
}


@contextlib.contextmanager
def serving() -> Iterator[str]:
    """Serve S3 from a process of its own, which outlives killed runs; yield its address."""
    read, write = os.pipe()
    code = f"import object_store; object_store.main({write})"
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parent)}
    server = subprocess.Popen([sys.executable, "-c", code], pass_fds=(write,), env=environment)
    os.close(write)
    with os.fdopen(read) as ready:
        port = ready.readline().strip()
    try:
        yield f"http://127.0.0.1:{port}"
    finally:
        server.kill()
        server.wait()


def main(descriptor: int) -> None:
    """Serve until killed; say on which port."""
    from moto.server import ThreadedMotoServer

    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    with os.fdopen(descriptor, "w") as ready:
        ready.write(f"{server.get_host_and_port()[1]}\n")
    while True:
        time.sleep(3600)


def published_at(url: str) -> dict[str, str]:
    """Return the SHA-256 of every published file by its path, as `jobs.published` does."""
    import fsspec

    filesystem, base = fsspec.core.url_to_fs(url, use_listings_cache=False)
    filesystem.invalidate_cache()
    found = {}
    for name in filesystem.find(base):
        path = name[len(base) :].lstrip("/")
        if path.split("/")[0] not in (".cache", ".lock", "run.json"):
            found[path] = hashlib.sha256(filesystem.cat_file(name)).hexdigest()
    return dict(sorted(found.items()))
