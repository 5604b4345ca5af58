import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from datatools.kernels.unionfind import choose_survivors, components


@st.composite
def graphs(draw):
    n = draw(st.integers(1, 14))
    vertex = st.integers(0, n - 1)
    return n, draw(st.lists(st.tuples(vertex, vertex), max_size=30))


def ends(edges):
    return np.array([a for a, _ in edges], np.int64), np.array([b for _, b in edges], np.int64)


@given(graphs())
def test_components_are_labelled_by_their_smallest_vertex(graph):
    n, edges = graph
    label = list(range(n))
    for _ in range(n):
        for a, b in edges:
            label[a] = label[b] = min(label[a], label[b])
    assert components(*ends(edges), n).tolist() == label


@given(graphs())
def test_a_vertex_is_removed_exactly_when_an_earlier_neighbour_stays(graph):
    n, edges = graph
    survivor = []
    for v in range(n):
        staying = [
            u for u in range(v) if survivor[u] == -1 and ((u, v) in edges or (v, u) in edges)
        ]
        survivor.append(min(staying, default=-1))
    assert choose_survivors(*ends(edges), n).tolist() == survivor


@given(graphs(), st.randoms(use_true_random=False))
def test_neither_depends_on_the_order_or_direction_of_edges(graph, random):
    n, edges = graph
    shuffled = [(b, a) if random.random() < 0.5 else (a, b) for a, b in edges]
    random.shuffle(shuffled)
    shuffled += shuffled[:2]
    for function in (components, choose_survivors):
        assert (function(*ends(edges), n) == function(*ends(shuffled), n)).all()


def test_the_end_of_a_chain_stays():
    left, right = np.array([0, 1]), np.array([1, 2])
    assert choose_survivors(left, right, 3).tolist() == [-1, 0, -1]
    assert components(left, right, 3).tolist() == [0, 0, 0]


def test_a_chain_of_a_million_is_one_component():
    n = 1_000_000
    left = np.arange(n - 1)
    assert (components(left, left + 1, n) == 0).all()
    assert (components(left[::-1], left[::-1] + 1, n) == 0).all()


def test_no_vertices_and_no_edges():
    none = np.zeros(0, np.int64)
    assert components(none, none, 0).tolist() == []
    assert choose_survivors(none, none, 2).tolist() == [-1, -1]


@pytest.mark.parametrize("function", [components, choose_survivors])
def test_edges_that_name_no_vertex_are_refused(function):
    with pytest.raises(IndexError, match=r"outside 0\.\.1"):
        function(np.array([0]), np.array([2]), 2)
    with pytest.raises(ValueError, match="two ends"):
        function(np.array([0]), np.zeros(0, np.int64), 2)
