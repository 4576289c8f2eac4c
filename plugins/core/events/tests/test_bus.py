"""The bus from Python."""

from __future__ import annotations

import logging

import pytest

from wippy.errors import Error
from wippy_plugin_events import Event, EventBus
from wippy_plugin_events.bus import REMEMBERED


def listen(bus: EventBus, *patterns: str) -> list[Event]:
    heard: list[Event] = []
    bus.subscribe(heard.append, *patterns)
    return heard


def kinds(events: list[Event]) -> list[str]:
    return [event.kind for event in events]


def test_system_and_kind_are_matched_separately():
    bus = EventBus()
    heard = listen(bus, "orders.*", "order.*")
    bus.send("orders.eu", "order.created", "/1", {"n": 1})
    bus.send("orders.eu", "created", "/2")
    bus.send("orders", "order.created", "/3")
    assert heard == [Event("orders.eu", "order.created", "/1", {"n": 1})]


def test_one_pattern_means_system_or_both_and_gets_an_event_once():
    bus = EventBus()
    everything, exact, both = listen(bus, "**"), listen(bus, "orders"), listen(bus, "orders.*")
    deep = listen(bus, "orders.order.(created|paid)")
    bus.send("orders", "order.created", "/1")
    bus.send("orders.eu", "x", "/2")
    assert kinds(everything) == kinds(both) == ["order.created", "x"]
    assert kinds(exact) == kinds(deep) == ["order.created"]


def test_who_subscribes_later_hears_what_comes_later():
    bus = EventBus()
    bus.send("a", "one", "/")
    heard = listen(bus, "a")
    bus.send("a", "two", "/")
    later = listen(bus, "a")
    bus.send("a", "three", "/")
    assert (kinds(heard), kinds(later)) == (["two", "three"], ["three"])


def test_close_ends_it_even_while_an_event_is_handed_on():
    bus = EventBus()
    heard: list[Event] = []
    first = bus.subscribe(lambda event: second.close(), "a")
    second = bus.subscribe(heard.append, "a")
    bus.send("a", "x", "/")
    first.close()
    first.close()
    assert (heard, len(bus)) == ([], 0)


def test_a_receiver_that_fails_takes_no_other_down(caplog: pytest.LogCaptureFixture):
    bus = EventBus()

    def fail(event: Event) -> None:
        raise ValueError("broken receiver")

    bus.subscribe(fail, "a")
    heard = listen(bus, "a")
    with caplog.at_level(logging.ERROR, "wippy"):
        bus.send("a", "x", "/")
    assert kinds(heard) == ["x"]
    assert "a receiver of event a x failed" in caplog.text


def test_more_kinds_than_are_remembered():
    bus = EventBus()
    heard = listen(bus, "a")
    for number in range(REMEMBERED + 10):
        bus.send("a", f"kind{number}", "/")
    assert len(heard) == REMEMBERED + 10
    assert len(bus._receivers) <= REMEMBERED


@pytest.mark.parametrize("event", [("", "k", "p"), ("s", "", "p"), ("s", "k", "")])
def test_an_event_needs_system_kind_and_path(event: tuple[str, str, str]):
    with pytest.raises(Error, match="must not be empty"):
        EventBus().send(*event)


def test_a_subscription_needs_a_system():
    with pytest.raises(Error, match="system must not be empty"):
        EventBus().subscribe(print, "")
