//! Applications as tables: what is asked, how often, and which route it truly is.
//!
//! A template is its own truth. `{kind}` in it stands for a value, drawn from as many as the kind has, the
//! first ones more often than the last.

/// Weight, status, and method with template.
pub(super) type Row = (u32, u16, &'static str);

/// The portal of `scenarios/contest`.
pub(super) const CONTEST: &[Row] = &[
    (1, 200, "POST /initialize"),
    (20, 200, "POST /api/signup"),
    (20, 200, "POST /api/login"),
    (5, 200, "POST /api/logout"),
    (60, 200, "GET /api/session"),
    (10, 200, "POST /api/teams"),
    (20, 200, "POST /api/teams/{small}/members"),
    (50, 200, "GET /api/teams/{small}"),
    (80, 200, "POST /api/jobs"),
    (80, 200, "GET /api/jobs"),
    (60, 200, "GET /api/jobs/{id}"),
    (150, 200, "GET /api/dashboard"),
    (150, 200, "GET /api/audience/dashboard"),
    (10, 200, "POST /api/clarifications"),
    (30, 200, "GET /api/clarifications"),
    (10, 200, "GET /api/staff/clarifications"),
    (8, 200, "POST /api/staff/clarifications/{small}"),
    (70, 200, "GET /api/notifications"),
    (90, 200, "POST /worker/jobs/receive"),
    (80, 200, "POST /worker/jobs/{id}/report"),
    (20, 200, "GET /"),
    (20, 200, "GET /assets/main-{hash}.js"),
    (20, 200, "GET /assets/main-{hash}.css"),
];

/// A board of images: accounts, posts, images by number, comments.
pub(super) const IMAGE_BOARD: &[Row] = &[
    (100, 200, "GET /"),
    (50, 200, "GET /posts"),
    (60, 200, "GET /posts/{id}"),
    (40, 200, "GET /@{user}"),
    (400, 200, "GET /image/{id}.jpg"),
    (200, 200, "GET /image/{id}.png"),
    (50, 200, "GET /image/{id}.gif"),
    (30, 302, "POST /"),
    (40, 302, "POST /comment"),
    (20, 200, "GET /login"),
    (20, 302, "POST /login"),
    (10, 200, "GET /register"),
    (10, 302, "POST /register"),
    (10, 302, "GET /logout"),
    (5, 200, "GET /admin/banned"),
    (5, 302, "POST /admin/banned"),
    (60, 200, "GET /css/style.css"),
    (60, 200, "GET /js/timeago.min.js"),
    (60, 200, "GET /js/main.js"),
    (60, 200, "GET /favicon.ico"),
    (1, 200, "GET /initialize"),
];

/// A shop: products by slug, categories, carts by UUID, a search, files with hashes.
pub(super) const SHOP: &[Row] = &[
    (100, 200, "GET /"),
    (200, 200, "GET /products/{slug}"),
    (10, 404, "GET /products/{slug}"),
    (40, 200, "GET /products/{slug}/reviews"),
    (10, 201, "POST /products/{slug}/reviews"),
    (60, 200, "GET /category/{tag}"),
    (40, 200, "GET /category/{tag}/{subtag}"),
    (80, 200, "GET /search"),
    (60, 200, "GET /cart/{uuid}"),
    (30, 200, "POST /cart/{uuid}/items"),
    (20, 204, "DELETE /cart/{uuid}/items/{id}"),
    (15, 200, "POST /checkout"),
    (20, 200, "GET /orders/{order}"),
    (30, 200, "GET /account"),
    (10, 200, "GET /account/addresses"),
    (20, 200, "POST /api/v1/session"),
    (40, 200, "GET /api/v1/recommendations"),
    (30, 200, "GET /api/v2/stock/{id}"),
    (60, 200, "GET /static/js/app.{hash}.js"),
    (60, 200, "GET /static/js/vendor.{hash}.js"),
    (60, 200, "GET /static/css/app.{hash}.css"),
    (150, 200, "GET /media/{hex}.webp"),
    (10, 200, "GET /about"),
    (10, 200, "GET /terms"),
    (10, 200, "GET /privacy"),
    (10, 200, "GET /shipping-and-returns"),
    (30, 200, "GET /blog/{date}/{slug}"),
];

/// A host of code: owners, repositories, issues, files at commits.
pub(super) const CODE_HOST: &[Row] = &[
    (60, 200, "GET /"),
    (20, 200, "GET /login"),
    (20, 200, "POST /session"),
    (20, 200, "GET /explore"),
    (20, 200, "GET /settings/profile"),
    (10, 200, "GET /settings/keys"),
    (30, 200, "GET /notifications"),
    (60, 200, "GET /{user}"),
    (120, 200, "GET /{user}/{repo}"),
    (80, 200, "GET /{user}/{repo}/issues"),
    (120, 200, "GET /{user}/{repo}/issues/{small}"),
    (20, 201, "POST /{user}/{repo}/issues/{small}/comments"),
    (60, 200, "GET /{user}/{repo}/pull/{small}"),
    (40, 200, "GET /{user}/{repo}/pull/{small}/files"),
    (60, 200, "GET /{user}/{repo}/commit/{sha}"),
    (50, 200, "GET /{user}/{repo}/commits/{branch}"),
    (60, 200, "GET /{user}/{repo}/raw/{sha}/README.md"),
    (60, 200, "GET /api/v3/repos/{user}/{repo}/statuses/{sha}"),
    (30, 200, "GET /api/v3/users/{user}"),
    (30, 200, "GET /avatars/{user}.png"),
    (60, 200, "GET /static/site-{hash}.css"),
];

/// A magazine: titles, authors, tags, an API in the manner of remote procedures. Not looked at while the
/// rules were made.
pub(super) const MAGAZINE: &[Row] = &[
    (100, 200, "GET /"),
    (200, 200, "GET /articles/{slug}"),
    (50, 200, "GET /articles/{slug}/amp"),
    (40, 200, "GET /authors/{user}"),
    (40, 200, "GET /tags/{tag}"),
    (20, 200, "GET /archive/{year}/{month}"),
    (30, 200, "GET /en/articles/{slug}"),
    (60, 200, "GET /img/{slug}-{size}.jpg"),
    (40, 200, "POST /rpc/listComments"),
    (20, 200, "POST /rpc/addComment"),
    (10, 200, "POST /rpc/likeArticle"),
    (10, 200, "POST /rpc/subscribe"),
    (5, 200, "POST /rpc/unsubscribe"),
    (5, 200, "POST /rpc/sendFeedback"),
    (5, 200, "POST /rpc/reportAbuse"),
    (20, 200, "POST /rpc/getProfile"),
    (5, 200, "POST /rpc/setProfile"),
    (20, 200, "GET /feed.xml"),
    (20, 200, "GET /robots.txt"),
    (10, 200, "GET /masthead"),
    (10, 200, "GET /newsletter"),
    (10, 200, "GET /jobs-board"),
    (10, 200, "GET /advertise"),
    (10, 200, "GET /imprint"),
    (30, 200, "GET /events/{date}"),
    (20, 200, "GET /video/{token}"),
];

const WORDS: &str = "amber basket canyon dolphin ember forest garden harbor island jungle kettle lantern \
    meadow needle orchid paper quartz river silver timber umbra velvet willow xenon yellow zephyr anchor \
    bridge copper desert engine falcon glacier hollow indigo jacket kernel ladder mirror nickel oxford \
    pepper quiver ribbon saddle tunnel urchin violet walnut yonder";

const NAMES: &str = "ann bob carol dave erin frank grace heidi ivan judy kenji laura mallory nina oscar \
    peggy quinn ruth sybil trent uma victor wendy xavier yuki zoe akira bruno chloe dmitri elena farid \
    goro hana igor jonas kaito lena mika noor";

/// The `n`th value of a kind.
pub(super) fn value(kind: &str, n: u64) -> String {
    let word = |n: u64| {
        let words: Vec<&str> = WORDS.split_whitespace().collect();
        words[n as usize % words.len()]
    };
    let name = |n: u64| {
        let names: Vec<&str> = NAMES.split_whitespace().collect();
        names[n as usize % names.len()]
    };
    let random = mix(n, 7);
    let hex = |len: usize| {
        let digits = format!("{:016x}{:016x}{:016x}", mix(n, 1), mix(n, 2), mix(n, 3));
        digits[..len].to_owned()
    };
    match kind {
        "id" => (n * 37 + 1).to_string(),
        "small" => (n + 1).to_string(),
        "hash" => hex(8),
        "hex" => hex(32),
        "sha" => hex(40),
        "uuid" => {
            let h = hex(32);
            format!(
                "{}-{}-4{}-a{}-{}",
                &h[..8],
                &h[8..12],
                &h[13..16],
                &h[17..20],
                &h[20..]
            )
        }
        "order" => format!("ORD-{:06}", n * 7919 % 1_000_000),
        "slug" => {
            let words: Vec<&str> = (0..2 + random % 4)
                .map(|at| word(mix(n, 20 + at)))
                .collect();
            words.join("-")
        }
        "user" if n < 40 => name(n).to_owned(),
        "user" => format!("{}{}", name(n), random % 90 + 10),
        "repo" if random % 3 == 0 => format!("{}-{}", word(mix(n, 4)), word(mix(n, 5))),
        "repo" => word(mix(n, 4)).to_owned(),
        "branch" if n == 0 => "main".to_owned(),
        "branch" => format!("{}-{}", word(mix(n, 4)), word(mix(n, 5))),
        "tag" => word(n).to_owned(),
        "subtag" => word(n + 20).to_owned(),
        "date" => format!("2026-{:02}-{:02}", n % 12 + 1, n % 28 + 1),
        "year" => (2_015 + n % 12).to_string(),
        "month" => format!("{:02}", n % 12 + 1),
        "size" => ["320", "640", "1280"][n as usize % 3].to_owned(),
        "token" => {
            let letters = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";
            let pick = |at: u64| letters[mix(n, 40 + at) as usize % letters.len()] as char;
            (0..11).map(pick).collect()
        }
        other => panic!("no kind {other}"),
    }
}

/// How many values a kind has.
pub(super) fn values(kind: &str) -> u64 {
    match kind {
        "hash" => 4,
        "size" => 3,
        "tag" => 24,
        "subtag" => 20,
        "user" => 120,
        "repo" => 150,
        "branch" => 40,
        "small" => 200,
        "slug" => 400,
        _ => 5_000,
    }
}

/// Numbers without a pattern, the same in every run.
pub(super) fn mix(a: u64, b: u64) -> u64 {
    let mut x = a.wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ b.wrapping_mul(0xd1b5_4a32_d192_ed03);
    x ^= x >> 31;
    x = x.wrapping_mul(0x94d0_49bb_1331_11eb);
    x ^ x >> 29
}

/// What scanners ask for.
pub(super) fn scan(n: u64) -> String {
    let word = value("tag", mix(n, 9));
    match n % 6 {
        0 => format!("/{word}.php"),
        1 => format!("/wp-content/plugins/{word}/readme.txt"),
        2 => format!("/.{word}"),
        3 => format!("/{word}/{}.bak", value("tag", mix(n, 10))),
        4 => format!("/cgi-bin/{word}"),
        _ => format!("/{word}-{}", value("tag", mix(n, 11))),
    }
}
