"""Run in an environment that has only the kernel, functions, processes and HTTP: what an edge box installs.

Started by tox (environment `minimal`) with the interpreter of a clean environment; uses no test library.
"""

import asyncio
import logging
import tempfile
import urllib.request
from pathlib import Path

from wippy.app import App
from wippy.errors import Error

INDEX = """
namespace: app
entries:
  - {name: processes, kind: process.host, lifecycle: {auto_start: true}}
  - {name: server, kind: http.service, addr: "127.0.0.1:0", lifecycle: {auto_start: true}}
  - {name: api, kind: http.router, meta: {server: server}, prefix: /api}
  - name: counter
    kind: process.lua
    method: main
    source: |
      return function()
        process.registry.register("counter")
        local count, inbox = 0, process.inbox()
        while true do
          local message = inbox:receive()
          count = count + 1
          process.send(message:from(), "count", count)
        end
      end
  - {name: counter.service, kind: process.service, process: counter, host: processes, lifecycle: {auto_start: true}}
  - name: count
    kind: function.lua
    method: main
    modules: [http]
    source: |
      local http = require("http")
      return function()
        local counts = process.listen("count")
        process.send("counter", "add")
        http.response():write_json({count = counts:receive()})
      end
  - {name: count.endpoint, kind: http.endpoint, meta: {router: api}, method: GET, path: /count, func: count}
"""


def get(url: str) -> str:
    with urllib.request.urlopen(url, timeout=10) as response:
        return response.read().decode()


async def boot_error(directory: str) -> str:
    """Return what is said when an application does not boot."""
    try:
        async with App(directory):
            return "it booted without the plugin"
    except Error as problem:
        return str(problem)


async def main() -> None:
    with tempfile.TemporaryDirectory() as directory:
        index = Path(directory, "src", "_index.yaml")
        index.parent.mkdir()
        index.write_text(INDEX)
        async with App(directory) as app:
            from wippy_plugin_http import HttpServer

            url = f"http://127.0.0.1:{app.resources.get('app:server', HttpServer).port}/api/count"
            answers = [await asyncio.to_thread(get, url) for _ in range(2)]
        assert answers == ['{"count":1}', '{"count":2}'], answers
        for line, wanted in (
            ("  - {name: db, kind: db.sql.sqlite, file: x.db}\n", "pip install wippy-plugin-sqlite"),
            (
                "  - {name: f, kind: function.lua, method: main, source: 'return 1', modules: [json]}\n",
                "pip install wippy-plugin-json",
            ),
        ):
            index.write_text(INDEX + line)
            complaint = await boot_error(directory)
            assert wanted in complaint, complaint
            assert "src/_index.yaml:" in complaint, complaint
    print("minimal: ok")


logging.disable(logging.CRITICAL)
asyncio.run(main())
