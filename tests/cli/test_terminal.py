"""What may act on a terminal, and that it never gets there."""

import functools
import io
import re
import unicodedata

import polars as pl
import pytest
from calling import process
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from datatools.cli.progress import ShownProgress, echo_problems
from datatools.cli.terminal import echo

# Sets the window's title, rings, moves to the start of the line, opens a C1 sequence, turns text
# round. Not a colour: click takes those out by itself where output is no terminal.
ACTING = "\x1b]0;title\x07\r\x9b2J\u202etxt.exe\u2066\x00\x7f"
# A no-break space, an ideographic space, a joiner in an emoji, Hangul, jamo and Hebrew.
HARMLESS = "no\xa0break\u3000가나다 ㅋㅋ \u1112\u1161\u11ab 👩\u200d💻 שלום\tend"


def acts(text):
    """Return the characters that a terminal would obey, by the Unicode database."""
    explicit = {"LRE", "RLE", "PDF", "LRO", "RLO", "LRI", "RLI", "FSI", "PDI"}
    return [
        c
        for c in text
        if (unicodedata.category(c) == "Cc" and c not in "\n\t")
        or unicodedata.bidirectional(c) in explicit
    ]


def test_the_acting_text_of_these_tests_does_act():
    assert len(acts(ACTING)) == 8
    assert acts(HARMLESS) == []


def test_what_would_act_is_shown_instead(capsys):
    echo(ACTING)
    out = capsys.readouterr().out
    assert acts(out) == []
    assert out == "�]0;title�\n�2J�txt.exe���\n"


def test_spaces_joiners_and_letters_come_out_as_they_are(capsys):
    echo(HARMLESS)
    assert capsys.readouterr().out == HARMLESS + "\n"


@given(st.text())
def test_each_character_that_acts_is_replaced_and_no_other_is(text):
    stream = io.StringIO()
    echo(text, file=stream)
    lines = text.replace("\r\n", "\n").replace("\r", "\n")
    expected = ["\ufffd" if acts(c) or "\ud800" <= c <= "\udfff" else c for c in lines]
    assert stream.getvalue() == "".join(expected) + "\n"


def test_on_a_terminal_a_line_left_behind_keeps_its_time(monkeypatch):
    stream = io.StringIO()
    console = functools.partial(Console, file=stream, force_terminal=True, width=80)
    monkeypatch.setattr("datatools.cli.progress.Console", lambda **settings: console(**settings))
    with ShownProgress() as shown:
        shown.stage_started("pages/one", 1, 0)
        shown.stage_ended("pages/one", cached=False)
    # A bar is wiped out by going back to the start of its line; what follows the last one stays.
    stays = [line.rpartition("\x1b[2K")[2] for line in stream.getvalue().split("\n")]
    plain = [re.sub(r"\x1b\[[\d;?]*\w", "", line) for line in stays]
    assert any(re.fullmatch(r" +\d+\.\ds  pages/one  \d+\.\ds", line) for line in plain), plain


def test_progress_and_problems_do_not_act(capsys):
    with ShownProgress() as shown:
        shown.stage_started("stage", 2, 1)
        shown.message(f"worker said {ACTING} {HARMLESS}")
        shown.stage_ended("stage", cached=False)
    echo_problems([f"a.warc.gz: {ACTING}"])
    err = capsys.readouterr().err
    assert acts(err) == []
    assert "no\xa0break\u3000가나다" in err
    assert err.count("\ufffd") >= 2 * 7


@pytest.fixture(scope="module")
def hostile(tmp_path_factory):
    """A dataset whose texts, URLs and reasons to leave hold what acts."""
    import toys
    from jobs import dataset, run_job

    folder = tmp_path_factory.mktemp("hostile")
    # A line ends at these, too, and a file name cannot hold NUL.
    line = ACTING.replace("\r", "").replace("\x00", "")
    path = folder / f"{line.replace('/', '')}.txt"
    path.write_text(f"kept {line} {HARMLESS}\n!{line}\nx\x9b\n", encoding="utf-8")
    source = toys.ReadLines(paths=(str(path),))
    run_job(folder / "out", {"pages": dataset(source, toys.Length())})
    return folder / "out"


def test_inspect_shows_hostile_records_without_obeying_them(datatools, hostile):
    called = datatools("inspect", hostile / "pages")
    assert called.code == 0
    assert acts(called.out) == []
    assert HARMLESS in called.out
    assert "kept �]0;title��2J�txt.exe��" in called.out


@pytest.mark.parametrize("reason", ["bad_line", "too_short"])
def test_inspect_shows_hostile_records_that_left(datatools, hostile, reason):
    called = datatools("inspect", hostile / "pages", "--reason", reason)
    assert called.code == 0
    assert acts(called.out) == []
    assert "\ufffd" in called.out


def test_explain_tells_hostile_lives_without_obeying_them(datatools, hostile):
    fates = pl.read_parquet(hostile / "pages/sidecar/fates.parquet")
    for id_ in fates["id"].to_list():
        called = datatools("explain", hostile, id_)
        assert called.code == 0
        assert acts(called.out) == []
        assert "\ufffd" in called.out


def test_a_hint_made_of_the_data_does_not_act(datatools, hostile):
    url = pl.read_parquet(hostile / "pages/sidecar/fates.parquet")["url"].drop_nulls()[0]
    called = datatools("explain", hostile, url + "x")
    assert called.code == 1
    assert "Did you mean https://example.org/\ufffd]0;title" in called.err
    assert acts(called.err) == []


def test_a_terminal_of_another_encoding_gets_escapes_and_no_failure(hostile):
    called = process("inspect", hostile / "pages", PYTHONIOENCODING="euc-kr")
    assert called.code == 0, called.err
    assert "가나다 ㅋㅋ" in called.out
    assert "\\U0001f469" in called.out
    assert called.err == ""
