//! Logs for whole runs of `isukit digest`.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use super::{Ran, finish, isukit, spawn};

/// A real log of a server, with the server's own bytes.
pub(crate) fn real(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../analyze/tests/data")
        .join(name)
}

/// `isukit digest ARGS`, to its end.
#[track_caller]
pub(crate) fn digest<A: AsRef<std::ffi::OsStr>>(args: impl IntoIterator<Item = A>) -> Ran {
    let mut command = isukit();
    command.arg("digest").args(args).env_remove("ISUKIT_MYSQL");
    finish(spawn(command))
}

/// A number that follows from `n`, spread over all bits (SplitMix64).
pub(crate) fn spread(n: u64) -> u64 {
    let mut z = n.wrapping_add(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

/// Lines of an access log as LTSV: ids, slugs, UUIDs, errors, bots, caches.
pub(crate) fn ltsv(lines: u64) -> Vec<String> {
    let line = |n: u64| {
        let r = spread(n);
        let uri = match r % 7 {
            0 => format!("/api/teams/{}", r / 7 % 900),
            1 => format!("/api/teams/{}/members?page={}", r / 7 % 900, r % 9),
            2 => format!(
                "/posts/{}-{}",
                WORDS[(r / 7 % 12) as usize],
                WORDS[(r / 91 % 12) as usize]
            ),
            3 => format!("/files/{:08x}-1111-4222-8333-{:012x}", r as u32, r >> 20),
            4 => "/api/login".to_owned(),
            5 => format!("/assets/app.{:08x}.js", r % 40),
            _ => "/".to_owned(),
        };
        let status = [200, 200, 200, 304, 404, 500][(r / 11 % 6) as usize];
        let agent = [
            "Mozilla/5.0 (X11; Linux x86_64) Firefox/81.0",
            "Googlebot/2.1",
        ][(r / 13 % 2) as usize];
        let ms = r / 17 % 400;
        format!(
            "time:2026-11-20T10:{:02}:{:02}+00:00\thost:10.0.0.{}\tmethod:{}\turi:{uri}\tstatus:{status}\t\
             size:{}\tua:{agent}\treqtime:{}.{:03}\tapptime:{}\tcache:{}\treqid:{n:x}\n",
            n / 60 % 60,
            n % 60,
            r % 50,
            if r % 7 == 4 { "POST" } else { "GET" },
            r / 19 % 5_000,
            ms / 1_000,
            ms % 1_000,
            if r % 7 == 5 {
                "-".to_owned()
            } else {
                format!("0.{:03}", ms / 2)
            },
            ["HIT", "MISS", "-"][(r / 23 % 3) as usize],
        )
    };
    (0..lines).map(line).collect()
}

const WORDS: [&str; 12] = [
    "red", "green", "blue", "fast", "slow", "old", "new", "big", "small", "warm", "cold", "high",
];

/// Entries of a MySQL 8 slow log, each a whole one, behind the server's header.
pub(crate) fn slow(entries: u64) -> Vec<String> {
    let mut all = vec![
        "/usr/sbin/mysqld, Version: 8.0.22 (Source distribution). started with:\n\
         Tcp port: 3306  Unix socket: /var/run/mysqld/mysqld.sock\n\
         Time                 Id Command    Argument\n"
            .to_owned(),
    ];
    for n in 0..entries {
        let r = spread(n);
        let statement = match r % 6 {
            0 => format!("SELECT * FROM teams WHERE id = {}", r / 6 % 500),
            1 => format!(
                "SELECT id FROM jobs WHERE status = '{}' ORDER BY id LIMIT 1",
                r % 4
            ),
            2 => format!(
                "INSERT INTO notes (body) VALUES ('it''s {}; -- no comment')",
                r % 99
            ),
            3 => format!(
                "UPDATE jobs SET status = {}, host = \"web{}\" WHERE id = {}",
                r % 4,
                r % 3,
                r % 77
            ),
            4 => "COMMIT".to_owned(),
            _ => format!(
                "SELECT j.id FROM jobs j JOIN teams t ON t.id = j.team_id WHERE t.name LIKE 'a{}%'",
                r % 9
            ),
        };
        let mut entry = String::new();
        let at = 1_795_170_000 + n / 7;
        let _ = write!(
            entry,
            "# Time: 2026-11-20T10:{:02}:{:02}.{:06}Z\n# User@Host: isucon[isucon] @ web{} [10.0.0.{}]  Id: {:5}\n\
             # Query_time: {}.{:06}  Lock_time: 0.{:06} Rows_sent: {}  Rows_examined: {}\n{}SET timestamp={at};\n{statement};\n",
            20 + n / 7 / 60 % 40,
            n / 7 % 60,
            r % 1_000_000,
            r % 3,
            r % 3,
            7 + r % 5,
            r / 29 % 3,
            r / 31 % 1_000_000,
            r / 37 % 50,
            r / 41 % 12,
            r / 43 % 30_000,
            if n % 400 == 3 {
                format!("use isucon{};\n", n / 400 % 3)
            } else {
                String::new()
            },
        );
        all.push(entry);
    }
    all
}
