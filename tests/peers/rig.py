"""What the peers share: a server on the loopback, highwater as a person runs it, sickle as a reader of what it serves, and the
comparison of what both sides have."""

import collections
import json
import sqlite3
import subprocess
import sys
import tempfile
import threading
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import parse_qsl
from wsgiref.simple_server import WSGIRequestHandler, make_server

import records
from sickle import Sickle

PAGE_RECORDS = 10
COMMAND_SECS_MAX = 300
REQUEST_SECS_MAX = 60
SHOWN_MAX = 5

CONFIG = """
[resource.peer]
pace = "0s"

[job.harvest]
kind = "oai-harvest"
resources = ["peer"]
repository = {{ base-url = "{url}", contact = "peers@example.org" }}

[job.of-set]
kind = "oai-harvest"
resources = ["peer"]
catalog = "of-set.db"
repository = {{ base-url = "{url}", set = "{set}" }}

[job.missing]
kind = "oai-backfill"
resources = ["peer"]
catalog = "missing.db"
repository = {{ base-url = "{url}" }}
"""


class Quiet(WSGIRequestHandler):
    def log_message(self, *_):
        pass


@contextmanager
def serving(answer):
    """Serves what `answer` makes of a request's arguments; the address of it, and the arguments of every request."""
    asked = []

    def application(environ, start):
        arguments = dict(parse_qsl(environ["QUERY_STRING"], keep_blank_values=True))
        asked.append(dict(arguments))
        body = answer(arguments)
        start("200 OK", [("Content-Type", "text/xml; charset=utf-8"), ("Content-Length", str(len(body)))])
        return [body]

    with make_server("127.0.0.1", 0, application, handler_class=Quiet) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}/oai", asked
        server.shutdown()


def highwater(*arguments, cwd, expect=0):
    """Runs a command to its end; what it prints."""
    ran = subprocess.run(
        [sys.argv[1], *arguments], cwd=cwd, capture_output=True, text=True, timeout=COMMAND_SECS_MAX, check=False
    )
    if ran.returncode != expect:
        fail(f"highwater {' '.join(arguments)}: exit {ran.returncode}, not {expect}\n{ran.stdout}{ran.stderr}")
    return ran.stdout


@contextmanager
def highwater_serving(catalog, *arguments):
    """highwater's provider of a catalogue; its address."""
    command = [sys.argv[1], "--json", "oai", "serve", "--catalog", str(catalog), "--listen", "127.0.0.1:0", *arguments]
    with tempfile.TemporaryDirectory() as here, subprocess.Popen(
        command, cwd=here, stdout=subprocess.PIPE, text=True
    ) as server:
        try:
            yield json.loads(server.stdout.readline())["base_url"]
        finally:
            server.terminate()


def in_catalogue(path):
    """What highwater has, read from the table without highwater."""
    with sqlite3.connect(f"file:{path}?mode=ro", uri=True) as db:
        rows = db.execute(
            "SELECT oai_id, strftime(iif(by_day, '%Y-%m-%d', '%Y-%m-%dT%H:%M:%SZ'), datestamp, 'unixepoch'), sets, state "
            "FROM record"
        )
        return {
            identifier: records.Record(identifier, datestamp, tuple(sorted(json.loads(sets))), state == "deleted", None)
            for identifier, datestamp, sets, state in rows
        }


def client(base_url, method="GET"):
    return Sickle(base_url, http_method=method, encoding="utf-8", timeout=REQUEST_SECS_MAX)


def sickle_reads(base_url, verb="ListRecords", method="GET", **arguments):
    """A whole list, by identifier."""
    found = [records.read(item.xml) for item in getattr(client(base_url, method), verb)(**arguments)]
    by_identifier = {record.identifier: record for record in found}
    if len(by_identifier) != len(found):
        fail(f"{verb} {arguments}: {len(found) - len(by_identifier)} records came twice")
    return by_identifier


def harvest(peer, answer, expected):
    """A harvest, one of a set, a backfill of all and a second harvest, from a server; highwater must then have `expected`."""
    specs = collections.Counter(spec for record in expected.values() for spec in record.sets)
    # One that has some of the records and more than a page of them.
    of_set = next(spec for spec, count in specs.most_common() if count < len(expected))
    live = {identifier: record for identifier, record in expected.items() if not record.deleted}
    with tempfile.TemporaryDirectory() as cwd, serving(answer) as (url, asked):
        cwd = Path(cwd)
        (cwd / "highwater.toml").write_text(CONFIG.format(url=url, set=of_set), encoding="utf-8")
        highwater("run", "harvest", "--until-drained", cwd=cwd)
        lists = [request for request in asked if request.get("verb") == "ListRecords"]
        if not any("resumptionToken" in request for request in lists):
            fail(f"{peer}: no list had a second page")
        catalog = cwd / ".highwater-state" / "catalog.db"
        agree(f"{peer}: harvested", headers(expected), in_catalogue(catalog))
        with highwater_serving(catalog) as base_url:
            agree(f"{peer}: harvested, with metadata", expected, sickle_reads(base_url, metadataPrefix="oai_dc"))

        highwater("run", "of-set", "--until-drained", cwd=cwd)
        in_set = {identifier: record for identifier, record in expected.items() if of_set in record.sets}
        agree(f"{peer}: the set {of_set}", headers(in_set), in_catalogue(cwd / "of-set.db"))

        highwater("run", "missing", "--until-drained", cwd=cwd)
        agree(f"{peer}: drained record by record", headers(live), in_catalogue(cwd / "missing.db"))

        asked.clear()
        highwater("run", "harvest", cwd=cwd)
        if not all("from" in request for request in asked) or not asked:
            fail(f"{peer}: the second harvest did not ask for what is new: {asked}")
        agree(f"{peer}: after a second harvest", headers(expected), in_catalogue(catalog))


def headers(of):
    return {identifier: record.without_metadata() for identifier, record in of.items()}


def agree(what, expected, found):
    """Both sides have the same records, or this is the end."""
    missing, more = expected.keys() - found.keys(), found.keys() - expected.keys()
    other = [key for key in expected.keys() & found.keys() if expected[key] != found[key]]
    if not (missing or more or other):
        deleted = sum(record.deleted for record in found.values())
        print(f"{what}: {len(found)} records, {deleted} of them deleted, on both sides")
        return
    lines = [f"{what}: {len(missing)} missing, {len(more)} too many, {len(other)} different"]
    lines += [f"  missing {key}" for key in sorted(missing)[:SHOWN_MAX]]
    lines += [f"  too many {key}" for key in sorted(more)[:SHOWN_MAX]]
    lines += [f"  expected {expected[key]}\n  found    {found[key]}" for key in sorted(other)[:SHOWN_MAX]]
    fail("\n".join(lines))


def fail(why):
    sys.exit(f"peers: {why}")
