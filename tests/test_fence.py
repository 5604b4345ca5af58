"""The fence against real hangs, real crashes and real memory, in real processes."""

import ctypes
import json
import os
import re
import signal
import subprocess
import sys
import textwrap
import threading
import time
from pathlib import Path

import psutil
import pytest

from datatools.errors import ConfigError, DatatoolsError
from datatools.fence import Fence, Fenced

MIB = 1 << 20
_kept: list[bytearray] = []


def work(item: bytes) -> bytes:
    """Do what the item says; what it does not say is turned round."""
    match item:
        case b"hang":
            re.match(r"(a+)+$", "a" * 40 + "b")  # 2**40 steps inside C
        case b"sleep":
            time.sleep(60)
        case b"grow":
            _kept.append(bytearray(4 << 30))
        case b"grow in C":
            size = ctypes.c_size_t(4 << 30)
            ctypes.memset(ctypes.CDLL(None).malloc(size), 1, size)
        case b"grow slowly":
            while True:
                _kept.append(bytearray(b"x" * MIB))
        case b"grow and disguise":
            try:
                work(b"grow slowly")
            except MemoryError:
                _kept.clear()
                raise RuntimeError("parse error 2") from None
        case b"exit":
            os._exit(3)
        case b"segv":
            ctypes.string_at(0)
        case b"abort":
            os.abort()
        case b"raise":
            raise ValueError("한국어 \udc80 text")
        case b"quit":
            sys.exit("enough")
        case b"text":
            return "text"  # type: ignore[return-value]
        case b"leak":
            _kept.append(bytearray(b"x" * (8 * MIB)))
        case b"big":
            return os.urandom(1) * (48 * MIB)
        case b"noise":
            sys.stdout.write("x" * MIB)
            sys.stdout.flush()
            os.write(2, b"out of luck\n" * 100_000)
        case b"pid":
            return str(os.getpid()).encode()
        case b"modules":
            return json.dumps(sorted(sys.modules)).encode()
        case b"only first":
            if _kept:
                os._exit(1)
        case b"mark":
            _kept.append(bytearray(1))
    return item[::-1]


def build():
    return work


def build_nothing():
    raise ImportError("no module named 없음")


def build_and_die():
    os._exit(9)


def build_stillborn():
    sys.modules["__main__"]._Memory.limit = lambda memory: os._exit(9)
    return work


ROOMY = {"cpu_seconds": 60, "wall_seconds": 60, "memory_bytes": 256 * MIB}
"""Limits of time that only an item made to run for ever reaches, on a slow and busy machine too."""


@pytest.fixture
def fence():
    with Fence(build, **ROOMY) as fence:
        yield fence


def child_of(fence: Fence) -> int:
    (pid,) = fence.run([b"pid"])
    assert isinstance(pid, bytes)
    return int(pid)


def gone_within(pid: int, seconds: float) -> bool:
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        if not psutil.pid_exists(pid) or psutil.Process(pid).status() == psutil.STATUS_ZOMBIE:
            return True
        time.sleep(0.02)
    return False


@pytest.mark.parametrize(
    ("bad", "expected"),
    [
        (b"grow", Fenced("fence_memory", "more than 256 MiB")),
        (b"grow slowly", Fenced("fence_memory", "more than 256 MiB")),
        (b"grow and disguise", Fenced("fence_memory", "more than 256 MiB")),
        (b"exit", Fenced("fence_crash", "exited with code 3")),
        (b"segv", Fenced("fence_crash", "killed by SIGSEGV")),
        (b"grow in C", Fenced("fence_crash", "killed by SIGSEGV")),
        (b"abort", Fenced("fence_crash", "killed by SIGABRT")),
        (b"raise", Fenced("fence_error", "ValueError: 한국어 ? text")),
        (b"quit", Fenced("fence_error", "SystemExit: enough")),
        (
            b"text",
            Fenced("fence_error", "TypeError: the fenced function returned str, not bytes"),
        ),
    ],
)
def test_one_bad_item_among_a_thousand_costs_one_item(fence, bad, expected):
    assert_one_of_a_thousand(fence, bad, expected)


@pytest.mark.parametrize(
    ("bad", "limit", "detail"),
    [
        (b"hang", {"cpu_seconds": 0.5}, "more than 0.5 s of CPU time"),
        (b"sleep", {"wall_seconds": 3}, "more than 3 s"),
    ],
)
def test_one_endless_item_among_a_thousand_costs_one_item(bad, limit, detail):
    with Fence(build, **{**ROOMY, **limit}) as fence:
        assert_one_of_a_thousand(fence, bad, Fenced("fence_timeout", detail))


def assert_one_of_a_thousand(fence: Fence, bad: bytes, expected: Fenced) -> None:
    items = [f"item {number} 항목".encode() for number in range(1000)]
    items[617] = bad
    wanted = [item[::-1] for item in items]
    wanted[617] = expected
    assert fence.run(items) == wanted


@pytest.mark.parametrize("at", [0, 9])
def test_the_bad_item_may_be_the_first_or_the_last(fence, at):
    items = [str(number).encode() for number in range(10)]
    items[at] = b"exit"
    wanted = [item[::-1] for item in items]
    wanted[at] = Fenced("fence_crash", "exited with code 3")
    assert fence.run(items) == wanted


def test_bad_items_side_by_side_are_each_found(fence):
    results = fence.run([b"ab", b"exit", b"segv", b"raise", b"exit", b"cd"])
    assert [result if isinstance(result, bytes) else result.reason for result in results] == [
        b"ba", "fence_crash", "fence_crash", "fence_error", "fence_crash", b"dc",
    ]  # fmt: skip


def test_an_item_that_fails_only_after_its_neighbour_is_done_alone(fence):
    assert fence.run([b"mark", b"only first", b"ab"]) == [b"kram", b"tsrif ylno", b"ba"]


def test_an_exception_costs_no_child(fence):
    before = child_of(fence)
    fence.run([b"raise", b"quit"])
    assert child_of(fence) == before


def test_a_leaking_function_gets_a_new_child_before_it_runs_out(fence):
    first = child_of(fence)
    for _ in range(4):
        assert fence.run([b"leak"] * 12) == [b"kael"] * 12  # 4 x 96 MiB against 256 MiB
    assert child_of(fence) != first


def test_large_items_and_large_results_pass(fence):
    items = [os.urandom(7 * MIB), b"big", b"", os.urandom(MIB)]
    results = fence.run(items)
    assert [results[0], results[2], results[3]] == [items[0][::-1], b"", items[3][::-1]]
    assert len(results[1]) == 48 * MIB
    assert results[1] == results[1][:1] * (48 * MIB)


def test_what_the_function_prints_neither_blocks_nor_reaches_our_stdout(fence, capfd):
    assert fence.run([b"noise", b"noise"]) == [b"esion", b"esion"]
    assert capfd.readouterr() == ("", "")


def test_no_items_start_no_child(fence):
    children = set(psutil.Process().children())
    assert fence.run([]) == []
    assert set(psutil.Process().children()) == children


def test_the_child_imports_nothing_heavy(fence):
    (modules,) = fence.run([b"modules"])
    heavy = {"torch", "polars", "numba", "numpy", "ray", "pydantic", "datasets"}
    assert not heavy & set(json.loads(modules))


def test_a_child_killed_while_idle_is_replaced_without_blame(fence):
    os.kill(child_of(fence), signal.SIGKILL)
    assert fence.run([b"ab"]) == [b"ba"]


def test_close_ends_the_child_and_run_starts_another(fence):
    first = child_of(fence)
    fence.close()
    fence.close()
    assert gone_within(first, 60)
    assert child_of(fence) != first


def test_a_forgotten_fence_takes_its_child_along():
    pid = child_of(Fence(build))
    assert gone_within(pid, 60)


def test_a_fence_is_shared_by_threads(fence):
    results = {}

    def run(name):
        results[name] = fence.run([f"{name} {number}".encode() for number in range(200)])

    threads = [threading.Thread(target=run, args=(name,)) for name in "abcd"]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert results == {
        name: [f"{name} {number}".encode()[::-1] for number in range(200)] for name in "abcd"
    }


def test_the_end_of_the_thread_that_started_the_child_loses_nothing(fence):
    starter = threading.Thread(target=fence.run, args=([b"x"],))
    starter.start()
    starter.join()
    items = [str(number).encode() for number in range(500)]
    assert fence.run(items) == [item[::-1] for item in items]


def test_an_interrupted_run_leaves_a_usable_fence(fence):
    def interrupt(number, frame):
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGALRM, interrupt)
    try:
        signal.setitimer(signal.ITIMER_REAL, 0.3)
        with pytest.raises(KeyboardInterrupt):
            fence.run([b"sleep"])
    finally:
        signal.signal(signal.SIGALRM, before)
    assert fence.run([b"ab"]) == [b"ba"]


def test_a_factory_that_cannot_be_sent_is_a_configuration_error():
    with (
        pytest.raises(ConfigError, match="cannot be sent to a child process"),
        Fence(lambda: work) as fence,
    ):
        fence.run([b"x"])


def test_a_factory_that_fails_in_the_child_says_why():
    with (
        pytest.raises(ConfigError, match="ImportError: no module named 없음"),
        Fence(build_nothing) as fence,
    ):
        fence.run([b"x"])


def test_a_child_that_dies_while_it_starts_is_reported():
    with (
        pytest.raises(DatatoolsError, match="did not start: exited with code 9"),
        Fence(build_and_die) as fence,
    ):
        fence.run([b"x"])


def test_a_child_that_always_dies_before_its_first_item_is_not_retried_for_ever():
    with (
        pytest.raises(DatatoolsError, match="keeps dying before its first item"),
        Fence(build_stillborn) as fence,
    ):
        fence.run([b"x"])


# --------------------------------------------------------------------------------------------------
# Other parents: scripts, forks, closed descriptors, sudden deaths


def run_script(script: str, *arguments: str, shell: str = "", timeout: float = 180):
    """Run a script as a user would: no main guard, its own process."""
    command = [sys.executable, "-c", textwrap.dedent(script), *arguments]
    if shell:
        command = ["/bin/sh", "-c", f'exec "$@" {shell}', "sh", *command]
    return subprocess.run(
        command, capture_output=True, text=True, timeout=timeout, env=_environment()
    )


def _environment() -> dict[str, str]:
    here = Path(__file__).resolve()
    return {**os.environ, "PYTHONPATH": f"{here.parent}{os.pathsep}{here.parents[1]}"}


def test_a_script_without_a_main_guard_may_use_a_fence():
    script = """
        from datatools.fence import Fence
        from test_fence import build
        print(Fence(build).run([b"ab", b"exit"]))
    """
    done = run_script(script)
    assert done.stdout.strip() == (
        "[b'ba', Fenced(reason='fence_crash', detail='exited with code 3')]"
    ), done.stderr


def test_a_factory_of_the_main_script_is_refused_with_advice():
    script = """
        from datatools.fence import Fence
        def mine(): return bytes
        Fence(mine).run([b"x"])
    """
    last = run_script(script).stderr.strip().splitlines()[-1]
    assert "ConfigError" in last
    assert "not in the main script" in last


@pytest.mark.parametrize("closed", ["<&-", ">&-", "2>&-", "<&- >&- 2>&-"])
def test_it_works_with_standard_descriptors_closed(closed, tmp_path):
    script = """
        import sys
        from datatools.fence import Fence
        from test_fence import build
        with Fence(build) as fence:
            done = fence.run([b"ab", b"noise", b"exit", b"cd"])
        open(sys.argv[1], "w").write(repr([d if type(d) is bytes else d.reason for d in done]))
    """
    out = tmp_path / "out"
    run_script(script, str(out), shell=closed)
    assert out.read_text() == "[b'ba', b'esion', 'fence_crash', b'dc']"


def test_a_forked_process_gets_a_child_of_its_own():
    script = """
        import os
        from datatools.fence import Fence
        from test_fence import build
        fence = Fence(build)
        mine = fence.run([b"pid"])
        pid = os.fork()
        if pid == 0:
            other = fence.run([b"pid"])
            os._exit(0 if other != mine else 1)
        assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
        assert fence.run([b"pid"]) == mine
        print("both")
    """
    done = run_script(script)
    assert done.stdout.strip() == "both", done.stderr


PARENT = """
    import sys, threading, time
    from datatools.fence import Fence
    from test_fence import build
    fence = Fence(build, cpu_seconds=600, wall_seconds=600)
    print(fence.run([b"pid"])[0].decode(), flush=True)
    if sys.argv[1] == "leave":
        sys.exit()
    if sys.argv[1] == "idle":
        time.sleep(600)
    fence.run([b"hang"])
"""


@pytest.mark.parametrize("doing", ["hang", "idle", "leave"])
def test_the_child_does_not_survive_its_parent(doing):
    parent = subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(PARENT), doing],
        stdout=subprocess.PIPE,
        env=_environment(),
    )
    with parent:
        assert parent.stdout is not None
        child = int(parent.stdout.readline())
        if doing == "hang":
            until = time.monotonic() + 120
            while psutil.Process(child).cpu_percent(interval=0.1) < 20:
                assert time.monotonic() < until
        if doing != "leave":
            assert psutil.pid_exists(child)
            parent.send_signal(signal.SIGKILL)
        assert gone_within(child, 60)


@pytest.mark.ray
def test_a_ray_worker_may_use_a_fence():
    ray = pytest.importorskip("ray")
    ray.init("local", num_cpus=1, include_dashboard=False, logging_level="ERROR")
    try:

        @ray.remote(runtime_env={"env_vars": {"PYTHONPATH": _environment()["PYTHONPATH"]}})
        def fenced(items):
            from test_fence import build

            from datatools.fence import Fence

            with Fence(build, cpu_seconds=0.5) as fence:
                return fence.run(items)

        results = ray.get(fenced.remote([b"ab", b"hang", b"segv", b"cd"]), timeout=120)
    finally:
        ray.shutdown()
    assert results == [
        b"ba",
        Fenced("fence_timeout", "more than 0.5 s of CPU time"),
        Fenced("fence_crash", "killed by SIGSEGV"),
        b"dc",
    ]


def test_a_lost_item_is_not_tried_again_where_the_caller_looks_closer_himself():
    with Fence(build, cpu_seconds=2, memory_bytes=256 * MIB) as fence:
        # "only first" fails behind "mark" and would do alone.
        items = [b"mark", b"only first", b"a"]
        assert fence.run(items) == [b"kram", b"tsrif ylno", b"a"]
        lost = Fenced("fence_crash", "exited with code 1")
        assert fence.run(items, again=False) == [b"kram", lost, b"a"]
