"""Documents that no one here wrote, from Debian's documentation packages, with office files that pandoc and LibreOffice make of some of
them, become one base. Pandoc reads the originals and what became of them, and both must have the same headings, tables, code and
pictures; pypdf reads the outlines of PDFs, and the sections must begin on the same pages.

usage: real_documents.py HIGHWATER DIRECTORY     DIRECTORY keeps the packages: a second run fetches nothing
"""

import collections
import gzip
import hashlib
import json
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from pypdf import PdfReader

PACKAGES = [
    "bash-doc", "debian-faq", "debian-policy", "debmake-doc", "developers-reference", "git-doc", "ieee-data", "nodejs-doc", "r-doc-pdf",
    "sqlite3-doc", "valgrind",
]
DOCUMENTS_MIN = 300
# Of each kind below one directory.
OF_A_KIND_MAX = 40
# Larger than these, one file would take as long as all others together.
BYTES_MAX = {".html": 1 << 20, ".pdf": 1 << 22}
OFFICE_MAX = 12
COMMAND_SECS_MAX = 1800
# What pandoc finds in the original, and not in what became of it, may be so much of all.
LOST_MAX = 0.02
# Tables that only lay a page out, as the bars of links above and below each page of a book do, may be so much of all.
LAYOUT_MAX = 0.1
# A document with fewer pages needs no tree.
PAGES_MIN = 20
# A title that is longer is cut where sections are listed.
CUT_MIN = 40
# An outline's entry whose section begins on another page.
MISPLACED_MAX = 0.05
# A picture that so many documents show.
DECORATES_MIN = 5
SHOWN_MAX = 8
READ_AS = {".html": "html", ".md": "markdown", ".docx": "docx", ".epub": "epub"}


def fail(why):
    sys.exit(f"real documents: {why}")


def ran(*command, cwd=None, expect=(0,)):
    done = subprocess.run(command, cwd=cwd, capture_output=True, timeout=COMMAND_SECS_MAX, check=False)
    if done.returncode not in expect:
        fail(f"{' '.join(map(str, command))}: exit {done.returncode}\n{done.stderr.decode(errors='replace')[-2000:]}")
    return done.stdout


def fetched(directory):
    """The packages, unpacked; what they keep compressed is not any more."""
    for package in PACKAGES:
        there = directory / package
        if there.exists():
            continue
        with tempfile.TemporaryDirectory(dir=directory) as deb:
            Path(deb).chmod(0o777)
            ran("apt-get", "download", "-qq", package, cwd=deb)
            unpacked = Path(deb) / "unpacked"
            for archive in Path(deb).glob("*.deb"):
                ran("dpkg-deb", "-x", archive, unpacked)
            for packed in unpacked.rglob("*.gz"):
                if packed.is_file() and not packed.is_symlink():
                    with gzip.open(packed) as inner, packed.with_suffix("").open("wb") as plain:
                        shutil.copyfileobj(inner, plain)
            unpacked.rename(there)


def chosen(directory):
    """Some of each kind of each directory, in the order of their names."""
    counts, found = collections.Counter(), []
    for path in sorted(directory.rglob("*")):
        kind = path.suffix
        if kind not in {".pdf", ".epub", ".html", ".md", ".txt", ".csv"} or path.is_symlink() or not path.is_file():
            continue
        if not 0 < path.stat().st_size <= BYTES_MAX.get(kind, 1 << 20):
            continue
        if counts[path.parent, kind] < OF_A_KIND_MAX:
            counts[path.parent, kind] += 1
            found.append(path)
    return found


def office(documents, into):
    """Office files of some of them."""
    into.mkdir(exist_ok=True)
    made = []

    def make(kind, of, command):
        for path in [path for path in documents if path.suffix == of][:OFFICE_MAX]:
            out = into / f"{path.stem}-{kind}.{kind}"
            if not out.exists():
                command(path, out)
            made.append(out)

    def pandoc(path, out):
        ran("pandoc", "-f", READ_AS[path.suffix], path, "-o", out, cwd=path.parent)

    def calc(path, out):
        with tempfile.TemporaryDirectory(dir=into) as own:
            home = f"-env:UserInstallation=file://{own}/home"
            ran("soffice", home, "--headless", "--convert-to", out.suffix[1:], "--outdir", own, path)
            (Path(own) / path.with_suffix(out.suffix).name).rename(out)

    make("docx", ".html", pandoc)
    make("pptx", ".md", pandoc)
    if shutil.which("soffice"):
        make("xlsx", ".csv", calc)
    else:
        print("real documents: no workbooks, since soffice is not here")
    return made


def read(path, how):
    """What pandoc finds: the words of headings, the text of code, and how many tables and pictures."""
    tree = json.loads(ran("pandoc", "-f", how, "-t", "json", path))
    found = collections.defaultdict(list)

    def words(node):
        if isinstance(node, list):
            return "".join(map(words, node))
        if not isinstance(node, dict) or node.get("t") == "Note":
            return ""
        if node.get("t") == "Str":
            return node["c"]
        if node.get("t") in {"Code", "Math"}:
            return node["c"][1]
        return "".join(map(words, node.values()))

    def walk(node):
        for inner in node if isinstance(node, list) else node.values() if isinstance(node, dict) else []:
            walk(inner)
        match node:
            case {"t": "Header", "c": [_, _, text]}:
                found["headings"].append(re.sub(r"\W+", "", words(text)).lower())
            case {"t": "CodeBlock", "c": [_, text]}:
                found["code"].append(re.sub(r"\W+", "", text))
            case {"t": "Table"}:
                found["tables"].append(len(found["tables"]))
            case {"t": "Image", "c": [_, _, [target, _]]}:
                found["pictures"].append(target)

    walk(tree["blocks"])
    return found


def shown(document, targets):
    """The pictures that lie beside the document: what lies elsewhere is not taken along, and what is twice there is kept once."""
    beside = [Path(document["origin"]).parent / target for target in targets if not re.match(r"[a-z]+:|/", target)]
    return {hashlib.sha256(path.read_bytes()).digest() for path in beside if path.is_file()}


def compare(base, documents):
    """What of the originals is in what became of them."""
    counts, told = collections.Counter(), []
    decorates, pictured = collections.Counter(), []
    for document in documents:
        how = READ_AS.get(Path(document["raw"]).suffix)
        if how is None:
            continue
        before, after = read(base / document["raw"], how), read(base / document["full_text"], "gfm+footnotes")
        for kind in ("headings", "code"):
            lost = collections.Counter(text for text in before[kind] if text) - collections.Counter(after[kind])
            if kind == "code" and how == "docx":
                # Word has no word for code: pandoc marks it by a style of its own.
                continue
            if kind == "code":
                # Where one ends and the next begins is the reader's view.
                all_of_it = "".join(after[kind])
                lost = collections.Counter({text: count for text, count in lost.items() if text not in all_of_it})
            counts[kind] += len(before[kind])
            counts[f"lost {kind}"] += lost.total()
            if lost:
                told.append(f"{document['name']} lacks {lost.total()} of its {len(before[kind])} {kind}: {list(lost)[:2]}")
        counts["tables"] += len(before["tables"])
        counts["tables now"] += len(after["tables"])
        there, kept = shown(document, before["pictures"]), len(set(after["pictures"]))
        counts["pictures"] += len(there)
        if len(there) > kept:
            pictured.append((document["name"], there, kept))
        decorates.update(there)
    # What every page of a site shows is its frame.
    for name, there, kept in pictured:
        lost = sum(decorates[picture] < DECORATES_MIN for picture in there) - kept
        if lost > 0:
            counts["lost pictures"] += lost
            told.append(f"{name} lacks {lost} of its {len(there)} pictures")
    print(f"real documents: as pandoc reads them: {dict(counts)}")
    for line in told[:SHOWN_MAX]:
        print(f"  {line[:200]}")
    for kind in ("headings", "code", "pictures"):
        if counts[f"lost {kind}"] > LOST_MAX * counts[kind]:
            fail(f"{counts[f'lost {kind}']} of {counts[kind]} {kind} are gone")
    if counts["tables now"] < (1 - LAYOUT_MAX) * counts["tables"]:
        fail("tables are gone")


def outlined(base, documents):
    """Whether the sections of PDFs begin where their outlines say."""
    entries = misplaced = files = 0
    for document in documents:
        if Path(document["raw"]).suffix != ".pdf" or (document["pages"] or 0) < PAGES_MIN:
            continue
        pdf = PdfReader(base / document["raw"])

        def of(outline, level):
            for entry in outline:
                if isinstance(entry, list):
                    yield from of(entry, level + 1)
                elif level < 2 and (page := pdf.get_destination_page_number(entry)) is not None:
                    yield re.sub(r"\W+", "", entry.title).lower(), page + 1

        wanted = list(of(pdf.outline, 0))
        if not wanted:
            continue
        files += 1
        summary = (base / "wiki/summaries" / f"{document['name']}.md").read_text()
        sections = collections.defaultdict(list)
        for title, page in re.findall(r"^ *- (.*) \(pages? (\d+)[–,]", summary, re.MULTILINE):
            sections[int(page)].append(re.sub(r"\W+", "", title).lower())
        # Its number stands before a title on the page in some, and in the outline in others.
        wrong = [
            (title, page)
            for title, page in wanted
            if not any(
                title.endswith(section) or section.endswith(title) or (len(section) > CUT_MIN and title.startswith(section))
                for section in sections[page]
            )
        ]
        entries += len(wanted)
        misplaced += len(wrong)
        if wrong:
            print(f"  {document['name']}: {len(wrong)} of {len(wanted)} entries of its outline begin elsewhere: {wrong[:3]}")
    print(f"real documents: {entries - misplaced} of {entries} entries of {files} outlines begin on their pages")
    if files == 0 or misplaced > MISPLACED_MAX * entries:
        fail("the trees of PDFs are not those of their outlines")


def main():
    binary, directory = sys.argv[1], Path(sys.argv[2]).parent / "documents"
    directory.mkdir(parents=True, exist_ok=True)
    for tool in ("apt-get", "dpkg-deb", "pandoc"):
        if not shutil.which(tool):
            fail(f"{tool} is not here (on Debian: apt-get install pandoc): they cannot be tried")
    fetched(directory)
    documents = chosen(directory)
    documents += office(documents, directory / "office")
    kinds = collections.Counter(path.suffix for path in documents)
    with tempfile.TemporaryDirectory() as own:
        base = Path(own) / "notes"
        ran(binary, "kb", "init", base)
        report = json.loads(ran(binary, "kb", "add", "--kb", base, "--json", *documents).decode().splitlines()[-1])
        counts = report["counts"]
        print(f"real documents: {len(documents)} of {dict(kinds)}: {counts}")
        if len(documents) < DOCUMENTS_MIN or counts["done"] + counts["present"] + counts["review"] != len(documents):
            fail(f"they did not all come in or get a reason: {report}")
        ledger = base / ".highwater-state/ledger.db"
        reviews = ran(binary, "--ledger", ledger, "items", report["job"], "--outcome", "review", "--json").decode().splitlines()
        for item in map(json.loads, reviews):
            print(f"  review: {Path(item['key']).name}: {item['detail']}")
            if not item["detail"]:
                fail(f"a review without a reason: {item}")
        linted = json.loads(ran(binary, "kb", "lint", "--kb", base, "--json", expect=(0, 3, 4)).decode().splitlines()[-1])
        print(f"real documents: lint: {linted['pages']} pages, {linted['counts']}")
        if linted["faults"]:
            fail("the base has faults: links that lead nowhere, or worse")
        known = [json.loads(line) for line in ran(binary, "kb", "list", "--kb", base, "--json").decode().splitlines()]
        compare(base, known)
        outlined(base, known)


main()
