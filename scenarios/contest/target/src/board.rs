//! The last leaderboard, kept for a moment.

use std::time::{Duration, Instant};

use hyper::body::Bytes;
use prost::Message;
use tokio::sync::Mutex;

use crate::clock;
use crate::http::Call;
use crate::messages::DashboardResponse;
use crate::portal::dashboard;
use crate::refusal::Failure;

/// A kept leaderboard is shown no longer than this after its reading began. The contest's rule
/// allows a second.
const FRESH: Duration = Duration::from_millis(500);

/// The last leaderboard; one request at a time makes a new one, and the others wait for it.
#[derive(Debug, Default)]
pub(crate) struct Board(Mutex<Option<Kept>>);

#[derive(Debug)]
struct Kept {
    /// When its reading began.
    since: Instant,
    body: Bytes,
}

impl Board {
    /// The body of a dashboard.
    pub(crate) async fn show(&self, call: &Call) -> Result<Bytes, Failure> {
        if let Some(age) = call.app.options.lies.board_age() {
            return restamp(self.keep(call, age).await?);
        }
        if call.app.options.fixes.cache {
            return self.keep(call, FRESH).await;
        }
        Ok(dashboard::compute(call).await?.encode_to_vec().into())
    }

    /// Forget it, because everything has changed.
    pub(crate) async fn forget(&self) {
        *self.0.lock().await = None;
    }

    async fn keep(&self, call: &Call, fresh: Duration) -> Result<Bytes, Failure> {
        let asked = Instant::now();
        let mut kept = self.0.lock().await;
        if let Some(kept) = &*kept
            // One whose reading began after we asked is as good as our own, however long it took.
            && (kept.since >= asked || kept.since.elapsed() < fresh)
        {
            return Ok(kept.body.clone());
        }
        let since = Instant::now();
        let body = Bytes::from(dashboard::compute(call).await?.encode_to_vec());
        *kept = Some(Kept {
            since,
            body: body.clone(),
        });
        Ok(body)
    }
}

/// The same leaderboard, which claims to be of now: a lie.
fn restamp(body: Bytes) -> Result<Bytes, Failure> {
    let Ok(mut reply) = DashboardResponse::decode(body.clone()) else {
        return Ok(body);
    };
    if let Some(board) = &mut reply.leaderboard {
        board.generated_at = Some(clock::timestamp(clock::now()));
    }
    Ok(reply.encode_to_vec().into())
}
