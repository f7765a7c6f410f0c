//! One connection to a server, kept open: less to pay for than a pool, so that a load generator leaves the machine to
//! what it loads.

use std::net::SocketAddr;

use anyhow::{Context, Result};
use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper::header::{AUTHORIZATION, CONTENT_TYPE, HOST};
use hyper::{Method, Request, StatusCode};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;

/// An open connection.
pub struct Connection {
    sender: SendRequest<Full<Bytes>>,
    host: String,
}

/// What is asked, again and again.
#[derive(Debug, Clone)]
pub struct Question {
    /// How.
    pub method: Method,
    /// Where, the query included.
    pub path: String,
    /// By whom.
    pub bearer: Option<String>,
    /// With what.
    pub json: Option<Bytes>,
}

impl Question {
    /// A `GET` by nobody.
    pub fn get(path: impl Into<String>) -> Self {
        Self { method: Method::GET, path: path.into(), bearer: None, json: None }
    }

    /// A `POST` of JSON.
    pub fn post(path: impl Into<String>, json: impl Into<Bytes>) -> Self {
        Self { method: Method::POST, path: path.into(), bearer: None, json: Some(json.into()) }
    }

    /// By somebody.
    #[must_use]
    pub fn by(mut self, key: &str) -> Self {
        self.bearer = Some(key.to_owned());
        self
    }
}

/// An answer.
#[derive(Debug, Clone)]
pub struct Answer {
    /// Its status.
    pub status: StatusCode,
    /// Its body.
    pub body: Bytes,
}

impl Answer {
    /// An error unless all went well.
    pub fn ok(self) -> Result<Self> {
        anyhow::ensure!(self.status.is_success(), "{}: {}", self.status, String::from_utf8_lossy(&self.body));
        Ok(self)
    }
}

impl Connection {
    /// Opens one.
    pub async fn open(address: SocketAddr) -> Result<Self> {
        let stream = TcpStream::connect(address).await.with_context(|| format!("nobody listens on {address}"))?;
        stream.set_nodelay(true)?;
        let (sender, connection) = handshake(TokioIo::new(stream)).await?;
        // It ends when the sender is gone; what goes wrong is told to whoever asks.
        tokio::spawn(connection);
        Ok(Self { sender, host: address.to_string() })
    }

    /// Asks, and reads the whole answer.
    pub async fn ask(&mut self, question: &Question) -> Result<Answer> {
        let mut request = Request::builder().method(&question.method).uri(&question.path).header(HOST, &self.host);
        if let Some(key) = &question.bearer {
            request = request.header(AUTHORIZATION, format!("Bearer {key}"));
        }
        if question.json.is_some() {
            request = request.header(CONTENT_TYPE, "application/json");
        }
        let request = request.body(Full::new(question.json.clone().unwrap_or_default()))?;
        self.sender.ready().await?;
        let response = self.sender.send_request(request).await?;
        let status = response.status();
        let body = response.into_body().collect().await?.to_bytes();
        Ok(Answer { status, body })
    }
}

/// Asks once, over a connection of its own.
pub async fn ask(address: SocketAddr, question: &Question) -> Result<Answer> {
    Connection::open(address).await?.ask(question).await
}
