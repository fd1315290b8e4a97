"""What a run reads from a worker's health page."""

from __future__ import annotations

import json
from http.server import BaseHTTPRequestHandler, HTTPServer
from threading import Thread

from demo.lag import ShardLag, ask

RUNNING = {"stage": "settle", "shard": "shard-0", "position": "12.3", "lag_records": 4, "lag_ms": 5.0}
RESTORING = {**RUNNING, "shard": "shard-1", "position": None}


class Page(BaseHTTPRequestHandler):
    """The health page of a worker that has one shard and restores another."""

    def do_GET(self) -> None:
        self.send_response(200)
        self.end_headers()
        self.wfile.write(json.dumps({"shards": [RUNNING, RESTORING]}).encode())


def test_a_shard_that_is_being_restored_is_not_had_yet() -> None:
    with HTTPServer(("127.0.0.1", 0), Page) as server:
        thread = Thread(target=server.serve_forever)
        thread.start()
        try:
            assert ask(server.server_port) == [ShardLag("settle", "shard-0", 4, 5.0, 12)]
        finally:
            server.shutdown()
            thread.join()


def test_a_worker_that_does_not_answer_has_no_shards() -> None:
    with HTTPServer(("127.0.0.1", 0), Page) as server:
        port = server.server_port

    assert ask(port) == []
