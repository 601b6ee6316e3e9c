//! What an answer says that refuses. Owns how much of its problem details is read, and how long that is waited for.

use std::time::Duration;

use reqwest::header::CONTENT_TYPE;
use serde::Deserialize;

/// What counts as problem details.
///
/// # Source
/// RFC 9457, section 3
const PROBLEM_MEDIA_TYPE: &str = "application/problem+json";
/// Most of problem details that is read, in bytes, and of what they say that is kept.
const PROBLEM_BYTES_MAX: usize = 16 * 1024;
const TOLD_CHARS_MAX: usize = 300;
/// Longest wait for problem details, in seconds.
const PROBLEM_SECS_MAX: u64 = 5;

/// Problem details, as far as they are read.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Problem {
    title: Option<String>,
    detail: Option<String>,
}

/// What an answer's problem details say; `None` where it has none, or they do not come in time.
pub(super) async fn problem_told(response: &mut reqwest::Response) -> Option<String> {
    let kind = response.headers().get(CONTENT_TYPE)?.to_str().ok()?;
    if !kind.split(';').next().is_some_and(|kind| kind.trim().eq_ignore_ascii_case(PROBLEM_MEDIA_TYPE)) {
        return None;
    }
    let mut text = Vec::new();
    let read = async {
        while let Ok(Some(chunk)) = response.chunk().await {
            let room = PROBLEM_BYTES_MAX - text.len();
            text.extend_from_slice(&chunk[..chunk.len().min(room)]);
            if text.len() == PROBLEM_BYTES_MAX {
                break;
            }
        }
    };
    tokio::time::timeout(Duration::from_secs(PROBLEM_SECS_MAX), read).await.ok()?;
    told(&text)
}

/// What problem details say, in one line.
fn told(text: &[u8]) -> Option<String> {
    let Problem { title, detail } = serde_json::from_slice(text).ok()?;
    let said = detail.or(title)?;
    let line: String = said.split_whitespace().collect::<Vec<_>>().join(" ");
    let line: String = line.chars().filter(|char| !char.is_control()).take(TOLD_CHARS_MAX).collect();
    (!line.is_empty()).then_some(line)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn problem_details_are_told_in_one_line_of_bounded_length() {
        assert_eq!(
            told(br#"{"title":"t","detail":"its gate has\nno commits"}"#).as_deref(),
            Some("its gate has no commits")
        );
        assert_eq!(told(br#"{"title":"t"}"#).as_deref(), Some("t"));
        assert_eq!((told(b"{}"), told(b"no JSON"), told(br#"{"detail":" "}"#)), (None, None, None));
        let long = format!(r#"{{"detail":"{}"}}"#, "x".repeat(1000));
        assert_eq!(told(long.as_bytes()).map(|told| told.len()), Some(TOLD_CHARS_MAX));
    }
}
