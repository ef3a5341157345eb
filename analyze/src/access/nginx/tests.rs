//! Failing here is failing a test.
#![allow(clippy::unwrap_used)]

use super::*;

const CONF: &str = r##"
# log_format commented '$status';
http {
  log_format a '$remote_addr "$request" $status '  # why not
               "\"$http_user_agent\" $request_time";
  log_format b escape=json '{"status":$status,"uri":"$request_uri"}';
  server { location = /x { return 200 "log_format;{}"; } }
}
"##;

#[test]
fn formats_are_found_by_name() {
    let check = |name: Option<&str>, expected: Result<&str, &str>| {
        let seen = Format::from_nginx_conf(CONF, name).map(|format| match format {
            Format::Nginx(format) => format!("{:?} {}", format.escaping, format.pieces.len()),
            other => other.name().to_owned(),
        });
        match (seen, expected) {
            (Ok(seen), Ok(expected)) => assert_eq!(seen, expected),
            (Err(error), Err(expected)) => {
                assert!(error.to_string().contains(expected), "{error}");
            }
            (seen, _) => panic!("{name:?}: {seen:?}"),
        }
    };
    check(Some("a"), Ok("Default 9"));
    check(Some("b"), Ok("Json 5"));
    check(Some("combined"), Ok("combined"));
    check(
        Some("c"),
        Err("no log_format 'c' in the configuration; it has a, b"),
    );
    check(None, Err("choose one by its name: a, b"));
}

#[test]
fn formats_of_no_use_are_refused() {
    let check = |text: &str, expected: &str| {
        let error = LogFormat::new(text).unwrap_err().to_string();
        assert!(error.contains(expected), "{error}");
    };
    check("$request", "no $status");
    check("$status", "no $request");
    check(
        "$request $remote_addr$status",
        "nothing parts $remote_addr from $status",
    );
    check("$ $status", "begins no variable");
    check("${status", "begins no variable");
    check(&"x".repeat(70_000), "longer than the limit");
}
