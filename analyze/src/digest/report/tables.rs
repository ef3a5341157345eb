//! Tables in a report: what each takes, which are used together, and how they could be parted.

use serde::Serialize;

use super::groups::seconds;
use crate::digest::{Group, Section, What};
use crate::sql::coupling::{self, Use};
use crate::sql::tables::{Tables, tables};

/// Pairs of tables that a report gives.
const MOST_PAIRS: usize = 50;

/// What a table takes.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct TableReport {
    /// Its name, as statements write it.
    pub table: String,
    /// Its part of the time in seconds: a statement's time is divided equally among its tables.
    pub total_s: f64,
    /// The same as a share of all tables' time, 0 to 1.
    pub share: f64,
    /// Statements that only read it.
    pub reads: u64,
    /// Statements that write it.
    pub writes: u64,
    /// Its part of the time of the former in seconds.
    pub read_s: f64,
    /// Its part of the time of the latter in seconds.
    pub write_s: f64,
}

/// Two tables that statements use together.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct PairReport {
    /// The two.
    pub tables: [String; 2],
    /// Statements with both.
    pub count: u64,
    /// Their time in seconds.
    pub total_s: f64,
}

/// A half of a split.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct SideReport {
    /// Its tables, dearest first.
    pub tables: Vec<String>,
    /// Its share of the time, 0 to 1.
    pub share: f64,
}

/// How the database could be parted in two.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct SplitReport {
    /// The larger one, and the other one.
    pub sides: [SideReport; 2],
    /// Statements that use tables of both, and would have to be taken apart.
    pub crossing: Vec<String>,
    /// Their share of the time, 0 to 1.
    pub crossing_share: f64,
}

/// What is known of the tables.
pub(super) struct TablesReport {
    pub(super) tables: Vec<TableReport>,
    pub(super) used_together: Vec<PairReport>,
    pub(super) split: Option<SplitReport>,
}

/// What the statements of a section say of their tables.
pub(super) fn of_section(section: &Section) -> TablesReport {
    let known: Vec<(&Group, Tables)> = section
        .groups
        .iter()
        .filter(|group| matches!(group.what, What::Statements(_)))
        .filter_map(|group| {
            let worst = group.worst.as_ref()?;
            Some((group, tables(worst.text.as_bytes())))
        })
        .collect();
    let uses: Vec<Use<'_>> = known
        .iter()
        .map(|(group, tables)| Use {
            tables,
            count: group.count,
            time_ns: u64::try_from(group.times.sum_ns()).unwrap_or(u64::MAX),
        })
        .collect();
    let by_table = coupling::by_table(&uses);
    let whole: f64 = by_table.iter().map(|it| it.time_ns() as f64).sum();
    let pairs = coupling::pairs(&uses).into_iter().take(MOST_PAIRS);
    let split = coupling::split(&uses).map(|split| SplitReport {
        sides: split.sides.map(|side| SideReport {
            tables: side.tables,
            share: side.share,
        }),
        crossing: split
            .crossing
            .iter()
            .filter_map(|at| Some(known.get(*at)?.0.name.clone()))
            .collect(),
        crossing_share: split.crossing_share.abs(),
    });
    TablesReport {
        tables: by_table
            .into_iter()
            .map(|it| TableReport {
                total_s: seconds(it.time_ns()),
                share: it.time_ns() as f64 / whole.max(1.0),
                reads: it.reads,
                writes: it.writes,
                read_s: seconds(it.read_ns),
                write_s: seconds(it.write_ns),
                table: it.table,
            })
            .collect(),
        used_together: pairs
            .map(|pair| PairReport {
                tables: [pair.one, pair.other],
                count: pair.count,
                total_s: seconds(pair.time_ns),
            })
            .collect(),
        split,
    }
}
