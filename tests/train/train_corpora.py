"""Small Korean and English texts, and datasets published from them, for the trainer's tests."""

import hashlib
import json

import polars as pl

from datatools.records import MESSAGE
from datatools.train.model import ModelConfig

TINY = ModelConfig(
    vocabulary=400,
    layers=2,
    width=32,
    heads=2,
    kv_heads=1,
    head_width=16,
    ffn_width=64,
    context=64,
)

_ENGLISH = (
    ("The farmer", "A teacher", "My sister", "The old doctor", "Our neighbour"),
    ("walks to the market", "reads a long letter", "waters the garden", "cooks soup for us"),
    ("every morning", "before the rain", "after work", "in the quiet house"),
)
_KOREAN = (
    ("농부는", "선생님은", "우리 언니는", "늙은 의사는", "이웃 사람은"),
    ("아침마다", "비가 오기 전에", "일이 끝난 뒤에", "조용한 집에서"),
    ("시장에 걸어간다", "긴 편지를 읽는다", "정원에 물을 준다", "우리에게 국을 끓여 준다"),
)
_COLOURS = {
    "sky": ("blue", "하늘", "파란색"),
    "grass": ("green", "풀", "초록색"),
    "snow": ("white", "눈", "하얀색"),
    "coal": ("black", "석탄", "검은색"),
    "blood": ("red", "피", "빨간색"),
    "lemon": ("yellow", "레몬", "노란색"),
}


def documents(count=200):
    """Return (text, language) pairs, half of each language, each of four sentences."""
    out = []
    for number in range(count):
        korean = number % 2 == 1
        parts = _KOREAN if korean else _ENGLISH
        sentences = []
        for turn in range(4):
            draw = number * 7 + turn * 13 + number // 20
            words = [part[draw // 3**place % len(part)] for place, part in enumerate(parts)]
            sentences.append(" ".join(words) + ".")
        out.append((" ".join(sentences), "ko" if korean else "en"))
    return out


def message(role, content, train=None):
    return {"role": role, "content": content, "name": None, "tool_calls": None, "train": train}


def conversations(count=120):
    """Return conversations that ask for a colour; the answer follows from the question alone."""
    out = []
    for number in range(count):
        thing, (colour, korean_thing, korean_colour) = list(_COLOURS.items())[number % 6]
        if number // 6 % 2:
            question, answer = f"{korean_thing}의 색은?", f"{korean_colour}입니다."
        else:
            question, answer = f"Which colour has {thing}?", f"It is {colour}."
        out.append([message("user", question, False), message("assistant", answer, True)])
    return out


def pairs(count=120):
    """Return (prompt, chosen, rejected): the preferred answer thanks, the other one scolds."""
    out = []
    for number, turns in enumerate(conversations(count)):
        prompt = [turns[0]]
        polite = [message("assistant", "고맙습니다." if number % 4 < 2 else "Thank you.")]
        rude = [message("assistant", "시끄러워요." if number % 4 < 2 else "Go away..")]
        out.append((prompt, polite, rude))
    return out


def publish(folder, kind, splits):
    """Write frames as a published dataset, one shard per split, the manifest last."""
    folder.mkdir(parents=True)
    shards = []
    for split, frame in splits.items():
        path = folder / f"{split}-00000-of-00001.parquet"
        frame.write_parquet(path)
        shards.append(
            {
                "path": path.name,
                "rows": len(frame),
                "bytes": path.stat().st_size,
                "sha256": hashlib.sha256(path.read_bytes()).hexdigest(),
                "split": split,
            }
        )
    manifest = {"kind": kind, "rows": sum(len(f) for f in splits.values()), "shards": shards}
    (folder / "manifest.json").write_text(json.dumps(manifest))
    return folder


def _split(rows, schema):
    return {
        "train": pl.DataFrame([r for n, r in enumerate(rows) if n % 5], schema=schema),
        "validation": pl.DataFrame([r for n, r in enumerate(rows) if n % 5 == 0], schema=schema),
    }


def publish_documents(folder, count=200):
    rows = [
        {"id": f"d{n}", "text": text, "language": language}
        for n, (text, language) in enumerate(documents(count))
    ]
    schema = {"id": pl.String, "text": pl.String, "language": pl.String}
    return publish(folder, "document", _split(rows, schema))


def publish_conversations(folder, count=120):
    rows = [{"id": f"c{n}", "messages": turns} for n, turns in enumerate(conversations(count))]
    schema = {"id": pl.String, "messages": pl.List(MESSAGE)}
    return publish(folder, "conversation", _split(rows, schema))


def publish_pairs(folder, count=120, *, flipped=False):
    """Publish `pairs`; with `flipped`, the labels of the training split are the wrong way round."""
    rows = []
    for number, (prompt, chosen, rejected) in enumerate(pairs(count)):
        if flipped and number % 5:
            chosen, rejected = rejected, chosen
        rows.append(
            {
                "id": f"p{number}",
                "group_id": f"g{number}",
                "prompt": prompt,
                "chosen": chosen,
                "rejected": rejected,
            }
        )
    turns = pl.List(MESSAGE)
    schema = {
        "id": pl.String,
        "group_id": pl.String,
        "prompt": turns,
        "chosen": turns,
        "rejected": turns,
    }
    return publish(folder, "preference", _split(rows, schema))
