//! Logs in, hotspots out: what slow-query logs and access logs have in common.

mod block;
mod diff;
mod distribution;
mod driver;
mod filter;
mod fold;
mod group;
mod input;
mod report;
mod section;
mod session;
mod skipped;
mod snapshot;
mod tally;
mod time;

pub use block::{Batch, NO_TIME, Reader, Skip, Span, UNKNOWN_AT};
pub use diff::{Change, DIFF_SCHEMA, DiffReport, GroupChange, Side, Whole, diff};
pub use distribution::{DECADES_NS, Distribution};
pub use driver::Fold;
pub use filter::{Filter, FilterError};
pub use fold::{Bytes, Digest, Window};
pub use group::{Group, Requests, Statements, Sum, What, Worst};
pub use input::{Compression, Input, SNIFFED_BYTES};
pub use report::{
    CauseReport, DIGEST_SCHEMA, DatabaseReport, DigestFormat, DigestReport, Evidence, Finding,
    GroupReport, IndexReport, LoopReport, LoopStatement, NamedCost, Page, PairReport, PlanReport,
    ReportOptions, RequestsReport, SampleReport, SectionReport, SettingReport, SideReport,
    SkipReport, Sort, SplitReport, StatementsReport, StatusCount, StepReport, TableReport,
};
pub use section::Section;
pub use session::{Kind, ReadError, Session, Settings, Watch};
pub use skipped::{Place, SkipList, Skipped};
pub use snapshot::{SNAPSHOT_SCHEMA, SnapshotError, is_snapshot, load, save};
pub use tally::{Cost, Costs, Names, Tally};
pub use time::{TimeError, parse_at, timestamp, timestamp_with};
