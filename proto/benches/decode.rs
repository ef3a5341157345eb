//! What decoding captured bodies asks of the codec, on an API of 92 message types.
//!
//! Run with `cargo bench -p isukit-proto --bench decode`.

use std::fmt::Write as _;
use std::path::PathBuf;
use std::sync::LazyLock;

use divan::counter::BytesCount;
use divan::{Bencher, black_box};
use isukit_proto::{
    JsonOptions, JsonParseOptions, Limits, Message, Schema, TextOptions, TextParseOptions,
    schemaless,
};

fn main() {
    divan::main();
}

/// An API in one file: each resource has three types, a method and a URL.
fn source(resources: usize) -> String {
    let mut out = "syntax = \"proto3\";\npackage api;\n\
                   import \"google/api/annotations.proto\";\n\
                   enum Kind { KIND_NONE = 0; KIND_A = 1; KIND_B = 2; }\n\
                   message Part { int64 id = 1; string name = 2; repeated int32 scores = 3; }\n\
                   message Page { int32 size = 1; string token = 2; }\n"
        .to_owned();
    // The kinds of fields differ from one resource to the next, as they would.
    let kinds = [
        "string", "int64", "bool", "double", "Kind", "Part", "bytes", "uint32",
    ];
    for at in 0..resources {
        let kind = |by: usize| kinds[(at / (by + 1) + by * 3 + at) % kinds.len()];
        let written = write!(
            out,
            "message R{at} {{\n  int64 id = 1;\n  string name = 2;\n  {} a = 3;\n  \
             repeated Part parts = 4;\n  {} b = 5;\n  {} c = 6;\n}}\n\
             message GetR{at} {{ {} id = 1; {} view = 2; }}\n\
             message ListR{at} {{\n  repeated R{at} items = 1;\n  Page next = 2;\n}}\n\
             service S{at} {{\n  rpc Get(GetR{at}) returns (R{at}) \
             {{ option (google.api.http) = {{ get: \"/r{at}/{{id}}\" }}; }}\n}}\n",
            kind(0),
            kind(1),
            kind(2),
            kind(3),
            kind(4),
        );
        written.expect("a string takes all");
    }
    out
}

/// A directory with the API.
fn written(resources: usize) -> PathBuf {
    let dir =
        std::env::temp_dir().join(format!("isukit-decode-{}-{resources}", std::process::id()));
    std::fs::create_dir_all(&dir).expect("a temporary directory");
    std::fs::write(dir.join("api.proto"), source(resources)).expect("the schema written");
    dir
}

/// All types of the API, and a body of 69 bytes and one of 7 KB.
struct Api {
    types: Vec<Message>,
    bodies: [(Message, Vec<u8>); 2],
}

static API: LazyLock<Api> = LazyLock::new(|| {
    let dir = written(30);
    let schema = Schema::compile(std::slice::from_ref(&dir)).expect("the schema compiles");
    std::fs::remove_dir_all(&dir).ok();
    let types: Vec<Message> = schema
        .messages()
        .filter(|message| message.full_name().starts_with("api."))
        .collect();
    assert_eq!(types.len(), 92);
    // `R7` has bytes, a part and a number where its neighbours have other kinds.
    let part = "{\"id\":\"1000001\",\"name\":\"a part of it\",\"scores\":[1,20,300]}";
    let rest = "\"a\":\"//79AAEC\",\"b\":{\"id\":\"5\"},\"c\":4242";
    let one = format!("{{\"id\":\"123456789\",\"name\":\"a resource\",\"parts\":[{part}],{rest}}}");
    let item = format!("{{\"id\":\"7\",\"name\":\"a resource\",\"parts\":[{part},{part}],{rest}}}");
    let many = format!("{{\"items\":[{}]}}", vec![item; 85].join(","));
    let body = |name: &str, json: &str| {
        let of = schema.message(name).expect("a type of the schema");
        let mut bytes = Vec::new();
        of.from_json(json.as_bytes(), &JsonParseOptions::new(), &mut bytes)
            .expect("valid JSON");
        (of, bytes)
    };
    let bodies = [body("api.R7", &one), body("api.ListR7", &many)];
    print_sizes(&bodies);
    Api { types, bodies }
});

/// Says once what is measured.
#[allow(clippy::print_stderr, reason = "a benchmark")]
fn print_sizes(bodies: &[(Message, Vec<u8>); 2]) {
    let sizes: Vec<usize> = bodies.iter().map(|(_, bytes)| bytes.len()).collect();
    eprintln!("bodies of {sizes:?} bytes");
}

const SIZES: [usize; 2] = [0, 1];

fn bytes(at: usize) -> (&'static Message, &'static [u8], BytesCount) {
    let (of, bytes) = &API.bodies[at];
    (of, bytes, BytesCount::of_slice(bytes))
}

#[divan::bench(args = SIZES)]
fn fit_of_all_types(bencher: Bencher<'_, '_>, at: usize) {
    let (_, bytes, _) = bytes(at);
    bencher.bench_local(|| {
        let scores = API.types.iter().map(|of| of.fit(black_box(bytes)).score());
        scores.fold(0.0, f64::max)
    });
}

#[divan::bench(args = SIZES)]
fn fit_of_its_type(bencher: Bencher<'_, '_>, at: usize) {
    let (of, bytes, count) = bytes(at);
    bencher
        .counter(count)
        .bench_local(|| of.fit(black_box(bytes)));
}

#[divan::bench(args = SIZES)]
fn weigh(bencher: Bencher<'_, '_>, at: usize) {
    let (of, bytes, count) = bytes(at);
    bencher.counter(count).bench_local(|| {
        let mut own = 0;
        let weighed = of.weigh(black_box(bytes), &mut |weight| own += weight.own_bytes);
        (own, weighed.is_ok())
    });
}

#[divan::bench(args = SIZES)]
fn readable_of_a_cut_body(bencher: Bencher<'_, '_>, at: usize) {
    let (of, bytes, count) = bytes(at);
    let cut = &bytes[..bytes.len() - 3];
    bencher
        .counter(count)
        .bench_local(|| of.readable(black_box(cut)));
}

/// Runs what appends to a buffer.
fn appending<E: 'static>(
    bencher: Bencher<'_, '_>,
    count: BytesCount,
    run: impl Fn(&mut Vec<u8>) -> Result<(), E>,
) {
    let mut out = Vec::with_capacity(1 << 16);
    bencher.counter(count).bench_local(|| {
        out.clear();
        run(&mut out).is_ok()
    });
}

#[divan::bench(args = SIZES)]
fn to_json(bencher: Bencher<'_, '_>, at: usize) {
    let (of, bytes, count) = bytes(at);
    appending(bencher, count, |out| {
        of.to_json(black_box(bytes), &JsonOptions::new(), out)
    });
}

#[divan::bench(args = SIZES)]
fn to_text(bencher: Bencher<'_, '_>, at: usize) {
    let (of, bytes, count) = bytes(at);
    appending(bencher, count, |out| {
        of.to_text(black_box(bytes), &TextOptions::new(), out)
    });
}

#[divan::bench(args = SIZES)]
fn to_exact_text(bencher: Bencher<'_, '_>, at: usize) {
    let (of, bytes, count) = bytes(at);
    appending(bencher, count, |out| {
        of.to_exact_text(black_box(bytes), out)
    });
}

#[divan::bench(args = SIZES)]
fn from_exact_text(bencher: Bencher<'_, '_>, at: usize) {
    let (of, bytes, count) = bytes(at);
    let mut text = Vec::new();
    of.to_exact_text(bytes, &mut text)
        .expect("within the limits");
    appending(bencher, count, |out| {
        of.from_text(black_box(&text), &TextParseOptions::new(), out)
    });
}

#[divan::bench(args = SIZES)]
fn schemaless_to_json(bencher: Bencher<'_, '_>, at: usize) {
    let (_, bytes, count) = bytes(at);
    let limits = Limits::default();
    appending(bencher, count, |out| {
        schemaless::to_json(black_box(bytes), &limits, out)
    });
}

#[divan::bench(args = SIZES)]
fn plausibility(bencher: Bencher<'_, '_>, at: usize) {
    let (_, bytes, count) = bytes(at);
    bencher
        .counter(count)
        .bench_local(|| schemaless::plausibility(black_box(bytes)));
}

/// A file of about 250 lines, with HTTP annotations.
#[divan::bench]
fn compile_250_lines(bencher: Bencher<'_, '_>) {
    let dir = written(15);
    let lines = source(15).lines().count();
    assert!((230..270).contains(&lines), "{lines} lines");
    bencher.bench_local(|| Schema::compile(std::slice::from_ref(&dir)).is_ok());
    std::fs::remove_dir_all(&dir).ok();
}
