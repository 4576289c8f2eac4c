"""A closed-loop HTTP client over raw sockets: PORT PATH CONNECTIONS SECONDS; prints rate (1/s), p99 (ms) and errors."""

import json
import selectors
import socket
import sys
import time

port, path, connections, seconds = int(sys.argv[1]), sys.argv[2], int(sys.argv[3]), float(sys.argv[4])
REQUEST = f"GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode()


def complete(data: bytes) -> bool:
    """Whether a whole response is there; both sides send a Content-Length."""
    head, separator, body = data.partition(b"\r\n\r\n")
    if not separator:
        return False
    at = head.lower().find(b"content-length:")
    if at < 0:
        raise SystemExit(f"a response without Content-Length: {head!r}")
    return len(body) >= int(head[at + 15 :].split(b"\r\n", 1)[0])


def main() -> dict[str, float]:
    selector = selectors.DefaultSelector()
    pending: dict[socket.socket, bytes] = {}
    sent: dict[socket.socket, float] = {}

    def connect() -> None:
        client = socket.create_connection(("127.0.0.1", port))
        client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        selector.register(client, selectors.EVENT_READ)
        pending[client] = b""
        sent[client] = time.perf_counter()
        client.sendall(REQUEST)

    for _ in range(connections):
        connect()
    times: list[float] = []
    errors = 0
    now = started = time.perf_counter()
    while now - started < seconds:
        for key, _ in selector.select(1.0):
            client = key.fileobj
            assert isinstance(client, socket.socket)
            data = pending[client] + client.recv(65536)
            if data == pending[client]:
                if data:
                    raise SystemExit("the server closed a connection in the middle of a response")
                selector.unregister(client)  # it allows a number of requests for each connection
                client.close()
                connect()
                continue
            if not complete(data):
                pending[client] = data
                continue
            now = time.perf_counter()
            times.append(now - sent[client])
            errors += not data.startswith(b"HTTP/1.1 200")
            pending[client] = b""
            sent[client] = now
            client.sendall(REQUEST)
        now = time.perf_counter()
    taken = now - started
    times.sort()
    return {
        "rate": len(times) / taken,
        "p99": times[int(len(times) * 0.99)] * 1000 if times else seconds * 1000,
        "errors": errors,
    }


print(json.dumps(main()))
