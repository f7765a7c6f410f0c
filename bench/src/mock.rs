//! A token endpoint that is no bottleneck: it rotates every refresh token, counts, and remembers when it saw whom first.

use std::convert::Infallible;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering::Relaxed};
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::header::CONTENT_TYPE;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use serde::{Deserialize, Serialize};
use tokio::net::TcpListener;

use crate::http::{Question, ask};
use crate::token;

/// How it answers.
#[derive(Debug, Clone, Copy, clap::Args)]
pub struct Args {
    /// Where it listens, on this machine
    #[arg(long)]
    pub port: u16,
    /// Grants that it knows
    #[arg(long)]
    pub grants: u32,
    /// How long it takes to answer
    #[arg(long, default_value_t = 0)]
    pub latency_ms: u64,
    /// One in so many answers takes longer; 0: none
    #[arg(long, default_value_t = 0)]
    pub slow_one_in: u64,
    /// As long as this
    #[arg(long, default_value_t = 0)]
    pub slow_ms: u64,
}

/// What it counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counts {
    /// Answers with new tokens.
    pub refreshes: u64,
    /// Refresh tokens that had been spent before.
    pub spent_twice: u64,
    /// Requests that it could not understand.
    pub nonsense: u64,
    /// Calls under way at once, at most.
    pub at_once: u64,
}

#[derive(Default)]
struct Grant {
    generation: AtomicU32,
    /// When it was refreshed first, in milliseconds since the start; 0: never.
    first_ms: AtomicU32,
}

struct Mock {
    args: Args,
    started: Instant,
    grants: Vec<Grant>,
    asked: AtomicU64,
    refreshes: AtomicU64,
    spent_twice: AtomicU64,
    nonsense: AtomicU64,
    under_way: AtomicU64,
    at_once: AtomicU64,
}

/// Serves until the process is ended.
pub async fn serve(args: Args) -> Result<()> {
    let grants = std::iter::repeat_with(Grant::default).take(args.grants as usize).collect();
    let mock = Arc::new(Mock {
        args,
        started: Instant::now(),
        grants,
        asked: AtomicU64::default(),
        refreshes: AtomicU64::default(),
        spent_twice: AtomicU64::default(),
        nonsense: AtomicU64::default(),
        under_way: AtomicU64::default(),
        at_once: AtomicU64::default(),
    });
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, args.port)).await.context("the mock cannot listen")?;
    loop {
        let (stream, _) = listener.accept().await.context("the mock cannot accept")?;
        stream.set_nodelay(true)?;
        let mock = Arc::clone(&mock);
        tokio::spawn(async move {
            let service = service_fn(|request| answer(Arc::clone(&mock), request));
            // Whoever hangs up has had enough.
            let _ = http1::Builder::new().pipeline_flush(true).serve_connection(TokioIo::new(stream), service).await;
        });
    }
}

async fn answer(mock: Arc<Mock>, request: Request<Incoming>) -> Result<Response<Full<Bytes>>, Infallible> {
    let (parts, body) = request.into_parts();
    Ok(match (parts.method, parts.uri.path()) {
        (Method::POST, "/token") => match body.collect().await {
            Ok(form) => mock.refresh(&form.to_bytes()).await,
            Err(_) => status(StatusCode::BAD_REQUEST),
        },
        (Method::GET, "/counts") => json(serde_json::to_vec(&mock.counts()).unwrap_or_default()),
        (Method::GET, "/firsts") => {
            let firsts = mock.grants.iter().flat_map(|grant| grant.first_ms.load(Relaxed).to_le_bytes());
            json(firsts.collect::<Vec<u8>>())
        }
        _ => status(StatusCode::NOT_FOUND),
    })
}

impl Mock {
    async fn refresh(&self, form: &[u8]) -> Response<Full<Bytes>> {
        let under_way = self.under_way.fetch_add(1, Relaxed) + 1;
        self.at_once.fetch_max(under_way, Relaxed);
        let answer = self.rotate(form).await;
        self.under_way.fetch_sub(1, Relaxed);
        answer
    }

    async fn rotate(&self, form: &[u8]) -> Response<Full<Bytes>> {
        let presented = token::presented(form);
        let Some((number, generation, grant)) =
            presented.and_then(|(number, generation)| Some((number, generation, self.grants.get(number as usize)?)))
        else {
            self.nonsense.fetch_add(1, Relaxed);
            return status(StatusCode::BAD_REQUEST);
        };
        let next = generation.saturating_add(1);
        let is_first = grant.generation.compare_exchange(generation, next, Relaxed, Relaxed).is_ok();
        if !is_first {
            self.spent_twice.fetch_add(1, Relaxed);
        }
        self.wait().await;
        let at = u32::try_from(self.started.elapsed().as_millis()).unwrap_or(u32::MAX).max(1);
        let _ = grant.first_ms.compare_exchange(0, at, Relaxed, Relaxed);
        self.refreshes.fetch_add(1, Relaxed);
        let (access_token, refresh_token) = (token::access_token(number, next), token::refresh_token(number, next));
        json(format!(
            r#"{{"access_token":"{access_token}","refresh_token":"{refresh_token}","token_type":"bearer","expires_in":3600}}"#
        ))
    }

    async fn wait(&self) {
        let Args { latency_ms, slow_one_in, slow_ms, .. } = self.args;
        let is_slow = slow_one_in > 0 && self.asked.fetch_add(1, Relaxed).is_multiple_of(slow_one_in);
        let wait = if is_slow { slow_ms } else { latency_ms };
        if wait > 0 {
            tokio::time::sleep(Duration::from_millis(wait)).await;
        }
    }

    fn counts(&self) -> Counts {
        Counts {
            refreshes: self.refreshes.load(Relaxed),
            spent_twice: self.spent_twice.load(Relaxed),
            nonsense: self.nonsense.load(Relaxed),
            at_once: self.at_once.load(Relaxed),
        }
    }
}

fn json(body: impl Into<Bytes>) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(body.into()));
    response.headers_mut().insert(CONTENT_TYPE, hyper::header::HeaderValue::from_static("application/json"));
    response
}

fn status(code: StatusCode) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::default());
    *response.status_mut() = code;
    response
}

/// What the mock at this address counted.
pub(crate) async fn counts(address: SocketAddr) -> Result<Counts> {
    let answer = ask(address, &Question::get("/counts")).await?.ok()?;
    serde_json::from_slice(&answer.body).context("the mock's counts are not readable")
}

/// When each grant was refreshed first, in milliseconds; 0: never.
pub(crate) async fn firsts(address: SocketAddr) -> Result<Vec<u32>> {
    let answer = ask(address, &Question::get("/firsts")).await?.ok()?;
    let numbers = answer.body.chunks_exact(4).filter_map(|bytes| bytes.try_into().ok().map(u32::from_le_bytes));
    Ok(numbers.collect())
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener as Probe;

    use super::*;

    async fn started(slow_one_in: u64) -> SocketAddr {
        let address = Probe::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let args = Args { port: address.port(), grants: 3, latency_ms: 0, slow_one_in, slow_ms: 1 };
        tokio::spawn(serve(args));
        while ask(address, &Question::get("/counts")).await.is_err() {
            tokio::task::yield_now().await;
        }
        address
    }

    async fn present(address: SocketAddr, refresh_token: &str) -> Answered {
        let form = format!("grant_type=refresh_token&refresh_token={}", refresh_token.replace('|', "%7C"));
        let answer = ask(address, &Question::post("/token", form)).await.unwrap();
        (answer.status.as_u16(), serde_json::from_slice(&answer.body).unwrap_or_default())
    }

    type Answered = (u16, serde_json::Value);

    #[tokio::test]
    async fn it_rotates_and_counts() {
        let address = started(2).await;
        let (code, answer) = present(address, &token::refresh_token(1, 0)).await;
        assert_eq!((code, &answer["expires_in"]), (200, &3600.into()));
        let rotated = answer["refresh_token"].as_str().unwrap().to_owned();
        assert_eq!(rotated, token::refresh_token(1, 1));
        present(address, &rotated).await;
        present(address, &rotated).await;
        assert_eq!(present(address, &token::refresh_token(3, 0)).await.0, 400, "there are three, from 0");
        let expected = Counts { refreshes: 3, spent_twice: 1, nonsense: 1, at_once: 1 };
        assert_eq!(counts(address).await.unwrap(), expected);
        let firsts = firsts(address).await.unwrap();
        assert_eq!(firsts.iter().map(|first| *first > 0).collect::<Vec<_>>(), [false, true, false]);
    }
}
