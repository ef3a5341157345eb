//! The page and its assets.

use contest_target::Options;

use crate::client::send;
use crate::in_process::Server;

#[test]
fn files_are_served_and_revalidated() {
    let server = Server::start(Options::default());
    let page = send(server.address, "GET", "/", &[], b"");
    let page = String::from_utf8(page.body).unwrap();
    for (path, kind, cache) in [
        ("/", "text/html; charset=utf-8", "no-cache"),
        (
            "/assets/app.css",
            "text/css; charset=utf-8",
            "public, max-age=86400",
        ),
        (
            "/assets/app.js",
            "text/javascript; charset=utf-8",
            "public, max-age=86400",
        ),
        ("/assets/logo.svg", "image/svg+xml", "public, max-age=86400"),
    ] {
        assert!(
            path == "/" || page.contains(&format!("\"{path}\"")),
            "{path}"
        );
        let reply = send(server.address, "GET", path, &[], b"");
        assert_eq!(
            (reply.status, reply.header("content-type")),
            (200, Some(kind))
        );
        assert_eq!(reply.header("cache-control"), Some(cache));
        assert!(reply.body.len() > 1_000);
        let head = send(server.address, "HEAD", path, &[], b"");
        assert_eq!((head.status, head.body.len()), (200, 0));
        let without_date = |headers: &[(String, String)]| {
            headers
                .iter()
                .filter(|it| it.0 != "date")
                .cloned()
                .collect::<Vec<_>>()
        };
        assert_eq!(without_date(&head.headers), without_date(&reply.headers));
        let tag = reply.header("etag").unwrap();
        assert!(tag.starts_with('"') && tag.ends_with('"'), "{tag}");
        let changed = reply.header("last-modified").unwrap();
        let old = "Thu, 01 Jan 2015 00:00:00 GMT";
        for (headers, status) in [
            (vec![("If-None-Match", tag)], 304),
            (vec![("If-None-Match", "*")], 304),
            (vec![("If-None-Match", &*format!("\"a\", W/{tag}"))], 304),
            (vec![("If-None-Match", "\"other\"")], 200),
            (
                vec![
                    ("If-None-Match", "\"other\""),
                    ("If-Modified-Since", changed),
                ],
                200,
            ),
            (vec![("If-Modified-Since", changed)], 304),
            (vec![("If-Modified-Since", old)], 200),
            (vec![("If-Modified-Since", "yesterday")], 200),
        ] {
            let again = send(server.address, "GET", path, &headers, b"");
            assert_eq!(again.status, status, "{path} {headers:?}");
            assert_eq!(again.body.is_empty(), status == 304);
            assert_eq!(again.header("etag"), Some(tag));
        }
        let post = send(server.address, "POST", path, &[], b"");
        assert_eq!(
            (post.status, post.header("allow")),
            (405, Some("GET, HEAD"))
        );
    }
}
