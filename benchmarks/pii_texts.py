"""Personal data to find and look-alikes to leave alone, made up in sentences of both languages.

Everything follows from a seed. Check digits are computed here, apart from the code that is
measured. Each sample says which kinds stand in it and where.
"""

from __future__ import annotations

import gzip
import json
import random
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

__all__ = ["Sample", "labelled", "look_alikes", "positives"]


class Sample(NamedTuple):
    """A text with what is to be found in it.

    Attributes:
        text: The text.
        spans: Kind, first character and one past the last of each.
        looks_like: Of a look-alike, the kind that it could be taken for.
    """

    text: str
    spans: tuple[tuple[str, int, int], ...]
    looks_like: str = ""


def _digits(draw: random.Random, count: int) -> str:
    return "".join(draw.choices("0123456789", k=count))


def _with_luhn(start: str) -> str:
    total = 0
    for place, digit in enumerate(reversed(start)):
        doubled = int(digit) * (2 - place % 2)
        total += doubled // 10 + doubled % 10
    return start + str(-total % 10)


def _birthday(draw: random.Random) -> tuple[int, str]:
    year = draw.randrange(1940, 2024)
    return year, f"{year % 100:02d}{draw.randrange(1, 13):02d}{draw.randrange(1, 29):02d}"


def _registration(draw: random.Random, *, foreign: bool, check: bool = True) -> str:
    year, day = _birthday(draw)
    kind = draw.choice("12" if year < 2000 else "34")
    kind = str(int(kind) + 4) if foreign else kind
    start = day + kind + _digits(draw, 5)
    weighted = sum(
        int(a) * b for a, b in zip(start, (2, 3, 4, 5, 6, 7, 8, 9, 2, 3, 4, 5), strict=True)
    )
    last = ((13 if foreign else 11) - weighted % 11) % 10
    last = last if check else (last + draw.randrange(1, 10)) % 10
    return f"{start[:6]}-{start[6:]}{last}"


def _phone(draw: random.Random) -> tuple[str, bool]:
    """Return a number and whether it needs words beside it."""
    four, last = _digits(draw, 4), _digits(draw, 4)
    area = draw.choice(("031", "032", "051", "053", "062", "064", "070", "02"))
    us = f"{draw.randrange(2, 10)}{draw.choice('0234567')}{draw.randrange(10)}"
    mid = f"{draw.randrange(2, 10)}{_digits(draw, 2)}"
    return draw.choice(
        [
            (f"010-{four}-{last}", False),
            (f"010{four}{last}", False),
            (f"010.{four}.{last}", False),
            (f"010 {four} {last}", False),
            (f"{area}-{mid}-{last}", False),
            (f"{area}){mid}-{last}", False),
            (f"({area}) {mid}-{last}", False),
            (f"+82-10-{four}-{last}", False),
            (f"+82 2 {mid} {last}", False),
            (f"1{draw.choice('568')}{draw.choice(('77', '88', '99', '44'))}-0{last[1:]}", False),
            (f"({us}) {mid}-{last}", False),
            (f"{us}-{mid}-{last}", False),
            (f"+1 {us} {mid} {last}", False),
            (f"1-{us}-{mid}-{last}", False),
            (f"{us}.{mid}.{last}", False),
            (f"+44 20 7{mid} {last}", False),
            (f"+49 30 {_digits(draw, 8)}", False),
            (f"{us}{mid}{last}", True),
            (f"{mid}-{last}", True),
        ]
    )


def _card(draw: random.Random) -> str:
    start, length = draw.choice([("4", 16), ("53", 16), ("35" + "30", 16), ("37", 15), ("62", 16)])
    number = _with_luhn(start + _digits(draw, length - len(start) - 1))
    if length == 15:
        return draw.choice((number, f"{number[:4]} {number[4:10]} {number[10:]}"))
    groups = [number[at : at + 4] for at in range(0, 16, 4)]
    return draw.choice((number, " ".join(groups), "-".join(groups)))


def _iban(draw: random.Random) -> str:
    country, length = draw.choice([("DE", 22), ("FR", 27), ("GB", 22), ("ES", 24)])
    body = ("WEST" if country == "GB" else "") + _digits(draw, length - 4 - 4 * (country == "GB"))
    moved = "".join(str(int(c, 36)) for c in body + country + "00")
    number = f"{country}{98 - int(moved) % 97:02d}{body}"
    spaced = " ".join(number[at : at + 4] for at in range(0, length, 4))
    return draw.choice((number, spaced))


def _account(draw: random.Random) -> str:
    return draw.choice(
        [
            f"{_digits(draw, 6)}-{_digits(draw, 2)}-{_digits(draw, 6)}",
            f"1{_digits(draw, 2)}-{_digits(draw, 3)}-{_digits(draw, 6)}",
            f"3333-{_digits(draw, 2)}-{_digits(draw, 7)}",
            f"1{_digits(draw, 11)}",
        ]
    )


def _ip(draw: random.Random) -> str:
    shared = (100, 127, 169, 172, 192, 198, 203)  # networks that are private in part
    first = draw.choice([n for n in range(32, 224) if n not in shared])
    parts = [str(draw.randrange(1, 255)) for _ in range(3)]
    groups = [f"{draw.randrange(1, 1 << 16):x}" for _ in range(7)]
    v6 = f"2a0{draw.randrange(1, 9)}:"
    v6 += draw.choice((":".join(groups), f"{groups[0]}:{groups[1]}::{groups[2]}"))
    return draw.choice((".".join([str(first), *parts]), v6))


def _ssn(draw: random.Random) -> str:
    return f"{draw.randrange(100, 600)}-{draw.randrange(10, 99)}-{draw.randrange(1000, 9999)}"


_PLAIN = (
    "{}",
    "오늘은 {}입니다.",
    "그 내용은 {} 에서 확인하세요",
    "It was {}, as they said.",
    "({})\n",
)
_BESIDE = {
    "phone": ("전화 {}", "연락처: {}", "Phone: {}", "call me at {}"),
    "rrn": ("주민등록번호 {}", "주민번호는 {}이고", "resident registration number: {}"),
    "frn": ("외국인등록번호 {}", "외국인등록증 {}", "alien registration number {}"),
    "bank_account": (
        "국민은행 {} 홍길동",
        "계좌번호: {}",
        "입금 계좌는 {} 입니다",
        "bank account {}",
    ),
    "passport": ("여권번호 {}", "여권: {}", "passport number {}", "Passport No. {}"),
    "driving_licence": ("운전면허 {}", "면허번호는 {}", "driver's license {}"),
    "ssn": ("my SSN is {}", "social security number {}"),
    "card": ("카드번호 {}", "card number {}", "신용카드 {}로"),
}


def positives(count: int, seed: int) -> list[Sample]:
    """Return `count` samples of each kind, half of them in each language or so."""
    draw = random.Random(seed)
    samples = []

    def add(kind: str, value: str, *, beside: bool = False) -> None:
        frames = _BESIDE[kind] if beside else _PLAIN + _BESIDE.get(kind, ())
        before, after = draw.choice(frames).split("{}")
        spans = ((kind, len(before), len(before) + len(value)),)
        samples.append(Sample(before + value + after, spans))

    for number in range(count):
        name = draw.choice(("kim", "lee.j", "park_99", "jane-doe", "x+y", "홍길동kim"[3:]))
        host = draw.choice(("naver.com", "example.co.kr", "mail.test.org", "hanmail.net"))
        add("email", f"{name}{number}@{host}")
        value, beside = _phone(draw)
        add("phone", value, beside=beside)
        add("rrn", _registration(draw, foreign=False))
        add("rrn", _registration(draw, foreign=False, check=False), beside=True)
        add("frn", _registration(draw, foreign=True))
        add("ssn", _ssn(draw))
        add("card", _card(draw))
        add("bank_account", _account(draw), beside=True)
        add("bank_account", _iban(draw))
        add("ip", _ip(draw))
        add("passport", f"M{_digits(draw, 8)}", beside=True)
        add("passport", f"M{_digits(draw, 3)}A{_digits(draw, 4)}", beside=True)
        region = draw.randrange(11, 29)
        licence = f"{region}-{_digits(draw, 2)}-{_digits(draw, 6)}-{_digits(draw, 2)}"
        add("driving_licence", licence, beside=True)
    return samples


_LIKE: dict[str, Callable[[random.Random], str]] = {
    "rrn order": lambda draw: f"주문번호 {_registration(draw, foreign=False)}",
    "rrn check": lambda draw: _registration(draw, foreign=False, check=False),
    "rrn day": lambda draw: (
        f"주민번호 {draw.randrange(10, 99)}1{draw.randrange(3, 9)}45-1{_digits(draw, 6)}"
    ),
    "rrn corporation": lambda draw: f"법인등록번호 110111-{_digits(draw, 7)}",
    "frn check": lambda draw: _registration(draw, foreign=True, check=False),
    "phone date": lambda draw: (
        f"20{_digits(draw, 2)}-{draw.randrange(10, 13)}-{draw.randrange(10, 29)}"
    ),
    "phone years": lambda draw: f"{draw.randrange(1500, 1590)}-{draw.randrange(1600, 1899)}년",
    "phone isbn": lambda draw: (
        f"ISBN 979-11-{_digits(draw, 4)}-{_digits(draw, 3)}-{_digits(draw, 1)}"
    ),
    "phone price": lambda draw: f"{draw.randrange(1, 999)},{_digits(draw, 3)},{_digits(draw, 3)}원",
    "phone place": lambda draw: f"37.{_digits(draw, 6)}, 126.{_digits(draw, 6)}",
    "phone numbers": lambda draw: f"{_digits(draw, 3)} {_digits(draw, 3)} {_digits(draw, 3)}",
    "phone time": lambda draw: f"17{_digits(draw, 8)}",
    "phone code": lambda draw: f"AB-{_digits(draw, 3)}-{_digits(draw, 4)}-{_digits(draw, 4)}",
    "card luhn": lambda draw: _with_luhn("4" + _digits(draw, 14))[:-1] + "x",
    "card order": lambda draw: f"order number {_with_luhn('4' + _digits(draw, 14))}",
    "card hash": lambda draw: f"{draw.getrandbits(128):032x}",
    "card uuid": lambda draw: f"550e8400-e29b-41d4-a716-{_digits(draw, 12)}",
    "card digits": lambda draw: f"8{_digits(draw, 15)}",
    "bank_account parcel": lambda draw: f"운송장 {_digits(draw, 12)}",
    "bank_account alone": lambda draw: f"{_digits(draw, 6)}-{_digits(draw, 2)}-{_digits(draw, 6)}",
    "bank_account iban": lambda draw: f"DE{_digits(draw, 2)}{_digits(draw, 17)}X",
    "ip version": lambda draw: (
        f"version {draw.randrange(1, 99)}.{_digits(draw, 1)}.{draw.randrange(33, 99)}.1"
    ),
    "ip section": lambda draw: (
        f"{draw.randrange(1, 20)}.{draw.randrange(1, 20)}.{draw.randrange(1, 9)}.2"
    ),
    "ip private": lambda draw: f"192.168.{draw.randrange(256)}.{draw.randrange(256)}",
    "ip clock": lambda draw: (
        f"{draw.randrange(10, 24)}:{draw.randrange(10, 60)}:{draw.randrange(10, 60)}"
    ),
    "ip scope": lambda draw: f"std::{draw.choice(('dead', 'cafe', 'face'))}::beef",
    "email image": lambda draw: f"icon{_digits(draw, 1)}@2x.png",
    "email handle": lambda draw: f"@user{_digits(draw, 3)} pkg@{_digits(draw, 1)}.2.3",
    "email url": lambda draw: f"https://me:pw{_digits(draw, 2)}@host.com/x git@github.com:a/b",
    "ssn bad": lambda draw: f"9{_digits(draw, 2)}-{_digits(draw, 2)}-{_digits(draw, 4)}",
    "ssn order": lambda draw: f"order number {_ssn(draw)}",
    "passport alone": lambda draw: f"M{_digits(draw, 8)}",
    "driving_licence alone": lambda draw: (
        f"{draw.randrange(11, 29)}-{_digits(draw, 2)}-{_digits(draw, 6)}-01"
    ),
}


def look_alikes(count: int, seed: int) -> list[Sample]:
    """Return `count` samples of each sort of number that only looks personal."""
    draw = random.Random(seed)
    samples = []
    for name, make in _LIKE.items():
        for _ in range(count):
            before, after = draw.choice(_PLAIN).split("{}")
            samples.append(Sample(before + make(draw) + after, (), name.partition(" ")[0]))
    return samples


_NAMES = {
    "CREDIT_CARD": "card",
    "EMAIL_ADDRESS": "email",
    "IBAN_CODE": "bank_account",
    "IP_ADDRESS": "ip",
    "PHONE_NUMBER": "phone",
    "US_DRIVER_LICENSE": "driving_licence",
    "US_SSN": "ssn",
}


def labelled(path: Path) -> list[Sample]:
    """Return the texts of presidio-research's generated dataset, with the kinds that ours has."""
    with gzip.open(path) as stream:
        rows = json.load(stream)
    return [
        Sample(
            row["full_text"],
            tuple(
                (_NAMES[span["entity_type"]], span["start_position"], span["end_position"])
                for span in row["spans"]
                if span["entity_type"] in _NAMES
            ),
        )
        for row in rows
    ]
