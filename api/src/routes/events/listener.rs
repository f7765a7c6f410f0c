//! One open stream.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use axum::http::HeaderMap;
use axum::response::sse::Event as Frame;
use evergrant_contract::ids::UserId;
use evergrant_contract::people::Scope;
use futures::{Stream, stream};
use metrics::gauge;
use tokio::sync::{OwnedSemaphorePermit, watch};

use super::frame;
use crate::auth::Caller;
use crate::hub::At;
use crate::problem::Problem;
use crate::state::Api;

/// Something is sent at least this often, so that nobody between us takes the connection for dead.
const HEARTBEAT: Duration = Duration::from_secs(15);
/// A client whose connection broke comes back after this.
const COME_BACK: Duration = Duration::from_secs(2);

/// Somebody who listens.
pub(super) struct Listener {
    api: Arc<Api>,
    /// What says who it is: asked again at every heartbeat.
    headers: HeaderMap,
    /// Whose connections it hears of; `None`: everybody's.
    user: Option<UserId>,
    /// The number of the next event to look at.
    next: u64,
    latest: watch::Receiver<u64>,
    /// The time of the next heartbeat, by the monotonic clock.
    beat_at: Duration,
    stage: Stage,
    _room: OwnedSemaphorePermit,
    _open: Open,
}

/// How far a stream is.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Stage {
    /// Nothing was sent.
    New,
    /// The client is to be told that it has missed something.
    Missed,
    /// Events are sent as they come.
    Listening,
    /// The last event was sent.
    Over,
}

/// Counts open streams.
struct Open;

impl Open {
    fn count() -> Self {
        gauge!("evergrant_event_streams").increment(1.0);
        Self
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        gauge!("evergrant_event_streams").decrement(1.0);
    }
}

impl Listener {
    /// Listens from now on, or from behind the last event that the client has heard, if that is known.
    pub(super) fn new(
        api: Arc<Api>,
        caller: &Caller,
        headers: HeaderMap,
        last: Option<&str>,
        room: OwnedSemaphorePermit,
    ) -> Self {
        let latest = api.hub.latest();
        let from_now = *latest.borrow() + 1;
        let resumed = last.map(|id| api.hub.resume(id));
        let stage = if resumed == Some(None) { Stage::Missed } else { Stage::New };
        Self {
            headers,
            user: caller.user_filter(),
            next: resumed.flatten().unwrap_or(from_now),
            latest,
            beat_at: api.clock.monotonic() + HEARTBEAT,
            stage,
            api,
            _room: room,
            _open: Open::count(),
        }
    }

    /// Everything that it hears.
    pub(super) fn stream(self) -> impl Stream<Item = Result<Frame, Infallible>> {
        stream::unfold(self, |mut listener| async move {
            let frame = listener.hear().await?;
            // An event's id is that of the last one that was looked at, the client's or not: a quiet client stays in reach.
            let frame = frame.id(listener.api.hub.id(listener.next.saturating_sub(1)));
            Some((Ok(frame), listener))
        })
    }

    async fn hear(&mut self) -> Option<Frame> {
        match self.stage {
            Stage::New | Stage::Missed => {
                let hello = if self.stage == Stage::New { Frame::default().comment("welcome") } else { frame::gap() };
                self.stage = Stage::Listening;
                Some(hello.retry(COME_BACK))
            }
            Stage::Listening => {
                let stop = self.api.stop.clone();
                stop.run_until_cancelled(self.listen()).await
            }
            Stage::Over => None,
        }
    }

    async fn listen(&mut self) -> Frame {
        loop {
            // Before the look at the ring, so that nothing comes in between unnoticed.
            let newest = *self.latest.borrow_and_update();
            let until_beat = self.beat_at.saturating_sub(self.api.clock.monotonic());
            if until_beat.is_zero() {
                return self.beat().await;
            }
            match self.api.hub.at(self.next) {
                At::Entry(entry) => {
                    self.next += 1;
                    match self.api.hub.tell(&entry, self.user.as_ref()).await {
                        Ok(Some(told)) => return frame::of(told),
                        Ok(None) => {}
                        // Whose it is cannot be told now: one gap for all that is waiting.
                        Err(_) => {
                            self.next = newest + 1;
                            return frame::gap();
                        }
                    }
                }
                At::Forgotten => {
                    self.next = newest + 1;
                    return frame::gap();
                }
                At::End => {
                    let clock = Arc::clone(&self.api.clock);
                    tokio::select! {
                        // The hub outlives its streams, so this never fails.
                        _ = self.latest.changed() => {}
                        () = clock.sleep(until_beat) => {}
                    }
                }
            }
        }
    }

    /// Shows that the connection lives, if the caller is still who they were.
    async fn beat(&mut self) -> Frame {
        self.beat_at = self.api.clock.monotonic() + HEARTBEAT;
        match self.who().await {
            Ok(caller) => self.user = caller.user_filter(),
            // While the store is away nobody is sent away: what held a moment ago holds.
            Err(problem) if problem.kind.status().is_server_error() => {}
            Err(problem) => {
                self.stage = Stage::Over;
                return frame::end(problem);
            }
        }
        Frame::default().comment("heartbeat")
    }

    async fn who(&self) -> Result<Caller, Problem> {
        let caller = self.api.callers.resolve(&self.headers).await?;
        caller.may(Scope::ConnectionsRead)?;
        Ok(caller)
    }
}
