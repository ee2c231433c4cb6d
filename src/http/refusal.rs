//! Why a server refused a request, as the XML in its answer says.
//!
//! Object stores answer with `<Error><Code>...</Code><Message>...</Message>...</Error>` (AWS, "Amazon S3 REST
//! error responses"; Google, "XML API: HTTP status and error codes"; Microsoft, "Status and error codes").

use std::time::Duration;

use quick_xml::Reader;
use quick_xml::events::Event;
use reqwest::StatusCode;
use reqwest::header::{CONTENT_TYPE, HeaderMap};

use super::exchange::Exchange;
use super::head::field;

/// The longest answer that is read for its reason, in bytes.
const MAX_BODY: usize = 64 * 1024;

/// How long to wait for the rest of a refusal.
const WAIT: Duration = Duration::from_secs(2);

/// The longest text that an error repeats, in characters.
const MAX_TEXT: usize = 300;

/// Why a server refused a request.
#[derive(Debug, Clone, Default)]
pub struct Refusal {
    /// The HTTP status.
    pub status: u16,
    /// The headers of the answer.
    pub headers: HeaderMap,
    /// The code, such as `NoSuchKey`; empty if the answer has none.
    pub code: String,
    /// The first line of the message for people; empty if the answer has none.
    pub message: String,
    /// The other elements of the answer. They may hold secrets, so no error repeats them all.
    fields: Vec<(String, String)>,
}

impl Refusal {
    /// Reads the reason from an answer. Returns the answer unread if it is not XML.
    pub(super) async fn read(mut answer: Exchange) -> Result<Self, Box<Exchange>> {
        let is_xml = |kind: &str| kind.to_ascii_lowercase().contains("xml");
        if !field(&answer.headers, CONTENT_TYPE).is_some_and(is_xml) {
            return Err(Box::new(answer));
        }
        let mut body = Vec::new();
        let read = async {
            while body.len() < MAX_BODY
                && let Ok(Some(bytes)) = answer.chunk().await
            {
                body.extend_from_slice(&bytes);
            }
        };
        // If time runs out, the part that has come may be enough.
        let _ = tokio::time::timeout(WAIT, read).await;
        Ok(Self::parse(answer.status, answer.headers.clone(), &body))
    }

    /// The reason in an answer with this status, these headers and this body.
    pub fn parse(status: StatusCode, headers: HeaderMap, body: &[u8]) -> Self {
        let mut refusal = Self {
            status: status.as_u16(),
            headers,
            fields: elements(body),
            ..Self::default()
        };
        let code = refusal.field("Code").filter(|code| !code.is_empty());
        let code = code.or_else(|| refusal.header("x-ms-error-code"));
        let message = refusal.field("Message");
        (refusal.code, refusal.message) = (
            one_line(code.unwrap_or_default()),
            one_line(message.unwrap_or_default()),
        );
        refusal
    }

    /// The text of another element of the answer.
    pub fn field(&self, name: &str) -> Option<&str> {
        let mut fields = self.fields.iter();
        let found = fields.find(|(element, _)| element == name)?;
        Some(&found.1)
    }

    /// A header of the answer.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }

    /// The server's words, as one line.
    pub fn text(&self) -> String {
        let status = self.status;
        match (&*self.code, &*self.message) {
            ("", "") => format!("HTTP status {status}"),
            ("", message) => format!("{message} (HTTP status {status})"),
            (code, "") => format!("{code} (HTTP status {status})"),
            (code, message) => format!("{code}: {message} (HTTP status {status})"),
        }
    }

    /// Whether the server says that a signature or session has expired.
    pub fn is_expired(&self) -> bool {
        let says = |part: &str| self.message.to_ascii_lowercase().contains(part);
        self.code.starts_with("Expired")
            || self.code == "RequestExpired"
            || matches!(self.code.as_str(), "AccessDenied" | "AuthenticationFailed")
                && (says("expired") || self.detail_says_expired())
    }

    /// Azure says so in an element of its own.
    fn detail_says_expired(&self) -> bool {
        let detail = self.field("AuthenticationErrorDetail").unwrap_or_default();
        detail.contains("expir") || detail.contains("Signature not valid in the specified time")
    }

    /// The server's words, and what to do if `advice` is not empty.
    pub fn text_with(&self, advice: &str) -> String {
        match advice {
            "" => self.text(),
            advice => format!("{}; {advice}", self.text()),
        }
    }
}

/// The elements that have text and no children. XML that breaks off gives those before the break.
fn elements(body: &[u8]) -> Vec<(String, String)> {
    let text = String::from_utf8_lossy(body);
    let mut reader = Reader::from_str(text.trim_start_matches('\u{feff}'));
    let mut found = Vec::new();
    let mut open: Option<(String, String)> = None;
    loop {
        match reader.read_event() {
            Ok(Event::Start(start)) => {
                open = Some((start.local_name().as_ref().to_owned(), String::new()));
            }
            Ok(Event::Text(text)) => {
                if let Some((_, all)) = &mut open {
                    all.push_str(&text);
                }
            }
            Ok(Event::GeneralRef(reference)) => {
                if let Some((_, all)) = &mut open {
                    let character = reference.resolve_char_ref().ok().flatten();
                    let named = quick_xml::escape::resolve_predefined_entity(&reference);
                    match character {
                        Some(character) => all.push(character),
                        None => all.push_str(named.unwrap_or_default()),
                    }
                }
            }
            Ok(Event::End(_)) => found.extend(open.take()),
            Ok(Event::Eof) | Err(_) => return found,
            Ok(_) => {}
        }
    }
}

/// The first line, without control characters, and not too long.
fn one_line(text: &str) -> String {
    let line = text.trim().lines().next().unwrap_or_default().trim();
    let printable = line.chars().filter(|c| !c.is_control());
    printable.take(MAX_TEXT).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refusal(status: u16, body: &str) -> Refusal {
        let status = StatusCode::from_u16(status).expect("a status");
        Refusal::parse(status, HeaderMap::new(), body.as_bytes())
    }

    #[test]
    fn the_words_of_stores() {
        let s3 = "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<Error><Code>NoSuchKey</Code>\
            <Message>The key &quot;a&amp;b&quot; &#233; does not exist.</Message><Key>x</Key></Error>";
        let s3 = refusal(404, s3);
        assert_eq!(
            s3.text(),
            "NoSuchKey: The key \"a&b\" é does not exist. (HTTP status 404)"
        );
        assert_eq!(s3.field("Key"), Some("x"));
        let azure = "\u{feff}<?xml version=\"1.0\"?><Error><Code>AuthenticationFailed</Code><Message>Server \
            failed.\nRequestId:1\nTime:2</Message><AuthenticationErrorDetail>Signature not valid in the \
            specified time frame</AuthenticationErrorDetail></Error>";
        let azure = refusal(403, azure);
        assert_eq!(
            azure.text(),
            "AuthenticationFailed: Server failed. (HTTP status 403)"
        );
        assert!(azure.is_expired());
        for (body, text) in [
            ("", "HTTP status 403"),
            ("<html><body>no</body></html>", "HTTP status 403"),
            ("<Error><Code>A</Code><Mess", "A (HTTP status 403)"),
            (
                "<Error><Message>b\u{7}\u{1b}[2J</Message></Error>",
                "b[2J (HTTP status 403)",
            ),
        ] {
            assert_eq!(refusal(403, body).text(), text, "{body}");
        }
        let long = format!("<Error><Message>{}</Message></Error>", "x".repeat(9999));
        assert!(refusal(403, &long).text().len() < 400);
    }

    #[test]
    fn an_expired_signature_is_told_apart_from_a_refusal() {
        let is_expired = |code: &str, message: &str| {
            let body = format!("<Error><Code>{code}</Code><Message>{message}</Message></Error>");
            refusal(403, &body).is_expired()
        };
        assert!(is_expired("AccessDenied", "Request has expired"));
        assert!(is_expired(
            "ExpiredToken",
            "The provided token has expired."
        ));
        assert!(!is_expired("AccessDenied", "Access Denied"));
        assert!(!is_expired("NoSuchKey", "it expired"));
    }
}
