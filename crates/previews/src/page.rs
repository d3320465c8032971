//! Extraction of OpenGraph properties from a web page, with substitutes if they are absent.
//! <https://ogp.me/>

use std::collections::BTreeMap;

use encoding_rs::{Encoding, UTF_8, WINDOWS_1252};
use html5gum::emitters::default::{DefaultEmitter, StartTag};
use html5gum::{Token, Tokenizer};

/// The part of a document in which its encoding must be declared, in bytes.
const HEAD: usize = 1024;
/// Maximum number of OpenGraph properties.
const MAX_PROPERTIES: usize = 50;
/// Maximum length of a value, in characters.
const MAX_VALUE: usize = 1000;
/// Maximum depth of nested silent elements.
const DEEPEST: usize = 100;
/// Maximum length of text used as a description, in characters.
const MAX_TEXT: usize = 300;

/// The data found in a page.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Page {
    /// OpenGraph properties: name, such as `og:title`, and value. Without those of pictures.
    pub properties: BTreeMap<String, String>,
    /// URLs of pictures, the best first, as written in the page.
    pub pictures: Vec<String>,
    /// The base of relative URLs, if it is not the page itself.
    pub base: Option<String>,
}

/// Decodes the bytes of a document: by a byte order mark, the response header, the document's declaration, or a
/// guess.
pub fn decode(bytes: &[u8], said: Option<&str>) -> String {
    let by_label = |label: &str| Encoding::for_label(label.trim().as_bytes());
    let marked = Encoding::for_bom(bytes).map(|(encoding, _)| encoding);
    let encoding = marked.or_else(|| by_label(said?)).or_else(|| by_label(&declared(bytes)?));
    let encoding = encoding.unwrap_or(if std::str::from_utf8(bytes).is_ok() { UTF_8 } else { WINDOWS_1252 });
    encoding.decode(bytes).0.into_owned()
}

/// The encoding that a document declares at its beginning.
fn declared(bytes: &[u8]) -> Option<String> {
    let head = String::from_utf8_lossy(bytes.get(..HEAD).unwrap_or(bytes)).to_ascii_lowercase();
    // `<meta charset=…>`, `<meta … content="text/html; charset=…">`, `<?xml … encoding="…"?>`.
    let after = |key: &str| head.split_once(key).map(|(_, rest)| rest.trim_start());
    let value = after("charset").or_else(|| after("<?xml").and_then(|_| after("encoding")))?;
    let value = value.strip_prefix('=')?.trim_start().trim_start_matches(['"', '\'']);
    let end = value.find(|c: char| !(c.is_ascii_alphanumeric() || "-_:.".contains(c))).unwrap_or(value.len());
    value.get(..end).filter(|label| !label.is_empty()).map(str::to_owned)
}

/// Elements whose text is not content.
const SILENT: [&str; 14] = [
    "script", "style", "noscript", "template", "svg", "head", "header", "nav", "aside", "footer", "form",
    "button", "iframe", "select",
];

/// Reads a page.
pub fn read(html: &str) -> Page {
    let mut emitter = DefaultEmitter::default();
    emitter.naively_switch_states(true);
    let mut reader = Reader::default();
    for Ok(token) in Tokenizer::new_with_emitter(html, emitter) {
        match token {
            Token::StartTag(tag) => reader.open(&tag),
            Token::EndTag(tag) => reader.close(&tag.name),
            Token::String(text) => reader.text(&String::from_utf8_lossy(&text)),
            _ => {}
        }
    }
    reader.finish()
}

#[derive(Default)]
struct Reader {
    page: Page,
    /// Substitute properties, by OpenGraph property.
    instead: BTreeMap<&'static str, String>,
    other_pictures: Vec<String>,
    title: Option<String>,
    heading: Option<String>,
    said: String,
    /// The title or heading that the parser is in.
    within: Option<&'static str>,
    /// The open silent elements.
    silent: Vec<&'static str>,
}

impl Reader {
    fn open(&mut self, tag: &StartTag<()>) {
        let attribute = |name: &str| {
            let value = tag.attributes.get(name.as_bytes())?;
            Some(String::from_utf8_lossy(value).into_owned())
        };
        match &**tag.name {
            b"meta" => {
                if let (Some(name), Some(content)) =
                    (attribute("property").or_else(|| attribute("name")), attribute("content"))
                {
                    self.meta(&name.trim().to_ascii_lowercase(), &content);
                } else if let (Some("image"), Some(content)) =
                    (attribute("itemprop").as_deref(), attribute("content"))
                {
                    self.other_pictures.push(content);
                }
            }
            b"link" => {
                let rel = attribute("rel").unwrap_or_default().to_ascii_lowercase();
                if let (true, Some(href)) =
                    (rel.split_whitespace().any(|rel| rel == "image_src"), attribute("href"))
                {
                    self.other_pictures.push(href);
                }
            }
            b"base" if self.page.base.is_none() => self.page.base = attribute("href"),
            b"title" if self.title.is_none() && !self.is_in("svg") => {
                self.title = Some(String::new());
                self.within = Some("title");
            }
            b"h1" if self.heading.is_none() => {
                self.heading = Some(String::new());
                self.within = Some("h1");
            }
            // The end tag of the head is optional.
            b"body" => self.silent.clear(),
            name if !tag.self_closing && self.silent.len() < DEEPEST => {
                self.silent.extend(SILENT.iter().find(|silent| silent.as_bytes() == name));
            }
            _ => {}
        }
        self.end_word();
    }

    /// Text in two elements is two words.
    fn end_word(&mut self) {
        if !self.said.ends_with(' ') {
            self.said.push(' ');
        }
    }

    fn is_in(&self, element: &str) -> bool {
        self.silent.contains(&element)
    }

    fn close(&mut self, name: &[u8]) {
        if self.within.is_some_and(|within| within.as_bytes() == name) {
            self.within = None;
        }
        if let Some(index) = self.silent.iter().rposition(|silent| silent.as_bytes() == name) {
            self.silent.truncate(index);
        }
        self.end_word();
    }

    fn text(&mut self, text: &str) {
        match self.within {
            Some("title") => self.title.get_or_insert_default().push_str(text),
            Some(_) => self.heading.get_or_insert_default().push_str(text),
            // There may be much white space between little text.
            None if self.silent.is_empty() && self.said.len() < MAX_TEXT * 16 => {
                self.said.push_str(text);
                if self.said.len() > MAX_TEXT * 8 {
                    self.said = squeezed(&self.said);
                }
            }
            None => {}
        }
    }

    fn meta(&mut self, name: &str, content: &str) {
        let mut instead = |property: &'static str| {
            self.instead.entry(property).or_insert_with(|| content.to_owned());
        };
        match name {
            "og:image" | "og:image:url" | "og:image:secure_url" => {
                self.page.pictures.push(content.to_owned());
            }
            "twitter:image" | "twitter:image:src" => self.other_pictures.push(content.to_owned()),
            "twitter:title" => instead("og:title"),
            "description" | "twitter:description" => instead("og:description"),
            _ if name.starts_with("og:") && !name.starts_with("og:image:") => {
                let value = clipped(content, MAX_VALUE);
                let properties = &mut self.page.properties;
                if !value.is_empty() && properties.len() < MAX_PROPERTIES && name.len() <= MAX_VALUE {
                    properties.entry(name.to_owned()).or_insert(value);
                }
            }
            _ => {}
        }
    }

    fn finish(self) -> Page {
        let Self { mut page, mut instead, other_pictures, title, heading, said, .. } = self;
        page.pictures.extend(other_pictures);
        let titles = [instead.remove("og:title"), title, heading];
        let descriptions = [instead.remove("og:description"), Some(said)];
        let mut fill = |property: &str, most: usize, values: &mut dyn Iterator<Item = Option<String>>| {
            if !page.properties.contains_key(property)
                && let Some(value) =
                    values.flatten().map(|value| clipped(&value, most)).find(|value| !value.is_empty())
            {
                page.properties.insert(property.to_owned(), value);
            }
        };
        fill("og:title", MAX_VALUE, &mut titles.into_iter());
        fill("og:description", MAX_TEXT, &mut descriptions.into_iter());
        page
    }
}

/// Text with single spaces for all white space.
fn squeezed(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// The beginning of a text, with an ellipsis if it was truncated.
fn clipped(text: &str, most: usize) -> String {
    let text = squeezed(text);
    match text.char_indices().nth(most) {
        None => text,
        Some((end, _)) => format!("{}…", text.get(..end).unwrap_or_default().trim_end()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn page(html: &str, properties: &[(&str, &str)], pictures: &[&str]) {
        let found = read(html);
        let owned = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
        assert_eq!(found.properties, properties.iter().map(owned).collect(), "{html}");
        assert_eq!(found.pictures, pictures, "{html}");
    }

    #[test]
    fn what_a_page_says() {
        page(
            "<html><head><meta property='og:title' content=' A &amp;  B '><meta property=og:title content=second>\
             <meta property=\"og:description\" content=\"About it\"><meta property='OG:Image' content='/a.png'>\
             <meta property='og:image:width' content='5'><meta name=twitter:image content=b.png>\
             <title>No</title></head><body>text</body></html>",
            &[("og:title", "A & B"), ("og:description", "About it")],
            &["/a.png", "b.png"],
        );
        page(
            "<title>The\n title </title><meta name=description content='says'><link rel='image_src' href=c.gif>",
            &[("og:title", "The title"), ("og:description", "says")],
            &["c.gif"],
        );
        page(
            "<head><script>var a = '<p>not this</p>';</script><style>p{}</style></head><body><nav>menu</nav>\
             <h1>Head<b>ing</b></h1><p>One</p><p>two&nbsp;&lt;three</p><script>no</script><footer>end</footer>",
            &[("og:title", "Heading"), ("og:description", "One two <three")],
            &[],
        );
        // A head that is never closed, a title in a picture, a page without anything.
        page("<head><body>text", &[("og:description", "text")], &[]);
        page("<svg><title>icon</title></svg><title>page</title>", &[("og:title", "page")], &[]);
        page("", &[], &[]);
        page("<", &[("og:description", "<")], &[]);
    }

    #[test]
    fn what_is_too_much() {
        let long = format!("<title>{}</title><body>{}", "t".repeat(5000), "word ".repeat(50_000));
        let found = read(&long);
        assert_eq!(found.properties["og:title"].chars().count(), MAX_VALUE + 1);
        assert_eq!(found.properties["og:description"].chars().count(), MAX_TEXT + 1 - 1);
        let many =
            (0..500).map(|n| format!("<meta property='og:x{n}' content=y>")).collect::<Vec<_>>().concat();
        assert_eq!(read(&many).properties.len(), MAX_PROPERTIES);
        // Many tags before the first text.
        page(&format!("{}text", "<br>".repeat(100_000)), &[("og:description", "text")], &[]);
        // Open elements are looked up at every end tag.
        read(&format!("{}{}", "<nav>".repeat(400_000), "</p>".repeat(500_000)));
        read(&format!("{}{}", "<nav>".repeat(300_000), "</aside>".repeat(300_000)));
        // Neither depth nor unfinished tags matter.
        read(&"<div>".repeat(200_000));
        read(&"<a b='".repeat(200_000));
    }

    #[test]
    fn encodings() {
        assert_eq!(decode("ä".as_bytes(), None), "ä");
        assert_eq!(decode(b"\xe4", None), "ä");
        assert_eq!(decode(b"\xe4", Some("iso-8859-1")), "ä");
        assert_eq!(decode(b"\xef\xbb\xbf\xc3\xa4", Some("iso-8859-1")), "ä");
        assert_eq!(decode(b"<meta charset=\"koi8-r\">\xc1", None), "<meta charset=\"koi8-r\">а");
        let http_equiv = b"<meta http-equiv=Content-Type content='text/html; charset=shift_jis'>\x83\x41";
        assert!(decode(http_equiv, None).ends_with('ア'));
        assert!(decode(b"<?xml version='1.0' encoding='windows-1251'?>\xc0", None).ends_with('А'));
        assert_eq!(decode(b"\xff\xfeA\0", None), "A");
    }
}
