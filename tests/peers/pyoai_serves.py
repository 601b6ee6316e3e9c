"""pyoai's BatchingServer serves, highwater harvests."""

import cgi
from datetime import datetime
from urllib.parse import parse_qs

# pyoai calls it where Python 3.8 left it out.
cgi.parse_qs = parse_qs

import records
import rig
from oaipmh import common, error, metadata, server

TIME = "%Y-%m-%dT%H:%M:%SZ"


def time(text):
    return datetime.strptime(text, TIME)


class Data:
    """The records, as pyoai asks for them."""

    def __init__(self, held):
        self.held = held

    def identify(self):
        earliest = time(min(record.datestamp for record in self.held.values()))
        mails = ["peers@example.org"]
        granularity, compression = "YYYY-MM-DDThh:mm:ssZ", ["identity"]
        url = "http://example.org/oai"
        return common.Identify("pyoai", url, "2.0", mails, earliest, "persistent", granularity, compression)

    def listMetadataFormats(self, identifier=None):
        return [("oai_dc", "http://www.openarchives.org/OAI/2.0/oai_dc.xsd", records.OAI_DC)]

    def listSets(self, cursor=0, batch_size=rig.PAGE_RECORDS):
        specs = sorted({spec for record in self.held.values() for spec in record.sets})
        return [(spec, spec, "") for spec in specs][cursor : cursor + batch_size]

    def getRecord(self, metadataPrefix, identifier):
        if identifier not in self.held:
            raise error.IdDoesNotExistError(identifier)
        return self.answer(self.held[identifier])

    def listIdentifiers(self, **arguments):
        return [header for header, _, _ in self.listRecords(**arguments)]

    def listRecords(self, metadataPrefix, cursor, batch_size, from_=None, until=None, set=None):
        start, end = (at and at.strftime(TIME) for at in (from_, until))
        found = records.select(self.held, start, end, set)[cursor : cursor + batch_size]
        return [self.answer(record) for record in found]

    def answer(self, record):
        header = common.Header(None, record.identifier, time(record.datestamp), record.sets, record.deleted)
        return header, None if record.deleted else record, None


def main():
    held, source = records.records()
    print(f"pyoai serves {len(held)} records of {source}")
    formats = metadata.MetadataRegistry()
    formats.registerWriter("oai_dc", lambda element, record: element.append(record.element()))
    peer = server.BatchingServer(Data(held), metadata_registry=formats, resumption_batch_size=rig.PAGE_RECORDS)
    rig.harvest("pyoai", peer.handleRequest, held)


if __name__ == "__main__":
    main()
