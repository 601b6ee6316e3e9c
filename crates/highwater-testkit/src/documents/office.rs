//! Files of Word, Excel, PowerPoint and of OpenDocument, with just the parts that make them what they are.

use super::{PNG, archive};

const RELS: &str = "http://schemas.openxmlformats.org/package/2006/relationships";
const OFFICE: &str = "http://schemas.openxmlformats.org/officeDocument/2006/relationships";
const WORD: &str = "http://schemas.openxmlformats.org/wordprocessingml/2006/main";
const SHEET: &str = "http://schemas.openxmlformats.org/spreadsheetml/2006/main";
const SLIDE: &str = "http://schemas.openxmlformats.org/presentationml/2006/main";
const DRAWING: &str = "http://schemas.openxmlformats.org/drawingml/2006/main";

/// The types of a package whose main part, and other parts, are these.
fn types(parts: &[(&str, &str)]) -> String {
    let parts: String = parts
        .iter()
        .map(|(name, kind)| {
            format!("<Override PartName=\"{name}\" ContentType=\"application/vnd.openxmlformats-officedocument.{kind}+xml\"/>")
        })
        .collect();
    format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?><Types xmlns=\"http://schemas.openxmlformats.org/package/2006/content-types\">\
         <Default Extension=\"rels\" ContentType=\"application/vnd.openxmlformats-package.relationships+xml\"/>\
         <Default Extension=\"xml\" ContentType=\"application/xml\"/><Default Extension=\"png\" ContentType=\"image/png\"/>\
         {parts}</Types>"
    )
}

/// The relationships of a part: id, kind, target.
fn relationships(of: &[(&str, &str, &str)]) -> String {
    let each: String = of
        .iter()
        .map(|(id, kind, target)| {
            let mode = if target.starts_with("http") { " TargetMode=\"External\"" } else { "" };
            format!("<Relationship Id=\"{id}\" Type=\"{OFFICE}/{kind}\" Target=\"{target}\"{mode}/>")
        })
        .collect();
    format!("<?xml version=\"1.0\" encoding=\"UTF-8\"?><Relationships xmlns=\"{RELS}\">{each}</Relationships>")
}

/// A text of Word with this body.
#[must_use]
pub fn docx_of(body: &str) -> Vec<u8> {
    let document = format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?><w:document xmlns:w=\"{WORD}\" xmlns:r=\"{OFFICE}\" \
         xmlns:a=\"{DRAWING}\" xmlns:wp=\"http://schemas.openxmlformats.org/drawingml/2006/wordprocessingDrawing\" \
         xmlns:pic=\"http://schemas.openxmlformats.org/drawingml/2006/picture\"><w:body>{body}</w:body></w:document>"
    );
    let style = |id: &str, name: &str, more: &str| {
        format!("<w:style w:type=\"paragraph\" w:styleId=\"{id}\"><w:name w:val=\"{name}\"/>{more}</w:style>")
    };
    let styles = format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?><w:styles xmlns:w=\"{WORD}\">{}{}</w:styles>",
        style("Heading1", "heading 1", "<w:pPr><w:outlineLvl w:val=\"0\"/></w:pPr>"),
        style("Heading2", "heading 2", "<w:pPr><w:outlineLvl w:val=\"1\"/></w:pPr>"),
    );
    let notes = format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?><w:footnotes xmlns:w=\"{WORD}\"><w:footnote w:id=\"2\"><w:p><w:r>\
         <w:t>Measured since 1850.</w:t></w:r></w:p></w:footnote></w:footnotes>"
    );
    let numbering = format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?><w:numbering xmlns:w=\"{WORD}\"><w:abstractNum w:abstractNumId=\"0\">\
         <w:lvl w:ilvl=\"0\"><w:start w:val=\"1\"/><w:numFmt w:val=\"bullet\"/></w:lvl><w:lvl w:ilvl=\"1\"><w:numFmt \
         w:val=\"bullet\"/></w:lvl></w:abstractNum><w:num w:numId=\"1\"><w:abstractNumId w:val=\"0\"/></w:num></w:numbering>"
    );
    archive(&[
        (
            "[Content_Types].xml",
            types(&[
                ("/word/document.xml", "wordprocessingml.document.main"),
                ("/word/styles.xml", "wordprocessingml.styles"),
                ("/word/footnotes.xml", "wordprocessingml.footnotes"),
                ("/word/numbering.xml", "wordprocessingml.numbering"),
            ])
            .as_bytes(),
        ),
        ("_rels/.rels", relationships(&[("rId1", "officeDocument", "word/document.xml")]).as_bytes()),
        ("word/document.xml", document.as_bytes()),
        ("word/styles.xml", styles.as_bytes()),
        ("word/footnotes.xml", notes.as_bytes()),
        ("word/numbering.xml", numbering.as_bytes()),
        ("word/media/gauge.png", PNG),
        (
            "word/_rels/document.xml.rels",
            relationships(&[
                ("rId1", "styles", "styles.xml"),
                ("rId2", "footnotes", "footnotes.xml"),
                ("rId3", "numbering", "numbering.xml"),
                ("rId4", "image", "media/gauge.png"),
                ("rId5", "hyperlink", "https://example.org/tides"),
            ])
            .as_bytes(),
        ),
    ])
}

/// A text of Word: headings, a list, a table, a note, a link and a picture that it shows twice.
#[must_use]
pub fn docx() -> Vec<u8> {
    let styled = |style: &str, text: &str| {
        format!("<w:p><w:pPr><w:pStyle w:val=\"{style}\"/></w:pPr><w:r><w:t>{text}</w:t></w:r></w:p>")
    };
    let item = |level: u8, text: &str| {
        format!(
            "<w:p><w:pPr><w:numPr><w:ilvl w:val=\"{level}\"/><w:numId w:val=\"1\"/></w:numPr></w:pPr><w:r><w:t>{text}</w:t>\
             </w:r></w:p>"
        )
    };
    let cell = |text: &str| format!("<w:tc><w:p><w:r><w:t>{text}</w:t></w:r></w:p></w:tc>");
    let row = |cells: [&str; 2]| format!("<w:tr>{}{}</w:tr>", cell(cells[0]), cell(cells[1]));
    let picture = "<w:p><w:r><w:drawing><wp:inline><wp:docPr id=\"1\" name=\"Gauge\" descr=\"A gauge\"/><a:graphic>\
                   <a:graphicData uri=\"http://schemas.openxmlformats.org/drawingml/2006/picture\"><pic:pic><pic:blipFill>\
                   <a:blip r:embed=\"rId4\"/></pic:blipFill></pic:pic></a:graphicData></a:graphic></wp:inline></w:drawing>\
                   </w:r></w:p>";
    docx_of(&format!(
        "{}<w:p><w:r><w:t xml:space=\"preserve\">The sea rises </w:t></w:r><w:r><w:rPr><w:b/></w:rPr><w:t>twice</w:t></w:r>\
         <w:r><w:t xml:space=\"preserve\"> a day</w:t></w:r><w:r><w:footnoteReference w:id=\"2\"/></w:r><w:r><w:t \
         xml:space=\"preserve\">, as </w:t></w:r><w:hyperlink r:id=\"rId5\"><w:r><w:t>the tables</w:t></w:r></w:hyperlink>\
         <w:r><w:t xml:space=\"preserve\"> say: 2 * 3 &lt; 7 [[not a link]].</w:t></w:r></w:p>{}{}{}{}<w:tbl>{}{}{}</w:tbl>\
         {picture}{picture}",
        styled("Heading1", "Tides"),
        styled("Heading2", "Harbours"),
        item(0, "Cuxhaven"),
        item(1, "Old harbour"),
        item(0, "Dover"),
        row(["Harbour", "Range"]),
        row(["Cuxhaven", "3.0 m"]),
        row(["Dover | Calais", "6.0 m"]),
    ))
}

/// A workbook of Excel: two sheets, numbers, a text that is markup, an empty column at the end.
#[must_use]
pub fn xlsx() -> Vec<u8> {
    let text = |at: &str, value: &str| format!("<c r=\"{at}\" t=\"inlineStr\"><is><t>{value}</t></is></c>");
    let sheet = |rows: &str| {
        format!(
            "<?xml version=\"1.0\" encoding=\"UTF-8\"?><worksheet xmlns=\"{SHEET}\"><sheetData>{rows}</sheetData></worksheet>"
        )
    };
    let one = sheet(&format!(
        "<row r=\"1\">{}{}</row><row r=\"2\">{}<c r=\"B2\"><v>3.25</v></c></row><row r=\"3\">{}<c r=\"B3\"><v>6</v></c></row>",
        text("A1", "Harbour"),
        text("B1", "Range"),
        text("A2", "Cuxhaven"),
        text("A3", "Dover | *Calais*")
    ));
    let two = sheet(&format!("<row r=\"1\">{}</row>", text("A1", "Nothing else")));
    let workbook = format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?><workbook xmlns=\"{SHEET}\" xmlns:r=\"{OFFICE}\"><sheets><sheet \
         name=\"Ranges\" sheetId=\"1\" r:id=\"rId1\"/><sheet name=\"Notes\" sheetId=\"2\" r:id=\"rId2\"/></sheets></workbook>"
    );
    archive(&[
        (
            "[Content_Types].xml",
            types(&[
                ("/xl/workbook.xml", "spreadsheetml.sheet.main"),
                ("/xl/worksheets/sheet1.xml", "spreadsheetml.worksheet"),
                ("/xl/worksheets/sheet2.xml", "spreadsheetml.worksheet"),
            ])
            .as_bytes(),
        ),
        ("_rels/.rels", relationships(&[("rId1", "officeDocument", "xl/workbook.xml")]).as_bytes()),
        ("xl/workbook.xml", workbook.as_bytes()),
        (
            "xl/_rels/workbook.xml.rels",
            relationships(&[
                ("rId1", "worksheet", "worksheets/sheet1.xml"),
                ("rId2", "worksheet", "worksheets/sheet2.xml"),
            ])
            .as_bytes(),
        ),
        ("xl/worksheets/sheet1.xml", one.as_bytes()),
        ("xl/worksheets/sheet2.xml", two.as_bytes()),
    ])
}

/// Two slides of PowerPoint, each with a title; the second has a picture.
#[must_use]
pub fn pptx() -> Vec<u8> {
    let shape = |kind: &str, paragraphs: &[&str]| {
        let paragraphs: String =
            paragraphs.iter().map(|text| format!("<a:p><a:r><a:t>{text}</a:t></a:r></a:p>")).collect();
        format!(
            "<p:sp><p:nvSpPr><p:cNvPr id=\"2\" name=\"{kind}\"/><p:cNvSpPr/><p:nvPr><p:ph type=\"{kind}\"/></p:nvPr></p:nvSpPr>\
             <p:spPr/><p:txBody><a:bodyPr/>{paragraphs}</p:txBody></p:sp>"
        )
    };
    let slide = |shapes: &str| {
        format!(
            "<?xml version=\"1.0\" encoding=\"UTF-8\"?><p:sld xmlns:p=\"{SLIDE}\" xmlns:a=\"{DRAWING}\" xmlns:r=\"{OFFICE}\">\
             <p:cSld><p:spTree>{shapes}</p:spTree></p:cSld></p:sld>"
        )
    };
    let one = slide(&format!("{}{}", shape("title", &["Tides"]), shape("body", &["Twice a day", "Everywhere"])));
    let two = slide(&format!(
        "{}{}<p:pic><p:nvPicPr><p:cNvPr id=\"4\" name=\"Gauge\" descr=\"A gauge\"/><p:cNvPicPr/><p:nvPr/></p:nvPicPr><p:blipFill>\
         <a:blip r:embed=\"rId1\"/></p:blipFill><p:spPr/></p:pic>",
        shape("title", &["Gauges"]),
        shape("body", &["One a harbour"])
    ));
    let presentation = format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?><p:presentation xmlns:p=\"{SLIDE}\" xmlns:r=\"{OFFICE}\"><p:sldIdLst>\
         <p:sldId id=\"256\" r:id=\"rId1\"/><p:sldId id=\"257\" r:id=\"rId2\"/></p:sldIdLst></p:presentation>"
    );
    archive(&[
        (
            "[Content_Types].xml",
            types(&[
                ("/ppt/presentation.xml", "presentationml.presentation.main"),
                ("/ppt/slides/slide1.xml", "presentationml.slide"),
                ("/ppt/slides/slide2.xml", "presentationml.slide"),
            ])
            .as_bytes(),
        ),
        ("_rels/.rels", relationships(&[("rId1", "officeDocument", "ppt/presentation.xml")]).as_bytes()),
        ("ppt/presentation.xml", presentation.as_bytes()),
        (
            "ppt/_rels/presentation.xml.rels",
            relationships(&[("rId1", "slide", "slides/slide1.xml"), ("rId2", "slide", "slides/slide2.xml")]).as_bytes(),
        ),
        ("ppt/slides/slide1.xml", one.as_bytes()),
        ("ppt/slides/slide2.xml", two.as_bytes()),
        ("ppt/slides/_rels/slide2.xml.rels", relationships(&[("rId1", "image", "../media/gauge.png")]).as_bytes()),
        ("ppt/media/gauge.png", PNG),
    ])
}

/// An OpenDocument spreadsheet of one sheet.
#[must_use]
pub fn ods() -> Vec<u8> {
    let cell = |value: &str| {
        format!("<table:table-cell office:value-type=\"string\"><text:p>{value}</text:p></table:table-cell>")
    };
    let content = format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?><office:document-content \
         xmlns:office=\"urn:oasis:names:tc:opendocument:xmlns:office:1.0\" \
         xmlns:table=\"urn:oasis:names:tc:opendocument:xmlns:table:1.0\" \
         xmlns:text=\"urn:oasis:names:tc:opendocument:xmlns:text:1.0\"><office:body><office:spreadsheet><table:table \
         table:name=\"Ranges\"><table:table-row>{}{}</table:table-row><table:table-row>{}<table:table-cell \
         office:value-type=\"float\" office:value=\"3.25\"><text:p>3.25</text:p></table:table-cell></table:table-row>\
         </table:table></office:spreadsheet></office:body></office:document-content>",
        cell("Harbour"),
        cell("Range"),
        cell("Cuxhaven")
    );
    archive(&[
        ("mimetype", b"application/vnd.oasis.opendocument.spreadsheet"),
        (
            "META-INF/manifest.xml",
            b"<?xml version=\"1.0\"?><manifest:manifest \
              xmlns:manifest=\"urn:oasis:names:tc:opendocument:xmlns:manifest:1.0\"><manifest:file-entry \
              manifest:full-path=\"/\" manifest:media-type=\"application/vnd.oasis.opendocument.spreadsheet\"/>\
              <manifest:file-entry manifest:full-path=\"content.xml\" manifest:media-type=\"text/xml\"/></manifest:manifest>",
        ),
        ("content.xml", content.as_bytes()),
    ])
}
