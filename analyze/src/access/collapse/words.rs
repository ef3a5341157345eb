//! What is known of segments as words: which are the program's own, and behind which a name follows.

use super::super::namer::extension;

/// Words, in order, that programs put into their routes beside parameters. No slug or user is called so: programs
/// reserve them.
const RESERVED: &[&str] = &[
    "about",
    "account",
    "accounts",
    "activity",
    "add",
    "admin",
    "all",
    "api",
    "archive",
    "assets",
    "auth",
    "avatar",
    "batch",
    "bulk",
    "callback",
    "cart",
    "categories",
    "category",
    "checkout",
    "comments",
    "config",
    "contact",
    "count",
    "create",
    "css",
    "current",
    "dashboard",
    "debug",
    "delete",
    "demo",
    "docs",
    "download",
    "edit",
    "explore",
    "export",
    "faq",
    "favicon.ico",
    "feed",
    "files",
    "filter",
    "follow",
    "followers",
    "following",
    "fonts",
    "forgot",
    "graphql",
    "health",
    "healthz",
    "help",
    "history",
    "home",
    "icon",
    "image",
    "images",
    "img",
    "import",
    "inbox",
    "index",
    "index.html",
    "index.php",
    "info",
    "initialize",
    "jobs",
    "join",
    "js",
    "latest",
    "like",
    "likes",
    "list",
    "live",
    "livez",
    "login",
    "logout",
    "manifest.json",
    "me",
    "media",
    "messages",
    "metrics",
    "mypage",
    "new",
    "news",
    "next",
    "notifications",
    "oauth",
    "order",
    "orders",
    "page",
    "pages",
    "password",
    "payment",
    "ping",
    "policy",
    "popular",
    "post",
    "posts",
    "preview",
    "pricing",
    "privacy",
    "private",
    "product",
    "products",
    "profile",
    "public",
    "ranking",
    "ready",
    "readyz",
    "recent",
    "recommend",
    "register",
    "reset",
    "robots.txt",
    "rss",
    "search",
    "self",
    "service-worker.js",
    "session",
    "sessions",
    "settings",
    "setup",
    "share",
    "shop",
    "signin",
    "signout",
    "signup",
    "sitemap.xml",
    "static",
    "stats",
    "status",
    "stream",
    "subscribe",
    "suggest",
    "summary",
    "support",
    "tag",
    "tags",
    "team",
    "teams",
    "terms",
    "test",
    "timeline",
    "token",
    "top",
    "trending",
    "unfollow",
    "update",
    "upload",
    "uploads",
    "user",
    "users",
    "verify",
    "version",
    "webhook",
    "webhooks",
    "ws",
];

/// Words behind which an identifier follows, besides plurals.
const COLLECTIONS: &[&str] = &[
    "album",
    "article",
    "artist",
    "author",
    "blog",
    "board",
    "book",
    "brand",
    "c",
    "category",
    "channel",
    "city",
    "collection",
    "company",
    "country",
    "entry",
    "event",
    "game",
    "group",
    "hashtag",
    "i",
    "item",
    "keyword",
    "lang",
    "language",
    "media",
    "member",
    "movie",
    "news",
    "note",
    "org",
    "p",
    "page",
    "people",
    "person",
    "place",
    "player",
    "playlist",
    "post",
    "product",
    "profile",
    "project",
    "r",
    "recipe",
    "repo",
    "repository",
    "room",
    "shop",
    "song",
    "store",
    "story",
    "t",
    "tag",
    "thread",
    "topic",
    "u",
    "user",
    "username",
    "video",
    "wiki",
];

/// Plurals behind which the program's own words follow.
const NO_COLLECTIONS: &[&str] = &[
    "assets",
    "settings",
    "js",
    "css",
    "sys",
    "ops",
    "https",
    "analytics",
    "metrics",
    "stats",
    "reports",
    "preferences",
    "tools",
    "ws",
    "rs",
    "us",
    "fonts",
    "actions",
    "commands",
    "functions",
    "queries",
    "mutations",
    "access",
    "process",
    "status",
];

/// Whether a segment is a word that programs use everywhere, with an extension or without.
pub(super) fn is_habit(segment: &str) -> bool {
    let is_word = |word: &str| {
        let lower = word.to_ascii_lowercase();
        RESERVED.binary_search(&lower.as_str()).is_ok()
    };
    let stem = segment.strip_suffix(extension_of(segment));
    is_word(segment) || stem.is_some_and(is_word)
}

/// Whether a segment is no value, wherever it stands.
pub(super) fn is_reserved(segment: &str) -> bool {
    segment.starts_with('.') || segment.len() <= 1 || is_habit(segment)
}

/// Whether an identifier is to be expected behind this segment.
pub(super) fn is_collection(segment: &str) -> bool {
    let lower = segment.to_ascii_lowercase();
    let last = lower.rsplit(['-', '_']).next().unwrap_or_default();
    if NO_COLLECTIONS.contains(&last) {
        return false;
    }
    COLLECTIONS.contains(&last)
        || last.len() >= 4
            && last.ends_with('s')
            && !last.ends_with("ss")
            && last.bytes().all(|byte| byte.is_ascii_lowercase())
}

/// How much a segment looks as if data named it and no programmer: 0 for a plain word, 1 for a title in
/// three words or a random token.
pub(super) fn look(segment: &str) -> f64 {
    let stem = segment
        .strip_suffix(extension_of(segment))
        .unwrap_or(segment);
    let pieces = stem
        .split(['-', '_', '+', '.'])
        .filter(|piece| !piece.is_empty())
        .count();
    let has_digit = stem.bytes().any(|byte| byte.is_ascii_digit()) || stem.contains(':');
    let mut switches = 0;
    for pair in stem.as_bytes().windows(2) {
        switches += usize::from(pair[0].is_ascii_lowercase() && pair[1].is_ascii_uppercase());
        switches += usize::from(pair[0].is_ascii_digit() != pair[1].is_ascii_digit());
    }
    match (pieces, has_digit) {
        (3.., _) => 1.0,
        (2, true) => 0.8,
        _ if switches * 3 >= stem.len() => 1.0,
        (1, true) => 0.6,
        (2, false) => 0.4,
        _ => 0.0,
    }
}

/// `.jpg` of `photo.jpg`, or nothing.
pub(super) fn extension_of(segment: &str) -> &str {
    let len = extension(segment.as_bytes()).len();
    segment.get(segment.len() - len..).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reserved_words_are_in_order() {
        assert!(RESERVED.is_sorted());
    }

    #[test]
    fn segments_as_words() {
        let check = |segment: &str, reserved, collection| {
            let seen = (is_reserved(segment), is_collection(segment));
            assert_eq!(seen, (reserved, collection), "{segment}");
        };
        check("login", true, false);
        check("Login", true, false);
        check("login.php", true, false);
        check(".env", true, false);
        check("users", true, true);
        check("user", true, true);
        check("blog-posts", false, true);
        check("assets", true, false);
        check("class", false, false);
        check("ann", false, false);
    }

    #[test]
    fn segments_that_data_named() {
        assert!(look("on-writing-well") > look("writing-well"));
        assert!(look("writing-well") > look("writing"));
        assert!(look("kenji42") > look("kenji"));
        assert!(look("aBcDeFgHiJk") > look("getUserProfile"));
    }
}
