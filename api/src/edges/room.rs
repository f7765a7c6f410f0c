//! Requests in hand, and those that are turned away because there are too many.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use axum::body::{Body, Bytes, HttpBody};
use axum::extract::{Request, State};
use axum::http::header;
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use hyper::body::{Frame, SizeHint};
use metrics::counter;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::problem::{Problem, ProblemKind};

/// When those that were turned away may come back.
const COME_BACK: Duration = Duration::from_secs(1);

/// Room for so many requests at once.
#[derive(Clone)]
pub(super) struct Room(Arc<Semaphore>);

impl Room {
    pub(super) fn new(requests: usize) -> Self {
        Self(Arc::new(Semaphore::new(requests.min(Semaphore::MAX_PERMITS))))
    }
}

/// Takes a place until the answer's last byte is sent, or turns the request away at once: a queue would only let everybody
/// wait longer.
pub(super) async fn enter(State(room): State<Room>, request: Request, next: Next) -> Response {
    let Ok(place) = room.0.try_acquire_owned() else {
        counter!("evergrant_http_turned_away_total").increment(1);
        let detail = "Too many requests are in hand. Nothing was done; try again in a moment.";
        return Problem::new(ProblemKind::Overloaded, detail).retry_after(COME_BACK).into_response();
    };
    let response = next.run(request).await;
    if is_event_stream(&response) {
        // Streams are counted on their own: they stay for hours and cost next to nothing.
        return response;
    }
    response.map(|body| Body::new(Seated { body, _place: place }))
}

fn is_event_stream(response: &Response) -> bool {
    let content_type = response.headers().get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
    content_type.is_some_and(|kind| kind.starts_with("text/event-stream"))
}

/// A body that keeps its request's place.
struct Seated {
    body: Body,
    _place: OwnedSemaphorePermit,
}

impl HttpBody for Seated {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        Pin::new(&mut self.body).poll_frame(context)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
