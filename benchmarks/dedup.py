"""Deduplication beside its peers: speed, end to end, quality, scale and hard inputs.

    python benchmarks/dedup.py [--quick] [--json] [--only PART] [--full] [--real] [--ours]

With --json the last line printed is one JSON object: the machine, versions, every measurement and
`figures`: {name: {value, target, met}}. Exits 1 when a figure is not met, and when a required peer
cannot be installed. Peers get environments of their own under benchmarks/.peers on first use;
text-dedup and data-juicer are shown where they install.

Parts: signatures, copying, quality, scale, stress; each file of `dedup_parts` says what it measures
and what lies inside its times. --quick takes small inputs: starting up is then most of our time end
to end, so its figures are no verdict on speed.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from pathlib import Path
from typing import Any

from dedup_parts import copying, quality, scale, signatures, stress
from machine import describe, peer_environment, version_of

PARTS = {
    "signatures": signatures.measure,
    "copying": copying.measure,
    "quality": quality.measure,
    "scale": scale.measure,
    "stress": stress.measure,
}
REQUIRED_PEERS = ("gaoya", "rensa", "datasketch", "datatrove")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="small inputs, few rounds")
    parser.add_argument("--full", action="store_true", help="ten million documents too")
    parser.add_argument("--only", action="append", choices=PARTS, help="parts to run; all if none")
    parser.add_argument("--real", action="store_true", help="texts from ../shared/data")
    parser.add_argument("--ours", action="store_true", help="leave the peers out")
    parser.add_argument("--work", type=Path, help="folder for temporary files, some 10 GB")
    parser.add_argument("--json", action="store_true", help="print one JSON object last")
    given = parser.parse_args()
    result: dict[str, Any] = {
        "benchmark": "dedup",
        "machine": describe(),
        "quick": given.quick,
        "texts": "real" if given.real else "composed",
    }
    if not given.ours:
        result["peers"] = {
            name: version_of(peer_environment(name), name) for name in REQUIRED_PEERS
        }
    figures: dict[str, dict[str, Any]] = {}
    options = {"quick": given.quick, "real": given.real, "peers": not given.ours}
    for name in given.only or PARTS:
        print(f"{name} ...", file=sys.stderr)
        extra = {"full": True} if name == "scale" and given.full else {}
        with tempfile.TemporaryDirectory(prefix="dedup-", dir=given.work) as folder:
            result[name], found = PARTS[name](Path(folder), **options, **extra)
        figures |= found
    result["figures"] = figures
    if given.json:
        print(json.dumps(result, ensure_ascii=False))
    else:
        print(json.dumps({name: result[name] for name in given.only or PARTS}, indent=2))
        for name, one in figures.items():
            print(f"{'met' if one['met'] else 'UNMET':5} {name}: {one['value']} ({one['target']})")
    return 0 if all(one["met"] for one in figures.values()) else 1


if __name__ == "__main__":
    sys.exit(main())
