//! PDF, written by hand: pages of lines, each in its size, and an image.

use std::fmt::Write as _;

/// A PDF in the making.
#[derive(Debug, Default)]
pub struct Pdf {
    title: String,
    pages: Vec<String>,
    outline: Vec<(usize, String)>,
}

impl Pdf {
    /// One that calls itself so.
    #[must_use]
    pub fn titled(title: &str) -> Self {
        Self { title: title.to_owned(), ..Self::default() }
    }

    /// Adds a page of lines from its top to its bottom, each with its size in points.
    #[must_use]
    pub fn page(mut self, lines: &[(u32, &str)]) -> Self {
        let (mut content, mut y) = (String::new(), 760);
        for (size, text) in lines {
            let font = if *size > 12 { "F2" } else { "F1" };
            let text = text.replace('\\', "\\\\").replace('(', "\\(").replace(')', "\\)");
            writeln!(content, "BT /{font} {size} Tf 72 {y} Td ({text}) Tj ET").expect("memory takes every write");
            y -= i64::from(*size) * 3 / 2;
        }
        self.pages.push(content);
        self
    }

    /// Adds a page that shows an image and no text.
    #[must_use]
    pub fn scanned(mut self) -> Self {
        self.pages.push("q 400 0 0 400 72 200 cm /Im1 Do Q\n".to_owned());
        self
    }

    /// Shows an image at the end of the last page.
    #[must_use]
    pub fn image(mut self) -> Self {
        let page = self.pages.last_mut().expect("a page comes first");
        page.push_str("q 100 0 0 100 72 100 cm /Im1 Do Q\n");
        self
    }

    /// Names the last page in the outline, below the outline's first name where there is one.
    #[must_use]
    pub fn outlined(mut self, title: &str) -> Self {
        self.outline.push((self.pages.len() - 1, title.to_owned()));
        self
    }

    /// The document.
    #[must_use]
    pub fn bytes(&self) -> Vec<u8> {
        let kids: Vec<String> = (0..self.pages.len()).map(|at| format!("{} 0 R", 7 + 2 * at)).collect();
        let pixels: String = (0..64 * 64).map(|at| if at % 3 == 0 { "ff0000" } else { "00ff00" }).collect();
        let mut objects = vec![
            "<< /Type /Catalog /Pages 2 0 R >>".to_owned(),
            format!("<< /Type /Pages /Kids [{}] /Count {} >>", kids.join(" "), self.pages.len()),
            "<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica /Encoding /WinAnsiEncoding >>".to_owned(),
            "<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica-Bold /Encoding /WinAnsiEncoding >>".to_owned(),
            format!(
                "<< /Type /XObject /Subtype /Image /Width 64 /Height 64 /ColorSpace /DeviceRGB /BitsPerComponent 8 \
                 /Filter /ASCIIHexDecode /Length {} >>\nstream\n{pixels}>\nendstream",
                pixels.len() + 1
            ),
            format!("<< /Title ({}) >>", self.title),
        ];
        for content in &self.pages {
            objects.push(format!(
                "<< /Type /Page /Parent 2 0 R /MediaBox [0 0 612 792] /Contents {} 0 R /Resources << /Font << /F1 3 0 R \
                 /F2 4 0 R >> {} >> >>",
                objects.len() + 2,
                if content.contains("/Im1") { "/XObject << /Im1 5 0 R >>" } else { "" }
            ));
            objects.push(format!("<< /Length {} >>\nstream\n{content}endstream", content.len()));
        }
        if let Some(((page, title), rest)) = self.outline.split_first() {
            let root = objects.len() + 1;
            let number = |at: usize| root + 1 + at;
            let place = |page: &usize| format!("/Dest [{} 0 R /Fit]", 7 + 2 * page);
            objects[0] = format!("<< /Type /Catalog /Pages 2 0 R /Outlines {root} 0 R >>");
            objects.push(format!("<< /Type /Outlines /First {0} 0 R /Last {0} 0 R /Count 1 >>", number(0)));
            let children = match rest.len() {
                0 => String::new(),
                many => format!("/First {} 0 R /Last {} 0 R /Count {many}", number(1), number(many)),
            };
            objects.push(format!("<< /Title ({title}) /Parent {root} 0 R {} {children} >>", place(page)));
            for (at, (page, title)) in rest.iter().enumerate() {
                let next = if at + 1 < rest.len() { format!("/Next {} 0 R", number(at + 2)) } else { String::new() };
                objects.push(format!("<< /Title ({title}) /Parent {} 0 R {} {next} >>", number(0), place(page)));
            }
        }
        let mut text = "%PDF-1.4\n".to_owned();
        let mut places = Vec::new();
        for (at, object) in objects.iter().enumerate() {
            places.push(text.len());
            write!(text, "{} 0 obj\n{object}\nendobj\n", at + 1).expect("memory takes every write");
        }
        let start = text.len();
        write!(text, "xref\n0 {}\n0000000000 65535 f \n", objects.len() + 1).expect("memory takes every write");
        for place in places {
            writeln!(text, "{place:010} 00000 n ").expect("memory takes every write");
        }
        write!(text, "trailer\n<< /Size {} /Root 1 0 R /Info 6 0 R >>\nstartxref\n{start}\n%%EOF\n", objects.len() + 1)
            .expect("memory takes every write");
        text.into_bytes()
    }
}

/// A report of three pages, with headings in their sizes and an image.
#[must_use]
pub fn pdf() -> Vec<u8> {
    Pdf::titled("Tides of the North")
        .page(&[
            (24, "Tides of the North"),
            (11, "The sea rises and falls twice a day, and nobody who lives"),
            (11, "on this coast can do without knowing when. This report says"),
            (11, "how the tables are made."),
            (16, "Measuring"),
            (11, "A gauge stands in every harbour. It writes a line an hour,"),
            (11, "and a person reads it once a week."),
        ])
        .outlined("Tides of the North")
        .outlined("Measuring")
        .page(&[
            (16, "Computing"),
            (11, "From a year of readings the constituents are computed; the"),
            (11, "moon has the largest part (M2), the sun the second (S2)."),
            (11, "What is left is the weather, which no table knows."),
        ])
        .image()
        .outlined("Computing")
        .page(&[
            (16, "Printing"),
            (11, "The tables are printed in autumn for the year that comes,"),
            (11, "and sold in every harbour."),
        ])
        .outlined("Printing")
        .bytes()
}
