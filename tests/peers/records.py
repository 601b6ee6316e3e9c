"""The records that the peers and highwater must agree on: real ones where the shared data is there, else a few made here."""

import os
from dataclasses import dataclass
from pathlib import Path

from lxml import etree

OAI = "{http://www.openarchives.org/OAI/2.0/}"
DC = "http://purl.org/dc/elements/1.1/"
OAI_DC = "http://www.openarchives.org/OAI/2.0/oai_dc/"
REAL = "doab-listrecords-100.xml"
MADE_COUNT = 25


@dataclass(frozen=True)
class Record:
    """What both sides must say of a record. Metadata is canonical XML, so that two spellings of one thing are equal."""

    identifier: str
    datestamp: str
    sets: tuple
    deleted: bool
    metadata: bytes | None

    def element(self):
        """The metadata, to be hung into an answer."""
        return etree.fromstring(self.metadata)

    def without_metadata(self):
        return Record(self.identifier, self.datestamp, self.sets, self.deleted, None)


def read(record):
    """A record from its <record> or <header> element."""
    header = record if record.tag == OAI + "header" else record.find(OAI + "header")
    metadata = record.find(f"{OAI}metadata/*")
    return Record(
        header.findtext(OAI + "identifier"),
        header.findtext(OAI + "datestamp"),
        tuple(sorted(spec.text for spec in header.findall(OAI + "setSpec"))),
        header.get("status") == "deleted",
        None if metadata is None else canonical(metadata),
    )


def canonical(element):
    """Exclusive canonical XML, without the white space that only sets elements apart."""
    alone = etree.fromstring(etree.tostring(element, with_tail=False), etree.XMLParser(remove_blank_text=True))
    return etree.tostring(alone, method="c14n", exclusive=True)


def answer():
    """An answer to ListRecords as bytes, and where it comes from."""
    beside = Path(__file__).resolve().parents[2].parent / "shared" / "data"
    real = Path(os.environ.get("HIGHWATER_SHARED_DATA", beside)) / REAL
    if real.is_file():
        return real.read_bytes(), str(real)
    made = "".join(map(made_record, range(MADE_COUNT)))
    text = (
        f'<OAI-PMH xmlns="{OAI[1:-1]}"><responseDate>2022-01-01T00:00:00Z</responseDate>'
        f"<request>http://example.org/</request><ListRecords>{made}</ListRecords></OAI-PMH>"
    )
    return text.encode(), f"{MADE_COUNT} records made here, as {real} is not there"


def made_record(number):
    deleted = number % 10 == 7
    header = (
        f"<identifier>oai:peers.example.org:1/{number}</identifier>"
        f"<datestamp>2021-0{number % 2 + 1}-12T08:44:{number:02}Z</datestamp>"
        f"<setSpec>set_{number % 3}</setSpec><setSpec>every</setSpec>"
    )
    if deleted:
        return f'<record><header status="deleted">{header}</header></record>'
    return (
        f'<record><header>{header}</header><metadata><o:dc xmlns:o="{OAI_DC}" xmlns:dc="{DC}">'
        f"<dc:title>Títle &amp; &lt;{number}&gt; \U0001d11e</dc:title><dc:creator>Müller, Ü.</dc:creator>"
        f"<dc:type>book</dc:type></o:dc></metadata></record>"
    )


def records():
    """All of them, by identifier, and where they come from."""
    data, source = answer()
    # Real answers begin with a newline, which a parser of XML may not accept.
    found = [read(record) for record in etree.fromstring(data.strip()).iter(OAI + "record")]
    return {record.identifier: record for record in found}, source


def select(of, start=None, until=None, of_set=None):
    """What a list between two times, and of a set, has: in the order of datestamps."""
    chosen = [
        record
        for record in of.values()
        if (start is None or record.datestamp >= start)
        and (until is None or record.datestamp <= until)
        and (of_set is None or of_set in record.sets)
    ]
    return sorted(chosen, key=lambda record: (record.datestamp, record.identifier))
