//! The files a page needs, and whether they are the right ones.

use html5gum::{Token, Tokenizer};

/// Files of one page that are fetched.
const FILES: usize = 100;

/// The styles, scripts and images that an HTML document refers to on its own server, each once, in
/// the document's order, as absolute paths. `page` is the document's own path.
pub(super) fn of_page(html: &[u8], page: &str) -> Vec<String> {
    let mut found: Vec<String> = Vec::new();
    let Ok(base) = url::Url::parse("http://page.invalid").and_then(|host| host.join(page)) else {
        return found;
    };
    for Ok(token) in Tokenizer::new(html) {
        let Token::StartTag(tag) = token else {
            continue;
        };
        let attribute = |name: &[u8]| {
            let value = tag.attributes.get(name)?;
            std::str::from_utf8(value.as_ref()).ok()
        };
        let reference = match &*tag.name.0 {
            b"script" | b"img" => attribute(b"src"),
            b"link" => attribute(b"rel")
                .filter(|rel| {
                    rel.split_ascii_whitespace().any(|rel| {
                        matches!(rel, "stylesheet" | "icon" | "preload" | "modulepreload")
                    })
                })
                .and_then(|_| attribute(b"href")),
            _ => None,
        };
        let Some(url) = reference.and_then(|reference| base.join(reference.trim()).ok()) else {
            continue;
        };
        if url.host_str() != base.host_str() || url.scheme() != "http" {
            continue;
        }
        let mut path = url.path().to_owned();
        if let Some(query) = url.query() {
            path.push('?');
            path.push_str(query);
        }
        if !found.contains(&path) && found.len() < FILES {
            found.push(path);
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn references_are_found_where_browsers_find_them() {
        let check = |html: &str, expected: &[&str]| {
            assert_eq!(of_page(html.as_bytes(), "/a/page?x=1"), expected, "{html}");
        };
        check("<link rel=stylesheet href=/app.css>", &["/app.css"]);
        check("<LINK REL='shortcut icon' HREF='i.ico'>", &["/a/i.ico"]);
        check("<link rel=canonical href=/x>", &[]);
        check(
            "<script src='../app.js?v=1'></script><script>1</script>",
            &["/app.js?v=1"],
        );
        check("<img src=/a.png><img src=/a.png>", &["/a.png"]);
        check("<!-- <img src=/a.png> --><p title='<img src=/b.png>'>", &[]);
        check(
            "<img src=http://other.example/a.png><img src='data:,x'>",
            &[],
        );
        check("<img src=http://page.invalid/a.png>", &["/a.png"]);
        check("<img src=", &[]);
    }

    #[test]
    fn pages_have_an_end() {
        let html: String = (0..1_000).map(|n| format!("<img src=/{n}.png>")).collect();
        assert_eq!(of_page(html.as_bytes(), "/").len(), FILES);
    }
}
