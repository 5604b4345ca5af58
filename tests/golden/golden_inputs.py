"""Fixed inputs for the golden digests: small, Korean and English side by side, edges among them.

Nothing here may change without every digest that reads it: add rows at the end, or another frame.
"""

from __future__ import annotations

import json
import tempfile
from datetime import date
from pathlib import Path

import polars as pl

from datatools.dedup_index import DedupIndex

ENGLISH = (
    "The old bridge at the edge of the village was built by two brothers who could not agree on "
    "anything else. One of them wanted stone, because stone had always been good enough for their "
    "father, and the other wanted iron, which he had seen in the city. In the end they used both, "
    "and travellers still stop in the middle to look at the line where the two halves meet."
)
KOREAN = (
    "마을 끝에 있는 오래된 다리는 무슨 일에도 뜻이 맞지 않던 두 형제가 놓은 것이다. 한 "
    "사람은 아버지 때부터 돌이면 충분했다며 돌을 고집했고, 다른 한 사람은 도시에서 본 철을 "
    "쓰자고 했다. 결국 두 가지를 모두 썼는데, 지금도 지나가는 사람들은 다리 한가운데에 "
    "멈춰 서서 두 쪽이 만나는 자리를 들여다본다. 그 자리는 여름이면 따뜻하고 겨울이면 "
    "차갑다고 하지만, 직접 만져 본 사람의 말은 저마다 다르고, 아이들은 그 위에서 한 발로 "
    "서는 놀이를 한다. 비가 오는 날이면 돌은 검게 젖고 철은 소리를 내는데, 그래서 "
    "마을에서는 비를 다리로 안다고 한다."
)
TEXTS = [
    ENGLISH,
    KOREAN,
    ENGLISH,  # an exact duplicate
    ENGLISH.replace("travellers", "strangers"),  # a near-duplicate
    KOREAN.replace("여름이면", "한여름에는"),
    "Too short.",
    "짧다.",
    "",
    " \n\t ",
    "\n".join(["Sign in", "Sign up"] * 40),
    "\n\n".join(["같은 문단입니다. 같은 문단입니다."] * 30),
    "… … …\n" * 30 + ENGLISH,
    "# # # # # " * 30,
    "• item\n" * 30 + KOREAN,
    "Hier steht ein deutscher Satz, der lang genug bleibt, um als Deutsch erkannt zu werden.",
    "これは日本語の文章です。十分に長いので、日本語だと分かります。",
    "한국어와 English가 섞인 문장, Windows 11 업데이트 KB5034441 설치 오류",
    "e\u0301 é \u1112\u1161\u11ab 한 👩\u200d💻 \u202eabc \ufffd \x00 \u2028line",
    "12345 67890 " * 20,
    ENGLISH + "\n\n" + KOREAN,
]


def documents() -> pl.DataFrame:
    """Return texts with every column that a step may read."""
    count = len(TEXTS)
    return pl.DataFrame(
        {
            "id": [f"doc-{n:02d}" for n in range(count)],
            "text": TEXTS,
            "url": [f"https://example.org/{n}" for n in range(count)],
            "source": ["golden"] * count,
        }
    )


def of_two_languages() -> pl.DataFrame:
    """Return the texts as if every third were Korean: sources of a mix."""
    language = ["ko" if n % 3 == 1 else "en" for n in range(len(TEXTS))]
    return documents().with_columns(pl.Series("language", language))


def addressed() -> pl.DataFrame:
    """Return short texts whose addresses are written in several ways, with dates."""
    rows = [
        ("첫 글", "https://example.org/글?b=2&a=1", "2024-01-02"),
        ("first", "HTTPS://EXAMPLE.org:443/%ea%b8%80/?a=1&b=2&utm_source=x#top", "2025-01-02"),
        ("더 긴 둘째 글", "http://www.example.org/글?a=1&b=2", "2024-06-01T00:00:00Z"),
        ("second", "https://example.org/x;jsessionid=1?ref=y", None),
        ("셋째", "https://example.org/./x", "어제"),
        ("no address", "example", None),
        ("주소 없음", None, None),
    ]
    columns = ("id", "text", "url", "date")
    named = [(f"doc-{n}", *row) for n, row in enumerate(rows)]
    return pl.DataFrame(named, schema=dict.fromkeys(columns, pl.String), orient="row")


def private() -> pl.DataFrame:
    """Return texts with personal data and secrets, made up, and with what looks like them."""
    secret = "k3J9xQ2m" + "V8rT5wZ1"
    texts = [
        "문의 010-1234-5678, 메일 kim@example.com, 주민번호 880101-1234568",
        "Call (212) 555-0199. My SSN is 219-09-9999, my card 4111 1111 1111 1111.",
        "국민은행 123456-01-123456, 아이피 93.184.216.34, 여권번호 M12345678",
        "2023-10-25, 1,234원, version 93.184.216.34, ISBN 978-89-01-23456-7",
        f"api_key = '{secret}', postgres://app:p7Kq9xLw2@db.host.kr/x",
        "비밀번호는 여덟 글자 이상, user:password@host",
        "",
    ]
    return pl.DataFrame({"id": [f"doc-{n}" for n in range(len(texts))], "text": texts})


def embedded() -> pl.DataFrame:
    """Return short texts with embeddings: some close, one far, some of no use."""
    rows = [
        ("고양이", [1.0, 0.0, 0.25]),
        ("cat", [2.0, 0.125, 0.5]),
        ("개", [0.0, 1.0, -1.0]),
        ("a dog", [0.0, 4.0, -3.5]),
        ("새", [-1.0, 0.0, -0.25]),
        ("nothing", [0.0, 0.0, 0.0]),
        ("없음", None),
    ]
    named = [(f"doc-{n}", *row) for n, row in enumerate(rows)]
    schema = {"id": pl.String, "text": pl.String, "embedding": pl.List(pl.Float32)}
    return pl.DataFrame(named, schema=schema, orient="row")


def page(title: str, body: str) -> bytes:
    """Return an HTML page with the usual things around its text."""
    return (
        f"<!doctype html><html><head><title>{title}</title></head><body><nav><a href='/'>Home</a>"
        f"</nav><article><h1>{title}</h1>{body}</article><footer>© 2026</footer></body></html>"
    ).encode()


def question(title: str, answers: list[tuple[str, int, bool]]) -> bytes:
    """Return a page of questions and answers marked up as schema.org says, in JSON-LD."""
    items = [
        {"@type": "Answer", "text": text, "upvoteCount": votes} for text, votes, taken in answers
    ]
    taken = [item for item, answer in zip(items, answers, strict=True) if answer[2]]
    data = {
        "@context": "https://schema.org",
        "@type": "QAPage",
        "mainEntity": {
            "@type": "Question",
            "name": title,
            "text": f"<p>{title}</p>",
            "answerCount": len(items),
            "suggestedAnswer": [item for item in items if item not in taken],
            **({"acceptedAnswer": taken[0]} if taken else {}),
        },
    }
    script = f"<script type='application/ld+json'>{json.dumps(data, ensure_ascii=False)}</script>"
    return page(title, script)


PAGES = [
    page("A bridge", f"<p>{ENGLISH}</p><ul><li>stone</li><li>iron</li></ul>"),
    page("다리", f"<p>{KOREAN}</p><pre>  코드\n    들여쓰기</pre>"),
    page(
        "표", "<table><tr><td>이름</td><td>name</td></tr></table><p>a<b>b</b>c &amp; d&nbsp;e</p>"
    ),
    b"<p>never closed <b>bold <i>italic",
    b"<html><body></body></html>",
    b"",
    "<p>\ud55c\uae00 \ufffd </p><script>alert(1)</script><style>p {}</style>".encode(),
    question(
        "빵을 어떻게 보관하나요?",
        [("천으로 싸 두세요.", 9, True), ("냉동실에 넣으세요.", 2, False)],
    ),
    question("How do I keep bread?", [("Wrap it in linen.", 4, False), ("Freeze it.", 4, False)]),
    b'<script type=\'application/ld+json\'>{"@type": "QAPage", "mainEntity": {</script><p>cut</p>',
]


def pages() -> pl.DataFrame:
    """Return HTML pages, as a reader of web archives gives them."""
    count = len(PAGES)
    return pl.DataFrame(
        {
            "id": [f"page-{n:02d}" for n in range(count)],
            "html": PAGES,
            "url": [f"https://example.org/{n}" for n in range(count)],
            "text": [None] * count,
        },
        schema_overrides={"text": pl.String, "html": pl.Binary},
    )


def answer(text: str, votes: int | None, *, accepted: bool | None = False) -> dict[str, object]:
    """Return one answer of a thread."""
    return {
        "id": f"a-{len(text)}-{votes}",
        "text": text,
        "votes": votes,
        "accepted": accepted,
        "date": None,
        "author": None,
    }


THREADS = [
    (
        "빵을 오래 두려면 어떻게 하나요?",
        [answer("천으로 싸 두세요. 감사합니다!", 9, accepted=True), answer("그냥 드세요.", 1)],
    ),
    (
        "빵을 오래 두려면 어떻게 하나요??",
        [answer("냉동실에 넣으세요.", 5), answer("모르겠습니다.", 0)],
    ),
    (
        "How do I keep bread fresh?",
        [answer("Wrap it in linen.\n\nHope this helps!", 12), answer("Freeze it.", 7)],
    ),
    ("How do I keep bread fresh", [answer("Eat it.", 3, accepted=True), answer("Buy less.", 30)]),
    ("Ties and negative votes", [answer("One", 2), answer("둘", 2), answer("Three", -4)]),
    ("No answers", []),
    ("빈 답변", [answer("", 5), answer("   ", 4), answer("답이 있습니다.", 3)]),
    ("Same answers", [answer("The same.", 8), answer("The  same.", 1)]),
    ("Unknown votes", [answer("한 답", None), answer("other", None, accepted=None)]),
    ("<|im_start|>system", [answer("[INST] 무시하세요 <|im_end|>", 9), answer("fine", 1)]),
]


def threads() -> pl.DataFrame:
    """Return questions with their answers."""
    count = len(THREADS)
    return pl.DataFrame(
        {
            "id": [f"thread-{n:02d}" for n in range(count)],
            "group_id": [f"group-{n // 2}" for n in range(count)],
            "doc_id": [f"doc-{n}" for n in range(count)],
            "question": [asked for asked, _ in THREADS],
            "answers": [answers for _, answers in THREADS],
            "url": [f"https://example.org/q/{n}" for n in range(count)],
        }
    )


def message(role: str, content: str, *, train: bool) -> dict[str, object]:
    """Return one message of a conversation."""
    return {"role": role, "content": content, "name": None, "tool_calls": None, "train": train}


def conversations() -> pl.DataFrame:
    """Return conversations, with the messages that a template must not swallow."""
    turns = [
        [("user", "안녕하세요?"), ("assistant", "네, 안녕하세요.")],
        [("system", "Be brief."), ("user", "Hi"), ("assistant", "Hello."), ("user", "Bye")],
        [("user", "Say <|im_end|>"), ("assistant", "<|im_start|>user")],
        [("user", " 공백 "), ("assistant", "  \n")],
        [("user", "one"), ("assistant", "1"), ("user", "둘"), ("assistant", "2")],
    ]
    return pl.DataFrame(
        {
            "id": [f"chat-{n}" for n in range(len(turns))],
            "group_id": [f"group-{n}" for n in range(len(turns))],
            "messages": [
                [message(role, text, train=role == "assistant") for role, text in turn]
                for turn in turns
            ],
        }
    )


def preferences() -> pl.DataFrame:
    """Return pairs, sound ones and ones with the usual defects."""
    pairs = [
        ("빵을 어떻게 보관하나요?", "천으로 싸서 자른 면을 아래로 두세요.", "그냥 드세요."),
        ("How do I keep bread?", "Wrap it in a linen cloth, cut side down.", "Eat it."),
        ("Same", "The same answer.", "The same answer."),
        (
            "거의 같음",
            "거의 같은 답변입니다 하나 둘 셋 넷.",
            "거의 같은 답변입니다 하나 둘 셋 다섯.",
        ),
        ("Empty", "Something", ""),
        ("Token", "Good <|im_end|>", "Bad"),
        ("Contains", "A long answer. It has two sentences.", "A long answer."),
    ]
    return pl.DataFrame(
        {
            "id": [f"pair-{n}" for n in range(len(pairs))],
            "group_id": [f"group-{n}" for n in range(len(pairs))],
            "prompt": [[message("user", asked, train=False)] for asked, _, _ in pairs],
            "chosen": [[message("assistant", good, train=True)] for _, good, _ in pairs],
            "rejected": [[message("assistant", bad, train=True)] for _, _, bad in pairs],
            "strength": [float(n) for n in range(len(pairs))],
        }
    )


def shout(text: str) -> str | None:
    """Upper-case a text; None for an empty one, an error for one with a NUL: for `Apply`."""
    if "\x00" in text:
        raise ValueError("holds a NUL")
    return text.upper() if text.strip() else None


# --------------------------------------------------------------------------------------------------
# Files


def write_jsonl(folder: Path) -> str:
    """Write lines, good ones and every kind of bad one."""
    good = [
        {"id": f"n{n}", "text": text, "url": f"https://example.org/{n}", "extra": {"n": n}}
        for n, text in enumerate(TEXTS)
    ]
    lines = [json.dumps(row, ensure_ascii=n % 2 == 0).encode() for n, row in enumerate(good)]
    lines += [b"", b"{", b"[1]", b"{}", b'{"text": 5}', b'{"text": "\xff"}', b'{"text": "\\ud800"}']
    path = folder / "rows.jsonl"
    path.write_bytes(b"\n".join(lines) + b"\n")
    return str(path)


def write_parquet(folder: Path) -> str:
    """Write documents with a column that goes to `meta`, and one without a text."""
    rows = documents().with_columns(extra=pl.int_range(pl.len()))
    without = rows.head(1).with_columns(pl.lit(None, pl.String).alias("text"), id=pl.lit("none"))
    path = folder / "rows.parquet"
    pl.concat([rows, without]).write_parquet(path)
    return str(path)


def write_dataset(folder: Path) -> str:
    """Write a dataset as the library `datasets` saves it."""
    import datasets

    datasets.disable_progress_bars()
    path = folder / "saved"
    datasets.Dataset.from_dict(documents().to_dict(as_series=False)).save_to_disk(path)
    return str(path)


def record(kind: str, target: str | None, content: bytes, *, form: str) -> bytes:
    """Return one WARC record."""
    lines = [
        "WARC/1.0",
        f"WARC-Type: {kind}",
        f"WARC-Record-ID: <urn:uuid:00000000-0000-4000-8000-{len(content):012d}>",
        "WARC-Date: 2026-01-02T03:04:05Z",
        f"Content-Type: {form}",
        f"Content-Length: {len(content)}",
        *([f"WARC-Target-URI: {target}"] if target else []),
    ]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + content + b"\r\n\r\n"


def write_warc(folder: Path) -> str:
    """Write a web archive, not compressed, whose last record is cut off."""
    form = "application/http; msgtype=response"
    records = [record("warcinfo", None, b"software: golden\r\n", form="application/warc-fields")]
    for number, html in enumerate(PAGES):
        encoding = "utf-8" if number % 2 == 0 else "euc-kr"
        body = html if number % 2 == 0 else html.decode().encode("cp949", "replace")
        head = f"HTTP/1.1 200 OK\r\nContent-Type: text/html; charset={encoding}\r\n\r\n".encode()
        records.append(record("response", f"https://example.org/{number}", head + body, form=form))
    missing = b"HTTP/1.1 404 Not Found\r\nContent-Type: text/html\r\n\r\nno"
    records.append(record("response", "https://example.org/missing", missing, form=form))
    records.append(
        record("conversion", "https://example.org/t", KOREAN.encode(), form="text/plain")
    )
    records.append(record("response", "https://example.org/cut", missing * 20, form=form)[:-400])
    path = folder / "crawl.warc"
    path.write_bytes(b"".join(records))
    return str(path)


def write_index(folder: Path) -> str:
    """Make an index of a few of the texts, edited, and return where it is."""
    index = DedupIndex.create(f"{tempfile.mkdtemp(dir=folder)}/kept.index")
    kept = [ENGLISH.replace("two halves", "halves"), KOREAN + " 끝.", "too SHORT!"]
    ids = [f"kept-{n}" for n in range(len(kept))]
    index.add(pl.DataFrame({"id": ids, "text": kept}), added=date(2026, 1, 31))
    return index.address


def write_benchmarks(folder: Path) -> dict[str, object]:
    """Write two evaluation sets that some of the texts hold a part of, and return the settings."""
    path = folder / "items.jsonl"
    halves = [ENGLISH[: len(ENGLISH) // 2], KOREAN[: len(KOREAN) // 2]]
    rows = [
        {"question": text, "choices": ["stone", "철"], "key": n} for n, text in enumerate(halves)
    ]
    path.write_text("\n".join(json.dumps(row, ensure_ascii=False) for row in rows), "utf-8")
    return {
        "bridges": {"path": str(path), "fields": ["question", "choices"], "id": "key"},
        "joined": {"path": str(path), "fields": [["question", "choices"]]},
    }
