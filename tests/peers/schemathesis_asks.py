"""schemathesis reads what highwater's receiver says of its own API, and asks it everything that follows from that, and much that does not."""

import json
import subprocess
import sys
import tempfile
from pathlib import Path

import requests
import rig
import uploads

SCHEMATHESIS_SECS_MAX = 900
EXAMPLES_MAX = 60
# Each request is answered at once; what is not is a finding.
REQUEST_SECS_MAX = 20
SEED = 20261121

# What a server answers that refuses; beyond what schemathesis expects, 412 is what tus says to another version of it or to none,
# and 460 to a wrong checksum.
REFUSED = [400, 401, 403, 404, 405, 406, 409, 410, 412, 413, 415, 416, 422, 460]
# What it may answer to what is right by its form: the digest may be another's, the range beyond the end, the metadata without a host.
ANSWERED = ["2xx", 401, 403, 404, 409, 410]
RIGHT_BY_FORM = {
    "putEpisode": [400],
    "beginUpload": [400],
    "getEpisode": [416],
    "headEpisode": [416],
    "patchUpload": [400, 413, 460],
}

BODIES = """
import schemathesis


# A body is bytes, whatever is generated for it.
@schemathesis.serializer("application/zstd", "application/offset+octet-stream")
def as_bytes(_, value):
    return value if isinstance(value, bytes) else str(value).encode()
"""


def config(upload):
    """Every request is for the host of the token: what others are answered is the receiver's own tests' affair."""
    lines = [
        'hooks = "bodies.py"',
        "[parameters]",
        '"path.host" = "lab"',
        f'"path.upload" = "{upload}"',
        "[checks.missing_required_header]",
        f"expected-statuses = {json.dumps([str(status) for status in REFUSED])}",
        "[checks.negative_data_rejection]",
        f"expected-statuses = {json.dumps([str(status) for status in REFUSED])}",
        "[checks.positive_data_acceptance]",
        f"expected-statuses = {json.dumps([str(status) for status in ANSWERED])}",
    ]
    for operation, more in RIGHT_BY_FORM.items():
        lines += [
            "[[operations]]",
            f'include-operation-id = "{operation}"',
            "[operations.checks.positive_data_acceptance]",
            f"expected-statuses = {json.dumps([str(status) for status in ANSWERED + more])}",
        ]
        if operation == "patchUpload":
            # It takes a header that nobody knows for wrong; HTTP has it ignored.
            lines += [
                "[operations.checks.negative_data_rejection]",
                f"expected-statuses = {json.dumps([str(status) for status in [*REFUSED, 204]])}",
            ]
    return "\n".join(lines) + "\n"


def main():
    with uploads.receiving() as receiver, tempfile.TemporaryDirectory() as cwd:
        headers = {"Authorization": f"Bearer {uploads.TOKEN}"}
        for n in range(3):
            put = requests.put(
                f"{receiver.address}/v1/episodes/lab/ep-{n}",
                data=uploads.noise(n, 10_000 + n),
                headers=headers,
                timeout=REQUEST_SECS_MAX,
            )
            if put.status_code != 201:
                rig.fail(f"schemathesis: an episode was answered {put.status_code}: {put.text}")
        begun = requests.post(
            receiver.uploads,
            headers=headers
            | {"Tus-Resumable": "1.0.0", "Upload-Length": "1000", "Upload-Metadata": "host bGFi,episode ZXAtOQ=="},
            timeout=REQUEST_SECS_MAX,
        )
        upload = begun.headers["Location"].rsplit("/", 1)[1]
        document = requests.get(f"{receiver.address}/openapi.json", timeout=REQUEST_SECS_MAX).json()
        Path(cwd, "schemathesis.toml").write_text(config(upload), encoding="utf-8")
        Path(cwd, "bodies.py").write_text(BODIES, encoding="utf-8")
        command = [
            str(Path(sys.executable).parent / "schemathesis"),
            "run",
            f"{receiver.address}/openapi.json",
            "--header",
            f"Authorization: Bearer {uploads.TOKEN}",
            "--checks",
            "all",
            "--phases",
            "examples,coverage,fuzzing,stateful",
            "--max-examples",
            str(EXAMPLES_MAX),
            "--request-timeout",
            str(REQUEST_SECS_MAX),
            "--generation-database",
            "none",
            "--seed",
            str(SEED),
            "--no-color",
        ]
        ran = subprocess.run(
            command, cwd=cwd, capture_output=True, text=True, timeout=SCHEMATHESIS_SECS_MAX, check=False
        )
        if ran.returncode != 0:
            rig.fail(f"schemathesis: exit {ran.returncode}\n{ran.stdout}{ran.stderr}")
        operations = sum(len(path) for path in document["paths"].values())
        cases = [line.strip() for line in ran.stdout.splitlines() if "generated," in line]
        print(f"schemathesis: {operations} operations, all checks: {'; '.join(cases) or 'no failure'}")


if __name__ == "__main__":
    main()
