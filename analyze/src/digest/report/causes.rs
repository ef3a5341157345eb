//! Which route causes which statements, in a report.

use serde::Serialize;

use super::groups::seconds;
use crate::digest::fold::follow;
use crate::digest::{Digest, Section};
use crate::sql::causes::{self, Bins, Source};

/// Pairs that a report gives.
const MOST: usize = 500;

/// A route and a statement that it causes.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct CauseReport {
    /// The route's short name.
    pub route_id: String,
    /// The route.
    pub route: String,
    /// The short name of the statement's shape.
    pub statement_id: String,
    /// The statement's shape.
    pub statement: String,
    /// Statements a request.
    pub per_request: f64,
    /// There are hardly fewer than this: 5% of what the log allows lie below,
    pub low: f64,
    /// and hardly more: 5% lie above.
    pub high: f64,
    /// Share of the shape's statements that the route causes, 0 to 1.
    pub share_of_statement: f64,
    /// Time of these statements in seconds, if they take as long as the others.
    pub total_s: f64,
    /// How sure this is, 0 to 1: near 0 when routes always come together.
    pub confidence: f64,
    /// `request_id`: the statements name their request; `time_bins`: their number goes with that of the
    /// requests.
    pub source: &'static str,
}

/// What a digest of both kinds of log says, dearest first. `places` tells where each of the digest's routes is
/// among `routes`.
pub(super) fn causes(
    digest: &Digest,
    routes: &Section,
    places: &[u32],
    id: impl Fn(&str) -> String,
) -> Vec<CauseReport> {
    if digest.statements.records == 0 || routes.records == 0 {
        return Vec::new();
    }
    let place = follow(places);
    let (mut bins, mut ids) = (Bins::default(), causes::RequestIds::default());
    bins.merge(&digest.bins, place, |shape| shape);
    ids.merge(&digest.request_ids, place, |shape| shape);
    let mut found: Vec<_> = causes::causes(&bins, &ids)
        .into_iter()
        .filter_map(|it| {
            let route = routes.groups.get(it.route as usize)?;
            let statement = digest.statements.groups.get(it.shape as usize)?;
            Some(CauseReport {
                route_id: super::id_of(&route.name),
                route: route.name.clone(),
                statement_id: id(&statement.name),
                statement: statement.name.clone(),
                per_request: it.per_request,
                low: it.low,
                high: it.high,
                share_of_statement: it.share_of_shape,
                total_s: it.share_of_shape * seconds(statement.times.sum_ns()),
                confidence: it.confidence,
                source: match it.source {
                    Source::RequestId => "request_id",
                    Source::TimeBins => "time_bins",
                },
            })
        })
        .collect();
    found.sort_by(|left, right| {
        let times = right.total_s.total_cmp(&left.total_s);
        let keys = |it: &CauseReport| (it.route.clone(), it.statement.clone());
        times.then_with(|| keys(left).cmp(&keys(right)))
    });
    found.truncate(MOST);
    found
}
