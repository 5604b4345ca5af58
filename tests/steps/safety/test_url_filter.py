"""`UrlFilter` and the lists it reads: hand-made examples, and a slow search to compare with."""

import gzip
import json

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from datatools.errors import ConfigError
from datatools.steps.safety.url_filter import UrlFilter
from datatools.steps.safety.url_lists import Address, Lines, SiteList, address_of


def judged(urls, **settings):
    """Return per address the reason for which it is dropped, or None."""
    frame = pl.DataFrame({"id": [str(n) for n in range(len(urls))], "url": urls})
    frame = frame.cast(pl.String)
    _, dropped = UrlFilter(**settings).apply(frame)
    reasons = dict(dropped.select("id", "reason").rows())
    return [reasons.get(str(n)) for n in range(len(urls))]


@pytest.mark.parametrize(
    ("url", "host", "path"),
    [
        ("https://example.com", "example.com", "/"),
        ("HTTP://EXAMPLE.com.:8080/A/b?c=/d#e", "example.com", "/A/b"),
        ("https://user:pa@ss@example.com/x", "example.com", "/x"),
        ("//example.com/x", "example.com", "/x"),
        ("https://한국.kr/글", "xn--3e0b707e.kr", "/글"),
        ("https://XN--3E0B707E.kr/", "xn--3e0b707e.kr", "/"),
        ("http://[2001:db8::1]:80/x", "[2001:db8::1]", "/x"),
        (" \thttps://a.kr\n", "a.kr", "/"),
        ("ftp://a.kr/x", "a.kr", "/x"),
        ("https://a.kr?x=1", "a.kr", "/"),
        ("https://evil.kr\\@a.kr/", "evil.kr", "/@a.kr/"),
    ],
)
def test_addresses_are_read_as_browsers_read_them(url, host, path):
    assert address_of(url) == Address(host, path)


@pytest.mark.parametrize(
    "url", ["", None, "a.kr/x", "mailto:a@b.kr", "https://", "https:///x", "글"]
)
def test_what_is_no_address_is_none(url):
    assert address_of(url) is None


@pytest.mark.parametrize(
    ("entry", "url", "named"),
    [
        ("example.com", "https://example.com/", True),
        ("example.com", "https://www.example.com/a?b", True),
        ("example.com", "https://a.b.example.com:444/", True),
        ("example.com", "https://notexample.com/", False),
        ("example.com", "https://example.com.evil.org/", False),
        ("example.com", "https://example.org/?u=example.com", False),
        ("example.com", "https://example.com@evil.org/", False),
        ("a.example.com", "https://example.com/", False),
        ("*.example.com", "https://example.com/", False),
        ("*.example.com", "https://a.example.com/", True),
        ("*.co.kr", "https://a.co.kr/", True),
        (".example.com", "https://a.example.com/", True),
        ("한국.kr", "https://글.한국.kr/", True),
        ("xn--3e0b707e.kr", "https://한국.kr/", True),
        ("한국.KR", "https://XN--3E0B707E.KR/", True),
        ("example.com/a", "https://example.com/a/b?c", True),
        ("example.com/a/", "https://www.example.com/a", True),
        ("https://www.example.com:80/a?x#y", "http://example.com/a", True),
        ("example.com/글", "https://example.com/%EA%B8%80/x", True),
        ("example.com/%EA%B8%80", "https://example.com/글", True),
        ("example.com/a", "https://example.com/ab", False),
        ("example.com/a", "https://sub.example.com/a", False),
        ("0.0.0.0 example.com # 광고", "https://example.com/", True),
        ("127.0.0.1\texample.com", "https://example.com/", True),
        ("||example.com^$third-party", "https://example.com/", True),
        ("10.1.2.3", "http://10.1.2.3/x", True),
        ("2.3", "http://10.1.2.3/x", False),
        ("[2001:db8::1]", "http://[2001:db8::1]:8080/", True),
        ("localhost", "http://localhost/", True),
    ],
)
def test_what_an_entry_names(entry, url, named):
    assert judged([url], block=[entry]) == (["url_blocked"] if named else [None])


@pytest.mark.parametrize("entry", ["kr", "co.kr", "CO.KR.", ".go.kr", "co.uk", "||com^"])
def test_a_public_suffix_is_refused(entry):
    with pytest.raises((ConfigError, ValidationError), match="public suffix"):
        UrlFilter(block=[entry])


@pytest.mark.parametrize("entry", ["two words.com", "a,b.com", "*", "a.*.b.*"])
def test_an_entry_that_names_no_site_is_refused(entry):
    with pytest.raises((ConfigError, ValidationError), match="names no site"):
        UrlFilter(block=[entry])


def test_the_more_specific_entry_decides_and_of_equal_ones_the_one_to_allow():
    urls = [
        "https://blog.kr/",
        "https://good.blog.kr/",
        "https://good.blog.kr/bad/x",
        "https://x.kr",
    ]
    settings = {
        "block": ["blog.kr", "good.blog.kr/bad", "x.kr"],
        "allow": ["good.blog.kr", "x.kr"],
    }
    assert judged(urls, **settings) == ["url_blocked", None, "url_blocked", None]


def test_pages_that_nothing_allows_can_be_dropped():
    urls = ["https://a.kr/", "https://b.kr/", None, "no address"]
    expected = [None, "url_not_allowed", "url_not_allowed", "url_not_allowed"]
    assert judged(urls, allow=["a.kr"], only_allowed=True) == expected


@pytest.mark.parametrize(
    ("url", "found"),
    [
        ("https://a.kr/casino/x", True),
        ("https://CASINO.kr/", True),
        ("https://a.kr/?q=best-casino_1", True),
        ("https://a.kr/casinos", False),
        ("https://a.kr/%63asino", True),
        ("https://a.kr/온라인카지노추천", True),
        ("https://a.kr/%EC%B9%B4%EC%A7%80%EB%85%B8", True),
        ("https://xn--o39a040bgwf.kr/", False),
        ("https://" + "카지노.kr".encode("idna").decode() + "/", True),
        ("https://a.kr/카지", False),
    ],
)
def test_words_of_an_address(url, found):
    assert judged([url], words=["casino", "카지노"]) == (["url_word"] if found else [None])


def test_several_words_can_be_asked_for_and_allowed_sites_are_not_judged():
    urls = [
        "https://a.kr/bet",
        "https://a.kr/bet/poker",
        "https://a.kr/bet/bet",
        "https://b.kr/bet/poker",
    ]
    settings = {"words": ["bet", "poker"], "min_words": 2, "allow": ["b.kr"]}
    assert judged(urls, **settings) == [None, "url_word", None, None]


def test_the_detail_tells_entry_list_and_line(tmp_path):
    (tmp_path / "광고.txt").write_text("# 목록\n\nads.kr\nads.kr\nb.kr/x\n", encoding="utf-8")
    (tmp_path / "more.txt.gz").write_bytes(gzip.compress(b"! comment\r\nC.kr\r\n"))
    (tmp_path / "words.txt").write_text("도박 # 설명\n# bet\n", encoding="utf-8")
    frame = pl.DataFrame(
        {
            "url": [
                "https://x.ads.kr",
                "http://b.kr/x/y",
                "https://c.kr",
                "https://d.kr/도박",
                "https://e.kr/bet",
            ]
        }
    )
    kept, dropped = UrlFilter(
        block_lists=[str(tmp_path / "*.txt.gz"), str(tmp_path / "광고.txt")],
        word_lists=[str(tmp_path / "words.txt")],
    ).apply(frame)
    assert kept["url"].to_list() == ["https://e.kr/bet"]
    assert [json.loads(one) for one in dropped["detail"]] == [
        {"entry": "ads.kr", "list": "광고.txt", "line": 3},
        {"entry": "b.kr/x", "list": "광고.txt", "line": 5},
        {"entry": "c.kr", "list": "more.txt.gz", "line": 2},
        {"words": ["도박"]},
    ]


def test_errors_in_a_list_name_file_and_line(tmp_path):
    path = tmp_path / "list.txt"
    path.write_text("a.kr\nco.kr\n", encoding="utf-8")
    step = UrlFilter(block_lists=[str(path)])
    with pytest.raises(ConfigError, match=r"list\.txt line 2: is a public suffix.*'co.kr'"):
        step.apply(pl.DataFrame({"url": ["https://a.kr"]}))
    path.write_bytes("한국.kr".encode("cp949"))
    with pytest.raises(ConfigError, match="is not a list in UTF-8"):
        step.apply(pl.DataFrame({"url": ["https://a.kr"]}))


def test_a_changed_list_changes_the_digest(tmp_path):
    path = tmp_path / "list.txt"
    path.write_text("a.kr\n")
    step = UrlFilter(block_lists=[str(path)])
    before = step.digests()
    assert step.digests() == before
    path.write_text("b.kr\n")
    assert step.digests() != before


@pytest.mark.parametrize(
    "settings",
    [{}, {"allow": ["a.kr"]}, {"only_allowed": True}, {"words": ["x"], "only_allowed": True}],
)
def test_a_step_that_drops_nothing_or_everything_is_refused(settings):
    with pytest.raises((ConfigError, ValidationError), match=r"drops nothing|drop everything"):
        UrlFilter(**settings)


labels = st.sampled_from(["a", "b", "kr", "www", "xn--3e0b707e"])
hosts = st.lists(labels, min_size=2, max_size=4).map(".".join)
paths = st.lists(st.sampled_from(["x", "y", "xy"]), max_size=3).map(lambda p: "/" + "/".join(p))


@given(
    st.lists(st.tuples(hosts, paths | st.just("")), max_size=8), st.lists(st.tuples(hosts, paths))
)
def test_the_search_finds_what_looking_at_every_entry_finds(entries, addresses):
    lines = [host + path.rstrip("/") for host, path in entries]
    lines = [line for line in lines if not line.endswith("co.kr")]
    found = SiteList([Lines("", lines)], "block").find([Address(*one) for one in addresses])
    for (host, path), one in zip(addresses, found, strict=True):
        names = set()
        for line in lines:
            domain, slash, rest = line.partition("/")
            if slash:
                same = domain.removeprefix("www.") == host.removeprefix("www.")
                if same and f"{path.rstrip('/')}/".startswith(f"/{rest}/"):
                    names.add(f"{domain.removeprefix('www.')}/{rest}")
            elif f".{host}".endswith(f".{domain}"):
                names.add(domain)
        longest = max((name for name in names if "/" in name), key=len, default=None)
        expected = longest or max(names, key=len, default=None)
        assert (one.text if one else None) == expected
