"""What the peers of resumable uploads share: highwater's receiver as a process, bytes to send, and a line that is cut."""

import contextlib
import hashlib
import json
import random
import socket
import subprocess
import sys
import tempfile
import threading
from contextlib import contextmanager
from pathlib import Path

import rig

TOKEN = "correct horse"
EPISODE_BYTES = 24 << 20
LINE_BYTES = 64 << 10
NODE_SECS_MAX = 300

RECEIVER = """
[receiver]
listen = "127.0.0.1:0"
root = "received"
limits.free = "1 MB"

[[receiver.tokens]]
name = "lab"
sha256 = "{sha256}"
hosts = ["lab"]
"""


def noise(seed, size=EPISODE_BYTES):
    return random.Random(seed).randbytes(size)


def sha256(data):
    return hashlib.sha256(data).hexdigest()


class Receiver:
    """A receiver that runs: where, and what it has."""

    def __init__(self, address, root):
        self.address, self.root = address, root
        self.uploads = f"{address}/v1/uploads"

    def rows(self):
        lines = (self.root / "index.jsonl").read_text(encoding="utf-8").splitlines()
        return {row["episode_id"]: row for row in map(json.loads, lines)}, len(lines)

    def has(self, what, expected):
        """It has these episodes, each with one row; or this is the end."""
        rows, lines = self.rows()
        if lines != len(rows) or rows.keys() != expected.keys():
            rig.fail(f"{what}: {lines} rows of {sorted(rows)}, not one each of {sorted(expected)}")
        for episode, data in expected.items():
            stored = (self.root / "episodes" / "lab" / f"{episode}.tar.zst").read_bytes()
            if stored != data or rows[episode]["sha256"] != sha256(data):
                rig.fail(f"{what}: {episode} is not what was sent")
        print(f"{what}: {len(rows)} episodes, {sum(map(len, expected.values()))} bytes, on both sides")


@contextmanager
def receiving():
    """highwater's receiver."""
    with tempfile.TemporaryDirectory() as cwd:
        root = Path(cwd, "received")
        root.mkdir()
        config = RECEIVER.format(sha256=sha256(TOKEN.encode()))
        Path(cwd, "highwater.toml").write_text(config, encoding="utf-8")
        command = [sys.argv[1], "--json", "receive"]
        with subprocess.Popen(command, cwd=cwd, stdout=subprocess.PIPE, text=True) as receiver:
            try:
                yield Receiver(json.loads(receiver.stdout.readline())["listens"], root)
            finally:
                receiver.terminate()


class Line:
    """A line to a port on the loopback, of which each connection is cut after so many bytes, so many times."""

    def __init__(self, port, every, cuts):
        self.to, self.every, self.cuts_left, self.sent = port, every, cuts, 0
        self.server = socket.socket()
        self.server.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, LINE_BYTES)
        self.server.bind(("127.0.0.1", 0))
        self.server.listen(16)
        self.port = self.server.getsockname()[1]
        threading.Thread(target=self.accept, daemon=True).start()

    def accept(self):
        while True:
            client, _ = self.server.accept()
            threading.Thread(target=self.carry, args=(client,), daemon=True).start()

    def carry(self, client):
        with client, socket.create_connection(("127.0.0.1", self.to)) as server:
            threading.Thread(target=self.back, args=(server, client), daemon=True).start()
            here = 0
            with contextlib.suppress(OSError):
                while data := client.recv(LINE_BYTES):
                    self.sent += len(data)
                    here += len(data)
                    server.sendall(data)
                    if here >= self.every and self.cuts_left > 0:
                        self.cuts_left -= 1
                        break
            # Both ends learn of it, also while the other thread waits for one of them.
            for end in (client, server):
                with contextlib.suppress(OSError):
                    end.shutdown(socket.SHUT_RDWR)

    @staticmethod
    def back(server, client):
        with contextlib.suppress(OSError):
            while data := server.recv(LINE_BYTES):
                client.sendall(data)
            client.shutdown(socket.SHUT_RDWR)


def node(script, *arguments, stdin=None):
    """Runs a script where its packages are; what it prints."""
    where = Path(sys.argv[2])
    ran = subprocess.run(
        ["node", script, *map(str, arguments)], cwd=where, input=stdin, capture_output=True, text=True,
        timeout=NODE_SECS_MAX, check=False,
    )
    if ran.returncode != 0:
        rig.fail(f"node {script}: exit {ran.returncode}\n{ran.stdout}{ran.stderr}")
    return ran.stdout
