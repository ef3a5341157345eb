//! Protobuf in scripts: messages are written and read as the `.proto` file says, and whatever does
//! not fit it is told with its line.

// Failing here is failing a test.
#![allow(clippy::unwrap_used)]

mod support;

use support::scenario::{App, Folder, ONCE, main_of, wrongs};
use support::{Ran, side_by_side};

const PROTO: &str = r#"
syntax = "proto3";
package t.v1;
message Error { int32 code = 1; string name = 2; string human_message = 3; }
enum Role { ROLE_UNSPECIFIED = 0; ROLE_LEADER = 1; ROLE_MEMBER = 2; }
message Member { string name = 1; Role role = 2; }
message Node { Node child = 1; repeated Node children = 2; map<string, Node> named = 3; }
message Thing {
  enum State { NEW = 0; DONE = 1; }
  message Part { string text = 1; }
  int64 id = 1;
  uint64 uid = 2;
  bytes raw = 3;
  Role role = 4;
  bool flag = 5;
  double ratio = 6;
  float half = 7;
  repeated int32 numbers = 8;
  repeated Member members = 9;
  map<string, int64> counts = 10;
  map<int32, Member> by_id = 11;
  oneof choice { string text = 12; Member member = 13; int32 number = 14; }
  optional string note = 15;
  Member leader = 16;
  string long_name = 17;
  sint64 zig = 18;
  fixed64 fix = 19;
  State state = 20;
  Part part = 21;
  repeated string words = 22;
  int32 small = 23;
}
"#;

const TOML: &str = "[proto]\ncontent_type = \"application/x-protobuf\"\nerror = \"Error\"\n";

/// Gives a script `send(fields)`, which sends a thing and returns what comes back.
const SEND: &str = " local ECHO = '/?type=application/x-protobuf;%20proto%3Dt.v1.Thing' \
    local ERR = '/?type=application/x-protobuf;%20proto%3Dt.v1.Error' \
    local PLAIN = '/?type=application/x-protobuf' \
    local function send(f) return c:post(ECHO, P.Thing(f)):ok() end\n";

#[track_caller]
fn once(app: &App, body: &str) -> Ran {
    let script = main_of(body).replacen('\n', SEND, 1);
    Folder::new(&format!("{TOML}{ONCE}"), &script)
        .file("t.proto", PROTO)
        .run(&app.url(), &[])
}

#[track_caller]
fn passes(body: &str) {
    let ran = once(&App::start(), body);
    assert_eq!(ran.code, 0, "{body}: {}", wrongs(&ran));
}

/// Bodies of `main`, the exit code, and a part of what is said.
fn check_all(rows: Vec<(&'static str, i32, &'static str)>) {
    let app = App::start();
    side_by_side(rows, 3, |(body, code, part)| {
        let ran = once(&app, body);
        let wrong = wrongs(&ran);
        assert_eq!(ran.code, code, "{body}: {wrong}");
        assert!(wrong.contains(part), "{body}: no `{part}` in {wrong}");
    });
}

#[test]
fn messages_are_written_as_the_schema_says() {
    #[track_caller]
    fn check(fields: &str, expected: &[u8]) {
        let app = App::start();
        let ran = once(&app, &format!("c:post('/', P.Thing {fields})"));
        assert_eq!(ran.code, 0, "{fields}: {}", wrongs(&ran));
        let seen = app.seen();
        assert_eq!(seen[0].asked.body, expected, "{fields}");
        assert_eq!(seen[0].header("content-type"), "application/x-protobuf");
        assert_eq!(seen[0].header("content-length"), expected.len().to_string());
    }
    check("{}", b"");
    check("{ id = 300 }", &[0x08, 0xac, 0x02]);
    check(
        "{ id = '9007199254740993' }",
        &[0x08, 0x81, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x10],
    );
    check(
        "{ uid = '18446744073709551615' }",
        &[0x10, 255, 255, 255, 255, 255, 255, 255, 255, 255, 1],
    );
    check("{ raw = '\\0\\xff' }", b"\x1a\x02\0\xff");
    check(
        "{ role = 'ROLE_LEADER', state = P.Thing.State.DONE }",
        b"\x20\x01\xa0\x01\x01",
    );
    check("{ role = 2 }", b"\x20\x02");
    check("{ numbers = { 1, 2, 300 } }", b"\x42\x04\x01\x02\xac\x02");
    check(
        "{ members = { { name = 'a' }, {} } }",
        b"\x4a\x03\x0a\x01a\x4a\x00",
    );
    check(
        "{ counts = { b = 1, a = 2 } }",
        b"\x52\x05\x0a\x01a\x10\x02\x52\x05\x0a\x01b\x10\x01",
    );
    check("{ note = '' }", b"\x7a\x00");
    check("{ zig = -1 }", b"\x90\x01\x01");
    check("{ longName = 'x' }", b"\x8a\x01\x01x");
    check("{ part = { text = 'x' } }", b"\xaa\x01\x03\x0a\x01x");
}

#[test]
fn what_is_sent_comes_back_the_same() {
    passes(
        r#"local t = send {
            id = '-9007199254740993', uid = '18446744073709551615', raw = 'a\0\xff', role = 'ROLE_MEMBER',
            flag = true, ratio = 0.1, half = 0.5, numbers = { 3, -4 },
            members = { { name = 'x', role = 'ROLE_LEADER' }, { name = 'y' } },
            counts = { a = 1, ['\u{fc}'] = '9007199254740993' }, by_id = { [7] = { name = 'seven' } },
            member = { name = 'chosen' }, note = '', leader = {}, long_name = 'long', zig = -5, fix = 6,
            words = { 'p', 'q' }, small = 9007199254740992 / 2 ^ 40,
        }
        must('int64', t.id == '-9007199254740993', t.id)
        must('uint64', t.uid == '18446744073709551615', t.uid)
        must('bytes', t.raw == 'a\0\xff')
        must('enum', t.role == 'ROLE_MEMBER')
        must('scalars', t.flag == true and t.ratio == 0.1 and t.half == 0.5 and t.zig == -5 and t.fix == 6)
        must('small', t.small == 8192)
        must('numbers', #t.numbers == 2 and t.numbers[2] == -4)
        must('words', table.concat(t.words, ',') == 'p,q')
        must('list', #t.members == 2 and t.members[1].name == 'x' and t.members[1].role == 'ROLE_LEADER')
        must('defaults', t.members[2].role == 'ROLE_UNSPECIFIED')
        local names = {}
        for _, m in t.members do table.insert(names, m.name) end
        for _, n in t.numbers do table.insert(names, tostring(n)) end
        must('iterated', table.concat(names, ' ') == 'x y 3 -4', table.concat(names, ' '))
        for i, m in t.members do must('index', t.members[i] == m) end
        must('map', t.counts.a == 1 and t.counts['\u{fc}'] == '9007199254740993' and t.counts.b == nil)
        must('messages', t.by_id[7].name == 'seven' and t.by_id[8] == nil)
        must('oneof', which(t, 'choice') == 'member' and t.member.name == 'chosen')
        must('not chosen', t.text == '' and not has(t, 'text') and has(t, 'member'))
        must('presence', has(t, 'note') and has(t, 'leader') and t.note == '' and t.leader.name == '')
        must('both names', t.long_name == 'long' and t.longName == 'long')
        must('text', string.find(tostring(t), '"chosen"', 1, true) ~= nil, tostring(t))"#,
    );
}

#[test]
fn what_is_not_set_has_its_default() {
    passes(
        "local t = send {}
        must('scalars', t.id == 0 and t.uid == 0 and t.raw == '' and t.flag == false and t.ratio == 0)
        must('enums', t.role == 'ROLE_UNSPECIFIED' and t.state == 'NEW')
        must('lists', #t.numbers == 0 and #t.members == 0 and #t.words == 0 and next(t.counts) == nil)
        must('messages', t.leader.name == '' and t.part.text == '')
        must('presence', not has(t, 'note') and not has(t, 'leader') and not has(t, 'id') and not has(t, 'members'))
        must('oneof', which(t, 'choice') == nil)
        for _ in t.members do error('none') end
        for _ in t.counts do error('none') end
        must('unknown enum', send({ role = 77 }).role == 77)
        must('zero', which(send { number = 0 }, 'choice') == 'number')
        must('equal', send({ id = 1 }) == send({ id = 1 }) and send({ id = 1 }) ~= send({ id = 2 }))",
    );
}

#[test]
fn replies_have_the_type_that_something_says() {
    passes(
        "local member = P.Member { name = 'm' }
        must('asked', c:post(PLAIN, member, { reply = P.Member }):ok().name == 'm')
        must('given', c:post(PLAIN, member):ok(P.Member).name == 'm')
        must('as', c:post('/', member):as(P.Member).name == 'm')
        must('said', c:post('/?type=application/protobuf;%20messageType%3Dt.v1.Member', member):ok().name == 'm')
        must('full', P['t.v1.Member'] { name = 'm' } and tostring(P.Member) == 't.v1.Member')
        must('inner', P.Thing.Part { text = 'x' } and P['Thing.Part'] { text = 'x' })
        must('bytes', c:post(PLAIN, member).body == '\\n\\1m')",
    );
    check_all(vec![
        (
            "c:post(PLAIN, P.Member {}):ok().name = 1",
            2,
            "scenario.luau:2:",
        ),
        (
            "local x = c:post(PLAIN, P.Member {}):ok().name",
            2,
            "scenario.luau:2: `name` cannot be read: the reply's Content-Type names no message type",
        ),
        (
            "c:post(PLAIN, 'oops', { reply = P.Member }):ok()",
            1,
            "bad-message: POST /?type=application/x-protobuf: not a t.v1.Member",
        ),
        ("c:post('/', 'oops'):as(P.Member)", 1, "bad-message"),
        ("c:post(ECHO, 'oops'):ok()", 1, "not a t.v1.Thing"),
        (
            "c:get('/', { reply = 'Member' })",
            2,
            "scenario.luau:2: option `reply` is a string, but should be a message type such as",
        ),
        (
            "c:get('/'):ok(P.Member {})",
            2,
            "scenario.luau:2: this is no message type",
        ),
        (
            "send({}).id = 3",
            2,
            "scenario.luau:2: `id` cannot be set: the message is a reply's",
        ),
        (
            "c:post('/', send {})",
            2,
            "scenario.luau:2: the body is a reply's message",
        ),
    ]);
}

#[test]
fn errors_are_known_by_status_code_name_and_text() {
    passes(
        "local e = P.Error { code = 403, name = 'FULL', human_message = 'no room' }
        local r = c:post(ERR, e)
        local found = r:fails(403)
        must('message', found.name == 'FULL' and found.human_message == 'no room')
        r:fails(403, 'FULL')
        r:fails(403, 'no room')
        r:fails(200)
        c:post(ERR .. '&status=403', e):fails(403, 'FULL')
        c:post(PLAIN .. '&status=403', e):fails(403, 'FULL')
        must('error', c:post(PLAIN .. '&status=400', e).error.code == 403)
        must('none', c:post(ECHO, P.Thing {}).error == nil)
        c:post('/?status=500&type=text/plain', 'oops'):fails(500)
        c:post('/?status=500&type=text/plain', 'oops'):fails(500, 'oops')",
    );
    check_all(vec![
        (
            "c:post(ERR, P.Error { code = 5 })",
            1,
            "check-failed: POST /?type=application/x-protobuf;%20proto%3Dt.v1.Error: status 200 is a t.v1.Error; {\"code\":5}",
        ),
        (
            "c:post(ERR, P.Error { name = 'FULL' }):ok()",
            1,
            "{\"name\":\"FULL\"}",
        ),
        (
            "c:post(ERR .. '&status=503', P.Error { name = 'FULL' }):ok()",
            1,
            "status-503",
        ),
        (
            "c:post(ERR, P.Error { code = 5, name = 'A' }):fails(5, 'B')",
            1,
            "should fail with 5 `B`",
        ),
        (
            "c:post(ERR, P.Error { code = 5 }):fails(6)",
            1,
            "should fail with 6",
        ),
        (
            "send({ id = 1 }) c:post(ECHO, P.Thing {}):fails(200)",
            1,
            "should fail with 200, but has status 200",
        ),
    ]);
}

#[test]
fn wrong_names_and_values_are_told_with_their_line() {
    check_all(vec![
        (
            "P.Thing { naem = 1 }",
            2,
            "scenario.luau:2: `naem` is no field of t.v1.Thing",
        ),
        (
            "P.Thing { member = { nam = 1 } }",
            2,
            "scenario.luau:2: `nam` is no field of t.v1.Member; did you mean `name`?",
        ),
        (
            "P.Thing { members = { { rle = 1 } } }",
            2,
            "did you mean `role`?",
        ),
        (
            "P.Thng {}",
            2,
            "scenario.luau:2: `Thng` is no message type; did you mean `Thing`?",
        ),
        (
            "P.Thing.Prt {}",
            2,
            "scenario.luau:2: t.v1.Thing has no message or enum `Prt`",
        ),
        (
            "local x = P.Thing.State.DOEN",
            2,
            "scenario.luau:2: `DOEN` is no value of t.v1.Thing.State; did you mean `DONE`?",
        ),
        ("P.Thing { role = 'ROLE_LEADR' }", 2, "scenario.luau:2: "),
        (
            "P.x = 1",
            2,
            "scenario.luau:2: P holds the message types of the scenario",
        ),
        (
            "local x = send({}).idd",
            2,
            "scenario.luau:2: `idd` is no field of t.v1.Thing; did you mean `id`?",
        ),
        ("has(send {}, 'idd')", 2, "did you mean `id`?"),
        ("which(send {}, 'chioce')", 2, "scenario.luau:2: "),
        ("P.Thing { id = 'x' }", 2, "scenario.luau:2: "),
        ("P.Thing { id = 1.5 }", 2, "scenario.luau:2: "),
        ("P.Thing { small = 2 ^ 31 }", 2, "scenario.luau:2: "),
        ("P.Thing { small = 0/0 }", 2, "scenario.luau:2: "),
        ("P.Thing { uid = -1 }", 2, "scenario.luau:2: "),
        ("P.Thing { flag = 'yes' }", 2, "scenario.luau:2: "),
        (
            "P.Thing { note = {} }",
            2,
            "scenario.luau:2: t.v1.Thing.note is a table",
        ),
        ("P.Thing { note = true }", 2, "scenario.luau:2: "),
        ("P.Thing { long_name = '\\xff' }", 2, "scenario.luau:2: "),
        (
            "P.Thing { numbers = 3 }",
            2,
            "scenario.luau:2: t.v1.Thing.numbers is a number, but should be a list",
        ),
        ("P.Thing { numbers = { 1, 'x' } }", 2, "scenario.luau:2: "),
        ("P.Thing { leader = 3 }", 2, "scenario.luau:2: "),
        ("P.Thing { members = { 3 } }", 2, "scenario.luau:2: "),
        (
            "P.Thing { counts = 3 }",
            2,
            "but should be a table of keys and values",
        ),
        (
            "P.Thing { counts = { [true] = 1 } }",
            2,
            "scenario.luau:2: ",
        ),
        ("P.Thing { by_id = { x = {} } }", 2, "scenario.luau:2: "),
        ("P.Thing { id = c.get }", 2, "t.v1.Thing.id is a function"),
        (
            "P.Thing { id = send {} }",
            2,
            "t.v1.Thing.id is a message or reply",
        ),
        (
            "P.Thing { 'x' }",
            2,
            "is no field of t.v1.Thing; write NAME = VALUE",
        ),
        ("P.Thing { text = 'a', number = 1 }", 2, "scenario.luau:2: "),
        (
            "P.Thing { long_name = 'a', longName = 'b' }",
            2,
            "a field is given twice, by both of its names",
        ),
        ("P.Thing(3)", 2, "scenario.luau:2: "),
        ("local t = {} t.child = t P.Node(t)", 2, "scenario.luau:2: "),
        (
            "local t = {} t.children = { t } P.Node(t)",
            2,
            "scenario.luau:2: ",
        ),
        (
            "local t = {} t.named = { a = t } P.Node(t)",
            2,
            "scenario.luau:2: ",
        ),
    ]);
}

#[test]
fn what_is_not_there_is_the_targets_fault() {
    check_all(vec![
        (
            "local x = send({ numbers = { 1 } }).numbers[2]",
            1,
            "check-failed: numbers[2] is not there: it has 1 elements",
        ),
        (
            "local x = send({}).members[1].name",
            1,
            "check-failed: members[1] is not there: it has 0 elements",
        ),
        (
            "local x = send({}).members[0]",
            1,
            "members[0] is not there",
        ),
        (
            "local x = send({}).members[1.5]",
            1,
            "members[1.5] is not there",
        ),
        (
            "local x = send({}).members[-1e300]",
            1,
            "check-failed: members[-1",
        ),
        ("local x = send({}).members[0/0]", 1, "is not there"),
        (
            "local x = send({}).members.name",
            2,
            "scenario.luau:2: members is a list: ask for members[1], not for a string",
        ),
    ]);
}

#[test]
fn broken_bytes_are_the_targets_fault_wherever_they_are() {
    // A member that says it is longer than it is, deep in a reply.
    let app = App::with(|_| {
        let head = "Content-Type: application/x-protobuf; proto=t.v1.Thing\r\n";
        Some(support::reply("200 OK", head, b"\x4a\x03\x0a\x09x"))
    });
    let ran = once(&app, "local t = send {} local x = t.members[1].name");
    assert_eq!(ran.code, 1, "{}", wrongs(&ran));
    assert!(wrongs(&ran).contains("bad-message"), "{}", wrongs(&ran));
}
