"""The benchmarks run, and say what they should; how fast anything is, is not tested."""

from __future__ import annotations

import asyncio
import importlib
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent


@pytest.fixture
def benchmark(monkeypatch):
    """Import a module of the benchmarks, which are run from the root and not installed."""
    monkeypatch.syspath_prepend(str(ROOT))
    return lambda name: importlib.import_module(f"benchmarks.{name}")


def command(*arguments):
    run = [sys.executable, "-m", "benchmarks", *arguments]
    return subprocess.run(run, cwd=ROOT, capture_output=True, text=True, timeout=50)


def test_the_command_prints_a_table_with_targets_and_verdicts():
    result = command("messages", "functions", "cpu", "registry", "--rounds", "2", "--load", "0.00001")
    assert result.returncode == 0, result.stderr
    for word in ("send + receive", "funcs.call", "plain Lua", "find over", "ratio ≤ 14×", "≤ 5 µs", "preemption:"):
        assert word in result.stdout
    assert "FAILED" not in result.stdout
    assert result.stderr == ""


def test_a_profile_shows_functions():
    result = command("--profile", "registry", "--rounds", "1", "--load", "0.001")
    assert result.returncode == 0, result.stderr
    assert "query.py" in result.stdout


def test_an_unknown_area_is_refused():
    result = command("nothing")
    assert result.returncode == 2
    assert "no such area: nothing; there are messages, spawn" in result.stderr


def test_a_failing_benchmark_is_reported_and_the_rest_goes_on(benchmark, monkeypatch, capsys):
    main, registry = benchmark("__main__"), benchmark("registry")

    async def broken(settings):
        raise RuntimeError("boom")
        yield

    monkeypatch.setattr(registry, "rows", broken)
    lines, fine = asyncio.run(main.measure("registry", main.QUICK))
    assert not fine
    assert lines[0].why == "FAILED, see above"
    assert "boom" in capsys.readouterr().err


async def test_sides_run_in_turn_and_every_other_round_backwards(benchmark):
    order = []

    def side(name):
        async def run():
            order.append(name)
            return len(order)

        return run

    found = await benchmark("runner").alternate(3, a=side("a"), b=side("b"))
    assert order == ["a", "b", "b", "a", "a", "b"]
    assert found["a"].values == (1, 4, 5)
    assert found["b"].values == (2, 3, 6)


def test_a_ratio_is_of_the_same_round(benchmark):
    runner = benchmark("runner")
    ours, theirs = runner.Sample((2.0, 40.0, 6.0)), runner.Sample((1.0, 10.0, 2.0))
    row = runner.Row("x", ours, "µs", "y", theirs, runner.Target("ratio", "<=", 2.5))
    assert row.ratio.values == (2.0, 4.0, 3.0)
    assert row.verdict == "close"
    assert row.cells() == ("x", "3× (2–4)", "6 µs (2–40)", "y: 2 µs (1–10)", "ratio ≤ 2.5×", "close")


@pytest.mark.parametrize(
    ("op", "value", "verdict"),
    [
        ("<=", 3, "reached"),
        ("<=", 2, "close"),
        ("<=", 0.5, "missed"),
        (">=", 3, "reached"),
        (">=", 5, "close"),
        (">=", 6, "missed"),
    ],
)
def test_a_verdict_goes_by_the_median(benchmark, op, value, verdict):
    runner = benchmark("runner")
    sample = runner.Sample((1.0, 3.0, 5.0))
    assert runner.Target("ours", op, value).verdict(sample) == verdict
    row = runner.Row("x", sample, "ms", "y", sample, runner.Target("ours", op, value))
    assert row.verdict == verdict


def test_the_table_is_aligned_and_tells_what_was_skipped(benchmark):
    runner = benchmark("runner")
    one = runner.Sample((1.0,))
    text = runner.table([runner.Row("a", one, "ms", "b", one), runner.Skipped("c", "not installed")])
    head, rule, row, skipped = text.splitlines()
    assert head.split() == ["what", "ratio", "ours", "against", "target", "verdict"]
    assert row.index("b: 1 ms") == head.index("against") == rule.index("-" * len("b: 1 ms"), head.index("ours") + 5)
    assert skipped == "skipped: c: not installed"


async def test_the_own_client_counts_answers(benchmark, unused_port_server):
    child = benchmark("child")
    port = await unused_port_server()
    figures = await child.measure("load", str(port), "/hello", "2", "0.05")
    assert figures["rate"] > 0
    assert figures["errors"] == 0
    with pytest.raises(child.Failed, match="nothing"):
        await child.measure("nothing", "1")


@pytest.fixture
async def unused_port_server():
    """Start servers that answer every request with two bytes."""
    servers = []

    async def answer(reader, writer):
        try:
            while await reader.readuntil(b"\r\n\r\n"):
                writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok")
        except (asyncio.IncompleteReadError, ConnectionError):
            writer.close()

    async def start():
        servers.append(await asyncio.start_server(answer, "127.0.0.1", 0))
        return servers[-1].sockets[0].getsockname()[1]

    yield start
    for server in servers:
        server.close()
        await server.wait_closed()
