"""oai-repo serves, highwater harvests."""

import oai_repo
import records
import rig

FORMAT = oai_repo.MetadataFormat("oai_dc", "http://www.openarchives.org/OAI/2.0/oai_dc.xsd", records.OAI_DC)


class Data(oai_repo.DataInterface):
    """The records, as oai-repo asks for them."""

    limit = rig.PAGE_RECORDS

    def __init__(self, held):
        self.held = held

    def get_identify(self):
        return oai_repo.Identify(
            repository_name="oai-repo",
            base_url="http://example.org/oai",
            admin_email=["peers@example.org"],
            earliest_datestamp=min(record.datestamp for record in self.held.values()),
            deleted_record="no",
            granularity="YYYY-MM-DDThh:mm:ssZ",
        )

    def is_valid_identifier(self, identifier):
        return identifier in self.held

    def get_metadata_formats(self, identifier=None):
        return [FORMAT]

    def get_record_header(self, identifier):
        record = self.held[identifier]
        return oai_repo.RecordHeader(identifier, record.datestamp, list(record.sets))

    def get_record_metadata(self, identifier, metadataprefix):
        return self.held[identifier].element()

    def get_record_abouts(self, identifier):
        return []

    def list_set_specs(self, identifier=None, cursor=0):
        specs = sorted({spec for record in self.held.values() for spec in record.sets})
        return specs, len(specs), None

    def get_set(self, setspec):
        return oai_repo.Set(setspec, setspec, [])

    def list_identifiers(self, metadataprefix, filter_from=None, filter_until=None, filter_set=None, cursor=0):
        start, until = (time and time.strftime("%Y-%m-%dT%H:%M:%SZ") for time in (filter_from, filter_until))
        found = [record.identifier for record in records.select(self.held, start, until, filter_set)]
        return found[cursor : cursor + self.limit], len(found), None


def main():
    held, source = records.records()
    # It has no way to say that a record was deleted.
    held = {identifier: record for identifier, record in held.items() if not record.deleted}
    print(f"oai-repo serves {len(held)} records of {source}")
    repository = oai_repo.OAIRepository(Data(held))
    rig.harvest("oai-repo", lambda arguments: bytes(repository.process(arguments)), held)


if __name__ == "__main__":
    main()
