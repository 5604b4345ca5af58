import outputs
import pytest

from datatools.errors import DataError
from datatools.report.words import shown_token, training_lines


def test_a_whole_result_reads_line_by_line():
    assert training_lines(outputs.training()) == [
        "tokenizer   1,024 tokens; bytes per token: en 2.50, ko 2.00",
        "",
        "pretrain    166,336 weights read 400 tokens of 354 documents in 12.5 s",
        "  loss, nats per token: 7.000 to 5.000 (−2.000)",
        "  1 of 4 steps skipped as spikes",
        "  on 41 held-out documents:",
        "    bits per byte: 4.250 to 3.125 (−1.125)",
        "    bits per byte, en: 4.000 to 3.000 (−1.000)",
        "    bits per byte, ko: 4.500 to 3.250 (−1.250)",
        '  next after "최고의 프로그래밍 언어는?"',
        "    before  ? 0.3%  ␣a 0.2%",
        "    after   한[ed95] 25.0%  ⏎ 12.5%",
        "",
        "instruct    166,336 weights read 200 tokens of 132 conversations, 3 untrained in 12.5 s",
        "  loss, nats per trained token: 5.000 to 4.000 (−1.000)",
        "  on 20 held-out conversations:",
        "    answers' bits per byte: 3.500 to 2.750 (−0.750)",
        "    conditional gain, nats per byte: 0.010 to 0.040 (+0.030)",
        "    the same with shuffled prompts: 0.000 to −0.020 (−0.020)",
        "    probability of stopping: 0.000 to 0.500 (+0.500)",
        "",
        "preference  166,336 weights read 200 tokens of 147 pairs, 97 cut at the beginning "
        "in 12.5 s",
        "  loss, nats per pair: 0.693 to 0.600 (−0.093)",
        "  on 22 held-out pairs of 12 prompts:",
        "    margin of scores: 0.460",
        "    reward model, held-out pairs: 75.0% of 22 pairs [65.0%, 85.0%]",
        "    longer or shorter answer alone: 62.5% of 22 pairs [52.5%, 72.5%]",
        "    reward model, training pairs: 85.0% of 147 pairs [75.0%, 95.0%]",
        "",
        "time        38.0 s in all",
    ]


@pytest.mark.parametrize(
    ("ratios", "told", "by_language"),
    [
        ({"und": 3.9}, "bytes per token: 3.90", []),
        ({"ko": 2.0, "und": 3.9}, "bytes per token: ko 2.00, not told 3.90", ["ko", "not told"]),
        ({}, "1,024 tokens", []),
    ],
)
def test_records_that_tell_no_language_are_given_no_code_of_one(ratios, told, by_language):
    value = outputs.training(instruct=None, preference=None)
    value["tokenizer"]["bytes_per_token"] = ratios
    for when in ("before", "after"):
        value["pretrain"][when]["by_language"] = ratios
    lines = training_lines(value)
    assert lines[0].endswith(told)
    apart = [line for line in lines if "bits per byte, " in line]
    assert [line.split(", ")[1].partition(":")[0] for line in apart] == by_language
    assert "und" not in "\n".join(lines).replace("untrained", "")


def test_no_line_can_act_on_a_terminal():
    value = outputs.training()
    value["pretrain"]["probes"] = [
        {"prompt": "\x1b[2J프롬프트\r\n", "before": [["\x07\x9b", 0.5]], "after": [["", 0.5]]}
    ]
    text = "\n".join(training_lines(value))
    assert not [c for c in text if c < " " and c != "\n"]
    assert "\x9b" not in text


def test_early_ends_are_said():
    value = outputs.training(instruct=None, preference=None)
    value["pretrain"]["run"]["stopped"] = "time_budget"
    assert "  stopped early: time_budget" in training_lines(value)


def test_blanks_in_tokens_are_seen():
    assert [shown_token(t) for t in (" ", "\t", "\xa0", "\r\n", "", " 한국")] == [
        "␣",
        "⇥",
        "⍽",
        "␍⏎",
        "∅",
        "␣한국",
    ]


@pytest.mark.parametrize("value", [{}, {"tokenizer": 3}, outputs.training(pretrain={"run": None})])
def test_what_is_no_training_result_is_refused(value):
    with pytest.raises(DataError, match="is not a training result"):
        training_lines(value)
