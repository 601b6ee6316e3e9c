"""pyarrow reads what `episodes export --format parquet` writes: the types of its columns, and every value of every row."""

import datetime
import hashlib
import json
import subprocess
import sys
import tempfile
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import rig

ROWS = 100_000
FIRST = datetime.datetime(2025, 11, 1, tzinfo=datetime.timezone.utc)

TYPES = {
    "host_id": (pa.string(), False),
    "episode_id": (pa.string(), False),
    "received_at_wall": (pa.timestamp("us", tz="UTC"), False),
    "size_bytes": (pa.int64(), False),
    "sha256": (pa.string(), False),
    "content_sha256": (pa.string(), True),
    "commit": (pa.string(), True),
    "gate": (pa.string(), True),
    "backfilled": (pa.bool_(), False),
    "withdrawn": (pa.string(), True),
}


def row(n):
    """A row of the index as a receiver writes it, every field there in some of them and missing in others."""
    at = FIRST + datetime.timedelta(seconds=33 * n, microseconds=n % 1_000_000)
    written = {
        "episode_id": f"ep-{n:07}",
        "host_id": f"lab-{n % 7}",
        "received_at_wall": at.strftime("%Y-%m-%dT%H:%M:%S.%fZ"),
        "schema_version": 1,
        "sha256": hashlib.sha256(b"%d" % n).hexdigest(),
        "size_bytes": n * 7919 % (1 << 40),
    }
    if n % 2:
        written["content_sha256"] = hashlib.sha256(b"content %d" % n).hexdigest()
    if n % 3:
        written["commit"] = hashlib.sha1(b"%d" % (n // 1000)).hexdigest()
    if n % 5 == 0:
        written["gate"] = ("off", "allowed")[n % 2]
    if n % 11 == 0:
        written["backfilled"] = True
    if n % 101 == 0:
        written["withdrawn"] = f"Linse beschlagen, größtenteils \N{CRYING FACE} {n}"
    read = {name: written.get(name) for name in TYPES}
    read |= {"received_at_wall": at, "backfilled": "backfilled" in written}
    return written, read


def main():
    with tempfile.TemporaryDirectory() as cwd:
        root = Path(cwd, "received")
        Path(root, "episodes").mkdir(parents=True)
        rows = [row(n) for n in range(ROWS)]
        with Path(root, "index.jsonl").open("w", encoding="utf-8") as index:
            for written, _ in rows:
                index.write(json.dumps(written, sort_keys=True, ensure_ascii=False, separators=(",", ":")) + "\n")
        export = ["episodes", "export", "--root", "received", "--format", "parquet"]
        rig.highwater(*export, "--out", "rows.parquet", cwd=cwd)
        file = pq.ParquetFile(Path(cwd, "rows.parquet"))
        found = {field.name: (field.type, field.nullable) for field in file.schema_arrow}
        if found != TYPES or list(found) != list(TYPES):
            rig.fail(f"pyarrow: the columns are {found}")
        table = file.read()
        if table.to_pylist() != [read for _, read in rows]:
            rig.fail("pyarrow: the rows are not those of the index")
        print(f"pyarrow: {table.num_rows} rows in {file.num_row_groups} groups, {len(found)} columns, on both sides")

        # Through a pipe, and of a time when nothing came.
        piped = subprocess.run([sys.argv[1], *export], cwd=cwd, stdout=subprocess.PIPE, check=True, timeout=60).stdout
        if piped != Path(cwd, "rows.parquet").read_bytes():
            rig.fail("pyarrow: what is piped is not what is written")
        rig.highwater(*export, "--out", "none.parquet", "--since", "9000-01-01T00:00:00Z", cwd=cwd)
        none = pq.read_table(Path(cwd, "none.parquet"))
        if none.num_rows or none.schema != table.schema:
            rig.fail(f"pyarrow: of that time there are {none.num_rows} rows of {none.schema}")


if __name__ == "__main__":
    main()
