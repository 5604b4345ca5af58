from resiliparse.parse.html import HTMLTree

from datatools.steps.instruct.microdata import read_microdata


def items(html: str):
    return read_microdata(HTMLTree.parse(html).document)


def test_a_property_belongs_to_the_nearest_item_around_it():
    (outer,) = items(
        "<div itemscope itemtype='Q'><p itemprop=a content=1>x</p>"
        "<div itemprop='b c' itemscope itemtype='A B' itemid=i><b itemprop=a content=2></b></div>"
        "<section><i itemprop=a content=3></i></section></div>"
    )
    inner = {"@type": ["A", "B"], "@id": "i", "a": ["2"]}
    assert outer == {"@type": ["Q"], "a": ["1", "3"], "b": [inner], "c": [inner]}


def test_the_value_is_what_the_element_gives():
    (item,) = items(
        "<div itemscope><a itemprop=v href=/u>t</a><img itemprop=v src=/i>"
        "<meta itemprop=v content=m>"
        "<time itemprop=v datetime=2020>d</time><data itemprop=v value=7>sieben</data>"
        "<link itemprop=v href=/l><a itemprop=v content=c href=/x></a></div>"
    )
    assert item["v"] == ["/u", "/i", "m", "2020", "7", "/l", "c"]


def test_an_element_without_a_value_is_its_text():
    (item,) = items(
        "<div itemscope><p itemprop=v>오늘 <b>은</b></p><time itemprop=v>어제</time></div>"
    )
    assert [node.text for node in item["v"]] == ["오늘 은", "어제"]


def test_an_item_inside_an_item_that_is_no_property_stands_alone():
    found = items("<div itemscope itemtype=A><div itemscope itemtype=B></div></div>")
    assert [item["@type"] for item in found] == [["A"], ["B"]]


def test_a_property_outside_of_any_item_is_nobodys():
    assert items("<p itemprop=a>x</p>") == []


def test_nesting_does_not_exhaust_the_stack():
    depth = 400
    found = items("<div itemscope itemprop=p>" * depth)
    for _ in range(depth - 1):
        found = found[0]["p"]
    assert found[0] == {"@type": []}
