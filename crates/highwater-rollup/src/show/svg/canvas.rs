//! Elements of an SVG. Owns that whatever is written is well-formed, and the classes.

use quick_xml::Writer;
use quick_xml::events::{BytesEnd, BytesStart, BytesText, Event};

/// Classes that are drawn on white and on black alike: the colours of series keep apart for most who see few colours. `t` and `m`
/// are text and quieter text, `g` and `a` a grid and an axis, `u` what is not complete, `p` and `n` above zero and below,
/// `f` and `d` a bar and a line that are not complete.
const STYLE: &str = "\
text{font:12px system-ui,-apple-system,Roboto,sans-serif}\
.h{font-size:17px;font-weight:600}\
.e{text-anchor:end}.c{text-anchor:middle}\
.bg{fill:#fff}.t{fill:#1f2328}.m{fill:#59636e}\
.g{stroke:#d9dee3}.a{stroke:#818b98}.w{stroke:#818b98;stroke-dasharray:4 3}\
.u{stroke:#59636e;stroke-opacity:.35}.o{fill:none;stroke:#818b98;stroke-opacity:.5}\
.p{fill:#1f6fb8}.n{fill:#d1602f}.x{fill-opacity:0}.f{fill-opacity:.5}.d{stroke-dasharray:2 5}.l{fill:none;stroke-width:2;stroke-linejoin:round;stroke-linecap:round}\
.s0{fill:#4e79a7}.s1{fill:#f28e2b}.s2{fill:#59a14f}.s3{fill:#e15759}.s4{fill:#b07aa1}.s5{fill:#edc948}.s6{fill:#76b7b2}\
.s7{fill:#9c755f}.s8{fill:#a3a9b1}\
.l0{stroke:#4e79a7}.l1{stroke:#f28e2b}.l2{stroke:#59a14f}.l3{stroke:#e15759}.l4{stroke:#b07aa1}.l5{stroke:#edc948}\
.l6{stroke:#76b7b2}.l7{stroke:#9c755f}.l8{stroke:#a3a9b1}\
@media (prefers-color-scheme:dark){.bg{fill:#0d1117}.t{fill:#e6edf3}.m{fill:#9198a1}.g{stroke:#2a313a}\
.a,.w{stroke:#656c76}.u{stroke:#9198a1}.o{stroke:#656c76}.p{fill:#58a6ff}.n{fill:#f0883e}}";

/// The pattern over what is not complete.
pub(super) const UNFINISHED: &str = "highwater-unfinished";

/// A drawing on its way.
pub(super) struct Canvas {
    writer: Writer<Vec<u8>>,
}

impl Canvas {
    /// A frame of this size, called `title`.
    pub(super) fn new(width: f64, height: f64, title: &str) -> Self {
        let mut canvas = Self { writer: Writer::new(Vec::new()) };
        let (width, height) = (px(width), px(height));
        let view = format!("0 0 {width} {height}");
        canvas.open(
            "svg",
            &[
                ("xmlns", "http://www.w3.org/2000/svg"),
                ("viewBox", &view),
                ("width", &width),
                ("height", &height),
                ("role", "img"),
                ("aria-label", title),
            ],
        );
        canvas.element("style", &[], STYLE);
        canvas.open("defs", &[]);
        let hatch = [
            ("id", UNFINISHED),
            ("width", "7"),
            ("height", "7"),
            ("patternUnits", "userSpaceOnUse"),
            ("patternTransform", "rotate(45)"),
        ];
        canvas.open("pattern", &hatch);
        canvas.empty("path", &[("class", "u"), ("d", "M0 0V7"), ("stroke-width", "2")]);
        canvas.close("pattern");
        canvas.close("defs");
        canvas.empty("rect", &[("class", "bg"), ("width", &width), ("height", &height)]);
        canvas
    }

    pub(super) fn open(&mut self, name: &str, attributes: &[(&str, &str)]) {
        let start = BytesStart::new(name).with_attributes(attributes.iter().copied());
        self.write(Event::Start(start));
    }

    pub(super) fn close(&mut self, name: &str) {
        self.write(Event::End(BytesEnd::new(name)));
    }

    pub(super) fn empty(&mut self, name: &str, attributes: &[(&str, &str)]) {
        let start = BytesStart::new(name).with_attributes(attributes.iter().copied());
        self.write(Event::Empty(start));
    }

    /// An element with text in it.
    pub(super) fn element(&mut self, name: &str, attributes: &[(&str, &str)], text: &str) {
        self.open(name, attributes);
        self.write(Event::Text(BytesText::new(text)));
        self.close(name);
    }

    pub(super) fn text(&mut self, class: &str, x: f64, y: f64, text: &str) {
        self.element("text", &[("class", class), ("x", &px(x)), ("y", &px(y))], text);
    }

    pub(super) fn path(&mut self, class: &str, d: &str) {
        if !d.is_empty() {
            self.empty("path", &[("class", class), ("d", d)]);
        }
    }

    pub(super) fn line(&mut self, class: &str, from: (f64, f64), to: (f64, f64)) {
        self.path(class, &format!("M{} {}L{} {}", px(from.0), px(from.1), px(to.0), px(to.1)));
    }

    /// A rectangle; what it says is shown where somebody points at it.
    pub(super) fn rect(&mut self, attributes: &[(&str, &str)], at: (f64, f64), size: (f64, f64), says: Option<&str>) {
        let [x, y, width, height] = [at.0, at.1, size.0, size.1].map(px);
        let place = [("x", x.as_str()), ("y", &y), ("width", &width), ("height", &height)];
        let attributes: Vec<_> = attributes.iter().copied().chain(place).collect();
        match says {
            None => self.empty("rect", &attributes),
            Some(says) => {
                self.open("rect", &attributes);
                self.element("title", &[], says);
                self.close("rect");
            }
        }
    }

    /// The whole.
    pub(super) fn finish(mut self) -> String {
        self.close("svg");
        String::from_utf8(self.writer.into_inner()).expect("invariant: only text was written") + "\n"
    }

    fn write(&mut self, event: Event<'_>) {
        self.writer.write_event(event).expect("invariant: a Vec takes every write");
    }
}

/// A coordinate to a tenth of a pixel.
pub(super) fn px(value: f64) -> String {
    let tenths = (value * 10.0).round() / 10.0;
    // No -0.
    format!("{}", tenths + 0.0)
}
