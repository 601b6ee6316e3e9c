SELECT record.id, record.oai_id FROM metadata JOIN record ON record.id = metadata.record ORDER BY record.id
