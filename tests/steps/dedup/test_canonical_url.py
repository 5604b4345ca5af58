import string
from urllib.parse import unquote_to_bytes, urljoin

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from datatools.steps.dedup.canonical_url import SESSION, TRACKING, canonical_url

# Addresses of one page in each row, the canonical form first.
SAME = [
    # RFC 3986, sections 6.2.2 and 6.2.3.
    ("http://example.com/", "HTTP://EXAMPLE.com", "http://example.com:/", "http://example.com:80/"),
    ("https://example.com/a", "https://example.com:443/a", "https://example.com:0443/./a"),
    ("http://example.com/~smith/", "http://example.com/%7Esmith/", "http://example.com/%7esmith/"),
    ("http://example.com/a/b/c/%7Bfoo%7D", "http://example.com/a/./b/../b/%63/%7bfoo%7d"),
    # Letters outside ASCII, written and escaped; hosts in Punycode.
    ("https://ko.example/%EA%B8%80", "https://ko.example/글", "https://ko.example/%ea%b8%80"),
    ("http://xn--3e0b707e.kr/", "http://한국.kr", "http://한국.KR./"),
    ("http://xn--bcher-kva.example/", "http://BÜCHER.example", "http://bücher.example./"),
    # EUC-KR escapes are no UTF-8 and stay.
    ("http://a.kr/?q=%C7%D1", "http://a.kr/?q=%c7%d1"),
    # What the page does not depend on.
    ("https://a.kr/x", "https://a.kr/x/", "https://a.kr/x//", "https://a.kr/x?", "https://a.kr/x#y"),
    ("https://a.kr/x?no=1&page=2", "https://a.kr/x?page=2&no=1", "https://a.kr/x?&no=1&&page=2"),
    ("https://a.kr/x?a=2&a=1", "https://a.kr/x/?a=2&a=1&utm_medium=cpc&GCLID=1&fbclid=b#c"),
    ("https://a.kr/?q=a+b", "https://a.kr/?q=a%20b", "https://a.kr/?q=a b"),
    ("https://a.kr/?a%5B%5D=1", "https://a.kr/?a[]=1"),
    ("https://a.kr/n?no=1", "https://a.kr/n?n_query=%ED%82%A4&n_rank=1&NaPm=ct%3D&no=1"),
    # Visits.
    ("http://a.kr/x.jsp", "http://a.kr/x.jsp;jsessionid=AB12.node1", "http://a.kr/x.jsp?PHPSESSID=9"),
    ("http://a.kr/x?b=1", "http://a.kr/x?sid=0123456789abcdef0123456789ABCDEF&b=1"),
    ("http://a.kr/x", "http://a.kr/x?ASPSESSIONIDabcdefgh=xyz", "http://a.kr/x?CFID=1&CFTOKEN=2"),
    ("http://a.kr/p.aspx", "http://a.kr/(S(0123456789abcdefghijklmn))/p.aspx"),
    # How crawls write it.
    ("http://a.kr/x", " http://a.kr/x\n", "http://a.kr/\nx", "http://a.kr/y/../x"),
    ("http://me@a.kr:8080/x", "HTTP://me@A.KR:8080/x"),
    ("http://[2001:db8::1]/x", "http://[2001:DB8::1]:80/x"),
    ("http://a.kr/%25zz", "http://a.kr/%zz"),
    ("http://a.kr/#!/b", "http://a.kr#!/b"),
]  # fmt: skip


@pytest.mark.parametrize("forms", SAME, ids=lambda forms: forms[0])
def test_addresses_of_one_page_have_one_form(forms):
    expected = forms[0] if not forms[0].endswith("smith/") else forms[0][:-1]
    assert {canonical_url(form) for form in forms} == {expected}


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("http://a.kr/x", "https://a.kr/x"),
        ("http://a.kr/x", "http://www.a.kr/x"),
        ("http://a.kr/x", "http://a.kr/X"),
        ("http://a.kr/x", "http://a.kr:8080/x"),
        ("http://a.kr/x?a=1&a=2", "http://a.kr/x?a=2&a=1"),
        ("http://a.kr/x?a", "http://a.kr/x?a="),
        ("http://a.kr/x?ref=1", "http://a.kr/x"),
        ("http://a.kr/x?sid=12", "http://a.kr/x?sid=13"),
        ("http://a.kr/x?cfid=1", "http://a.kr/x?cfid=2"),
        ("http://a.kr/a%2Fb", "http://a.kr/a/b"),
        ("http://a.kr/?q=a%2Bb", "http://a.kr/?q=a+b"),
        ("http://a.kr/?q=a%26b", "http://a.kr/?q=a&b"),
        ("http://a.kr/#!a", "http://a.kr/#!b"),
        ("http://a.kr/글", "http://a.kr/굴"),
    ],
)
def test_addresses_that_may_name_two_pages_differ(one, other):
    assert canonical_url(one) != canonical_url(other)


@pytest.mark.parametrize(
    "url",
    [
        None,
        "",
        "  ",
        "not a url",
        "/a/b",
        "//a.kr/b",
        "a.kr/b",
        "ftp://a.kr/b",
        "mailto:a@b.kr",
        "urn:uuid:1",
        "http:a",
        "http://",
        "http:///x",
        "http://:80/",
        "http://a.kr:port/",
        "http://a b/",
        "http://℀.kr/x",
        "http://.",
        "http://한..국/",
        "http://[::1/",
    ],
)
def test_what_names_no_page_has_no_form(url):
    assert canonical_url(url) is None


def test_scheme_and_www_are_left_out_only_if_asked():
    url = "https://www.a.kr/x"
    assert canonical_url(url, ignore=["www"]) == "https://a.kr/x"
    assert canonical_url(url, ignore=["scheme"]) == "//www.a.kr/x"
    assert canonical_url("http://a.kr:80/x", ignore=["scheme", "www"]) == "//a.kr/x"
    assert canonical_url("http://www.kr/", ignore=["www"]) == "http://www.kr/"


def test_further_parameters_are_left_out_by_name_or_beginning():
    url = "http://a.kr/?Ref=1&spm_a=2&spm=3&refer=4"
    assert canonical_url(url, parameters=["ref", "SPM*"]) == "http://a.kr/?refer=4"


def test_the_lists_are_in_small_letters():
    assert all(name == name.lower() for name in TRACKING | SESSION)


pieces = st.text(st.sampled_from(string.ascii_letters + "%7eE/.;=&+?()가글é ~!"), max_size=12)
urls = st.builds(
    "{}://{}{}{}{}".format,
    st.sampled_from(["http", "HTTPS"]),
    st.sampled_from(["a.kr", "WWW.A.kr:80", "한국.kr:443", "b@[::1]", "x.y."]),
    pieces.map(lambda path: "/" + path),
    pieces.map(lambda query: "?" + query),
    pieces.map(lambda fragment: "#" + fragment),
)


@given(urls)
def test_a_form_is_its_own_form(url):
    form = canonical_url(url)
    assert form is not None
    assert form.isascii()
    assert canonical_url(form) == form


@given(st.text(max_size=30))
def test_any_text_has_a_form_or_none(text):
    for url in (text, "http://" + text, "http://a.kr/" + text):
        form = canonical_url(url)
        assert form is None or canonical_url(form) == form


@given(st.lists(st.sampled_from([".", "..", "a", "b", "..c", ""]), min_size=1, max_size=8))
def test_dot_segments_go_as_urllib_joins_them(segments):
    path = "/" + "/".join(segments)
    assume("//" not in path)  # urllib drops empty segments
    expected = urljoin("http://a.kr/", path)
    assert canonical_url("http://a.kr" + path) == expected.rstrip("/").replace(
        "http://a.kr", "http://a.kr/" if expected.rstrip("/") == "http://a.kr" else "http://a.kr"
    )


@given(
    st.text(st.characters(exclude_categories=["Cs", "Cc"], exclude_characters="?#/.;"), max_size=9)
)
def test_a_form_names_the_same_bytes(path):
    form = canonical_url(f"http://a.kr/x{path}y")
    assert unquote_to_bytes(form) == unquote_to_bytes(f"http://a.kr/x{path}y")
