//! Access logs against an oracle, against themselves in pieces, and against bytes of no sense.
#![allow(clippy::unwrap_used)] // Failing here is failing a test.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::Path;
use std::process::Command;

use isukit_analyze::access::{Format, Namer, Reader, fuzz_access};
use isukit_analyze::digest::{Batch, Reader as _};
use proptest::prelude::*;

/// Numbers without a pattern, the same in every run.
fn mix(n: u64) -> u64 {
    let x = n.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    let x = (x ^ x >> 29).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    x ^ x >> 32
}

/// A line in LTSV and in the combined format.
fn line(n: u64) -> (String, String) {
    let status = [200, 200, 200, 304, 404, 499, 500][mix(n) as usize % 7];
    let (size, millis) = (mix(n + 1) % 100_000, mix(n + 2) % 30_000);
    let path = format!("/api/teams/{}/jobs?page={}", mix(n + 3) % 1_000, n % 10);
    let time = format!("{}.{:03}", millis / 1_000, millis % 1_000);
    let second = n / 100 % 60;
    (
        format!(
            "time:2026-11-20T10:26:{second:02}+00:00\thost:10.0.0.1\tmethod:GET\turi:{path}\tstatus:{status}\tsize:{size}\tua:x\treqtime:{time}\n"
        ),
        format!(
            "10.0.0.1 - - [20/Nov/2026:10:26:{second:02} +0000] \"GET {path} HTTP/1.1\" {status} {size} \"-\" \"x\" {time}\n"
        ),
    )
}

/// Count, bytes and milliseconds of each status, as awk sees them.
fn awk(program: &str, log: &Path) -> BTreeMap<u64, (u64, u64, u64)> {
    let sums = "{n[s]++; b[s]+=z; t[s]+=int(r*1000+0.5)} END {for (s in n) printf \"%d %d %d %d\\n\", s, n[s], b[s], t[s]}";
    let output = Command::new("awk")
        .arg(format!("{program}{sums}"))
        .arg(log)
        .output()
        .unwrap();
    assert!(output.status.success());
    let text = String::from_utf8(output.stdout).unwrap();
    text.lines()
        .map(|line| {
            let numbers: Vec<u64> = line.split(' ').map(|n| n.parse().unwrap()).collect();
            (numbers[0], (numbers[1], numbers[2], numbers[3]))
        })
        .collect()
}

#[test]
fn sums_are_those_of_awk() {
    let (mut ltsv, mut combined) = (String::new(), String::new());
    for n in 0..20_000 {
        let (a, b) = line(n);
        write!(ltsv, "{a}").unwrap();
        write!(combined, "{b}").unwrap();
    }
    let folder = tempfile::tempdir().unwrap();
    let fields = "{for (i=1;i<=NF;i++) {split($i,a,\":\"); if(a[1]==\"status\")s=a[2]; if(a[1]==\"size\")z=a[2]; if(a[1]==\"reqtime\")r=a[2]}}";
    for (format, log, program) in [
        ("ltsv", ltsv, format!("BEGIN {{FS=\"\\t\"}} {fields}")),
        ("combined", combined, "{s=$9; z=$10; r=$13}".to_owned()),
    ] {
        let path = folder.path().join(format);
        std::fs::write(&path, &log).unwrap();
        let reader = Reader::new(Format::detect(log.as_bytes()).unwrap(), Namer::default());
        assert_eq!(reader.format().name(), format);
        let mut batch = Batch::default();
        reader.parse(log.as_bytes(), true, &mut batch);
        assert!(batch.skips.is_empty());
        let mut sums: BTreeMap<u64, (u64, u64, u64)> = BTreeMap::new();
        for record in &batch.records {
            let sum = sums.entry(u64::from(record.status)).or_default();
            *sum = (
                sum.0 + 1,
                sum.1 + record.sent_bytes,
                sum.2 + record.time_ns / 1_000_000,
            );
        }
        assert_eq!(sums, awk(&program, &path), "{format}");
    }
}

#[test]
fn the_corpus_keeps_all_promises() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    for entry in std::fs::read_dir(root.join("fuzz/corpus/access")).unwrap() {
        fuzz_access(&std::fs::read(entry.unwrap().path()).unwrap());
    }
    for (choice, name) in [
        (1, "combined"),
        (1, "combined_rt"),
        (2, "json"),
        (0, "ltsv"),
    ] {
        let path = format!("tests/data/access/access-500.{name}.log");
        let mut data = vec![choice + 6 * 20];
        data.extend(std::fs::read(root.join(path)).unwrap());
        fuzz_access(&data);
    }
}

/// Pieces that logs are made of, so that what is put together at random comes near to a log.
const PIECES: &[&str] = &[
    "\n",
    "\t",
    " ",
    "\"",
    "\\",
    "\\x22",
    "\\\"",
    "-",
    "0.1, 0.2 : 0.3",
    "200",
    "000",
    "\r\n",
    "\0",
    "time:",
    "status:200\t",
    "uri:/a/7?b#c",
    "reqtime:0.5\t",
    "method:GET\t",
    "req:GET / HTTP/1.1\t",
    "{",
    "}",
    "\"status\":200,",
    "\"uri\":\"/a\\u0062\",",
    "\"request\":{",
    "[",
    "]",
    "null",
    ",",
    ":",
    "\u{e9}",
    "::1 - - [20/Nov/2026:10:26:36 +0000] ",
    "\"GET /a HTTP/1.1\" 200 5 ",
    "\"-\" \"x\" ",
    "[2026-11-20T10:26:36.310Z] ",
    "200 - 0 9 12 1 ",
    "\"-\" \"-\" \"-\" \"-\" \"-\"",
    "{\"at_us\":1,\"key\":\"a\",\"latency_us\":1.5,\"status\":200}\n",
    "{\"schema\":\"isukit.events/1\"}\n",
    "$status ",
    "$request ",
    "'",
    "escape=json",
    "log_format a ",
    ";",
];

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn any_bytes(data in proptest::collection::vec(any::<u8>(), 0..400)) {
        fuzz_access(&data);
    }

    #[test]
    fn any_pieces(choice in any::<u8>(), pieces in proptest::collection::vec(0..PIECES.len(), 0..60)) {
        let mut data = vec![choice];
        for piece in pieces {
            data.extend_from_slice(PIECES[piece].as_bytes());
        }
        fuzz_access(&data);
    }

    #[test]
    fn lines_with_bytes_changed(
        choice in any::<u8>(),
        at in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..6),
    ) {
        let logs: [&[u8]; 3] = [
            include_bytes!("data/access/access-500.ltsv.log"),
            include_bytes!("data/access/access-500.combined_rt.log"),
            include_bytes!("data/access/access-500.json.log"),
        ];
        let log = logs[usize::from(choice % 6 % 3)];
        // Behind the lines of 8 KB, and not from a line's begin on.
        let begin = log.len() - 3_000;
        let mut data = vec![choice];
        data.extend_from_slice(&log[begin..]);
        for (index, byte) in at {
            let place = index.index(data.len() - 1) + 1;
            data[place] = byte;
        }
        fuzz_access(&data);
    }
}
