import pytest

from datatools.sizes import parse_size

SIZES = {
    "10": 10,
    "10B": 10,
    "1kB": 1000,
    "1 KB": 1000,
    "1k": 1000,
    "1KiB": 1024,
    "1.5MB": 1_500_000,
    "4GB": 4_000_000_000,
    "4 gib": 4 << 30,
    "2T": 2 * 10**12,
    " 7MB ": 7_000_000,
}


@pytest.mark.parametrize("text", list(SIZES))
def test_a_size_is_read_as_people_write_it(text):
    assert parse_size(text) == SIZES[text]


@pytest.mark.parametrize("value", ["", "GB", "4PB", "-4GB", "4 G B", "4,5GB", 4.5, None, True, [4]])
def test_what_is_no_size_is_refused(value):
    with pytest.raises(ValueError, match="must be a size such as 4GB or 512MiB"):
        parse_size(value)
