//! What the bodies of each route add up to: counts, sizes, latency, and which fields the bytes go to.

use std::hash::{Hash, Hasher};
use std::io::Write;

use isukit_proto::Weight;
use rustc_hash::{FxHashMap, FxHashSet, FxHasher};
use serde::Serialize;

use super::Direction;
use super::decoder::{Content, Decoded};
use super::limits::{STATS_FIELDS, STATS_GROUPS, STATS_VALUES};
use super::record::{DECODE_SCHEMA, escape_controls};
use crate::latency::Latencies;
use crate::report::{Align, Table, TableStyle};
use crate::units::{format_bytes, format_count, format_ns};

/// Texts and bytes shorter than this are not looked for a second time in a body, in bytes.
const REPEATED_BYTES: usize = 4;

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Key {
    route: String,
    direction: Direction,
    kind: String,
}

#[derive(Debug)]
struct Group {
    confidence: Option<f64>,
    bodies: u64,
    errors: u64,
    bytes: u64,
    wire_bytes: u64,
    min: u64,
    max: u64,
    latency: Latencies,
    /// By a hash of their path.
    fields: FxHashMap<u64, FieldSum>,
    /// Fields beyond the limit.
    fields_left_out: u64,
}

#[derive(Debug, Clone, Default, PartialEq)]
struct FieldSum {
    path: String,
    count: u64,
    bytes: u64,
    default_bytes: u64,
    repeated_bytes: u64,
    is_unknown: bool,
}

/// Sums by route, direction and type.
#[derive(Debug, Default)]
pub struct Stats {
    groups: FxHashMap<Key, Group>,
    /// Values of the message at hand, by path and content.
    values: FxHashSet<u64>,
    left_out: u64,
}

/// What [`Stats`] came to.
#[derive(Debug, Clone, PartialEq)]
pub struct StatsReport {
    /// Those with the most bytes first.
    groups: Vec<GroupStats>,
    left_out: u64,
}

/// The bodies of one route and type.
#[derive(Debug, Clone, PartialEq, Serialize)]
struct GroupStats {
    schema: &'static str,
    kind: &'static str,
    route: Option<String>,
    direction: &'static str,
    #[serde(rename = "type")]
    message: Option<String>,
    confidence: Option<f64>,
    bodies: u64,
    errors: u64,
    /// Of the decompressed bodies.
    bytes: u64,
    /// As sent.
    wire_bytes: u64,
    mean_bytes: f64,
    min_bytes: u64,
    max_bytes: u64,
    latency: Option<LatencyStats>,
    /// Bytes that an encoder would not have sent: defaults of fields without presence.
    default_bytes: u64,
    /// Bytes of values that the same body already had in the same field.
    repeated_bytes: u64,
    /// Bytes of fields that the schema does not have.
    unknown_bytes: u64,
    /// Those with the most bytes first.
    fields: Vec<FieldStats>,
    fields_left_out: u64,
}

#[derive(Debug, Clone, PartialEq, Serialize)]
struct LatencyStats {
    mean_s: f64,
    p50_s: f64,
    p95_s: f64,
    p99_s: f64,
    max_s: f64,
}

#[derive(Debug, Clone, PartialEq, Serialize)]
struct FieldStats {
    path: String,
    count: u64,
    /// Its own, without those of fields in it.
    bytes: u64,
    share: f64,
    default_bytes: u64,
    repeated_bytes: u64,
    unknown: bool,
}

impl Stats {
    /// Count a message.
    pub fn count(&mut self, decoded: &Decoded<'_>) {
        let key = Key {
            route: decoded.route.to_owned(),
            direction: decoded.body.direction,
            kind: match (decoded.content, decoded.message()) {
                (Content::Protobuf, Some(message)) => message.full_name().to_owned(),
                (Content::Protobuf, None) => String::new(),
                (content, _) => format!("({})", content.label()),
            },
        };
        if self.groups.len() >= STATS_GROUPS && !self.groups.contains_key(&key) {
            self.left_out += 1;
            return;
        }
        let group = self.groups.entry(key).or_insert_with(|| Group {
            confidence: decoded.choice.map(|choice| choice.best().confidence),
            bodies: 0,
            errors: 0,
            bytes: 0,
            wire_bytes: 0,
            min: u64::MAX,
            max: 0,
            latency: Latencies::new(),
            fields: FxHashMap::default(),
            fields_left_out: 0,
        });
        let size = decoded.plain.len() as u64;
        group.bodies += 1;
        group.errors += u64::from(decoded.error.is_some());
        group.bytes += size;
        group.wire_bytes += decoded.body.bytes.len() as u64;
        group.min = group.min.min(size);
        group.max = group.max.max(size);
        if let Some(latency) = decoded.body.latency_us {
            group.latency.record(latency.saturating_mul(1_000));
        }
        if let (Content::Protobuf, Some(message)) = (decoded.content, decoded.message()) {
            let values = &mut self.values;
            values.clear();
            // What is broken was counted as an error; what came before the fault is in the sums.
            let _ = message.weigh(decoded.plain, &mut |weight| group.weigh(&weight, values));
        }
    }

    /// What it came to.
    pub fn report(&self) -> StatsReport {
        let mut groups: Vec<GroupStats> = self
            .groups
            .iter()
            .map(|(key, group)| group.report(key))
            .collect();
        groups.sort_by(|a, b| {
            (b.bytes.cmp(&a.bytes))
                .then_with(|| a.route.cmp(&b.route))
                .then_with(|| a.direction.cmp(b.direction))
                .then_with(|| a.message.cmp(&b.message))
        });
        StatsReport {
            groups,
            left_out: self.left_out,
        }
    }
}

impl Group {
    fn weigh(&mut self, weight: &Weight<'_>, values: &mut FxHashSet<u64>) {
        let mut hasher = FxHasher::default();
        weight.path.hash(&mut hasher);
        let path = hasher.finish();
        if self.fields.len() >= STATS_FIELDS && !self.fields.contains_key(&path) {
            self.fields_left_out += 1;
            return;
        }
        let sum = self.fields.entry(path).or_insert_with(|| FieldSum {
            path: weight
                .path
                .iter()
                .map(ToString::to_string)
                .collect::<Vec<_>>()
                .join("."),
            is_unknown: weight.unknown,
            ..FieldSum::default()
        });
        sum.count += 1;
        sum.bytes += weight.own_bytes as u64;
        if weight.explicit_default {
            sum.default_bytes += weight.bytes as u64;
        }
        // A message that comes again is told by its fields.
        if !weight.is_message
            && weight.content.len() >= REPEATED_BYTES
            && values.len() < STATS_VALUES
        {
            weight.content.hash(&mut hasher);
            if !values.insert(hasher.finish()) {
                sum.repeated_bytes += weight.bytes as u64;
            }
        }
    }

    fn report(&self, key: &Key) -> GroupStats {
        let mut fields: Vec<FieldStats> = self
            .fields
            .values()
            .map(|sum| FieldStats {
                path: sum.path.clone(),
                count: sum.count,
                bytes: sum.bytes,
                share: sum.bytes as f64 / self.bytes.max(1) as f64,
                default_bytes: sum.default_bytes,
                repeated_bytes: sum.repeated_bytes,
                unknown: sum.is_unknown,
            })
            .collect();
        fields.sort_by(|a, b| b.bytes.cmp(&a.bytes).then_with(|| a.path.cmp(&b.path)));
        let sum = |of: fn(&FieldStats) -> u64| fields.iter().map(of).sum();
        let named = |name: &str| (!name.is_empty()).then(|| name.to_owned());
        let seconds = |q: f64| self.latency.quantile_ns(q) as f64 / 1e9;
        GroupStats {
            schema: DECODE_SCHEMA,
            kind: "stats",
            route: named(&key.route),
            direction: key.direction.label(),
            message: named(&key.kind),
            confidence: self.confidence,
            bodies: self.bodies,
            errors: self.errors,
            bytes: self.bytes,
            wire_bytes: self.wire_bytes,
            mean_bytes: self.bytes as f64 / self.bodies.max(1) as f64,
            min_bytes: self.min,
            max_bytes: self.max,
            latency: (!self.latency.is_empty()).then(|| LatencyStats {
                mean_s: self.latency.mean_ns() / 1e9,
                p50_s: seconds(0.5),
                p95_s: seconds(0.95),
                p99_s: seconds(0.99),
                max_s: self.latency.max_ns() as f64 / 1e9,
            }),
            default_bytes: sum(|field| field.default_bytes),
            repeated_bytes: sum(|field| field.repeated_bytes),
            unknown_bytes: sum(|field| if field.unknown { field.bytes } else { 0 }),
            fields,
            fields_left_out: self.fields_left_out,
        }
    }
}

/// Fields of a group that people are shown.
const SHOWN_FIELDS: usize = 6;

/// Groups whose fields people are shown.
const SHOWN_GROUPS: usize = 8;

impl StatsReport {
    /// Append one line of JSON a group: `kind` is `stats`.
    pub fn write_json(&self, out: &mut Vec<u8>) {
        for group in &self.groups {
            // A path may hold anything. Writing to a vector does not fail.
            let line = serde_json::to_vec(group).unwrap_or_default();
            escape_controls(&line, out);
            out.push(b'\n');
        }
    }

    /// Append tables for people.
    pub fn write_text(&self, out: &mut Vec<u8>) {
        let mut table = Table::new([
            ("route", Align::Left),
            ("", Align::Left),
            ("type", Align::Left),
            ("bodies", Align::Right),
            ("errors", Align::Right),
            ("bytes", Align::Right),
            ("mean", Align::Right),
            ("max", Align::Right),
            ("p50", Align::Right),
            ("p99", Align::Right),
        ]);
        for group in &self.groups {
            let latency = |of: fn(&LatencyStats) -> f64| {
                let latency = group.latency.as_ref();
                latency.map_or_else(String::new, |latency| format_ns(of(latency) * 1e9))
            };
            table.row([
                group.route.clone().unwrap_or_default(),
                match group.direction {
                    "request" => "->".to_owned(),
                    _ => "<-".to_owned(),
                },
                group
                    .message
                    .clone()
                    .unwrap_or_else(|| "(unknown)".to_owned()),
                format_count(group.bodies),
                format_count(group.errors),
                format_bytes(group.bytes),
                format_bytes(group.mean_bytes.round() as u64),
                format_bytes(group.max_bytes),
                latency(|latency| latency.p50_s),
                latency(|latency| latency.p99_s),
            ]);
        }
        out.extend_from_slice(table.render(TableStyle::Text).as_bytes());
        for group in self.groups.iter().take(SHOWN_GROUPS) {
            group.write_fields(out);
        }
        if self.left_out > 0 {
            let _ = writeln!(
                out,
                "\n{} bodies of further routes are not in these sums",
                self.left_out
            );
        }
    }
}

impl GroupStats {
    fn write_fields(&self, out: &mut Vec<u8>) {
        if self.fields.is_empty() {
            return;
        }
        let title = format!(
            "{} {} {}",
            self.route.as_deref().unwrap_or("(no route)"),
            if self.direction == "request" {
                "->"
            } else {
                "<-"
            },
            self.message.as_deref().unwrap_or("")
        );
        let _ = writeln!(out, "\n{}", crate::report::printable(&title));
        let mut table = Table::new([
            ("  share", Align::Right),
            ("bytes", Align::Right),
            ("count", Align::Right),
            ("field", Align::Left),
            ("", Align::Left),
        ]);
        for field in self.fields.iter().take(SHOWN_FIELDS) {
            let mut notes = Vec::new();
            if field.unknown {
                notes.push("not in the schema".to_owned());
            }
            if field.default_bytes > 0 {
                notes.push(format!(
                    "{} are defaults",
                    format_bytes(field.default_bytes)
                ));
            }
            if field.repeated_bytes * 10 > field.bytes {
                notes.push(format!(
                    "{} repeat a value of the same body",
                    format_bytes(field.repeated_bytes)
                ));
            }
            table.row([
                format!("{:.1}%", field.share * 100.0),
                format_bytes(field.bytes),
                format_count(field.count),
                field.path.clone(),
                notes.join(", "),
            ]);
        }
        out.extend_from_slice(table.render(TableStyle::Text).as_bytes());
        let unknown: Vec<&str> = (self.fields.iter().skip(SHOWN_FIELDS))
            .filter(|field| field.unknown)
            .map(|field| field.path.as_str())
            .collect();
        if !unknown.is_empty() {
            let _ = writeln!(out, "  not in the schema: {}", unknown.join(", "));
        }
    }
}
