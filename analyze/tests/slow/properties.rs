//! Blocks do not matter, and equal hashes are equal texts, whatever the bytes.

use std::sync::LazyLock;

use isukit_analyze::slow::fuzz::{in_blocks, slow, whole};
use proptest::collection::vec;
use proptest::prelude::*;

/// Pieces of logs.
const PIECES: &[&str] = &[
    "# Time: 2026-11-20T10:21:15.659466Z\n",
    "# Time: 261120 10:21:27\n",
    "# User@Host: root[root] @ localhost [127.0.0.1]  Id:   122\n",
    "# Thread_id: 55  Schema: contest  QC_hit: No\n",
    "# Query_time: 0.000109  Lock_time: 0.000003 Rows_sent: 0  Rows_examined: 0\n",
    "# Query_time: x\n",
    "# Foo: 1\n",
    "# explain: id\tselect_type\n",
    "#\n",
    "use contest;\n",
    "SET timestamp=1795170075;\n",
    "# administrator command: Ping;\n",
    "SELECT 1;\n",
    "SELECT 'x' FROM t;\n",
    "/usr/sbin/mysqld, Version: 9.7.4-2 ((Debian)). started with:\nTcp port: 13309  Unix socket: /run/my.sock\nTime                 Id Command    Argument\n",
    "'",
    "\"",
    "`",
    "/*",
    "*/",
    "-- ",
    "\\",
    ";\n",
    ";",
    "\n",
    "\r\n",
    " ",
    "a",
    "1",
    "# ",
    "(",
    ")",
    ",",
    " in (",
    " or ",
    " and ",
    "a = 1",
    " union ",
    " select ",
    " case ",
    " when ",
    " then ",
    " end ",
    " values ",
    " limit ",
    " is null",
    "_x",
    "@",
    ".",
];

fn pieces(choice: &[usize]) -> Vec<u8> {
    choice
        .iter()
        .flat_map(|index| PIECES[*index % PIECES.len()].bytes())
        .collect()
}

/// Whole events with something hostile as their statements.
fn events(choice: &[Vec<usize>]) -> Vec<u8> {
    let mut log = Vec::new();
    for statement in choice {
        log.extend(
            PIECES[0]
                .bytes()
                .chain(PIECES[2].bytes())
                .chain(PIECES[4].bytes()),
        );
        log.extend(PIECES[10].bytes());
        log.extend(pieces(statement));
        log.extend(b";\n");
    }
    log
}

fn corpus() -> Vec<Vec<u8>> {
    let dir = concat!(env!("CARGO_MANIFEST_DIR"), "/fuzz/corpus/slow");
    let files = std::fs::read_dir(dir).unwrap();
    let mut paths: Vec<_> = files.map(|file| file.unwrap().path()).collect();
    paths.sort();
    paths
        .iter()
        .map(|path| std::fs::read(path).unwrap())
        .collect()
}

#[test]
fn the_corpus_passes() {
    let corpus = corpus();
    assert!(corpus.len() > 20);
    for data in corpus {
        slow(&data);
    }
}

/// Changes, removes, adds and doubles pieces.
fn mutated(mut data: Vec<u8>, edits: &[(u8, usize, usize)]) -> Vec<u8> {
    for (what, at, piece) in edits {
        let at = at % (data.len() + 1);
        let piece = PIECES[piece % PIECES.len()].as_bytes();
        let end = data.len().min(at + piece.len());
        match what % 4 {
            0 => drop(data.splice(at..end, [])),
            1 => drop(data.splice(at..end, piece.iter().copied())),
            2 => drop(data.splice(at..at, piece.iter().copied())),
            _ => {
                let copy = data[at..data.len().min(at + 200)].to_vec();
                drop(data.splice(at..at, copy));
            }
        }
    }
    data
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 2000,
        failure_persistence: None,
        ..ProptestConfig::default()
    })]

    #[test]
    fn pieces_of_logs(choice in vec(0usize..1000, 0..40), sizes in vec(1usize..400, 1..6), first in any::<u8>()) {
        let log = pieces(&choice);
        prop_assert!(in_blocks(&log, &sizes) == whole(&log));
        slow(&[&[first], log.as_slice()].concat());
    }

    #[test]
    fn events_with_anything(choice in vec(vec(0usize..1000, 0..12), 0..8), sizes in vec(1usize..900, 1..6)) {
        let log = events(&choice);
        prop_assert!(in_blocks(&log, &sizes) == whole(&log));
        slow(&[&[9], log.as_slice()].concat());
    }

    #[test]
    fn mutated_logs(index in any::<usize>(), edits in vec((any::<u8>(), any::<usize>(), any::<usize>()), 1..8)) {
        static CORPUS: LazyLock<Vec<Vec<u8>>> = LazyLock::new(corpus);
        slow(&mutated(CORPUS[index % CORPUS.len()].clone(), &edits));
    }

    #[test]
    fn any_bytes(log in vec(any::<u8>(), 0..300)) {
        slow(&log);
    }
}
