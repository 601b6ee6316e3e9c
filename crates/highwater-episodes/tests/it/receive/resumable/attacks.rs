//! What a client may try.

use super::super::rig::{MASTER, Rig};
use super::{PART, metadata};

#[tokio::test(flavor = "multi_thread")]
async fn metadata_that_is_not_what_it_should_be_begins_nothing() {
    let rig = Rig::new().await;
    let post = async |metadata: &str| {
        rig.tus("POST", "/v1/uploads", &[("Upload-Length", "5"), ("Upload-Metadata", metadata)], b"").await
    };
    let (host, names) = ("host bGFi", metadata(&[("host", "lab"), ("episode", "a")]));
    for bad in [
        format!("{host},episode ****"),
        format!("{host},episode YQ"),
        format!("{host},episode YQ== x"),
        format!("{host},,episode YQ=="),
        format!("{host},{host},episode YQ=="),
        format!("{names},{}", "k".repeat(8 * 1024)),
        format!("{names},{}", (0..100).map(|n| format!("k{n}")).collect::<Vec<_>>().join(",")),
        format!("{names},commit {}", "AAAA".repeat(2_000)),
    ] {
        let refused = post(&bad).await;
        assert_eq!((refused.status, refused.code().as_str()), (400, "bad-upload-metadata"), "{bad}");
    }
    for bad in ["", host, "episode YQ==", "host,episode YQ==", "host /w==,episode YQ=="] {
        let refused = post(bad).await;
        assert!(matches!((refused.status, refused.code().as_str()), (400, "bad-name")), "{bad}: {refused:?}");
    }
    let twice = [("Upload-Length", "5"), ("Upload-Metadata", &*names), ("Upload-Metadata", &names)];
    assert_eq!(rig.tus("POST", "/v1/uploads", &twice, b"").await.status, 400);
    for (key, bad) in
        [("sha256", "abc"), ("content-sha256", "../.."), ("judge", "nobody"), ("commit", "a\r\nX: y"), ("sha256", "\0")]
    {
        let refused = post(&metadata(&[("host", "lab"), ("episode", "a"), (key, bad)])).await;
        assert_eq!(refused.status, 400, "{key}: {refused:?}");
    }
    rig.assert_nothing_written();
}

#[tokio::test(flavor = "multi_thread")]
async fn no_name_in_the_metadata_leads_out_of_the_store() {
    let rig = Rig::new().await;
    let master = format!("Bearer {MASTER}");
    let names =
        ["..", ".", "../x", "a/b", "/etc/passwd", ".hidden", "-rf", "a\0", "a\\b", "a b", "ä", "a\n", &"x".repeat(129)];
    for name in names {
        for pairs in [[("host", name), ("episode", "a")], [("host", "lab"), ("episode", name)]] {
            let headers = [("Authorization", &*master), ("Upload-Length", "5"), ("Upload-Metadata", &metadata(&pairs))];
            let refused = rig.tus("POST", "/v1/uploads", &headers, b"").await;
            assert_eq!((refused.status, refused.code().as_str()), (400, "bad-name"), "{name:?}");
        }
    }
    rig.assert_nothing_written();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_length_that_is_none_or_lies_begins_nothing_and_stores_nothing() {
    let rig = Rig::new().await;
    let names = metadata(&[("host", "lab"), ("episode", "a")]);
    for lengths in [
        &[][..],
        &["-1"],
        &["+5"],
        &["5.0"],
        &["0x5"],
        &[""],
        &["5 5"],
        &["5, 5"],
        &["5", "6"],
        &["18446744073709551616"],
    ] {
        let mut headers = vec![("Upload-Metadata", &*names)];
        headers.extend(lengths.iter().map(|length| ("Upload-Length", *length)));
        let refused = rig.tus("POST", "/v1/uploads", &headers, b"").await;
        assert_eq!((refused.status, refused.code().as_str()), (400, "bad-upload-field"), "{lengths:?}");
    }
    let deferred = [("Upload-Metadata", &*names), ("Upload-Defer-Length", "1")];
    assert_eq!(rig.tus("POST", "/v1/uploads", &deferred, b"").await.status, 400);
    let huge = [("Upload-Metadata", &*names), ("Upload-Length", "18446744073709551615")];
    assert_eq!(rig.tus("POST", "/v1/uploads", &huge, b"").await.status, 413);
    let with_body = [("Upload-Metadata", &*names), ("Upload-Length", "5")];
    assert_eq!(rig.tus("POST", "/v1/uploads", &with_body, b"12345").await.code(), "bad-upload-field");
    rig.assert_nothing_written();
    // A body of unknown length that goes on and on.
    let place = rig.begun("a", 10).await;
    let chunks = b"8\r\n12345678\r\n8\r\n12345678\r\n8\r\n12345678\r\n0\r\n\r\n";
    let headers = [PART, ("Upload-Offset", "0"), ("Transfer-Encoding", "chunked")];
    let beyond = rig.tus("PATCH", &place, &headers, chunks).await;
    assert_eq!(
        (beyond.status, beyond.code().as_str(), beyond.header("connection")),
        (413, "beyond-length", Some("close"))
    );
    assert!(rig.offset(&place).await.unwrap() < 10);
    assert_eq!((rig.files(), rig.rows()), (vec![], vec![]));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_record_that_is_damaged_is_set_aside_and_the_rest_goes_on() {
    let rig = Rig::new().await;
    let (a, b, c) = (rig.begun("a", 10).await, rig.begun("b", 10).await, rig.begun("c", 10).await);
    for place in [&a, &b, &c] {
        assert_eq!(rig.patch(place, 0, b"12345").await.status, 204);
    }
    let id = |place: &str| place.rsplit('/').next().unwrap().to_owned();
    let record = |place| rig.path("episodes/.staging").join(format!("{}.record", id(place)));
    let (of_a, of_c) = (record(&a), record(&c));
    let dir = rig.end().await;
    std::fs::write(of_a, "\0\0\0").unwrap();
    std::fs::write(of_c, "{\"key\":\"../../x\"}\n").unwrap();
    let rig = Rig::start(dir, std::sync::Arc::new(highwater_episodes::receive::gate::Off), |_| {}).await;
    assert_eq!((rig.offset(&a).await, rig.offset(&b).await, rig.offset(&c).await), (None, Some(5), None));
    let aside = std::fs::read_dir(rig.path("quarantine")).unwrap().count();
    assert_eq!(aside, 8, "the bytes and the record of two, each with the reason");
}
