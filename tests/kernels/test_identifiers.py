"""Numbers of one kind against rules written down again with the standard library."""

import datetime
import ipaddress
import random

import pytest

from datatools.kernels.identifiers import _IBANS
from datatools.kernels.personal import KINDS, find_personal
from datatools.steps.safety.context_words import context_phrases


@pytest.fixture
def kinds(buffers):
    """Return the kind found in each text, None where nothing is."""

    def find(texts):
        spans = find_personal(*buffers(texts), context_phrases()).tolist()
        told = dict.fromkeys(range(len(texts)))
        told.update({row: KINDS[kind] for row, _, _, kind in spans})
        return list(told.values())

    return find


def with_check(country, body):
    moved = "".join(str(int(c, 36)) for c in f"{body}{country}00")
    return f"{country}{98 - int(moved) % 97:02d}{body}"


def test_an_iban_of_every_country_is_found_and_no_number_one_digit_away(kinds):
    draw = random.Random(4)
    right, wrong = [], []
    for entry in _IBANS:
        body = "".join(draw.choices("0123456789", k=int(entry[2:]) - 4))
        number = with_check(entry[:2], body)
        right += [
            number,
            number.lower(),
            " ".join(number[k : k + 4] for k in range(0, 40, 4)).strip(),
        ]
        place = draw.randrange(4, len(number))
        other = str((int(number[place]) + draw.randrange(1, 10)) % 10)
        wrong += [number[:place] + other + number[place + 1 :], number + "0", "X" + number]
    assert set(kinds(right)) == {"bank_account"}
    assert set(kinds(wrong)) == {None}


def test_registration_numbers_are_those_with_a_day_and_a_check_digit(kinds):
    draw = random.Random(5)
    texts, expected = [], []
    for _ in range(4000):
        head = f"{draw.randrange(100):02d}{draw.randrange(14):02d}{draw.randrange(33):02d}"
        seventh = draw.choice("0123456789")
        body = head + seventh + f"{draw.randrange(10**5):05d}"
        weighted = sum(int(a) * int(b) for a, b in zip(body, "234567892345", strict=True))
        last = ((13 if seventh in "5678" else 11) - weighted % 11) % 10
        digit = draw.choice((last, draw.randrange(10)))
        texts.append(f"{body[:6]}-{body[6:]}{digit}")
        century = {"1": 1900, "2": 1900, "5": 1900, "6": 1900}.get(seventh, 2000)
        try:
            datetime.date(century + int(head[:2]), int(head[2:4]), int(head[4:]))
            born = seventh not in "09" and century + int(head[:2]) < 2050
        except ValueError:
            born = False
        kind = "rrn" if seventh in "1234" else "frn"
        expected.append(kind if born and digit == last else None)
    assert kinds(texts) == expected
    assert {"rrn", "frn", None} <= set(expected)


def test_ipv4_addresses_are_the_public_ones_with_a_part_of_32_or_more(kinds):
    draw = random.Random(6)
    texts, expected = [], []
    for _ in range(3000):
        parts = [draw.choice((draw.randrange(300), draw.randrange(40), 10, 192)) for _ in range(4)]
        text = ".".join(map(str, parts))
        try:
            address = ipaddress.ip_address(text)
        except ValueError:
            found = False
        else:
            found = address.is_global and not address.is_multicast and max(parts) >= 32
        texts.append(text)
        expected.append("ip" if found else None)
    assert kinds(texts) == expected


def test_social_security_numbers_are_those_of_areas_in_use(kinds):
    draw = random.Random(7)
    texts = [
        f"{draw.choice((0, 666, 900, draw.randrange(1000))):03d}-{draw.randrange(0, 100, 5):02d}"
        f"-{draw.choice((0, draw.randrange(10000))):04d}"
        for _ in range(2000)
    ]
    expected = []
    for text in texts:
        area, group, serial = map(int, text.split("-"))
        given = area not in (0, 666) and area < 900 and group and serial
        expected.append("ssn" if given else None)
    assert kinds(texts) == expected
