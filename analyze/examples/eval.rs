#![allow(clippy::unwrap_used, clippy::print_stdout)]
//! throw-away
use isukit_analyze::slow::Verb;
use isukit_analyze::sql::nplus1::*;
fn main() {
    let mut args = std::env::args().skip(1);
    let file = args.next().unwrap();
    let mode = args.next().unwrap_or_default();
    let text = std::fs::read_to_string(&file).unwrap();
    let names: Vec<String> = std::fs::read_to_string(format!("{file}.shapes"))
        .unwrap()
        .lines()
        .map(|l| l.split_once('\t').unwrap().1.to_owned())
        .collect();
    let mut steps = vec![];
    for l in text.lines() {
        let f: Vec<&str> = l.split('\t').collect();
        let shape: u32 = f[1].parse().unwrap();
        let verb = match f[2] {
            "R" => Verb::Read,
            "W" => Verb::Write,
            "T" => Verb::Transaction,
            "S" => Verb::Schema,
            _ => Verb::Other,
        };
        let mut kind = Kind::of(verb, names[shape as usize].as_bytes());
        if mode.contains('n') && matches!(kind, Kind::Begin | Kind::End) {
            kind = Kind::Skip;
        }
        steps.push(Step {
            connection: f[0].parse().unwrap(),
            shape,
            kind,
            query_ns: f[4].parse().unwrap(),
            rows_sent: f[5].parse().unwrap(),
            request: if mode.contains('r') {
                f[6].parse().unwrap()
            } else {
                0
            },
        });
    }
    let mut runs = Runs::default();
    for s in &steps {
        runs.add(*s);
    }
    for f in runs.findings() {
        println!(
            "{:.2} rows_match {:.2} runs {} mean {:.1} statements {} ms {}\n     {:.90}",
            f.confidence,
            f.rows_match,
            f.runs,
            f.mean_length(),
            f.statements,
            f.time_ns / 1_000_000,
            names[f.parent as usize]
        );
        for c in f.children {
            println!("  -> {:.90} ({})", names[c.shape as usize], c.statements);
        }
    }
    if mode.contains('t') {
        let t = std::time::Instant::now();
        let mut n = 0u64;
        for i in 0..50 {
            let mut runs = Runs::default();
            for s in &steps {
                let mut s = *s;
                if i == 99 {
                    s.shape += 1;
                }
                runs.add(s);
                n += 1;
            }
            std::hint::black_box(runs.findings().len());
        }
        println!(
            "{:.1} ns a statement",
            t.elapsed().as_nanos() as f64 / n as f64
        );
    }
}
