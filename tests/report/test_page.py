import base64
import hashlib
import json
import re
import subprocess
import sys

import outputs
import pages
import pytest
from outputs import fate, message, step

from datatools.report import shards
from datatools.report.build import write_report
from datatools.report.page import language_tag
from datatools.report.visible import visible

ATTACKS = [
    "<script>fetch('http://127.0.0.1/')</script>",
    "</style><script>alert(1)</script>",
    "</title></head><body onload=alert(1)>",
    '"><img src=x onerror=alert(1)>',
    "'><svg onload=alert(1)>",
    '" onmouseover="alert(1)" x="',
    "' autofocus onfocus='alert(1)",
    "` onclick=alert(1) `",
    "javascript:alert(1)",
    "data:text/html,<script>alert(1)</script>",
    "<a href='javascript:alert(1)'>눌러 보세요</a>",
    "<iframe srcdoc='<script>alert(1)</script>'>",
    "<meta http-equiv=refresh content='0;url=http://127.0.0.1/'>",
    "<base href=http://127.0.0.1/>",
    "<link rel=stylesheet href=http://127.0.0.1/a.css>",
    "<style>@import 'http://127.0.0.1/a.css'</style>",
    "<form action=http://127.0.0.1/><button>go",
    "<object data=x><embed src=x>",
    "<math><mtext></p><style><img src=x onerror=alert(1)></style>",
    "<svg><foreignObject><p><script>alert(1)</script>",
    "<svg></p><style><a id='</style><img src=1 onerror=alert(1)>'>",
    "<!--><img src=x onerror=alert(1)>-->",
    "<![CDATA[<img src=x onerror=alert(1)>]]>",
    "<?xml-stylesheet href='http://127.0.0.1/'?>",
    "</p></div></section></main><h1>가짜 제목</h1>",
    "<plaintext>",
    "<textarea><title>",
    "&lt;script&gt;alert(1)&lt;/script&gt;",
    "&#60;script&#62;alert(1)",
    "{{ 7 * 7 }}{% raw %}{{ config }}",
    "{{ ''.__class__.__mro__ }}",
    "한글<script>alert('한글')</script>",
    "\u202e<script>alert(1)</script>\u202c",
    "\x00<script\x00>alert(1)</script>",
    "\x1b]8;;http://127.0.0.1/\x07link\x1b]8;;\x07",
    "＜script＞alert(1)＜/script＞",
    "a\r\nSet-Cookie: b",
    "'; --\\",
]


def hostile_output(folder, strings):
    """Write an output in which every string stands everywhere text may stand."""
    rows = [
        fate(
            text,
            text,
            text,
            url=text,
            measure=text,
            value=text,
            threshold=text,
            detail=text,
            preview=text,
        )
        for text in strings
    ]
    steps = [
        step(
            text,
            read=1,
            dropped={text: 1},
            removed={text: 1},
            notes={text: 1},
            fields={text: text},
            rules=[{"reason": text, "saw": saw, "dropped": 0} for saw in (0, 1)],
            tallies=[{"title": text, "rows": [{text: text, "n": 1}]}, {"title": text, "rows": []}],
        )
        for text in strings
    ]
    gaps = [{"path": text, "start": 0, "end": 1, "detail": text} for text in strings]
    outputs.publish(
        folder,
        "pages",
        "document",
        [{"id": t, "text": t, "url": t, "source": t, "language": t} for t in strings],
        steps,
        fates=rows,
        sidecar={f"x.{text}": [text] * len(strings) for text in strings[:50]},
        inputs={
            text: {"size": 3, "consumed": 1, "skipped": {text: 1}, "incomplete": gaps[:1]}
            for text in strings[:50]
        },
        origins=[{"source": text, "license": text, "rows": 1} for text in strings[:50]],
        exports=list(strings[:50]),
        versions={text: text for text in strings[:50]},
    )
    first = strings[0]
    outputs.publish(
        folder,
        "chats",
        "conversation",
        [
            {"id": text, "url": text, "language": text, "messages": [message(text, text)]}
            for text in strings
        ],
        parents=[first],
    )
    outputs.publish(
        folder,
        "rendered",
        "conversation",
        [{"id": text, "messages": []} for text in strings],
        sidecar={
            "text": list(strings),
            "loss_spans": [[{"start": 1, "end": len(text)}] for text in strings],
        },
    )
    outputs.publish(
        folder,
        "pairs",
        "preference",
        [
            {
                "id": text,
                "url": text,
                **{side: [message(text, text)] for side in ("prompt", "chosen", "rejected")},
            }
            for text in strings
        ],
    )
    value = outputs.training(size=first)
    value["tokenizer"]["bytes_per_token"] = dict.fromkeys(strings[:50], 2.0)
    value["pretrain"]["after"]["by_language"] = dict.fromkeys(strings[:50], 2.0)
    value["pretrain"]["run"]["stopped"] = first
    value["pretrain"]["probes"] = [
        {"prompt": text, "before": [[text, 0.5]], "after": [[text, 0.5]]} for text in strings[:50]
    ]
    outputs.add_training(folder, value)
    arm = {"name": first, "documents": 1, "size": 1, "digest": first}
    one = outputs.verdict()
    outputs.add_verdict(
        folder,
        "v",
        {
            **one,
            "headline": first,
            "reasons": list(strings[:50]),
            "advice": first,
            "history": first,
            "limits": first,
            "tier": first,
            "a": arm,
            "b": arm,
            "domains": [{**one["domains"][0], "domain": text} for text in strings[:50]],
            "voices": [{**one["voices"][0], "voice": text} for text in strings[:50]],
        },
    )
    (folder / "run.json").write_text('{"problems": ["<b>" ], "pipeline": {"<i>": "</pre>"}}')


def plain(text):
    return " ".join(text.split())


def check_inert(folder, strings, title):
    page = write_report(folder, title=title).read_text("utf-8")
    assert pages.foreign(page) == []
    # Every string is there as text, whole or to where it is cut, among the records that left.
    texts = set(pages.texts(page, "p", "text"))
    for text in map(visible, strings):
        cut = text[: shards.TEXT_CHARACTERS]
        assert text in texts or any(shown.startswith(f"{cut} … ") for shown in texts), text
    reasons = {plain(shown) for shown in pages.texts(page, "span", "reason")}
    assert {plain(visible(text)) for text in strings} - {""} <= reasons
    return page


def test_nothing_from_a_crawl_becomes_markup(tmp_path):
    hostile_output(tmp_path, ATTACKS)
    page = check_inert(tmp_path, ATTACKS, ATTACKS[0])
    assert pages.texts(page, "h1") == [visible(ATTACKS[0])]
    assert not re.search("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]", page)


def test_nothing_that_a_dedup_step_says_becomes_markup(tmp_path):
    rows = outputs.documents({"a": "글"})
    fates = []
    for number, text in enumerate(ATTACKS):
        told = {"similarity": 0.5, "dataset": text, "url": text, "source": text}
        told |= {"added": text} if number % 2 else {}
        for survivor in ("a", text):
            detail = json.dumps({"survivor": survivor, **told})
            one = {"detail": detail, "source": text, "url": text, "preview": text}
            fates.append(fate(f"{number}{survivor}", text, "r", **one))
    notes = {"buckets_cut": 2, "pairs_not_compared": 7}
    steps = [step(text, notes=notes) for text in ATTACKS]
    outputs.publish(tmp_path, "d", "document", rows, steps, fates=fates)
    page = write_report(tmp_path).read_text("utf-8")
    assert pages.foreign(page) == []
    tree = pages.parsed(page)
    headers = tree.xpath("//table[contains(@class, 'matrix')]//tbody//th")
    shown = {plain(one.text_content()) for one in headers}
    assert len(shown) == 13
    assert shown - {f"{len(ATTACKS) - 12} others"} <= {plain(visible(t)[:60]) for t in ATTACKS}


def test_folder_names_are_text_too(tmp_path):
    folder = tmp_path / "<img src=x onerror=alert(1)> 출력"
    outputs.publish(folder, "<script>alert(1)<", "document", [])
    page = write_report(folder).read_text("utf-8")
    assert pages.foreign(page) == []
    assert "<script>alert(1)<" in pages.texts(page, "h3")[0]


@pytest.mark.shared
def test_known_attack_strings_stay_text(tmp_path, shared_dir):
    lists = shared_dir / "badinputs"
    strings = []
    for path in sorted((lists / "xss-payload-list" / "Intruder").glob("*.txt")):
        strings += path.read_text("utf-8", "replace").split("\n")
    assert len(strings) > 6000
    strings += json.loads((lists / "blns" / "blns.json").read_text("utf-8"))
    strings = [text for text in dict.fromkeys(strings) if text]
    hostile_output(tmp_path, strings)
    check_inert(tmp_path, strings, "known attacks")


# --------------------------------------------------------------------------------------------------
# The policy


def test_the_policy_allows_this_style_sheet_and_nothing_else(whole_output):
    folder, _ = whole_output
    tree = pages.parsed(write_report(folder).read_text("utf-8"))
    (policy,) = tree.xpath("//meta[@http-equiv='Content-Security-Policy']/@content")
    (style,) = tree.xpath("//style/text()")
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    directives = dict(part.strip().split(" ", 1) for part in policy.split(";"))
    assert directives == {
        "default-src": "'none'",
        "style-src": f"'sha256-{digest}'",
        "img-src": "data:",
        "base-uri": "'none'",
        "form-action": "'none'",
    }


def test_the_policy_comes_before_anything_it_governs(whole_output):
    folder, _ = whole_output
    page = write_report(folder).read_text("utf-8")
    assert page.index("Content-Security-Policy") < page.index("<style>")


def test_the_page_names_nothing_to_load(whole_output):
    folder, _ = whole_output
    page = write_report(folder).read_text("utf-8")
    assert pages.foreign(page) == []
    (style,) = pages.parsed(page).xpath("//style/text()")
    assert not re.search(r"url\(|@import|@font-face|image-set", style)


# --------------------------------------------------------------------------------------------------
# The same page again


def test_the_page_does_not_depend_on_hash_seeds(tmp_path):
    outputs.whole(tmp_path)
    code = (
        "import sys, pathlib; from datatools.report.build import write_report; "
        "sys.stdout.buffer.write(write_report(pathlib.Path(sys.argv[1])).read_bytes())"
    )
    pages_made = {
        subprocess.run(
            [sys.executable, "-c", code, str(tmp_path)],
            env={"PYTHONHASHSEED": seed, "PATH": ""},
            capture_output=True,
            check=True,
        ).stdout
        for seed in ("1", "2")
    }
    assert len(pages_made) == 1
    assert len(pages_made.pop()) > 10_000


def test_languages_reach_the_browser_only_if_they_are_tags():
    assert language_tag("ko-KR", "text") == "ko-KR"
    assert language_tag("und", "한글") == "ko"
    assert language_tag(None, "text") is None
    for odd in ("", "english", 'ko" onclick="x', "k"):
        assert language_tag(odd, "text") is None
