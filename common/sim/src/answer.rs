//! Answers, and the ways in which they fail to arrive.

use std::{convert::Infallible, io, sync::Arc, time::Duration};

use axum::{
    body::{Body, Bytes},
    http::{HeaderName, HeaderValue, StatusCode, header},
    response::Response,
};
use chrono::DateTime;
use futures::stream;
use serde::Serialize;
use serde_json::json;
use uuid::Uuid;

use crate::{
    fault::ErrorBody,
    now::now,
    receipt::{Receipt, Visit},
    wire::{Cut, Line},
    world::World,
};

/// What is to be sent.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    content_type: &'static str,
    body: Bytes,
    extra: Option<(HeaderName, HeaderValue)>,
}

/// How it is sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Delivery {
    Whole,
    /// The body takes this long.
    Slow(Duration),
    /// Half of the body, then the connection ends.
    Truncated,
    /// Nothing, and the connection ends.
    Never(Cut),
}

/// Pieces of a slow body.
const SLOW_PIECES: u32 = 4;

impl Answer {
    pub(crate) fn json(status: StatusCode, body: &impl Serialize) -> Self {
        let (status, body) = match serde_json::to_vec(body) {
            Ok(body) => (status, body),
            Err(_) => (StatusCode::INTERNAL_SERVER_ERROR, Vec::new()),
        };
        Self { status, content_type: "application/json;charset=UTF-8", body: body.into(), extra: None }
    }

    pub(crate) fn html(status: StatusCode, body: impl Into<Bytes>) -> Self {
        Self { status, content_type: "text/html;charset=UTF-8", body: body.into(), extra: None }
    }

    /// A page that says that the service is being worked on.
    pub(crate) fn maintenance(status: StatusCode) -> Self {
        let page = "<!DOCTYPE html><html><head><title>Service Unavailable</title></head>\
                    <body><h1>We will be back soon</h1></body></html>";
        Self::html(status, page)
    }

    /// An answer that nobody will read: the connection ends before it.
    pub(crate) fn none() -> Self {
        Self { status: StatusCode::OK, content_type: "text/plain", body: Bytes::new(), extra: None }
    }

    /// What the token endpoint answers under a status fault.
    pub(crate) fn broken(status: u16, body: ErrorBody) -> Self {
        let status = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let error = match status {
            StatusCode::SERVICE_UNAVAILABLE => "temporarily_unavailable",
            status if status.is_server_error() => "server_error",
            StatusCode::FORBIDDEN => "access_denied",
            _ => "invalid_request",
        };
        match body {
            ErrorBody::Json => Self::oauth_error(status, error, "The service is not able to process the request."),
            ErrorBody::Html => Self::maintenance(status),
            ErrorBody::Empty => Self { status, ..Self::none() },
        }
    }

    pub(crate) fn oauth_error(status: StatusCode, error: &str, description: &str) -> Self {
        let body = json!({"error_description": description, "error": error, "request_id": Uuid::new_v4()});
        Self::json(status, &body)
    }

    pub(crate) fn throttled(retry_after_secs: Option<u64>, as_date: bool) -> Self {
        let body = json!({"code": "429", "details": "Too Many Requests", "requestId": Uuid::new_v4()});
        let mut answer = Self::json(StatusCode::TOO_MANY_REQUESTS, &body);
        answer.extra = retry_after_secs
            .map(|secs| if as_date { http_date_in(secs) } else { secs.to_string() })
            .and_then(|text| Some((header::RETRY_AFTER, HeaderValue::from_str(&text).ok()?)));
        answer
    }

    pub(crate) fn redirect(to: &str) -> Self {
        let mut answer = Self { status: StatusCode::FOUND, ..Self::none() };
        answer.extra = HeaderValue::from_str(to).ok().map(|to| (header::LOCATION, to));
        answer
    }

    fn respond(self, body: Body) -> Response {
        let mut response = Response::new(body);
        *response.status_mut() = self.status;
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(self.content_type));
        headers.insert(header::CONTENT_LENGTH, self.body.len().into());
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
        if let Some((name, value)) = self.extra {
            headers.insert(name, value);
        }
        response
    }

    /// Sends it whole, to a call that the ledger does not follow.
    pub(crate) fn plain(self) -> Response {
        let body = Body::from(self.body.clone());
        self.respond(body)
    }
}

/// What must be told of the fate of an answer.
#[derive(Default)]
pub(crate) struct Papers {
    /// Ends when the body begins to be written: from then on the client may act on it.
    pub(crate) visit: Option<Visit>,
    /// Signed when the body has left.
    pub(crate) receipt: Option<Receipt>,
}

/// Sends an answer down a line.
pub(crate) fn send(world: &Arc<World>, line: Line, answer: Answer, delivery: Delivery, papers: Papers) -> Response {
    let bytes = answer.body.clone();
    let body = match delivery {
        Delivery::Whole => Body::from_stream(stream::once(async move {
            drop(papers.visit);
            if let Some(receipt) = papers.receipt {
                line.leave(receipt);
            }
            Ok::<_, Infallible>(bytes)
        })),
        Delivery::Slow(time) => slowly(Arc::clone(world), line, bytes, time, papers),
        Delivery::Truncated => truncated(&bytes, papers),
        Delivery::Never(how) => {
            line.cut(how);
            Body::empty()
        }
    };
    answer.respond(body)
}

fn slowly(world: Arc<World>, line: Line, bytes: Bytes, time: Duration, mut papers: Papers) -> Body {
    let size = bytes.len().div_ceil(SLOW_PIECES as usize).max(1);
    let pieces = stream::unfold((bytes, papers.visit.take(), papers.receipt), move |(mut rest, visit, receipt)| {
        let (world, line) = (Arc::clone(&world), line.clone());
        async move {
            if rest.is_empty() {
                return None;
            }
            world.pause(time / SLOW_PIECES).await;
            let piece = rest.split_to(size.min(rest.len()));
            if !rest.is_empty() {
                return Some((Ok::<_, Infallible>(piece), (rest, visit, receipt)));
            }
            drop(visit);
            if let Some(receipt) = receipt {
                line.leave(receipt);
            }
            Some((Ok(piece), (rest, None, None)))
        }
    });
    Body::from_stream(pieces)
}

fn truncated(bytes: &Bytes, papers: Papers) -> Body {
    let half = bytes.slice(..bytes.len() / 2);
    let pieces = stream::unfold((Some(half), papers), |(half, papers)| async move {
        if let Some(half) = half {
            return Some((Ok(half), (None, papers)));
        }
        // An error drops what the server still holds in its buffer. Being asked again later, it writes that first.
        tokio::task::yield_now().await;
        drop(papers);
        Some((Err(io::Error::from(io::ErrorKind::ConnectionAborted)), (None, Papers::default())))
    });
    Body::from_stream(pieces)
}

/// A date as HTTP writes it, this many seconds from now.
fn http_date_in(secs: u64) -> String {
    // A wait that no calendar holds becomes the last day of the year 9999, the last that HTTP can write.
    const LAST_DAY_SECS: i64 = 253_402_300_799;
    let secs = i64::try_from(secs).unwrap_or(LAST_DAY_SECS);
    let date_secs = now().timestamp().saturating_add(secs).min(LAST_DAY_SECS);
    let date = DateTime::from_timestamp_secs(date_secs).unwrap_or_else(now);
    date.format("%a, %d %b %Y %H:%M:%S GMT").to_string()
}
