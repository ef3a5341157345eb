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

/// Live streams: users by name under an API, streams by number, words beside them.
pub(super) const STREAMS: &[Row] = &[
    (1, 200, "POST /api/initialize"),
    (40, 200, "GET /api/tag"),
    (60, 200, "GET /api/user/{user}/theme"),
    (200, 200, "GET /api/user/{user}/icon"),
    (40, 200, "GET /api/user/{user}/livestream"),
    (40, 200, "GET /api/user/{user}/statistics"),
    (30, 200, "GET /api/user/me"),
    (60, 200, "GET /api/user/{user}"),
    (30, 201, "POST /api/register"),
    (30, 200, "POST /api/login"),
    (10, 201, "POST /api/icon"),
    (10, 201, "POST /api/livestream/reservation"),
    (100, 200, "GET /api/livestream/search"),
    (30, 200, "GET /api/livestream"),
    (80, 200, "GET /api/livestream/{id}"),
    (90, 200, "GET /api/livestream/{id}/livecomment"),
    (60, 201, "POST /api/livestream/{id}/livecomment"),
    (20, 201, "POST /api/livestream/{id}/livecomment/{id}/report"),
    (60, 200, "GET /api/livestream/{id}/reaction"),
    (60, 201, "POST /api/livestream/{id}/reaction"),
    (10, 200, "GET /api/livestream/{id}/report"),
    (10, 200, "GET /api/livestream/{id}/ngwords"),
    (10, 201, "POST /api/livestream/{id}/moderate"),
    (30, 201, "POST /api/livestream/{id}/enter"),
    (30, 200, "DELETE /api/livestream/{id}/exit"),
    (10, 200, "GET /api/livestream/{id}/statistics"),
    (5, 200, "GET /api/payment"),
];

/// Forums: communities, threads in base 36 with titles, users, feeds.
pub(super) const FORUM: &[Row] = &[
    (100, 200, "GET /"),
    (100, 200, "GET /r/{tag}"),
    (20, 200, "GET /r/{tag}/new"),
    (20, 200, "GET /r/{tag}/top"),
    (200, 200, "GET /r/{tag}/comments/{base36}/{title}"),
    (60, 200, "GET /r/{tag}/comments/{base36}/{title}/{base36}"),
    (20, 200, "GET /r/{tag}/about/rules"),
    (60, 200, "GET /user/{user}"),
    (30, 200, "GET /user/{user}/comments"),
    (20, 200, "GET /user/{user}/submitted"),
    (60, 200, "POST /api/vote"),
    (20, 200, "POST /api/comment"),
    (5, 200, "POST /api/subscribe"),
    (5, 200, "POST /api/report"),
    (5, 200, "POST /api/save"),
    (5, 200, "POST /api/hide"),
    (5, 200, "POST /api/del"),
    (20, 200, "GET /search"),
    (5, 200, "GET /wiki/{title}"),
    (20, 200, "GET /u/{user}/summary.json"),
];

/// A registry of packages: names at the root, scopes, versions, archives.
pub(super) const REGISTRY: &[Row] = &[
    (20, 200, "GET /"),
    (300, 200, "GET /{repo}"),
    (200, 200, "GET /{repo}/-/{repo}-{version}.tgz"),
    (60, 200, "GET /{repo}/{version}"),
    (20, 200, "GET /-/v1/search"),
    (20, 200, "POST /-/npm/v1/security/audits"),
    (10, 200, "GET /-/ping"),
    (10, 200, "GET /-/whoami"),
    (10, 201, "PUT /{repo}"),
];

/// An office: resources in the manner of Rails, none of which is a value.
pub(super) const OFFICE: &[Row] = &[
    (60, 200, "GET /accounts"),
    (50, 200, "GET /accounts/{id}"),
    (8, 200, "GET /accounts/{id}/edit"),
    (8, 302, "PATCH /accounts/{id}"),
    (6, 302, "POST /accounts"),
    (6, 200, "GET /accounts/new"),
    (58, 200, "GET /invoices"),
    (48, 200, "GET /invoices/{id}"),
    (8, 200, "GET /invoices/{id}/edit"),
    (8, 302, "PATCH /invoices/{id}"),
    (6, 302, "POST /invoices"),
    (6, 200, "GET /invoices/new"),
    (56, 200, "GET /customers"),
    (46, 200, "GET /customers/{id}"),
    (8, 200, "GET /customers/{id}/edit"),
    (8, 302, "PATCH /customers/{id}"),
    (6, 302, "POST /customers"),
    (6, 200, "GET /customers/new"),
    (54, 200, "GET /products"),
    (44, 200, "GET /products/{id}"),
    (7, 200, "GET /products/{id}/edit"),
    (7, 302, "PATCH /products/{id}"),
    (6, 302, "POST /products"),
    (6, 200, "GET /products/new"),
    (52, 200, "GET /suppliers"),
    (42, 200, "GET /suppliers/{id}"),
    (7, 200, "GET /suppliers/{id}/edit"),
    (7, 302, "PATCH /suppliers/{id}"),
    (5, 302, "POST /suppliers"),
    (5, 200, "GET /suppliers/new"),
    (50, 200, "GET /warehouses"),
    (40, 200, "GET /warehouses/{id}"),
    (7, 200, "GET /warehouses/{id}/edit"),
    (7, 302, "PATCH /warehouses/{id}"),
    (5, 302, "POST /warehouses"),
    (5, 200, "GET /warehouses/new"),
    (48, 200, "GET /shipments"),
    (38, 200, "GET /shipments/{id}"),
    (6, 200, "GET /shipments/{id}/edit"),
    (6, 302, "PATCH /shipments/{id}"),
    (5, 302, "POST /shipments"),
    (5, 200, "GET /shipments/new"),
    (46, 200, "GET /employees"),
    (36, 200, "GET /employees/{id}"),
    (6, 200, "GET /employees/{id}/edit"),
    (6, 302, "PATCH /employees/{id}"),
    (5, 302, "POST /employees"),
    (5, 200, "GET /employees/new"),
    (44, 200, "GET /contracts"),
    (34, 200, "GET /contracts/{id}"),
    (6, 200, "GET /contracts/{id}/edit"),
    (6, 302, "PATCH /contracts/{id}"),
    (4, 302, "POST /contracts"),
    (4, 200, "GET /contracts/new"),
    (42, 200, "GET /projects"),
    (32, 200, "GET /projects/{id}"),
    (5, 200, "GET /projects/{id}/edit"),
    (5, 302, "PATCH /projects/{id}"),
    (4, 302, "POST /projects"),
    (4, 200, "GET /projects/new"),
    (40, 200, "GET /tasks"),
    (30, 200, "GET /tasks/{id}"),
    (5, 200, "GET /tasks/{id}/edit"),
    (5, 302, "PATCH /tasks/{id}"),
    (4, 302, "POST /tasks"),
    (4, 200, "GET /tasks/new"),
    (38, 200, "GET /milestones"),
    (28, 200, "GET /milestones/{id}"),
    (5, 200, "GET /milestones/{id}/edit"),
    (5, 302, "PATCH /milestones/{id}"),
    (4, 302, "POST /milestones"),
    (4, 200, "GET /milestones/new"),
    (36, 200, "GET /tickets"),
    (26, 200, "GET /tickets/{id}"),
    (4, 200, "GET /tickets/{id}/edit"),
    (4, 302, "PATCH /tickets/{id}"),
    (3, 302, "POST /tickets"),
    (3, 200, "GET /tickets/new"),
    (34, 200, "GET /comments"),
    (24, 200, "GET /comments/{id}"),
    (4, 200, "GET /comments/{id}/edit"),
    (4, 302, "PATCH /comments/{id}"),
    (3, 302, "POST /comments"),
    (3, 200, "GET /comments/new"),
    (32, 200, "GET /reports"),
    (22, 200, "GET /reports/{id}"),
    (4, 200, "GET /reports/{id}/edit"),
    (4, 302, "PATCH /reports/{id}"),
    (3, 302, "POST /reports"),
    (3, 200, "GET /reports/new"),
    (30, 200, "GET /budgets"),
    (20, 200, "GET /budgets/{id}"),
    (3, 200, "GET /budgets/{id}/edit"),
    (3, 302, "PATCH /budgets/{id}"),
    (3, 302, "POST /budgets"),
    (3, 200, "GET /budgets/new"),
    (28, 200, "GET /payments"),
    (18, 200, "GET /payments/{id}"),
    (3, 200, "GET /payments/{id}/edit"),
    (3, 302, "PATCH /payments/{id}"),
    (2, 302, "POST /payments"),
    (2, 200, "GET /payments/new"),
    (26, 200, "GET /refunds"),
    (16, 200, "GET /refunds/{id}"),
    (3, 200, "GET /refunds/{id}/edit"),
    (3, 302, "PATCH /refunds/{id}"),
    (2, 302, "POST /refunds"),
    (2, 200, "GET /refunds/new"),
    (24, 200, "GET /coupons"),
    (14, 200, "GET /coupons/{id}"),
    (2, 200, "GET /coupons/{id}/edit"),
    (2, 302, "PATCH /coupons/{id}"),
    (2, 302, "POST /coupons"),
    (2, 200, "GET /coupons/new"),
    (22, 200, "GET /campaigns"),
    (12, 200, "GET /campaigns/{id}"),
    (2, 200, "GET /campaigns/{id}/edit"),
    (2, 302, "PATCH /campaigns/{id}"),
    (2, 302, "POST /campaigns"),
    (2, 200, "GET /campaigns/new"),
    (20, 200, "GET /leads"),
    (10, 200, "GET /leads/{id}"),
    (2, 200, "GET /leads/{id}/edit"),
    (2, 302, "PATCH /leads/{id}"),
    (1, 302, "POST /leads"),
    (1, 200, "GET /leads/new"),
    (18, 200, "GET /meetings"),
    (8, 200, "GET /meetings/{id}"),
    (1, 200, "GET /meetings/{id}/edit"),
    (1, 302, "PATCH /meetings/{id}"),
    (1, 302, "POST /meetings"),
    (1, 200, "GET /meetings/new"),
    (16, 200, "GET /documents"),
    (6, 200, "GET /documents/{id}"),
    (1, 200, "GET /documents/{id}/edit"),
    (1, 302, "PATCH /documents/{id}"),
    (1, 302, "POST /documents"),
    (1, 200, "GET /documents/new"),
    (14, 200, "GET /roles"),
    (4, 200, "GET /roles/{id}"),
    (1, 200, "GET /roles/{id}/edit"),
    (1, 302, "PATCH /roles/{id}"),
    (1, 302, "POST /roles"),
    (1, 200, "GET /roles/new"),
];

/// Remote procedures: many words of the program at one place, most of them rare.
pub(super) const PROCEDURES: &[Row] = &[
    (120, 200, "POST /api/getOrder"),
    (60, 200, "POST /api/listOrder"),
    (40, 200, "POST /api/createOrder"),
    (30, 200, "POST /api/updateOrder"),
    (24, 200, "POST /api/deleteOrder"),
    (20, 200, "POST /api/getCustomer"),
    (17, 200, "POST /api/listCustomer"),
    (15, 200, "POST /api/createCustomer"),
    (13, 200, "POST /api/updateCustomer"),
    (12, 200, "POST /api/deleteCustomer"),
    (10, 200, "POST /api/getInvoice"),
    (10, 200, "POST /api/listInvoice"),
    (9, 200, "POST /api/createInvoice"),
    (8, 200, "POST /api/updateInvoice"),
    (8, 200, "POST /api/deleteInvoice"),
    (7, 200, "POST /api/getItem"),
    (7, 200, "POST /api/listItem"),
    (6, 200, "POST /api/createItem"),
    (6, 200, "POST /api/updateItem"),
    (6, 200, "POST /api/deleteItem"),
    (5, 200, "POST /api/getShipment"),
    (5, 200, "POST /api/listShipment"),
    (5, 200, "POST /api/createShipment"),
    (5, 200, "POST /api/updateShipment"),
    (4, 200, "POST /api/deleteShipment"),
    (4, 200, "POST /api/getReport"),
    (4, 200, "POST /api/listReport"),
    (4, 200, "POST /api/createReport"),
    (4, 200, "POST /api/updateReport"),
    (4, 200, "POST /api/deleteReport"),
    (3, 200, "POST /api/getAddress"),
    (3, 200, "POST /api/listAddress"),
    (3, 200, "POST /api/createAddress"),
    (3, 200, "POST /api/updateAddress"),
    (3, 200, "POST /api/deleteAddress"),
    (3, 200, "POST /api/getCoupon"),
    (3, 200, "POST /api/listCoupon"),
    (3, 200, "POST /api/createCoupon"),
    (3, 200, "POST /api/updateCoupon"),
    (3, 200, "POST /api/deleteCoupon"),
    (2, 200, "POST /api/getTicket"),
    (2, 200, "POST /api/listTicket"),
    (2, 200, "POST /api/createTicket"),
    (2, 200, "POST /api/updateTicket"),
    (2, 200, "POST /api/deleteTicket"),
    (2, 200, "POST /api/getSession"),
    (2, 200, "POST /api/listSession"),
    (2, 200, "POST /api/createSession"),
    (2, 200, "POST /api/updateSession"),
    (2, 200, "POST /api/deleteSession"),
    (2, 200, "POST /api/getDevice"),
    (2, 200, "POST /api/listDevice"),
    (2, 200, "POST /api/createDevice"),
    (2, 200, "POST /api/updateDevice"),
    (2, 200, "POST /api/deleteDevice"),
    (2, 200, "POST /api/getWebhook"),
    (2, 200, "POST /api/listWebhook"),
    (2, 200, "POST /api/createWebhook"),
    (2, 200, "POST /api/updateWebhook"),
    (2, 200, "POST /api/deleteWebhook"),
    (1, 200, "POST /api/getBalance"),
    (1, 200, "POST /api/listBalance"),
];

/// Pages at the root, some by slug and some by the program.
pub(super) const PAGES: &[Row] = &[
    (100, 200, "GET /"),
    (300, 200, "GET /{slug}"),
    (40, 200, "GET /newsletter"),
    (40, 200, "GET /imprint"),
    (30, 200, "GET /about"),
    (30, 200, "GET /shipping"),
    (30, 200, "GET /author/{user}"),
    (30, 200, "GET /wp-content/uploads/{year}/{month}/{slug}.jpg"),
    (30, 200, "POST /wp-admin/admin-ajax.php"),
    (20, 200, "GET /wp-json/wp/v2/posts/{id}"),
    (20, 200, "GET /feed"),
];

/// A cluster's control plane: namespaces, and names with random ends.
pub(super) const CLUSTER: &[Row] = &[
    (60, 200, "GET /api/v1/namespaces/{tag}/pods"),
    (90, 200, "GET /api/v1/namespaces/{tag}/pods/{pod}"),
    (40, 200, "GET /api/v1/namespaces/{tag}/pods/{pod}/log"),
    (60, 200, "GET /api/v1/namespaces/{tag}/services"),
    (40, 200, "GET /api/v1/namespaces/{tag}/services/{repo}"),
    (40, 200, "GET /api/v1/namespaces/{tag}/configmaps/{repo}"),
    (60, 200, "PATCH /api/v1/namespaces/{tag}/events/{pod}"),
    (20, 200, "GET /api/v1/nodes"),
    (40, 200, "GET /api/v1/nodes/node-{small}"),
    (
        60,
        200,
        "PUT /apis/coordination.k8s.io/v1/namespaces/{tag}/leases/{repo}",
    ),
    (
        60,
        200,
        "GET /apis/apps/v1/namespaces/{tag}/deployments/{repo}",
    ),
    (20, 200, "GET /healthz"),
    (20, 200, "GET /livez"),
    (20, 200, "GET /openapi/v2"),
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
        "repo" if random.is_multiple_of(3) => format!("{}-{}", word(mix(n, 4)), word(mix(n, 5))),
        "repo" => word(mix(n, 4)).to_owned(),
        "branch" if n == 0 => "main".to_owned(),
        "branch" => format!("{}-{}", word(mix(n, 4)), word(mix(n, 5))),
        "tag" => word(n).to_owned(),
        "subtag" => word(n + 20).to_owned(),
        "date" => format!("2026-{:02}-{:02}", n % 12 + 1, n % 28 + 1),
        "year" => (2_015 + n % 12).to_string(),
        "month" => format!("{:02}", n % 12 + 1),
        "base36" => {
            let letters = b"0123456789abcdefghijklmnopqrstuvwxyz";
            let pick = |at: u64| letters[mix(n, 60 + at) as usize % letters.len()] as char;
            ['1'].into_iter().chain((0..5).map(pick)).collect()
        }
        "title" => value("slug", n).replace('-', "_"),
        "version" => format!("{}.{}.{}", random % 9, mix(n, 2) % 20, mix(n, 3) % 30),
        "pod" => {
            let end = value("base36", n + 1);
            format!("{}-{}-{}", word(mix(n, 4)), &hex(9), &end[1..])
        }
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
        "title" => 800,
        "version" => 60,
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
