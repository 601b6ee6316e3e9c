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

# Episodes and an upload that are there, so that requests find something; each operation is asked for these too.
CONFIG = """
[parameters]
"path.host" = "lab"
"""


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
        document = requests.get(f"{receiver.address}/openapi.json", timeout=REQUEST_SECS_MAX).json()
        Path(cwd, "schemathesis.toml").write_text(CONFIG, encoding="utf-8")
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
        cases = [line.strip() for line in ran.stdout.splitlines() if "generated" in line or "passed" in line]
        print(f"schemathesis: {operations} operations, all checks: {'; '.join(cases) or 'no failure'}")


if __name__ == "__main__":
    main()
