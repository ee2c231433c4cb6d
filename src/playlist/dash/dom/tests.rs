//! Texts however XML writes them, and texts that are none.

use super::*;

fn wrong(text: &str) -> (usize, &'static str) {
    let Err(Wrong { at, why, .. }) = Dom::parse(text) else {
        panic!("it was parsed");
    };
    (at, why)
}

#[test]
fn text_is_decoded_in_every_xml_form() {
    let table = [
        ("v/", "v/"),
        ("\n  v/ <!-- comment -->\n", "v/"),
        ("<![CDATA[a&b/]]>", "a&b/"),
        ("a&amp;b/&#x63;&#100;", "a&b/cd"),
        ("a<!-- x -->b<![CDATA[c]]><?pi d?>", "abc"),
        ("", ""),
    ];
    for (written, said) in table {
        let text = format!("<MPD><BaseURL>{written}</BaseURL></MPD>");
        let dom = Dom::parse(&text).expect("a manifest");
        let (_, found) = dom.text_of(1).expect("text");
        assert_eq!(found, said, "{written}");
    }
}

#[test]
fn attributes_in_both_quotes_and_over_lines() {
    let text = "<MPD a='\"1\"'\n\tb = \"&lt;&#39;>\" c='' />";
    let dom = Dom::parse(text).expect("a manifest");
    assert_eq!(dom.value(0, "a").as_deref(), Some("\"1\""));
    assert_eq!(dom.value(0, "b").as_deref(), Some("<'>"));
    assert_eq!(dom.value(0, "c").as_deref(), Some(""));
    assert_eq!(dom.value(0, "d"), None);
}

#[test]
fn other_namespaces_are_ignored() {
    let text = "<d:MPD xmlns:d='urn:mpeg:dash:schema:mpd:2011' xmlns:e='urn:mpeg:dash:schema:mpd:2011' xmlns='urn:other'><e:Period/><Period/><x:Period/><y><d:Period/></y></d:MPD>";
    let dom = Dom::parse(text).expect("a manifest");
    assert_eq!(dom.ids(), 0..2);
}

#[test]
fn hostile_documents_are_refused_with_the_offset() {
    let deep = "<MPD>".to_owned() + &"<a>".repeat(200_000);
    assert_eq!(
        wrong(&deep),
        (5 + 99 * 3, "elements are nested more than 100 deep")
    );
    let many = "<MPD>".to_owned() + &"<S/>".repeat(1_000_000);
    assert_eq!(
        wrong(&many),
        (5 + 499_999 * 4, "there are more than 500,000 elements")
    );
    let long = "<MPD>".to_owned() + &" ".repeat(LONGEST as usize);
    assert_eq!(wrong(&long).0, 0);
    assert_eq!(wrong("<MPD>\0</MPD>").0, 5);
    let long = format!("<MPD>\n<Period id='{}'/></MPD>", "x".repeat(17_000));
    assert_eq!(wrong(&long), (6, "a tag is longer than 16 KiB"));
    let long = format!("<MPD>\n<BaseURL>{}</BaseURL></MPD>", " ".repeat(17_000));
    assert_eq!(wrong(&long), (6, "a BaseURL is longer than 16 KiB"));
    let many = format!("<MPD>{}</MPD>", "<Representation/>".repeat(20_001));
    assert_eq!(
        wrong(&many),
        (
            5 + 20_000 * 17,
            "there are more than 20,000 Representations"
        )
    );
    let bomb =
        "<!DOCTYPE MPD [<!ENTITY a '&b;&b;'><!ENTITY b 'x'>]><MPD><BaseURL>&a;</BaseURL></MPD>";
    assert_eq!(wrong(bomb), (bomb.find("<BaseURL").expect("there"), ENTITY));
    let bomb = bomb.replace("<MPD>", "<MPD id='&a;'>");
    assert_eq!(wrong(&bomb), (bomb.find("&a;").expect("there"), ENTITY));
    for (text, at) in [
        ("<MPD", 0),
        ("<MPD><Period></MPD>", 13),
        ("<MPD><Period>", 5),
        ("<MPD a></MPD>", 5),
        ("<MPD a=1></MPD>", 5),
        ("<MPD a=\"1></MPD>", 0),
        ("<MPD><x>", 0),
    ] {
        assert_eq!(wrong(text).0, at, "{text}");
    }
    let latin =
        "<?xml version='1.0' encoding='ISO-8859-1'?><MPD><BaseURL>\u{c3}\u{a9}/</BaseURL></MPD>";
    assert_eq!(wrong(latin).0, 0);
}
