import os
import re
import subprocess
import sys
import sysconfig
import tempfile

import lxml.html
import pytest
from sample_reading import responses

from datatools.errors import DataError
from datatools.sample import pydoc_pages
from datatools.sample.pydoc_pages import HELDOUT_MODULES, MODULES, render, topic_html


@pytest.fixture(scope="module")
def pages(crawl):
    found = {}
    for name in crawl.summary.files:
        if name.startswith("pydoc-"):
            found.update(responses(crawl.folder / name))
    return {url: body.decode("utf-8") for url, (_, _, body) in found.items()}


def test_no_page_names_a_place_of_this_machine(pages):
    places = {sys.prefix, sys.base_prefix, os.getcwd(), os.path.expanduser("~")}
    places |= {sys.executable, *sysconfig.get_paths().values()}
    places -= {"/", "/usr", "/usr/local"}  # the same on every machine, and mentioned in the docs
    for url, page in pages.items():
        assert not [place for place in places if place in page], url
        assert 'href="file:' not in page, url


def test_no_page_shows_the_environment_or_an_address_in_memory(pages):
    secret = re.compile(r"at(?: |&nbsp;)0x[0-9a-fA-F]|environ\(\{|PYTHONHASHSEED=")
    assert not [url for url, page in pages.items() if secret.search(page)]


def test_a_page_is_the_documentation_of_its_module(pages):
    page = lxml.html.fromstring(pages["https://docs.sample.example/python/3/library/bisect.html"])
    text = page.text_content().replace("\xa0", " ")
    assert "Bisection algorithms." in text
    assert "Return the index where to insert item x in list a, assuming a is sorted." in text


def test_what_the_caller_has_patched_does_not_reach_the_pages(monkeypatch):
    before = render("text", ["bisect"])
    monkeypatch.setattr("bisect.__doc__", "patched", raising=False)
    monkeypatch.setenv("PYTHONHASHSEED", "77")
    monkeypatch.setenv("PYTHONSTARTUP", "/nowhere")
    assert render("text", ["bisect"]) == before


def test_rendering_imports_nothing_into_the_caller():
    code = (
        "import sys; from datatools.sample.pydoc_pages import render; before = set(sys.modules);"
        "render('text', ['mailbox', 'xmlrpc.server']); print(sorted(set(sys.modules) - before))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "mailbox" not in done.stdout
    assert "xmlrpc" not in done.stdout


def test_a_module_that_prints_when_imported_spoils_nothing():
    assert "Zen" not in "".join(render("text", ["this", "bisect"]).modules["bisect"])


def test_no_module_of_the_lists_opens_a_window_or_a_browser():
    noisy = {"this", "antigravity", "idlelib", "turtle", "turtledemo", "tkinter", "test", "lib2to3"}
    roots = {name.partition(".")[0] for name in (*MODULES, *HELDOUT_MODULES)}
    assert roots.isdisjoint(noisy)
    assert roots <= sys.stdlib_module_names
    assert len(set(MODULES)) == len(MODULES)


def test_a_python_that_cannot_render_is_reported_with_its_last_words(monkeypatch):
    monkeypatch.setattr(pydoc_pages, "__file__", os.path.join(tempfile.gettempdir(), "x", "y.py"))
    with pytest.raises(DataError, match=r"cannot be rendered .*can't open file.*pydoc os"):
        render("text", ["bisect"])


def test_an_interpreter_without_a_name_is_reported(monkeypatch):
    monkeypatch.setattr(sys, "executable", "")
    with pytest.raises(DataError, match=r"does not know its own executable"):
        render("text", ["bisect"])


def test_a_topic_becomes_headings_paragraphs_lists_and_code():
    page = topic_html(
        "a & b",
        "Title <1>\n*********\n\nSome text\nin two lines.\n\n* first\n  item\n\n   code < here\n",
    )
    tree = lxml.html.fromstring(page)
    assert tree.findtext(".//h2") == "Title <1>"
    assert [p.text for p in tree.xpath("//p[not(@class)]")] == ["Some text in two lines."]
    assert [li.text for li in tree.iter("li")] == ["first item"]
    assert tree.findtext(".//pre") == "   code < here"
    assert tree.findtext(".//title") == "Python: topic a & b"


def test_topics_keep_their_words(pages):
    from pydoc_data.topics import topics

    for name, text in topics.items():
        url = f"https://docs.sample.example/python/3/topics/{name}.html"
        shown = lxml.html.fromstring(pages[url]).text_content().split()
        words = re.findall(r"[A-Za-z]{3,}", text)
        kept = re.findall(r"[A-Za-z]{3,}", " ".join(shown))
        assert len(kept) >= len(words), name
