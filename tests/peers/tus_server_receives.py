"""highwater ships to @tus/server, which offers what any server of the protocol does: whole, and over a line that is cut."""

import json
import subprocess
import sys
import tempfile
from contextlib import contextmanager
from pathlib import Path

import rig
import uploads

SHIP = """
[resource.receiver]
pace = "0s"

[job.send]
kind = "ship"
resources = ["receiver"]
receiver = "http://127.0.0.1:{port}/"
host-id = "lab"
token = "{token}"
resume-above = "1 MB"
"""


@contextmanager
def tus_server(directory):
    """The port of a server that keeps what it gets in a directory."""
    command = ["node", "tus_server.mjs", str(directory)]
    with subprocess.Popen(command, cwd=sys.argv[2], stdout=subprocess.PIPE, text=True) as server:
        try:
            yield int(server.stdout.readline())
        finally:
            server.terminate()


def received(directory):
    """What the server has, by the episode that its metadata names."""
    found = {}
    for about in directory.glob("*.json"):
        upload = json.loads(about.read_text(encoding="utf-8"))
        found[upload["metadata"]["episode"]] = (upload["metadata"], about.with_suffix("").read_bytes())
    return found


def main():
    with tempfile.TemporaryDirectory() as cwd, tempfile.TemporaryDirectory() as kept:
        cwd, kept = Path(cwd), Path(kept)
        for episode in ("ep-0", "ep-1"):
            directory = cwd / "episodes" / episode
            directory.mkdir(parents=True)
            (directory / "noise.bin").write_bytes(uploads.noise(episode))
            (directory / "done.marker").touch()
        with tus_server(kept) as port:
            line = uploads.Line(port, every=7 << 20, cuts=4)
            (cwd / "highwater.toml").write_text(SHIP.format(port=line.port, token=uploads.TOKEN), encoding="utf-8")
            rig.highwater("run", "send", "--until-drained", cwd=cwd)
            if line.cuts_left:
                rig.fail(f"@tus/server: the line was to be cut {line.cuts_left} more times")
        found = received(kept)
        if found.keys() != {"ep-0", "ep-1"}:
            rig.fail(f"@tus/server: it has {sorted(found)}")
        for episode, (metadata, data) in found.items():
            if uploads.sha256(data) != metadata["sha256"] or len(data) <= uploads.EPISODE_BYTES:
                rig.fail(f"@tus/server: {episode} is not what was sent: {len(data)} bytes")
        shipped = sorted(path.name for path in (cwd / "shipped").iterdir())
        if shipped != ["ep-0", "ep-1"] or any((cwd / "episodes").iterdir()):
            rig.fail(f"@tus/server: retired are {shipped}")
        size = sum(len(data) for _, data in found.values())
        print(f"@tus/server: 2 episodes, {size} bytes, on both sides; cut four times, each byte was sent "
              f"{line.sent / size:.2f} times")


if __name__ == "__main__":
    main()
