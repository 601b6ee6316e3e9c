//! What was converted, as a directory: `text.md`, `images/`, and `conversion.json` once the others are there. Owns that shape,
//! for a person who looks at it and for the process that asked for it, which believes nothing of it.

use std::collections::HashSet;
use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::path::Path;

use highwater_fs::{Fs as _, RealFs, RelPath};
use serde::{Deserialize, Serialize};

use super::error::sentence;
use super::{Converted, Format, Image, Limits};

/// The text.
const TEXT: &str = "text.md";
/// The directory of the images.
const IMAGES: &str = "images";
/// What else there is to say.
const CONVERSION: &str = "conversion.json";
/// The largest [`CONVERSION`], in bytes.
const CONVERSION_BYTES_MAX: u64 = 16 << 20;
/// The longest name of an image.
const IMAGE_NAME_BYTES_MAX: usize = 64;
/// The longest name of a converter.
const CONVERTER_BYTES_MAX: usize = 100;

/// `conversion.json`.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
struct Conversion {
    format: Format,
    converter: String,
    title: Option<String>,
    page_lines: Vec<u32>,
    images: Vec<String>,
}

/// Writes what was converted to a directory, which is made, or is there and empty.
///
/// # Errors
/// What the disk says; `AlreadyExists` where the directory holds something.
pub fn write(to: &Path, converted: &Converted, format: Format) -> io::Result<()> {
    match fs::create_dir(to) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
            if fs::read_dir(to)?.next().is_some() {
                return Err(error);
            }
        }
        made => made?,
    }
    if !converted.images.is_empty() {
        fs::create_dir(to.join(IMAGES))?;
    }
    for image in &converted.images {
        File::create_new(to.join(IMAGES).join(&image.name))?.write_all(&image.bytes)?;
    }
    File::create_new(to.join(TEXT))?.write_all(converted.markdown.as_bytes())?;
    let conversion = Conversion {
        format,
        converter: converted.converter.clone(),
        title: converted.title.clone(),
        page_lines: converted.page_lines.clone(),
        images: converted.images.iter().map(|image| image.name.clone()).collect(),
    };
    let mut json = serde_json::to_vec_pretty(&conversion)?;
    json.push(b'\n');
    File::create_new(to.join(CONVERSION))?.write_all(&json)
}

/// Reads what was converted from the directory `name` below `root`, which somebody hostile may have written: no symlink is
/// followed, no name leads out, nothing is larger than it may be.
///
/// # Errors
/// What is wrong with it, as a part of a sentence.
pub(super) fn read(root: &Path, name: &str, limits: &Limits) -> Result<(Converted, Format), String> {
    let disk = RealFs::open(root).map_err(|error| error.to_string())?;
    let bytes = |file: &str, bytes_max: u64| bounded(&disk, &format!("{name}/{file}"), bytes_max);
    let json = bytes(CONVERSION, CONVERSION_BYTES_MAX)?;
    let conversion: Conversion =
        serde_json::from_slice(&json).map_err(|error| sentence(&format!("{CONVERSION}: {error}")))?;
    let text = bytes(TEXT, limits.text_bytes.saturating_add(1))?;
    let markdown = String::from_utf8(text).map_err(|_| format!("{TEXT} is no UTF-8"))?;
    let lines = markdown.lines().count();
    let page_lines = conversion.page_lines;
    if !page_lines.is_sorted() || page_lines.last().is_some_and(|line| *line as usize >= lines.max(1)) {
        return Err("its pages are not where it says".to_owned());
    }
    let named = |text: &str, max: usize| (1..=max).contains(&text.len()) && !text.chars().any(char::is_control);
    if !named(&conversion.converter, CONVERTER_BYTES_MAX) {
        return Err("its converter has no name".to_owned());
    }
    let title = conversion.title.as_deref().and_then(super::one_line);
    let images = images(&conversion.images, limits, bytes)?;
    Ok((Converted { title, markdown, images, page_lines, converter: conversion.converter }, conversion.format))
}

fn images(
    names: &[String],
    limits: &Limits,
    bytes: impl Fn(&str, u64) -> Result<Vec<u8>, String>,
) -> Result<Vec<Image>, String> {
    if names.len() > limits.images as usize {
        return Err(format!("it has {} images", names.len()));
    }
    let (mut images, mut seen, mut room) = (Vec::with_capacity(names.len()), HashSet::new(), limits.images_bytes);
    for name in names {
        if !is_image_name(name) || !seen.insert(name) {
            return Err(sentence(&format!("{name:?} is no image's name")));
        }
        let bytes = bytes(&format!("{IMAGES}/{name}"), room)?;
        room -= bytes.len() as u64;
        images.push(Image { name: name.clone(), bytes });
    }
    Ok(images)
}

/// `image-3.png`.
fn is_image_name(name: &str) -> bool {
    let letters = |text: &str| {
        !text.is_empty() && text.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
    };
    name.len() <= IMAGE_NAME_BYTES_MAX
        && name.split_once('.').is_some_and(|(stem, suffix)| letters(stem) && letters(suffix))
}

fn bounded(disk: &RealFs, file: &str, bytes_max: u64) -> Result<Vec<u8>, String> {
    let path = RelPath::new(file).map_err(|error| error.to_string())?;
    let reader = disk.reader(&path).map_err(|error| sentence(&highwater_engine::diagnosis::with_causes(&error)))?;
    let mut bytes = Vec::new();
    reader
        .take(bytes_max.saturating_add(1))
        .read_to_end(&mut bytes)
        .map_err(|error| sentence(&format!("{file}: {error}")))?;
    if bytes.len() as u64 > bytes_max {
        return Err(format!("{file} has more than {bytes_max} bytes"));
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    fn converted() -> Converted {
        Converted {
            title: Some("Tides".to_owned()),
            markdown: "# Tides\n\n![](images/image-1.png)\n".to_owned(),
            images: vec![Image { name: "image-1.png".to_owned(), bytes: b"\x89PNG".to_vec() }],
            page_lines: vec![0, 2],
            converter: "test/1".to_owned(),
        }
    }

    #[test]
    fn what_was_written_is_what_is_read() {
        let dir = tempfile::tempdir().unwrap();
        write(&dir.path().join("answer"), &converted(), Format::Pdf).unwrap();
        assert_eq!(read(dir.path(), "answer", &Limits::default()), Ok((converted(), Format::Pdf)));
        let again = write(&dir.path().join("answer"), &converted(), Format::Pdf).unwrap_err();
        assert_eq!(again.kind(), io::ErrorKind::AlreadyExists);
    }

    #[test]
    fn nothing_that_a_hostile_converter_left_is_believed() {
        type Spoil = fn(&Path);
        fn json(answer: &Path, from: &str, to: &str) {
            let file = answer.join(CONVERSION);
            let text = fs::read_to_string(&file).unwrap();
            assert!(text.contains(from), "{text}");
            fs::write(file, text.replace(from, to)).unwrap();
        }
        let spoilt: [(&str, Spoil); 12] = [
            ("images/secret.png", |a| json(a, "image-1.png", "secret.png")),
            ("is no image's name", |a| json(a, "image-1.png", "../text.md")),
            ("is no image's name", |a| json(a, "image-1.png", "/etc/passwd")),
            ("is no image's name", |a| json(a, "image-1.png", ".png")),
            ("unknown field", |a| json(a, "\"title\"", "\"titel\"")),
            ("pages are not where", |a| json(a, "2\n", "3\n")),
            ("has no name", |a| json(a, "test/1", "")),
            ("text.md is no UTF-8", |a| fs::write(a.join(TEXT), b"\xff").unwrap()),
            ("more than 1001 bytes", |a| fs::write(a.join(TEXT), vec![b'a'; 2000]).unwrap()),
            ("more than 500 bytes", |a| fs::write(a.join("images/image-1.png"), vec![b'a'; 501]).unwrap()),
            ("symbolic link", |a| {
                fs::remove_file(a.join(TEXT)).unwrap();
                symlink("/etc/passwd", a.join(TEXT)).unwrap();
            }),
            ("Not a directory", |a| {
                fs::rename(a.join(IMAGES), a.join("elsewhere")).unwrap();
                symlink("elsewhere", a.join(IMAGES)).unwrap();
            }),
        ];
        let limits = Limits { text_bytes: 1000, images_bytes: 500, ..Limits::default() };
        for (says, spoil) in spoilt {
            let dir = tempfile::tempdir().unwrap();
            let answer = dir.path().join("answer");
            write(&answer, &converted(), Format::Pdf).unwrap();
            spoil(&answer);
            let said = read(dir.path(), "answer", &limits).unwrap_err();
            assert!(said.contains(says), "{says:?}: {said}");
        }
    }
}
