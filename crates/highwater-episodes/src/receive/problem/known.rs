//! Every problem that there is: its status, its code, and its sentence. Owns that none is told of which the API's document does not know.

/// A problem, as it is always told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::receive) struct Known {
    /// The status of its answer.
    pub(in crate::receive) status: u16,
    /// For programs.
    pub(in crate::receive) code: &'static str,
    /// For people.
    pub(in crate::receive) title: &'static str,
}

macro_rules! known {
    ($($name:ident: $status:literal $code:literal $title:literal;)*) => {
        $(pub(in crate::receive) const $name: Known = Known { status: $status, code: $code, title: $title };)*
        /// All of them.
        #[cfg(test)]
        pub(in crate::receive) const ALL: &[Known] = &[$($name),*];
    };
}

known! {
    BAD_AUTHORIZATION: 400 "bad-authorization" "It is said in two ways who calls";
    BAD_DIGEST_FIELD: 400 "bad-digest-field" "A digest cannot be read";
    BAD_HOST: 400 "bad-host" "A request names one host";
    BAD_JUDGE: 400 "bad-judge" "It is not said whose commit this is";
    BAD_LENGTH: 400 "bad-length" "Content-Length is no number";
    BAD_NAME: 400 "bad-name" "This is no name";
    BAD_QUERY: 400 "bad-query" "The query cannot be read";
    BAD_RECORDED_COMMIT: 400 "bad-recorded-commit" "This is no commit that recorded an episode";
    BAD_UPLOAD_FIELD: 400 "bad-upload-field" "A header of the upload cannot be read";
    BAD_UPLOAD_METADATA: 400 "bad-upload-metadata" "The metadata cannot be read";
    BROKEN_BODY: 400 "broken-body" "The body broke off";
    CODE_MALFORMED: 400 "code-malformed" "This is no commit of code";
    CODE_MISSING: 400 "code-missing" "It is not said which code recorded this";
    PARTIAL_PUT: 400 "partial-put" "A PUT brings the whole episode";
    WRONG_DIGEST: 400 "wrong-digest" "The body is not what its digest says";
    NO_IDENTITY: 401 "no-identity" "The receiver does not know who calls";
    FOREIGN_HOST: 403 "foreign-host" "This host is not yours";
    NO_SUCH_ADDRESS: 404 "no-such-address" "There is nothing at this address";
    NO_SUCH_EPISODE: 404 "no-such-episode" "There is no such episode";
    NO_SUCH_UPLOAD: 404 "no-such-upload" "There is no such upload";
    NO_SUCH_METHOD: 405 "no-such-method" "This address takes another method";
    TOO_SLOW: 408 "too-slow" "The upload was too slow";
    CONFLICT: 409 "conflict" "Another episode has this name";
    WITHDRAWN: 409 "withdrawn" "This episode was withdrawn";
    WRONG_OFFSET: 409 "wrong-offset" "The upload is elsewhere";
    DAMAGED: 409 "damaged" "What is stored is not what was received";
    CURSOR_OUTDATED: 410 "cursor-outdated" "The index was written anew since this page";
    UPLOAD_EXPIRED: 410 "upload-expired" "The time of this upload is over";
    IS_WITHDRAWN: 410 "withdrawn" "This episode was withdrawn";
    CODE_OUTDATED: 412 "code-outdated" "The code is out of date";
    TUS_VERSION: 412 "tus-version" "This is another version of tus";
    BEYOND_LENGTH: 413 "beyond-length" "The upload is shorter than that";
    TOO_LARGE: 413 "too-large" "The episode is too large";
    CONTENT_ENCODING: 415 "content-encoding" "An archive is compressed already, and is stored as it is sent";
    CONTENT_TYPE: 415 "content-type" "This is no part of an upload";
    NO_SUCH_RANGE: 416 "no-such-range" "The episode has no such bytes";
    UPLOAD_HELD: 423 "upload-held" "Another request has this upload in hand";
    UPLOAD_TAKEN: 423 "upload-taken" "Another request has taken this upload over";
    CHECKSUM_MISMATCH: 460 "checksum-mismatch" "The chunk is not what its checksum says";
    BUG: 500 "bug" "The receiver has failed at this request";
    STORAGE: 500 "storage" "The receiver cannot store";
    NOT_RESUMABLE: 501 "not-resumable" "Uploads cannot go on here";
    BUSY: 503 "busy" "The receiver is busy";
    GATE_UNREADY: 503 "gate-unready" "The receiver does not know yet which code is accepted";
    INDEX_EDITED: 503 "index-edited" "Rows were taken out of the receiver's index";
    NOT_READY: 503 "not-ready" "The receiver is not ready";
    PLACE_TAKEN: 507 "place-taken" "Something that is no episode has its place";
    PLACE_UNREADABLE: 507 "place-unreadable" "What is stored under this name cannot be read";
    OTHER_DISK: 507 "other-disk" "The host's directory is on another file system";
    FILE_LIMIT: 507 "file-limit" "The receiver may write no file so large";
    DISK_FULL: 507 "disk-full" "The receiver's disk is as full as it may be";
}
