//! What the API answered.

use std::collections::VecDeque;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use evergrant_contract::ids::Version;
use evergrant_contract::ports::Clock;
use futures::Stream;
use futures::stream::try_unfold;
use reqwest::header::HeaderMap;
use reqwest::{Response, StatusCode};

use crate::error::Error;

/// What the API answered, whatever its status.
pub struct Answer {
    /// The status.
    pub status: StatusCode,
    /// The headers, all of them.
    pub headers: HeaderMap,
    /// The body, which may still be coming.
    pub body: Body,
    /// What it took.
    pub used: Used,
}

/// What an answer took.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Used {
    /// The version of the token that the API answered to.
    pub version: Version,
    /// How often the call was repeated: with a newer token, or after a pause that the API asked for.
    pub retries: u32,
}

/// A body, read piece by piece.
pub struct Body {
    /// Pieces that were looked at already.
    read: VecDeque<Bytes>,
    rest: Option<Response>,
    idle_timeout: Duration,
    clock: Arc<dyn Clock>,
}

impl Answer {
    pub(crate) fn new(mut response: Response, used: Used, idle_timeout: Duration, clock: Arc<dyn Clock>) -> Self {
        let (status, headers) = (response.status(), std::mem::take(response.headers_mut()));
        let body = Body { read: VecDeque::new(), rest: Some(response), idle_timeout, clock };
        Self { status, headers, body, used }
    }
}

impl fmt::Debug for Answer {
    /// Without headers and body: nobody knows what the API repeats there.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Answer")
            .field("status", &self.status.as_u16())
            .field("used", &self.used)
            .finish_non_exhaustive()
    }
}

impl Body {
    /// The next piece; `None` at the end. An error means that the rest will not come.
    pub async fn chunk(&mut self) -> Result<Option<Bytes>, Error> {
        match self.read.pop_front() {
            Some(piece) => Ok(Some(piece)),
            None => self.receive().await,
        }
    }

    /// The whole body, if it is not longer than `limit` bytes.
    pub async fn bytes(mut self, limit: usize) -> Result<Bytes, Error> {
        let mut whole = BytesMut::new();
        while let Some(piece) = self.chunk().await? {
            if whole.len() + piece.len() > limit {
                return Err(Error::BodyTooLong { limit });
            }
            whole.extend_from_slice(&piece);
        }
        Ok(whole.freeze())
    }

    /// The body as a stream, which ends after an error.
    pub fn into_stream(self) -> impl Stream<Item = Result<Bytes, Error>> + Send + 'static {
        try_unfold(self, |mut body| async move { Ok(body.chunk().await?.map(|piece| (piece, body))) })
    }

    /// The beginning of the body, up to about `limit` bytes, and nothing of it is lost: `chunk` begins at the beginning.
    /// If the body breaks off, so does the beginning; whoever reads it will learn.
    pub(crate) async fn peek(&mut self, limit: usize) -> Bytes {
        let mut beginning = BytesMut::new();
        while beginning.len() < limit {
            let Ok(Some(piece)) = self.receive().await else { break };
            beginning.extend_from_slice(&piece);
            self.read.push_back(piece);
        }
        beginning.freeze()
    }

    async fn receive(&mut self) -> Result<Option<Bytes>, Error> {
        let Some(response) = &mut self.rest else { return Ok(None) };
        let received = tokio::select! {
            biased;
            received = response.chunk() => received.map_err(|error| Error::network(&error)),
            () = self.clock.sleep(self.idle_timeout) => Err(Error::Network {
                message: "the API stopped in the middle of its answer".to_owned(),
                maybe_executed: true,
            }),
        };
        if !matches!(received, Ok(Some(_))) {
            // Read to its end, the connection is free for the next call.
            self.rest = None;
        }
        received
    }
}
