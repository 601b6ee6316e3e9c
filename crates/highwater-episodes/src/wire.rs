//! The names that go over the wire between shipper and receiver. Owns no meaning: each end says what it makes of them.

/// The commit of the code that is judged; other deployments name it otherwise.
pub const CODE_COMMIT_HEADER: &str = "x-code-commit";
/// Which commit that is: `recorded` the episode, or `ships` it.
pub const CODE_JUDGE_HEADER: &str = "x-code-judge";
/// The commit that recorded the episode, whichever is judged.
pub const RECORDED_COMMIT_HEADER: &str = "x-recorded-commit";
/// The SHA-256 of the bytes in hexadecimal, as older shippers and receivers have it.
pub const SHA256_HEADER: &str = "x-sha256";
/// The SHA-256 of what the episode holds, in hexadecimal.
pub const CONTENT_SHA256_HEADER: &str = "x-episode-content-sha256";
/// Asks, in a HEAD, that the episode be read before it is described.
pub const VERIFY_HEADER: &str = "x-episode-verify";
/// Says that it was: the digests beside it are of what was read just then.
pub const VERIFIED_HEADER: &str = "x-episode-verified";
/// What both say.
pub const READ: &str = "read";
/// The media type of an episode's bytes.
pub const EPISODE_MEDIA_TYPE: &str = "application/zstd";
/// The media type of a refusal.
pub const PROBLEM_MEDIA_TYPE: &str = "application/problem+json";
/// The version of tus that is spoken.
pub const TUS_VERSION: &str = "1.0.0";
/// Where it is said, in every request and answer.
pub const TUS_RESUMABLE_HEADER: &str = "tus-resumable";
/// How many bytes of an upload there are.
pub const UPLOAD_OFFSET_HEADER: &str = "upload-offset";
/// How many there will be.
pub const UPLOAD_LENGTH_HEADER: &str = "upload-length";
/// What an upload says of itself.
pub const UPLOAD_METADATA_HEADER: &str = "upload-metadata";
/// The media type of bytes of an upload.
pub const TUS_MEDIA_TYPE: &str = "application/offset+octet-stream";
