//! The leaderboard, for members and for everybody.

use std::sync::Arc;

use super::{leaderboard, person};
use crate::http::{Call, Success};
use crate::messages::DashboardResponse;
use crate::refusal::Failure;

/// `GET /api/dashboard`
pub(crate) async fn members(call: &Call) -> Result<Success, Failure> {
    person::team_member(call).await?;
    audience(call).await
}

/// `GET /api/audience/dashboard`
pub(crate) async fn audience(call: &Call) -> Result<Success, Failure> {
    if let Some(delay) = call.app.options.lies.delay() {
        tokio::time::sleep(delay).await;
    }
    let app = Arc::clone(&call.app);
    let body = app.board.show(call).await?;
    Ok(Success::encoded::<DashboardResponse>(body))
}

/// The reply's message, with what is on the board now.
pub(crate) async fn compute(call: &Call) -> Result<DashboardResponse, Failure> {
    let leaderboard = Some(leaderboard::read(call).await?);
    Ok(DashboardResponse { leaderboard })
}
