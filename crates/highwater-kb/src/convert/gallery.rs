//! The images of a document. Owns their names, which follow the order in which the text shows them, that the same bytes are kept
//! once, and what counts as an image.

use std::collections::HashMap;

use super::error::Refusal;
use super::{Image, Limits};
use crate::content::ContentId;

/// How much of a file is looked at for the beginning of an SVG, in bytes.
const SVG_HEAD_BYTES: usize = 1024;

/// The images that were met.
#[derive(Debug)]
pub(super) struct Gallery {
    images: Vec<Image>,
    by_content: HashMap<ContentId, usize>,
    bytes: u64,
    images_max: u32,
    bytes_max: u64,
}

impl Gallery {
    pub(super) fn new(limits: &Limits) -> Self {
        Self {
            images: Vec::new(),
            by_content: HashMap::new(),
            bytes: 0,
            images_max: limits.images,
            bytes_max: limits.images_bytes,
        }
    }

    /// Most bytes that one more image may have.
    pub(super) fn room_bytes(&self) -> u64 {
        self.bytes_max - self.bytes
    }

    /// Hangs an image, and says what it is called; nothing where these bytes are no image that a reader could be shown.
    pub(super) fn hang(&mut self, bytes: Vec<u8>) -> Result<Option<String>, Refusal> {
        let Some(suffix) = suffix_of(&bytes) else { return Ok(None) };
        let content = ContentId::of(&bytes);
        if let Some(at) = self.by_content.get(&content) {
            return Ok(Some(self.images[*at].name.clone()));
        }
        let total = self.bytes.saturating_add(bytes.len() as u64);
        if total > self.bytes_max || self.images.len() >= self.images_max as usize {
            return Err(Refusal::Images { images: self.images_max, bytes: self.bytes_max });
        }
        self.bytes = total;
        let name = format!("image-{}.{suffix}", self.images.len() + 1);
        self.by_content.insert(content, self.images.len());
        self.images.push(Image { name: name.clone(), bytes });
        Ok(Some(name))
    }

    pub(super) fn is_empty(&self) -> bool {
        self.images.is_empty()
    }

    pub(super) fn into_images(self) -> Vec<Image> {
        self.images
    }
}

/// What kind of image these bytes are, by their beginning; only what browsers, and so Obsidian, show.
pub(super) fn suffix_of(bytes: &[u8]) -> Option<&'static str> {
    match bytes {
        [0x89, b'P', b'N', b'G', 0x0d, 0x0a, 0x1a, 0x0a, ..] => Some("png"),
        [0xff, 0xd8, 0xff, ..] => Some("jpg"),
        [b'G', b'I', b'F', b'8', b'7' | b'9', b'a', ..] => Some("gif"),
        [b'R', b'I', b'F', b'F', _, _, _, _, b'W', b'E', b'B', b'P', ..] => Some("webp"),
        [_, _, _, _, b'f', b't', b'y', b'p', b'a', b'v', b'i', b'f', ..] => Some("avif"),
        [b'B', b'M', _, _, _, _, 0, 0, 0, 0, ..] => Some("bmp"),
        _ => is_svg(bytes).then_some("svg"),
    }
}

fn is_svg(bytes: &[u8]) -> bool {
    let head = &bytes[..bytes.len().min(SVG_HEAD_BYTES)];
    let head = head.strip_prefix(b"\xef\xbb\xbf").unwrap_or(head).trim_ascii_start();
    head.starts_with(b"<svg")
        || ((head.starts_with(b"<?xml") || head.starts_with(b"<!--") || head.starts_with(b"<!DOCTYPE svg"))
            && memchr::memmem::find(head, b"<svg").is_some())
}
