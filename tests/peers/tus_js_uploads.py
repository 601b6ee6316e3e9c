"""tus-js-client uploads to highwater's receiver: in one go, in parts, over a line that is cut."""

import json
import tempfile
from pathlib import Path

import rig
import uploads


def main():
    with uploads.receiving() as receiver, tempfile.TemporaryDirectory() as files:
        sent = {f"ep-{n}": uploads.noise(10 + n) for n in range(3)}
        for episode, data in sent.items():
            Path(files, episode).write_bytes(data)
        port = int(receiver.address.rsplit(":", 1)[1])
        line = uploads.Line(port, every=5 << 20, cuts=3)

        def upload(episode, endpoint=receiver.uploads, **more):
            order = {
                "endpoint": endpoint,
                "file": str(Path(files, episode)),
                "headers": {"Authorization": f"Bearer {uploads.TOKEN}"},
                "metadata": {"host": "lab", "episode": episode},
                **more,
            }
            return json.loads(uploads.node("tus_js_uploads.mjs", stdin=json.dumps(order)))

        upload("ep-0")
        upload("ep-1", chunkSize=3 << 20)
        upload("ep-2", f"http://127.0.0.1:{line.port}/v1/uploads")
        if line.cuts_left:
            rig.fail(f"tus-js-client: the line was to be cut {line.cuts_left} more times")
        receiver.has("tus-js-client", sent)
        over = line.sent / len(sent["ep-2"])
        print(f"tus-js-client: cut three times, each byte was sent {over:.2f} times")

        # What is there already is told when it begins; the client that sends it all the same comes to the same end.
        told = {"host": "lab", "episode": "ep-0", "sha256": uploads.sha256(sent["ep-0"])}
        upload("ep-0", metadata=told)
        receiver.has("tus-js-client, the same again", sent)


if __name__ == "__main__":
    main()
