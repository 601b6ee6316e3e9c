"""tuspy uploads to highwater's receiver: in parts, with checksums, over a line that is cut, and from where another has stopped."""

import io

import rig
import uploads
from tusclient.client import TusClient

CHUNK_BYTES = 3 << 20


def main():
    with uploads.receiving() as receiver:
        sent = {f"ep-{n}": uploads.noise(n) for n in range(4)}
        client = TusClient(receiver.uploads, headers={"Authorization": f"Bearer {uploads.TOKEN}"})

        def uploader(episode, of=client, **more):
            metadata = {"host": "lab", "episode": episode}
            return of.uploader(
                file_stream=io.BytesIO(sent[episode]), chunk_size=CHUNK_BYTES, metadata=metadata, **more
            )

        uploader("ep-0").upload()
        uploader("ep-1", upload_checksum=True).upload()

        # Stopped in the middle; somebody else goes on.
        first = uploader("ep-2")
        first.upload(stop_at=2 * CHUNK_BYTES)
        second = uploader("ep-2", url=first.url)
        if second.offset != 2 * CHUNK_BYTES:
            rig.fail(f"tuspy: the upload is at {second.offset}, not at {2 * CHUNK_BYTES}")
        second.upload()

        port = int(receiver.address.rsplit(":", 1)[1])
        line = uploads.Line(port, every=CHUNK_BYTES // 2, cuts=3)
        cut = TusClient(f"http://127.0.0.1:{line.port}/v1/uploads", headers=client.headers)
        uploader("ep-3", cut, retries=5, retry_delay=0).upload()
        if line.cuts_left:
            rig.fail(f"tuspy: the line was to be cut {line.cuts_left} more times")
        receiver.has("tuspy", sent)

        # Once more the same, with and without a word of what it is.
        uploader("ep-0").upload()
        receiver.has("tuspy, the same again", sent)


if __name__ == "__main__":
    main()
