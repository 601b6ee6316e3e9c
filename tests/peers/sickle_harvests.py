"""sickle harvests what highwater serves."""

import tempfile
from pathlib import Path

import records
import rig
from sickle import oaiexceptions


def refuses(what, error, ask):
    try:
        ask()
    except error:
        print(f"sickle: {what} is {error.__name__}")
        return
    rig.fail(f"{what}: no {error.__name__}")


def main():
    data, source = records.answer()
    held, _ = records.records()
    print(f"highwater serves {len(held)} records of {source}")
    with tempfile.TemporaryDirectory() as cwd:
        catalog, answer = Path(cwd, "catalog.db"), Path(cwd, "answer.xml")
        answer.write_bytes(data)
        rig.highwater("catalog", "--catalog", str(catalog), "load", str(answer), cwd=cwd)
        with rig.highwater_serving(catalog, "--page-size", str(rig.PAGE_RECORDS)) as base_url:
            lists(base_url, held)
            the_rest(base_url, held)


def lists(base_url, held):
    """Pages of ten: whole, by POST, between two times, of a set."""
    headers, oai_dc = rig.headers(held), {"metadataPrefix": "oai_dc"}
    rig.agree("sickle: ListRecords", held, rig.sickle_reads(base_url, **oai_dc))
    rig.agree("sickle: ListRecords by POST", held, rig.sickle_reads(base_url, method="POST", **oai_dc))
    rig.agree("sickle: ListIdentifiers", headers, rig.sickle_reads(base_url, "ListIdentifiers", **oai_dc))
    stamps = sorted(record.datestamp for record in held.values())
    start, until = stamps[len(stamps) // 4], stamps[len(stamps) * 3 // 4]
    between = {record.identifier: record for record in records.select(held, start, until)}
    found = rig.sickle_reads(base_url, **{"from": start, "until": until, **oai_dc})
    rig.agree(f"sickle: from {start} until {until}", between, found)
    live = {identifier: record for identifier, record in held.items() if not record.deleted}
    rig.agree("sickle: without deleted ones", live, rig.sickle_reads(base_url, ignore_deleted=True, **oai_dc))
    specs = {spec for record in held.values() for spec in record.sets}
    said = {item.setSpec for item in rig.client(base_url).ListSets()}
    if said != specs:
        rig.fail(f"sickle: ListSets says {sorted(said)}, not {sorted(specs)}")
    for spec in sorted(specs)[:3]:
        of_set = {record.identifier: record for record in records.select(held, of_set=spec)}
        rig.agree(f"sickle: the set {spec}", of_set, rig.sickle_reads(base_url, set=spec, **oai_dc))


def the_rest(base_url, held):
    """Identify, ListMetadataFormats, GetRecord of every record, and the errors."""
    sickle = rig.client(base_url)
    identify = sickle.Identify()
    earliest = min(record.datestamp for record in held.values())
    said = (identify.protocolVersion, identify.deletedRecord, identify.granularity, identify.earliestDatestamp)
    if said != ("2.0", "persistent", "YYYY-MM-DDThh:mm:ssZ", earliest) or identify.baseURL != base_url:
        rig.fail(f"sickle: Identify says {said} at {identify.baseURL}")
    if [form.metadataPrefix for form in sickle.ListMetadataFormats()] != ["oai_dc"]:
        rig.fail("sickle: ListMetadataFormats says other than oai_dc")
    one_by_one = (records.read(sickle.GetRecord(identifier=key, metadataPrefix="oai_dc").xml) for key in held)
    rig.agree("sickle: GetRecord", held, {record.identifier: record for record in one_by_one})
    oai_dc = {"metadataPrefix": "oai_dc"}
    nobody = "oai:nowhere.example.org:1"
    refuses("a token of somebody else", oaiexceptions.BadResumptionToken, lambda: sickle.ListRecords(resumptionToken="1"))
    refuses("another format", oaiexceptions.CannotDisseminateFormat, lambda: sickle.ListRecords(metadataPrefix="marc"))
    refuses("a record that is not there", oaiexceptions.IdDoesNotExist, lambda: sickle.GetRecord(identifier=nobody, **oai_dc))
    refuses("a time without records", oaiexceptions.NoRecordsMatch, lambda: sickle.ListRecords(**{"from": "2199-01-01", **oai_dc}))
    refuses("a list without a format", oaiexceptions.BadArgument, lambda: sickle.ListRecords())


if __name__ == "__main__":
    main()
