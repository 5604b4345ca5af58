import gzip
import io
import json
import tarfile

import pytest
import zstandard


@pytest.fixture(scope="session")
def wcxb_pages(shared_dir):
    """Real pages with their main text as people corrected it: (name, page, text)."""
    pages, texts = {}, {}
    with open(shared_dir / "data/b_html/wcxb_dev_A.tar.zst", "rb") as packed:
        raw = zstandard.ZstdDecompressor().stream_reader(packed).read()
    with tarfile.open(fileobj=io.BytesIO(raw)) as tar:
        for member in tar:
            name = member.name.split("/")[-1].split(".")[0]
            data = tar.extractfile(member).read()
            if member.name.endswith(".json"):
                texts[name] = json.loads(data)["ground_truth"].get("main_content") or ""
            else:
                pages[name] = gzip.decompress(data) if member.name.endswith(".gz") else data
    return [(name, pages[name], texts[name]) for name in sorted(pages)]
