"""Language identification by a peer, in a process of its own.

    python language.py PEER IN.json     prints {"answers": [...], "cpu_seconds": S}

IN.json holds a list of texts. Loading the model and a first answer are outside the CPU seconds. A
text that a peer refuses has the answer `und`.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable


def py3langid() -> Callable[[str], str]:
    from py3langid import classify

    return lambda text: classify(text)[0]


def pycld2() -> Callable[[str], str]:
    import pycld2

    def detect(text: str) -> str:
        try:
            code = pycld2.detect(text)[2][0][1]
        except pycld2.error:  # control characters
            return "und"
        return {"un": "und", "iw": "he"}.get(code, code.split("-")[0])

    return detect


PEERS = {"py3langid": py3langid, "pycld2": pycld2}

if __name__ == "__main__":
    detect = PEERS[sys.argv[1]]()
    with open(sys.argv[2], encoding="utf-8") as file:
        texts = json.load(file)
    detect(texts[0])
    started = time.process_time()
    answers = [detect(text) for text in texts]
    print(json.dumps({"answers": answers, "cpu_seconds": time.process_time() - started}))
