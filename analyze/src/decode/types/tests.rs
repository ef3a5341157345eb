//! Types found without a map, on routes of several services whose truth is in a table.

// Failing here is failing a test.
#![allow(clippy::unwrap_used)]

use std::path::PathBuf;

use isukit_proto::{FieldKind, JsonParseOptions, Message, Schema};

use super::*;

/// Method, path with `#` for a number, request and response; empty for none.
type Row = (&'static str, &'static str, &'static str, &'static str);

const CONTEST: &[Row] = &[
    (
        "POST",
        "/initialize",
        "InitializeRequest",
        "InitializeResponse",
    ),
    ("POST", "/api/signup", "SignupRequest", "SignupResponse"),
    ("POST", "/api/login", "LoginRequest", "LoginResponse"),
    ("POST", "/api/logout", "", "LogoutResponse"),
    ("GET", "/api/session", "", "SessionResponse"),
    (
        "POST",
        "/api/teams",
        "CreateTeamRequest",
        "CreateTeamResponse",
    ),
    (
        "POST",
        "/api/teams/#/members",
        "JoinTeamRequest",
        "JoinTeamResponse",
    ),
    ("GET", "/api/teams/#", "", "GetTeamResponse"),
    (
        "POST",
        "/api/jobs",
        "EnqueueJobRequest",
        "EnqueueJobResponse",
    ),
    ("GET", "/api/jobs", "", "ListJobsResponse"),
    ("GET", "/api/jobs/#", "", "GetJobResponse"),
    ("GET", "/api/dashboard", "", "DashboardResponse"),
    ("GET", "/api/audience/dashboard", "", "DashboardResponse"),
    ("POST", "/api/clarifications", "AskRequest", "AskResponse"),
    (
        "GET",
        "/api/clarifications",
        "",
        "ListClarificationsResponse",
    ),
    (
        "GET",
        "/api/staff/clarifications",
        "",
        "StaffClarificationsResponse",
    ),
    (
        "POST",
        "/api/staff/clarifications/#",
        "AnswerRequest",
        "AnswerResponse",
    ),
    ("GET", "/api/notifications", "", "ListNotificationsResponse"),
    (
        "POST",
        "/worker/jobs/receive",
        "ReceiveJobRequest",
        "ReceiveJobResponse",
    ),
    (
        "POST",
        "/worker/jobs/#/report",
        "ReportJobRequest",
        "ReportJobResponse",
    ),
];

/// A shop whose types are told apart by their names more than by their fields.
const SHOP_PROTO: &str = r#"
syntax = "proto3";
package shop.v2;
enum State { STATE_UNKNOWN = 0; OPEN = 1; PAID = 2; SENT = 3; }
message Money { string currency = 1; int64 units = 2; int32 nanos = 3; }
message Item { int64 id = 1; string title = 2; Money price = 3; repeated string tags = 4; int32 stock = 5; }
message Line { int64 item_id = 1; int32 quantity = 2; }
message Cart { string id = 1; repeated Line lines = 2; Money total = 3; }
message Order { int64 id = 1; State state = 2; repeated Line lines = 3; Money total = 4; string address = 5; }
message Customer { int64 id = 1; string name = 2; string email = 3; }
message Problem { int32 status = 1; string title = 2; string detail = 3; }
message SearchItemsResponse { repeated Item items = 1; string next_page = 2; }
message GetItemResponse { Item item = 1; }
message UpdateItemRequest { Item item = 1; }
message UpdateItemResponse { Item item = 1; }
message DeleteItemResponse { bool deleted = 1; }
message AddLineRequest { int64 item_id = 1; int32 quantity = 2; }
message AddLineResponse { Cart cart = 1; }
message GetCartResponse { Cart cart = 1; }
message PlaceOrderRequest { string cart_id = 1; string address = 2; }
message PlaceOrderResponse { Order order = 1; }
message ListOrdersResponse { repeated Order orders = 1; }
message GetOrderResponse { Order order = 1; }
message CancelOrderResponse { Order order = 1; }
message PayOrderRequest { string card_token = 1; Money amount = 2; }
message PayOrderResponse { bool accepted = 1; string receipt = 2; }
message LoginRequest { string email = 1; string password = 2; }
message LoginResponse { string token = 1; Customer customer = 2; }
"#;

const SHOP: &[Row] = &[
    ("GET", "/v2/items", "", "SearchItemsResponse"),
    ("GET", "/v2/items/#", "", "GetItemResponse"),
    (
        "PUT",
        "/v2/items/#",
        "UpdateItemRequest",
        "UpdateItemResponse",
    ),
    ("DELETE", "/v2/items/#", "", "DeleteItemResponse"),
    ("GET", "/v2/cart", "", "GetCartResponse"),
    (
        "POST",
        "/v2/cart/lines",
        "AddLineRequest",
        "AddLineResponse",
    ),
    (
        "POST",
        "/v2/orders",
        "PlaceOrderRequest",
        "PlaceOrderResponse",
    ),
    ("GET", "/v2/orders", "", "ListOrdersResponse"),
    ("GET", "/v2/orders/#", "", "GetOrderResponse"),
    ("POST", "/v2/orders/#/cancel", "", "CancelOrderResponse"),
    (
        "POST",
        "/v2/orders/#/pay",
        "PayOrderRequest",
        "PayOrderResponse",
    ),
    ("POST", "/v2/login", "LoginRequest", "LoginResponse"),
];

/// A microblog that names no type after a method: bodies are the things themselves.
const BLOG_PROTO: &str = r#"
syntax = "proto3";
package blog;
message User { int64 id = 1; string name = 2; bool verified = 3; bytes avatar = 4; }
message Post { int64 id = 1; User author = 2; string text = 3; repeated string images = 4; double score = 5; int64 created_at = 6; }
message NewPost { string text = 1; repeated string images = 2; }
message Timeline { repeated Post posts = 1; int64 cursor = 2; }
message Profile { User user = 1; int32 followers = 2; int32 following = 3; string bio = 4; }
message ProfileUpdate { string name = 1; string bio = 2; bytes avatar = 3; }
message Comment { int64 id = 1; int64 post_id = 2; User author = 3; string text = 4; }
message CommentList { repeated Comment comments = 1; }
message Notification { int64 id = 1; string kind = 2; int64 post_id = 3; fixed64 at = 4; }
message NotificationList { repeated Notification notifications = 1; int32 unread = 2; }
message Credentials { string name = 1; string password = 2; }
message Session { string token = 1; User user = 2; fixed64 expires_at = 3; }
message ApiError { int32 code = 1; string message = 2; }
"#;

const BLOG: &[Row] = &[
    ("GET", "/timeline", "", "Timeline"),
    ("POST", "/posts", "NewPost", "Post"),
    ("GET", "/posts/#", "", "Post"),
    ("GET", "/posts/#/comments", "", "CommentList"),
    ("GET", "/users/#/profile", "", "Profile"),
    ("PUT", "/profile", "ProfileUpdate", "Profile"),
    ("GET", "/notifications", "", "NotificationList"),
    ("POST", "/session", "Credentials", "Session"),
];

fn folder(name: &str, proto: &str) -> Schema {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join(name), proto).unwrap();
    Schema::compile(&[folder.path().to_owned()]).unwrap()
}

fn contest() -> Schema {
    let root = PathBuf::from(env!("CARGO_MANIFEST_DIR"));
    Schema::compile(&[root.join("../scenarios/contest")]).unwrap()
}

/// A message with some of its fields, as a server might send it.
fn sample(random: &mut fastrand::Rng, message: &Message, depth: usize) -> serde_json::Value {
    let mut object = serde_json::Map::new();
    match message.full_name() {
        "google.protobuf.Timestamp" => {
            return format!(
                "2026-11-27T10:{:02}:{:02}.{:03}Z",
                random.u8(..60),
                random.u8(..60),
                random.u16(..1000)
            )
            .into();
        }
        name => assert!(!name.starts_with("google."), "{name}"),
    }
    let mut oneofs: Vec<String> = Vec::new();
    for field in message.fields() {
        let info = message.info(field);
        if random.u8(..8) == 0 || (depth > 3 && matches!(info.kind, FieldKind::Message(_))) {
            continue;
        }
        if let Some(oneof) = info.oneof {
            if oneofs.iter().any(|known| known == oneof) || random.bool() {
                continue;
            }
            oneofs.push(oneof.to_owned());
        }
        let value = match &info.kind {
            FieldKind::List(kind) => {
                let items: Vec<_> = (0..random.usize(..5))
                    .map(|_| value(random, message, &info, kind, depth))
                    .collect();
                items.into()
            }
            kind => value(random, message, &info, kind, depth),
        };
        object.insert(info.json_name.to_owned(), value);
    }
    object.into()
}

fn value(
    random: &mut fastrand::Rng,
    message: &Message,
    info: &isukit_proto::FieldInfo<'_>,
    kind: &FieldKind,
    depth: usize,
) -> serde_json::Value {
    let word = |random: &mut fastrand::Rng| -> String {
        (0..random.usize(1..12))
            .map(|_| random.lowercase())
            .collect()
    };
    match kind {
        FieldKind::Bool => random.bool().into(),
        FieldKind::Int => random.i32(0..5_000).into(),
        FieldKind::Uint => random.u32(0..5_000).into(),
        FieldKind::Float | FieldKind::Double => f64::from(random.u8(..)).into(),
        FieldKind::String => word(random).into(),
        FieldKind::Bytes => {
            use base64::Engine;
            base64::engine::general_purpose::STANDARD
                .encode(word(random))
                .into()
        }
        FieldKind::Enum(_) => {
            let names: Vec<&str> = message
                .enum_values(message.field(info.name).unwrap())
                .unwrap()
                .map(|(name, _)| name)
                .collect();
            names[random.usize(..names.len())].into()
        }
        FieldKind::Message(part) => sample(random, part, depth + 1),
        other => panic!("{other:?}"),
    }
}

/// Routes right at first place, those whose truth is among the candidates, and all.
fn score(
    schema: &Schema,
    rows: &[Row],
    bodies: usize,
    seed: u64,
) -> (usize, usize, usize, Vec<String>) {
    let mut random = fastrand::Rng::with_seed(seed);
    let mut types = Types::new(schema.clone(), TypeOptions::default()).unwrap();
    let mut truth = Vec::new();
    for (method, path, request, response) in rows {
        for (name, direction) in [
            (request, Direction::Request),
            (response, Direction::Response),
        ] {
            if name.is_empty() {
                continue;
            }
            let message = schema.message(name).unwrap();
            let mut slot = None;
            for _ in 0..bodies {
                let path = path.replace('#', &random.u16(1..500).to_string());
                let mut bytes = Vec::new();
                let json = sample(&mut random, &message, 0).to_string();
                message
                    .from_json(json.as_bytes(), &JsonParseOptions::new(), &mut bytes)
                    .unwrap();
                let own = types.slot(method.as_bytes(), path.as_bytes(), direction, false);
                types.observe(own, &bytes);
                slot = Some(own);
            }
            truth.push((slot.unwrap(), message, format!("{method} {path}")));
        }
    }
    types.settle();
    let (mut first, mut named) = (0, 0);
    let mut wrong = Vec::new();
    for (slot, message, route) in &truth {
        let choice = types.choice(*slot, None).unwrap();
        if choice.best().message == *message {
            first += 1;
        } else {
            wrong.push(format!(
                "{route}: {} for {}",
                choice.best().message.full_name(),
                message.full_name()
            ));
        }
        match choice
            .candidates
            .iter()
            .any(|candidate| candidate.message == *message)
        {
            true => named += 1,
            false => wrong.push(format!(
                "{route}: {} is not among the candidates",
                message.full_name()
            )),
        }
    }
    (first, named, truth.len(), wrong)
}

#[test]
fn types_are_found_without_a_map() {
    let schemas = [
        (contest(), CONTEST),
        (folder("shop.proto", SHOP_PROTO), SHOP),
        (folder("blog.proto", BLOG_PROTO), BLOG),
    ];
    for (schema, rows) in &schemas {
        let (mut right, mut named, mut all) = (0, 0, 0);
        let mut wrong = Vec::new();
        for seed in 0..5 {
            let (first, among, count, faults) = score(schema, rows, 20, seed);
            right += first;
            named += among;
            all += count;
            wrong.extend(faults);
        }
        assert!(right * 100 >= all * 95, "{right} of {all}: {wrong:#?}");
        assert_eq!(named, all, "{wrong:#?}");
    }
}

#[test]
fn what_is_said_comes_before_what_is_likely() {
    let schema = contest();
    let map = RouteMap::parse(
        "error = \"Error\"\n[routes.\"GET /api/teams/:id\"]\nresponse = \"Team\"\n",
        &schema,
    )
    .unwrap();
    let mut types = Types::new(
        schema,
        TypeOptions {
            map,
            ..TypeOptions::default()
        },
    )
    .unwrap();
    let team = types.slot(b"GET", b"/api/teams/7?x=1", Direction::Response, false);
    let name = |choice: Option<std::sync::Arc<Choice>>| {
        choice.map(|choice| (choice.best().message.full_name().to_owned(), choice.source))
    };
    let of = |name: &str, source| Some((name.to_owned(), source));
    assert_eq!(
        name(types.choice(team, None)),
        of("contest.v1.Team", Source::Map)
    );
    let named = types.choice(team, Some("contest.v1.GetTeamResponse"));
    assert_eq!(
        name(named),
        of("contest.v1.GetTeamResponse", Source::ContentType)
    );
    let unknown = types.choice(team, Some("contest.v1.Nothing"));
    assert_eq!(name(unknown), of("contest.v1.Team", Source::Map));
    let failed = types.slot(b"GET", b"/api/teams/8", Direction::Response, true);
    assert_eq!(
        name(types.choice(failed, None)),
        of("contest.v1.Error", Source::Map)
    );
    let other = types.slot(b"GET", b"/api/session", Direction::Response, false);
    assert_eq!(name(types.choice(other, None)), None);
}

#[test]
fn services_say_the_types_of_their_routes() {
    let schema = folder(
        "a.proto",
        r#"syntax = "proto3"; package a.v1; import "google/api/annotations.proto";
        message Book { string name = 1; } message GetBook { string name = 1; int32 v = 2; }
        message Made { Book book = 1; } message Make { Book book = 1; }
        service Books {
          rpc Get(GetBook) returns (Book) { option (google.api.http) = { get: "/v1/{name=shelves/*/books/*}" }; }
          rpc Make(Make) returns (Made) { option (google.api.http) = { post: "/v1/books" body: "book" additional_bindings { put: "/v2/books" body: "*" } }; }
        }"#,
    );
    let mut types = Types::new(schema, TypeOptions::default()).unwrap();
    let mut check = |method: &str, path: &str, direction, expected: Option<&str>| {
        let slot = types.slot(method.as_bytes(), path.as_bytes(), direction, false);
        let choice = types.choice(slot, None);
        let name = choice
            .as_ref()
            .map(|choice| choice.best().message.full_name());
        assert_eq!(name, expected, "{method} {path}");
    };
    check(
        "GET",
        "/v1/shelves/3/books/x",
        Direction::Response,
        Some("a.v1.Book"),
    );
    check("POST", "/v1/books", Direction::Request, Some("a.v1.Book"));
    check("PUT", "/v2/books", Direction::Request, Some("a.v1.Make"));
    check("POST", "/v1/books", Direction::Response, Some("a.v1.Made"));
    check(
        "POST",
        "/a.v1.Books/Get",
        Direction::Request,
        Some("a.v1.GetBook"),
    );
    check(
        "POST",
        "/twirp/a.v1.Books/Get",
        Direction::Response,
        Some("a.v1.Book"),
    );
    check("POST", "/a.v1.Books/Other", Direction::Request, None);
}

#[test]
fn a_map_survives_its_file() {
    let schema = contest();
    let text = "error = \"contest.v1.Error\"\n[routes.\"POST /api/teams\"]\nrequest = \"CreateTeamRequest\"\nresponse = \"CreateTeamResponse\"\n";
    let map = RouteMap::parse(text, &schema).unwrap();
    let again =
        RouteMap::parse(&map.to_toml(&["a note\nof two lines".to_owned()]), &schema).unwrap();
    assert_eq!(map, again);
    let check = |text: &str, part: &str| {
        let error = RouteMap::parse(text, &schema).unwrap_err().to_string();
        assert!(error.contains(part), "{text}: {error}");
    };
    check("eror = 1", "did you mean `error`?");
    check("error = 1", "must be the name of a message");
    check("error = \"Eror\"", "Error");
    check("[routes]\n\"GET /\" = 1", "must be a table");
    check(
        "[routes.\"GET /\"]\nreply = \"Error\"",
        "there is no `reply`",
    );
    check("[", "not a file of routes");
}
