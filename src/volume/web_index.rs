//! The index of a directory as web servers write it: HTML with a link for each file (nginx, Apache, Python,
//! rclone and others), or the JSON of nginx, of Caddy, or of a node of ours. Pure.

use std::fmt;

use html5gum::emitters::callback::{CallbackEmitter, CallbackEvent};
use html5gum::{Span, Tokenizer};
use percent_encoding::percent_decode_str;
use serde::de::{Deserializer, SeqAccess, Visitor};
use serde::{Deserialize, de};

use crate::content::parse_cid;
use crate::http::Url;
use crate::source::Error;

/// A link to a file or directory directly below the page.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Link {
    /// The decoded name, without a slash.
    pub(super) name: String,
    pub(super) url: Url,
    pub(super) is_directory: bool,
    /// In bytes. HTML does not tell it exactly.
    pub(super) size: Option<u64>,
    /// Changes when the content changes.
    pub(super) version: Option<String>,
}

/// Takes one link. Its error ends the parsing.
type Take<'a> = &'a mut dyn FnMut(Link) -> Result<(), Error>;

/// Gives the links of the index at `page`, sent as media type `kind`, to `take`, one at a time: the caller bounds the
/// memory for them. Links that lead elsewhere, to other servers or deeper, and links with a query are left out.
/// `shown` is the address in errors.
///
/// # Errors
/// If it is no index; the errors of `take`.
pub(super) fn links(
    page: &Url,
    kind: &str,
    body: &[u8],
    shown: &str,
    take: Take,
) -> Result<(), Error> {
    let unsupported = |what: String| Error::Unsupported {
        what: format!("{shown} is no index of a directory{what}"),
    };
    match form(kind) {
        Some(Form::Html) => html(page, body, take),
        Some(Form::Json) => {
            let mut failed = None;
            let entries = Entries {
                page,
                take,
                failed: &mut failed,
            };
            let mut parser = serde_json::Deserializer::from_slice(body);
            let parsed = parser.deserialize_seq(entries).and_then(|()| parser.end());
            let bad = |e| unsupported(format!(" that can be read: {e}"));
            parsed.map_err(|e| failed.unwrap_or_else(|| bad(e)))
        }
        None => Err(unsupported(format!(": it is {kind}"))),
    }
}

/// Whether an index may have this media type.
pub(super) fn is_index(kind: &str) -> bool {
    form(kind).is_some()
}

enum Form {
    Html,
    Json,
}

fn form(kind: &str) -> Option<Form> {
    let kind = kind.split(';').next().unwrap_or_default().trim();
    match kind.to_ascii_lowercase().as_str() {
        "text/html" | "application/xhtml+xml" => Some(Form::Html),
        "application/json" => Some(Form::Json),
        _ => None,
    }
}

fn html(page: &Url, body: &[u8], take: Take) -> Result<(), Error> {
    let text = String::from_utf8_lossy(body);
    // Only the attribute that is being read is in memory: one tag of a hostile page may have millions.
    let (mut is_link, mut is_href) = (false, false);
    let hrefs = move |event: CallbackEvent<'_>, _: Span<()>| {
        match event {
            CallbackEvent::OpenStartTag { name } => (is_link, is_href) = (name == b"a", false),
            CallbackEvent::CloseStartTag { .. } => (is_link, is_href) = (false, false),
            CallbackEvent::AttributeName { name } => is_href = is_link && name == b"href",
            CallbackEvent::AttributeValue { value } if is_href => {
                // The first attribute of a name counts.
                (is_link, is_href) = (false, false);
                return String::from_utf8(value.to_vec()).ok();
            }
            _ => {}
        }
        None
    };
    let mut emitter = CallbackEmitter::new(hrefs);
    // Scripts are no markup.
    emitter.naively_switch_states(true);
    for href in Tokenizer::new_with_emitter(&*text, emitter).flatten() {
        if let Some(link) = page.join(href.trim()).ok().and_then(|url| child(page, url)) {
            take(link)?;
        }
    }
    Ok(())
}

/// A link, if it leads to a child of the page's directory on the same server.
fn child(page: &Url, mut url: Url) -> Option<Link> {
    url.set_fragment(None);
    if url.origin() != page.origin() || url.query().is_some() {
        return None;
    }
    let decoded = |path: &str| percent_decode_str(path).collect::<Vec<u8>>();
    let (directory, _) = page.path().rsplit_once('/')?;
    let path = url.path();
    let (path, is_directory) = match path.strip_suffix('/') {
        Some(path) => (path, true),
        None => (path, false),
    };
    let (above, name) = path.rsplit_once('/')?;
    // Servers and browsers encode the same name in different ways.
    if decoded(above) != decoded(directory) {
        return None;
    }
    let name = String::from_utf8(decoded(name)).ok()?;
    Some(Link {
        name,
        url,
        is_directory,
        size: None,
        version: None,
    })
}

/// An entry of an index in JSON.
#[derive(Deserialize)]
struct Entry {
    /// In Caddy's indexes, that of a directory ends with a slash.
    name: String,
    #[serde(flatten)]
    kind: EntryKind,
    #[serde(alias = "mod_time")]
    mtime: Option<String>,
    size: Option<u64>,
    /// In a node's lists.
    cid: Option<String>,
    /// In a node's lists, with `cid`: where the content is, relative to the list. It ends with `ipfs/CID`.
    url: Option<String>,
}

/// Whether an entry is a directory.
#[derive(Deserialize)]
enum EntryKind {
    /// In nginx's `autoindex_format json` and a node's lists: `directory`, `file` or `other`.
    #[serde(rename = "type")]
    Type(String),
    /// In the indexes of Caddy's `file_server browse`.
    #[serde(rename = "is_dir")]
    IsDir(bool),
}

/// Takes the entries of an array as they are parsed.
struct Entries<'a> {
    page: &'a Url,
    take: Take<'a>,
    /// The error of `take`, which the parser cannot pass on.
    failed: &'a mut Option<Error>,
}

impl<'de> Visitor<'de> for Entries<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list of files")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut entries: A) -> Result<(), A::Error> {
        while let Some(entry) = entries.next_element::<Entry>()? {
            let taken = link(self.page, entry).map_or(Ok(()), &mut *self.take);
            if let Err(error) = taken {
                *self.failed = Some(error);
                return Err(de::Error::custom("the entry was refused"));
            }
        }
        Ok(())
    }
}

fn link(page: &Url, entry: Entry) -> Option<Link> {
    let is_directory = match entry.kind {
        EntryKind::Type(kind) => kind == "directory",
        EntryKind::IsDir(is_directory) => is_directory,
    };
    if let Some(cid) = entry.cid {
        let cid = parse_cid(&cid).ok()?;
        let url = page.join(&entry.url?).ok()?;
        // At the root of a server it is opened as that CID, and verified unless the options say otherwise. Below
        // another path it is a URL like others.
        let is_of_cid = url.path().ends_with(&format!("/ipfs/{cid}"));
        let is_plain = url.query().is_none() && url.fragment().is_none();
        if url.origin() != page.origin() || !is_of_cid || !is_plain {
            return None;
        }
        return Some(Link {
            name: entry.name,
            url,
            is_directory,
            size: entry.size,
            version: Some(cid.to_string()),
        });
    }
    let name = match entry.name.strip_suffix('/') {
        Some(name) if is_directory => name,
        _ => &entry.name,
    };
    let mut url = page.join(".").ok()?;
    let mut path = url.path_segments_mut().ok()?;
    path.pop_if_empty().push(name);
    if is_directory {
        path.push("");
    }
    drop(path);
    // The URL must lead to what the entry names: `..` and `a/b` do not.
    let link = child(page, url).filter(|link| link.name == name)?;
    if is_directory {
        return Some(link);
    }
    let version = entry.mtime.map(|time| match entry.size {
        Some(size) => format!("date {time}, {size} bytes"),
        None => format!("date {time}"),
    });
    Some(Link {
        size: entry.size,
        version,
        ..link
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(page: &str, kind: &str, body: &str) -> Vec<String> {
        let page = Url::parse(page).expect("a URL");
        let mut found = Vec::new();
        let mut take = |link: Link| {
            let slash = if link.is_directory { "/" } else { "" };
            found.push(format!("{}{slash} {}", link.name, link.url));
            Ok(())
        };
        links(&page, kind, body.as_bytes(), "it", &mut take).expect("an index");
        found
    }

    /// A page of 32 MB has three million links, which took 1 GB before their number was looked at.
    #[test]
    fn parsing_ends_at_the_first_link_that_is_refused() {
        let page = Url::parse("http://h/").expect("a URL");
        let json = [r#"{"name":"a.zip","type":"file"}"#; 10].join(",");
        for (kind, body) in [
            ("text/html", "<a href=a.zip>".repeat(10)),
            ("application/json", format!("[{json}]")),
        ] {
            let mut taken = 0;
            let mut take = |_| {
                taken += 1;
                let what = "too many".to_owned();
                if taken < 3 {
                    Ok(())
                } else {
                    Err(Error::Unsupported { what })
                }
            };
            let error = links(&page, kind, body.as_bytes(), "it", &mut take);
            assert_eq!(error.unwrap_err().to_string(), "too many", "{kind}");
            assert_eq!(taken, 3, "{kind}");
        }
    }

    #[test]
    fn links_of_known_servers() {
        let nginx = "<html>\r\n<head><title>Index of /f/</title></head>\r\n<body><h1>Index of /f/</h1><hr><pre>\
            <a href=\"../\">../</a>\r\n<a href=\"sub/\">sub/</a>  28-Nov-2026 21:55  -\r\n\
            <a href=\"a%20b%26c.zip\">a b&amp;c.zip</a> 28-Nov-2026 21:55  1234\r\n</pre><hr></body></html>";
        let expected = ["sub/ http://h/f/sub/", "a b&c.zip http://h/f/a%20b%26c.zip"];
        assert_eq!(names("http://h/f/", "text/html", nginx), expected);
        let apache = "<table><tr><th><a href=\"?C=N;O=D\">Name</a></th></tr><tr><td valign=\"top\">\
            <a href=\"/\">Parent Directory</a></td></tr><tr><td><A HREF=a&amp;b.zip>a</A></td></tr>\
            <tr><td><a href='/f(1)/c.zip'>c</a></td></tr></table>";
        let expected = [
            "a&b.zip http://h/f%281%29/a&b.zip",
            "c.zip http://h/f(1)/c.zip",
        ];
        assert_eq!(
            names("http://h/f%281%29/", "text/html;charset=utf-8", apache),
            expected
        );
        let rclone = "<script>if (1 < 2) { s = '<a href=\"no.zip\">' }</script><!-- <a href=\"no.zip\"> -->\
            <a href=\"./a&#43;b.zip\"><span class=\"name\">a+b.zip</span></a>";
        let expected = ["a+b.zip http://h/a+b.zip"];
        assert_eq!(
            names("http://h/", "text/html; charset=utf-8", rclone),
            expected
        );
        let json = r#"[{"name":"sub","type":"directory","mtime":"Sat, 28 Nov 2026 21:55:30 GMT"},
            {"name":"100% é?.zip","type":"file","mtime":"Sat, 28 Nov 2026 21:55:30 GMT","size":7}]"#;
        let expected = [
            "sub/ http://h/f/sub/",
            "100% é?.zip http://h/f/100%25%20%C3%A9%3F.zip",
        ];
        assert_eq!(names("http://h/f/", "application/json", json), expected);
        let caddy = r#"[{"name":"a b.zip","size":7,"url":"./a%20b.zip","mod_time":"2026-11-29T13:54:13Z","mode":420,
            "is_dir":false,"is_symlink":false},{"name":"sub/","size":4096,"url":"./sub/",
            "mod_time":"2026-11-29T13:54:13Z","mode":2147484141,"is_dir":true,"is_symlink":false}]"#;
        let expected = ["a b.zip http://h/f/a%20b.zip", "sub/ http://h/f/sub/"];
        assert_eq!(names("http://h/f/", "application/json", caddy), expected);
    }

    /// What a node lists is opened by its CID. Behind a reverse proxy that serves the node below a path of its own
    /// (`/node/`), the program asked for `/ipfs/CID` of that proxy, which was not found.
    #[test]
    fn entries_with_a_cid_lead_to_it_also_below_the_path_of_a_proxy() {
        let cid = "bafkreigh2akiscaildcqabsyg3dfr6chu3fgpregiymsck7e7aqa4s52zy";
        let node = format!(
            r#"[{{"type":"file","name":"a.zip","size":7,"cid":"{cid}","url":"../ipfs/{cid}"}},
            {{"type":"directory","name":"sub"}}]"#
        );
        for root in ["http://h/", "http://h/node/"] {
            let expected = [
                format!("a.zip {root}ipfs/{cid}"),
                format!("sub/ {root}d/sub/"),
            ];
            let page = format!("{root}d/");
            assert_eq!(names(&page, "application/json", &node), expected);
        }
    }

    #[test]
    fn entries_whose_address_is_not_that_of_their_cid_are_left_out() {
        let cid = "bafkreigh2akiscaildcqabsyg3dfr6chu3fgpregiymsck7e7aqa4s52zy";
        let other = "bafkreibm6jg3ux5qumhcn2b3flc3tyu6dmlb4xa7u5bf44yegnrjhc4yeq";
        for (cid, url) in [
            (cid, format!("../ipfs/{other}")),
            (cid, format!("../ipfs/{cid}/x")),
            (cid, format!("../ipfs/{cid}?x=y")),
            (cid, format!("../ipfs/{cid}#x")),
            (cid, format!("../{cid}")),
            (cid, format!("http://evil/ipfs/{cid}")),
            (cid, String::new()),
            ("../x", "../ipfs/../x".into()),
        ] {
            let node = format!(r#"[{{"type":"file","name":"a.zip","cid":"{cid}","url":"{url}"}}]"#);
            let found = names("http://h/d/", "application/json", &node);
            assert!(found.is_empty(), "{url}: {found:?}");
        }
        let node = format!(r#"[{{"type":"file","name":"a.zip","cid":"{cid}"}}]"#);
        assert!(names("http://h/d/", "application/json", &node).is_empty());
    }

    /// One tag with six million attributes took 0.8 GB, because all of them were kept.
    #[test]
    fn the_first_address_of_a_link_counts_among_many_attributes() {
        let many: String = (0..1000).map(|n| format!(" x{n}=1 y{n}")).collect();
        let body = format!(
            "<b href=b.zip{many}></b><a{many} href=a.zip href=c.zip{many}>a</a href=d.zip><a href><a>x"
        );
        let found = names("http://h/f/", "text/html", &body);
        assert_eq!(found, ["a.zip http://h/f/a.zip"]);
    }

    #[test]
    fn links_elsewhere_are_left_out() {
        for href in [
            "http://evil/f/a.zip",
            "https://h/f/a.zip",
            "//evil/f/a.zip",
            "http://h:81/f/a.zip",
            "../a.zip",
            "..%2fa.zip/..",
            "/f/sub/a.zip",
            "sub/../../g/a.zip",
            "%2e%2e/a.zip",
            ".\\..\\..\\a.zip",
            "a.zip?x=y",
            "#a.zip",
            "javascript:a.zip",
            "data:,a.zip",
            "%ff.zip",
            "",
        ] {
            let body = format!("<a href=\"{href}\">x</a>");
            let found = names("http://h/f/", "text/html", &body);
            let expected: &[&str] = &[];
            assert_eq!(found, expected, "{href}");
        }
        let json = r#"[{"name":"..","type":"directory"},{"name":".","type":"file"},{"name":"","type":"file"}]"#;
        assert!(names("http://h/f/", "application/json", json).is_empty());
        // The rest is refused by its name later.
        let slash = r#"[{"name":"a/../../b.zip","type":"file"}]"#;
        assert_eq!(
            names("http://h/f/", "application/json", slash),
            ["a/../../b.zip http://h/f/a%2F..%2F..%2Fb.zip"]
        );
    }

    #[test]
    fn other_pages_are_no_index() {
        let page = Url::parse("http://h/f/").expect("a URL");
        for (kind, body) in [
            ("application/zip", "PK"),
            ("", "<a href=b>"),
            ("application/json", "{}"),
            ("application/json", "[] []"),
            ("application/json", r#"[{"name":"a.zip"}]"#),
        ] {
            let error = links(&page, kind, body.as_bytes(), "it", &mut |_| Ok(())).unwrap_err();
            let said = error.to_string();
            assert!(said.contains("it is no index of a directory"), "{said}");
        }
    }
}
