"""Network addresses against the standard library, e-mail addresses against hand-made examples."""

import ipaddress
import random

import numpy as np
import pytest

from datatools.kernels.network import email_bounds, ipv4_is_public, ipv6_end


def encoded(text):
    return np.frombuffer(text.encode(), np.uint8)


def email(text):
    data = encoded(text)
    start, stop = email_bounds(data, text.encode().index(b"@"), 0, len(data))
    return None if start < 0 else bytes(data[start:stop]).decode()


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("문의는abc@naver.com으로", "abc@naver.com"),
        ("write to j.o'neil+x@mail.example.co.uk.", "j.o'neil+x@mail.example.co.uk"),
        ("<a_b%c@d-e.org>", "a_b%c@d-e.org"),
        ("..a@b.kr", "a@b.kr"),
        ("x..y@b.kr", "y@b.kr"),
        ("mailto:kim@b.kr?subject=x", "kim@b.kr"),
        ("메일:kim@b.kr/김", "kim@b.kr"),
        ("https://b.kr/?mail=kim@b.kr", "kim@b.kr"),
        ("kim@b.kr-Office", "kim@b.kr"),
        ("kim@xn--3e0b707e.xn--3e0b707e", "kim@xn--3e0b707e.xn--3e0b707e"),
        ("kim@b.kr.", "kim@b.kr"),
        ("kim@b.kr.2024", "kim@b.kr"),
        ("@handle", None),
        ("me@localhost", None),
        ("icon@2x.png", None),
        ("package@1.2.3", None),
        ("getty@tty1.service", None),
        ("git@github.com:a/b.git", None),
        ("https://user:pass@host.com/x", None),
        ("ftp://me@host.org", None),
        ("kim.@b.kr", None),
        ("이메일@한국.kr", None),
        ("a" * 65 + "@b.kr", None),
        ("a@b.", None),
        ("a@", None),
        ("@", None),
    ],
)
def test_an_email_address_ends_where_a_reader_would_say(text, found):
    assert email(text) == found


def test_public_ipv4_addresses_are_those_of_the_registry():
    draw = random.Random(0)
    starts = ["10.0.0.0", "100.64.0.0", "172.16.0.0", "192.168.0.0", "198.18.0.0", "203.0.113.0"]
    numbers = [int(ipaddress.ip_address(one)) for one in starts]
    edges = [n + d for n in numbers for d in (-1, 0, 255, 256, 65535, 1 << 20)]
    for number in edges + [draw.getrandbits(32) for _ in range(3000)]:
        address = ipaddress.ip_address(number)
        if address in ipaddress.ip_network("192.0.0.0/24"):
            continue  # a few of these are global in later versions of Python
        public = address.is_global and not address.is_multicast
        # The relays of 6to4 were given up in 2015 and are still global for Python.
        relay = address in ipaddress.ip_network("192.88.99.0/24")
        assert ipv4_is_public(number) == (public and not relay), address


def ipv6(text):
    data = encoded(text)
    colon = text.encode().find(b":")
    start, stop = ipv6_end(data, colon, 0, len(data))
    return None if start < 0 else bytes(data[start:stop]).decode()


def test_ipv6_addresses_in_every_form_that_python_writes():
    draw = random.Random(1)
    for _ in range(300):
        number = draw.getrandbits(128) >> 3 | 1 << 125  # 2000::/3
        if draw.random() < 0.5:
            number &= ~(((1 << 48) - 1) << 32)  # zeros in the middle, to be left out
        address = ipaddress.ip_address(number)
        if not address.is_global:
            continue
        for form in (address.compressed, address.exploded, address.compressed.upper()):
            assert ipv6(f"주소 {form}에서") == form
            assert ipv6(f"[{form}]:443") == form


@pytest.mark.parametrize(
    "text",
    [
        "12:34:56",
        "00:1A:2B:3C:4D:5E",
        "std::vector",
        "dead::beef",
        "a[1::2]",
        "2001:db8::1:2:3",
        "fe80::1:2:3",
        "fd00:1:2:3:4:5:6:7",
        "::1",
        "2024:10:25 12:30",
        "2001:4860:4860::8888::1",
        "x2001:4860:4860::8888",
        "2001:4860:4860::8888g",
        "1:2:3:4:5:6:7:8:9",
        ":",
    ],
)
def test_what_only_looks_like_an_ipv6_address_is_none(text):
    assert ipv6(text) is None
