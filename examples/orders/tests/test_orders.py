"""The example from outside: over HTTP, as its users meet it."""

from __future__ import annotations

import asyncio
import os
import re
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import httpx
import pytest

from wippy.app import App

EXAMPLE = Path(__file__).resolve().parent.parent


@pytest.fixture
async def app(tmp_path, monkeypatch):
    monkeypatch.setenv("ORDERS_ADDRESS", "127.0.0.1:0")
    monkeypatch.setenv("ORDERS_DATABASE", str(tmp_path / "orders.db"))
    async with App(EXAMPLE) as app:
        yield app


@pytest.fixture
async def client(app):
    from wippy_plugin_http import HttpServer

    port = app.resources.get("app:gateway", HttpServer).port
    async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}/api", timeout=10) as client:
        yield client


async def until(condition, seconds=10.0):
    """Wait until an async condition holds; returns what it gave."""
    async with asyncio.timeout(seconds):
        while not (value := await condition()):
            await asyncio.sleep(0.01)
        return value


async def order(client, sku="tea", quantity=1, **headers):
    response = await client.post("/orders", json={"sku": sku, "quantity": quantity}, headers=headers)
    assert response.status_code == 201, response.text
    return response


async def status_of(client, order_id):
    return (await client.get(f"/orders/{order_id}")).json()["status"]


async def test_an_order_is_placed_and_fulfilled(client):
    response = await order(client, "tea", 3)
    placed = response.json()
    assert placed["status"] == "placed"
    assert response.headers["location"] == f"/api/orders/{placed['id']}"

    async def fulfilled():
        return await status_of(client, placed["id"]) == "fulfilled"

    await until(fulfilled)
    assert (await client.get("/orders")).json()["orders"][0]["id"] == placed["id"]
    assert (await client.get("/stock/tea")).json()["level"] == 97


async def test_an_order_for_more_than_there_is_is_rejected(client):
    placed = (await order(client, "cups", 11)).json()

    async def rejected():
        return await status_of(client, placed["id"]) == "rejected"

    await until(rejected)
    assert (await client.get("/stock/cups")).json()["level"] == 10


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (b"{", "JSON"),
        (b'{"quantity": 1}', "sku"),
        (b'{"sku": "tea"}', "quantity"),
        (b'{"sku": "tea", "quantity": 0.5}', "quantity"),
        (b'{"sku": "tea", "quantity": -1}', "quantity"),
    ],
)
async def test_bad_orders_are_refused(client, body, words):
    response = await client.post("/orders", content=body, headers={"content-type": "application/json"})
    assert response.status_code == 400
    assert words.lower() in response.json()["error"].lower()


async def test_what_does_not_exist_is_not_found(client):
    assert (await client.get("/orders/none")).status_code == 404
    assert (await client.get("/stock/none")).status_code == 404
    assert (await client.get("/nothing")).status_code == 404
    assert (await client.delete("/orders")).status_code == 405


async def test_stock_is_cached_until_an_order_changes_it(client):
    assert (await client.get("/stock/tea")).json() == {"sku": "tea", "level": 100, "cached": False}
    assert (await client.get("/stock/tea")).json()["cached"] is True
    placed = (await order(client)).json()

    async def fulfilled():
        return await status_of(client, placed["id"]) == "fulfilled"

    await until(fulfilled)

    async def seen():
        return (await client.get("/stock/tea")).json()["level"] == 99

    await until(seen)


async def test_the_watcher_counts_and_is_started_again_after_a_crash(app, client):
    await order(client)

    async def counted():
        counts = (await client.get("/stats")).json().get("counts") or {}
        return counts.get("order.placed") == 1 and counts.get("order.fulfilled") == 1

    await until(counted)
    await app.send("order_watcher", "crash")

    async def fresh():
        response = await client.get("/stats")
        return response.status_code == 200 and not response.json()["counts"]

    await until(fresh)


async def test_a_function_is_made_in_the_running_registry_and_served(client):
    source = "return function(who) return {hello = who} end"
    response = await client.post("/functions", json={"name": "hello", "source": source})
    assert response.status_code == 201, response.text
    assert (await client.get("/functions/hello/world")).json() == {"hello": "world"}
    changed = source.replace("hello =", "bye =")
    assert (await client.post("/functions", json={"name": "hello", "source": changed})).status_code == 201
    assert (await client.get("/functions/hello/world")).json() == {"bye": "world"}
    broken = await client.post("/functions", json={"name": "hello", "source": "return function( end"})
    assert broken.status_code == 400
    assert "app.made:hello" in broken.json()["error"]
    assert (await client.get("/functions/hello/world")).json() == {"bye": "world"}


async def test_many_orders_at_once_lose_nothing(client):
    placed = [response.json()["id"] for response in await asyncio.gather(*(order(client) for _ in range(50)))]
    assert len(set(placed)) == 50

    async def all_done():
        statuses = await asyncio.gather(*(status_of(client, order_id) for order_id in placed))
        return set(statuses) == {"fulfilled"}

    await until(all_done)
    assert (await client.get("/stock/tea")).json()["level"] == 50


def test_the_first_command_runs_it_and_ends_cleanly(tmp_path):
    """`wippy run`, as the README says: it prints its URL, answers, and ends with 0 on SIGTERM."""
    directory = shutil.copytree(EXAMPLE, tmp_path / "orders", ignore=shutil.ignore_patterns(".wippy", "tests"))
    environment = {**os.environ, "ORDERS_ADDRESS": "127.0.0.1:0", "ORDERS_DATABASE": str(tmp_path / "o.db")}
    with subprocess.Popen(
        [sys.executable, "-m", "wippy", "run", str(directory)],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env=environment,
    ) as program:
        said = []
        try:
            for line in program.stdout:
                said.append(line)
                if match := re.search(r"http://127\.0\.0\.1:\d+", line):
                    break
            else:
                pytest.fail("no URL: " + "".join(said))
            response = httpx.post(match[0] + "/api/orders", json={"sku": "tea", "quantity": 1})
            assert response.status_code == 201
            program.send_signal(signal.SIGTERM)
            rest = program.stdout.read()
            assert program.wait(20) == 0, "".join(said) + rest
        finally:
            program.kill()
