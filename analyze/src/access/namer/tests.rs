//! Failing here is failing a test.
#![allow(clippy::unwrap_used)]

use super::*;

fn name(namer: &Namer, method: &str, target: &str) -> String {
    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    let mut out = Vec::new();
    namer.name(
        method.as_bytes(),
        path.as_bytes(),
        query.as_bytes(),
        &mut out,
    );
    String::from_utf8(out).unwrap()
}

#[test]
fn what_looks_like_an_id_is_a_parameter() {
    let namer = Namer::default();
    let check = |path: &str, expected: &str| {
        assert_eq!(
            name(&namer, "GET", path),
            format!("GET {expected}"),
            "{path}"
        );
    };
    check("/", "/");
    check("//", "/");
    check("/api/teams/512/jobs/3584", "/api/teams/:id/jobs/:id");
    check("/api//teams///7", "/api/teams/:id");
    check("/api/teams/", "/api/teams");
    check("/x/-5", "/x/:id");
    check("/x/1.5,2.5", "/x/:id");
    check("/files/550e8400-e29b-41d4-a716-446655440000", "/files/:id");
    check("/files/01ARZ3NDEKTSV4RRFFQ69G5FAV", "/files/:id");
    check("/c/3f2a9c1b", "/c/:id");
    check("/c/a1b2c3d", "/c/:id");
    check("/c/da39a3ee5e6b4b0d3255bfef95601890afd80709", "/c/:id");
    check("/v/dQw4w9WgXcQ", "/v/:id");
    check("/o/507f1f77bcf86cd799439011", "/o/:id");
    check("/t/eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9", "/t/:id");
    check("/stats/2026-11-20", "/stats/:date");
    check("/stats/2026-11", "/stats/:date");
    check("/stats/2026-11-20T10:26:36Z", "/stats/:date");
    check("/archive/2026/11/20", "/archive/:id/:id/:id");
    check("/u/ann@example.com", "/u/:email");
    check("/@ann", "/@:name");
    check("/%40ann", "/@:name");
    check("/@ann@example.com", "/@:name");
    check("/~ann/x", "/~:name/x");
    check("/%7Eann/x", "/~:name/x");
    check("/image/123.jpg", "/image/:id.jpg");
    check("/image/1.png", "/image/:id.png");
    check("/a/3f2a9c1b.js", "/a/:id.js");
    check("/a/app.3f2a9c1b.js", "/a/app.:hash.js");
    check("/a/main-3f2a9c1b.chunk.css", "/a/main-:hash.chunk.css");
    check("/users/user-123", "/users/user-:id");
    check("/items/item_42", "/items/item_:id");
    check("/api/contestants/c00452", "/api/contestants/c:id");
    check("/x;jsessionid=AB12CD34", "/x");
    check("/%61pi/%74eams", "/api/teams");
    check("/q/%E5%AF%BF%E5%8F%B8", "/q/:text");
    check("/q/寿司.png", "/q/:text.png");
    check("/q/a%00b", "/q/:text");
    check("/q/%zz", "/q/:text");
    check(&format!("/q/{}", "b".repeat(6_000)), "/q/:text");
    check("/static/../x", "/static/../x");
    check("/.env", "/.env");
}

#[test]
fn words_of_a_program_stay() {
    let namer = Namer::default();
    for path in [
        "/api/v1/users",
        "/api/v2.1",
        "/http2/oauth2/s3/ec2/k8s/i18n/mp3/utf8/ipv6/base64/sha256",
        "/getUserProfileSettings",
        "/OAuth2AuthorizationServer",
        "/wp-login.php",
        "/static/jquery.min.js",
        "/static/jquery-3.6.0.min.js",
        "/img/logo_300x200.png",
        "/a-quite-ordinary-title-of-a-post",
        "/apple-touch-icon.png",
        "/dashboard/facade/decade",
        "/items:batchGet",
    ] {
        assert_eq!(name(&namer, "GET", path), format!("GET {path}"));
    }
}

#[test]
fn broken_and_odd_requests_have_names() {
    let namer = Namer::default();
    assert_eq!(name(&namer, "GET", ""), BROKEN_REQUEST);
    assert_eq!(name(&namer, "", "/x/1"), "/x/:id");
    assert_eq!(name(&namer, "GET", "x/1/y"), "GET /x/:id/y");
    assert_eq!(name(&namer, "GET", "x"), "GET /x");
    assert_eq!(name(&namer, "OPTIONS", "*"), "OPTIONS *");
    assert_eq!(name(&namer, "G\u{1}T", "/x"), "/x");
    let deep = "/a".repeat(5_000);
    assert_eq!(
        name(&namer, "GET", &deep),
        format!("GET {}/*", "/a".repeat(SEGMENTS))
    );
}

#[test]
fn patterns_of_the_user_come_first() {
    let options = NamerOptions {
        routes: [
            "/api/teams/:id",
            "/api/teams/new",
            "GET /:owner/:repo/blob/*",
            "/@:name",
            "/image/:id.:ext",
            "POST /api/teams/:team_id",
        ]
        .map(String::from)
        .to_vec(),
        regexes: vec!["^/posts/[a-z-]+$".to_owned(), "^/posts/".to_owned()],
        query: QueryKeys::No,
    };
    let namer = Namer::new(options).unwrap();
    let check = |method: &str, path: &str, expected: &str| {
        assert_eq!(name(&namer, method, path), expected, "{method} {path}");
    };
    check("GET", "/api/teams/ann", "GET /api/teams/:id");
    check("POST", "/api/teams/7", "POST /api/teams/:id");
    check("GET", "/api/teams/new", "GET /api/teams/new");
    check("GET", "/api//teams/new/", "GET /api/teams/new");
    check(
        "GET",
        "/ann/app/blob/main/src/a.rs",
        "GET /:owner/:repo/blob/*",
    );
    check("PUT", "/ann/app/blob/main", "PUT /ann/app/blob/main");
    check("GET", "/@ann", "GET /@:name");
    check("GET", "/image/abc.jpg", "GET /image/:id.:ext");
    check("GET", "/image/abc", "GET /image/abc");
    check("GET", "/posts/a-title", "GET ^/posts/[a-z-]+$");
    check("GET", "/posts/7", "GET ^/posts/");
    check("GET", "/other/7", "GET /other/:id");
}

#[test]
fn patterns_that_cannot_be_meant_are_refused() {
    let check = |route: &str, expected: &str| {
        let options = NamerOptions {
            routes: vec![route.to_owned()],
            ..NamerOptions::default()
        };
        let error = Namer::new(options).unwrap_err().to_string();
        assert!(error.contains(expected), "{error}");
    };
    check("api/teams", "does not begin with a slash");
    check("/a/*/b", "'*' in its middle");
    check("/a?b", "holds more than a path");
    check("/:a:b", "two parameters");
    let options = NamerOptions {
        regexes: vec!["(".to_owned()],
        ..NamerOptions::default()
    };
    assert!(matches!(
        Namer::new(options).unwrap_err(),
        NamerError::Regex { .. }
    ));
}

#[test]
fn keys_of_queries_on_request() {
    let check = |query: QueryKeys, target: &str, expected: &str| {
        let options = NamerOptions {
            query,
            ..NamerOptions::default()
        };
        assert_eq!(name(&Namer::new(options).unwrap(), "GET", target), expected);
    };
    check(QueryKeys::No, "/s?b=1&a=2", "GET /s");
    check(QueryKeys::All, "/s?b=1&a=2&b=3&&c", "GET /s?a&b&c");
    check(QueryKeys::All, "/s", "GET /s");
    let some = QueryKeys::Some(vec!["b".to_owned(), "x".to_owned()]);
    check(some, "/s?b=1&a=2", "GET /s?b");
}
