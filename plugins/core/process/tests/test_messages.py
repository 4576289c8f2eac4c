"""Messages, topics and mailboxes (reference, section 4: messages)."""

from __future__ import annotations

import pytest

from wippy.errors import INVALID, NOT_FOUND, Error
from wippy.testing import app_of, host, process, run_lua

ECHO = """
return function()
  local inbox = process.inbox()
  while true do
    local message = inbox:receive()
    process.send(message:from(), "reply", message:topic(), message:payload():data())
  end
end
"""


async def lua(source, *entries, **options):
    """Run a function's body beside a host and other entries."""
    return await run_lua(source, entries=[host(), *entries], **options)


async def test_a_message_has_topic_sender_and_payload():
    result = await lua(
        """
        local pid = process.spawn("app:echo", "app:processes")
        local replies = process.listen("reply", {message = true})
        assert(process.send(pid, "greet", {name = "Ann"}))
        local message = replies:receive()
        local topic, data = message:payload()
        return {message:from() == pid, message:topic(), topic:data(), data:data().name}
        """,
        process("app:echo", ECHO),
    )
    assert result == [True, "reply", "greet", "Ann"]


async def test_listen_gives_raw_values_in_order():
    result = await lua(
        """
        local numbers = process.listen("n")
        for i = 1, 5 do process.send(process.pid(), "n", i) end
        local got = {}
        for i = 1, 5 do got[i] = numbers:receive() end
        return got
        """
    )
    assert result == [1, 2, 3, 4, 5]


async def test_what_nobody_listens_to_waits_for_a_listener_or_the_inbox():
    result = await lua(
        """
        process.send(process.pid(), "later", "a")
        process.send(process.pid(), "other", "b")
        local later = process.listen("later")
        local first = later:receive()
        return {first, process.inbox():receive():topic()}
        """
    )
    assert result == ["a", "other"]


async def test_unlisten_closes_the_channel_and_the_inbox_takes_over():
    result = await lua(
        """
        local ch = process.listen("t")
        local removed = process.unlisten(ch)
        local value, open = ch:receive()
        process.send(process.pid(), "t", "x")
        return {removed, value == nil, open, process.inbox():receive():topic()}
        """
    )
    assert result == [True, True, False, "t"]


async def test_subscribe_routes_a_topic_into_a_channel_of_ones_own():
    result = await lua(
        """
        local ch = channel.new(4)
        assert(subscribe("t", ch))
        process.send(process.pid(), "t", 7)
        local got = ch:receive()
        assert(unsubscribe(ch))
        process.send(process.pid(), "t", 8)
        return {got, process.inbox():receive():payload():data()}
        """
    )
    assert result == [7, 8]


async def test_messages_are_copies():
    result = await lua(
        """
        local ch = process.listen("t")
        local value = {list = {1, 2}}
        process.send(process.pid(), "t", value)
        value.list[1] = 99
        return ch:receive().list
        """
    )
    assert result == [1, 2]


@pytest.mark.parametrize(
    ("call", "kind", "words"),
    [
        ('process.send("{app:processes|0x0ffff}", "t", 1)', NOT_FOUND, "not found"),
        ('process.send("nobody", "t", 1)', NOT_FOUND, "not found"),
        ('process.send("", "t", 1)', INVALID, "destination"),
        ('process.send(process.pid(), "@events", 1)', INVALID, "reserved"),
        ('process.send(process.pid(), "", 1)', INVALID, "topic"),
        ('process.listen("@inbox")', INVALID, "reserved"),
        ('process.spawn("app:missing", "app:processes")', NOT_FOUND, "app:missing"),
        ('process.spawn("app:echo", "app:nowhere")', NOT_FOUND, "app:nowhere"),
        ('process.spawn("test:main", "app:processes")', INVALID, "not a process"),
        ("process.monitor('{app:processes|0x0ffff}')", NOT_FOUND, "not found"),
        ("process.registry.lookup('nobody')", NOT_FOUND, "nobody"),
    ],
)
async def test_what_cannot_be_done_is_an_error_with_a_kind(call, kind, words):
    with pytest.raises(Error) as caught:
        await lua(f"local value, err = {call} assert(value == nil) return nil, err", process("app:echo", ECHO))
    assert caught.value.kind == kind
    assert words in str(caught.value)


async def test_a_full_mailbox_is_an_error_and_loses_nothing(tmp_path):
    from wippy.config import Config

    (tmp_path / ".wippy.yaml").write_text("process:\n  mailbox_limit: 3\n")
    receiver = process(
        "app:slow",
        """
        return function(parent)
          local start = process.listen("start")
          process.send(parent, "ready")
          start:receive()
          local got, inbox = {}, process.inbox()
          for i = 1, 3 do got[i] = inbox:receive():payload():data() end
          return got
        end
        """,
    )
    result = await lua(
        """
        local pid = process.spawn_monitored("app:slow", "app:processes", process.pid())
        process.listen("ready"):receive()
        local sent, refused = 0, nil
        for i = 1, 5 do
          local ok, err = process.send(pid, "n", i)
          if ok then sent = sent + 1 else refused = err end
        end
        process.send(pid, "start")
        return {sent, refused:kind(), refused:retryable(), process.events():receive().result.value}
        """,
        receiver,
        config=Config.load(tmp_path),
    )
    assert result == [3, "RateLimited", True, [1, 2, 3]]


async def test_order_is_kept_between_workers_for_each_sender():
    """Real threads: many senders to one receiver, each one's messages arrive in its order."""
    sender = process(
        "app:sender",
        'return function(to, name) for i = 1, 200 do assert(process.send(to, "n", {name, i})) end end',
    )
    main = process(
        "app:main",
        """
        return function()
          local numbers = process.listen("n")
          for i = 1, 8 do assert(process.spawn("app:sender", "app:processes", process.pid(), i)) end
          local last, wrong = {}, 0
          for _ = 1, 8 * 200 do
            local pair = numbers:receive()
            if pair[2] ~= (last[pair[1]] or 0) + 1 then wrong = wrong + 1 end
            last[pair[1]] = pair[2]
          end
          return wrong
        end
        """,
    )
    async with app_of(host(workers=3), sender, main, virtual=False) as app:
        pid, end = await app.node.spawn_watched("app:main", "app:processes")
        assert (await end).value == 0
        assert pid.startswith("{app:processes|0x")


async def test_python_sends_and_waits():
    once = process("app:once", "return function() return process.inbox():receive():payload():data() end")
    async with app_of(host(), once) as app:
        pid = await app.spawn("app:once", "app:processes")
        end = await app.node.watch(pid)
        await app.send(pid, "t", {"a": 1})
        assert (await end).value == {"a": 1}
        with pytest.raises(Error, match="not found"):
            await app.send(pid, "t", 1)


async def test_names():
    result = await lua(
        """
        local names = process.registry
        local first = names.register("main")
        local again = names.register("main")
        local pid = process.spawn("app:echo", "app:processes")
        local value, err = names.register("main", pid)
        local ok = names.register("echo", pid)
        local found = names.lookup("echo") == pid
        local replies = process.listen("reply")
        process.send("echo", "hello", 1)
        local topic = replies:receive()
        process.terminate(pid)
        local gone = select(2, names.lookup("echo"))
        return {first, again, value == nil, err:kind(), ok, found, topic, gone:kind(),
          names.unregister("main"), names.unregister("main"), names.LOCAL, names.STRONG}
        """,
        process("app:echo", ECHO),
    )
    assert result == [True, True, True, "AlreadyExists", True, True, "hello", "NotFound", True, False, 0, 3]
