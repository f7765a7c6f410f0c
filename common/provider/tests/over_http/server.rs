//! Providers that answer as a test wants them to.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::extract::State;
use axum::http::{HeaderMap, Uri};
use axum::response::Response;
use evergrant_contract::ports::Provider;
use evergrant_contract::secret::Secret;
use evergrant_contract::verdict::{Answer, RefreshCall};
use evergrant_provider::{Credentials, HttpProvider, Overrides, Registry, Timeouts};
use evergrant_testkit::ManualClock;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

pub(crate) const REFRESH_TOKEN: &str = "Atzr|IwEBIJ7kQm9yZWZyZXNoLXRva2Vu";
pub(crate) const SECRET: &str = "amzn1.oa2-cs.v1.c2VjcmV0LW9mLXRoZS1hcHA";
pub(crate) const NEXT_SECRET: &str = "amzn1.oa2-cs.v1.bmV4dC1zZWNyZXQ";
pub(crate) const CLIENT_ID: &str = "amzn1.application-oa2-client.1";

/// A request as the provider saw it.
#[derive(Clone)]
pub(crate) struct Seen {
    pub(crate) path: String,
    pub(crate) query: String,
    pub(crate) headers: HeaderMap,
    pub(crate) body: String,
}

/// A token endpoint on this machine that answers by a function.
pub(crate) struct Endpoint {
    pub(crate) address: SocketAddr,
    seen: Arc<Mutex<Vec<Seen>>>,
}

#[derive(Clone)]
struct Shared {
    seen: Arc<Mutex<Vec<Seen>>>,
    answer: Arc<dyn Fn(&Seen) -> Response + Send + Sync>,
}

impl Endpoint {
    pub(crate) async fn start(answer: impl Fn(&Seen) -> Response + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("an address");
        let seen = Arc::new(Mutex::new(Vec::new()));
        let shared = Shared { seen: Arc::clone(&seen), answer: Arc::new(answer) };
        let app = Router::new().fallback(handle).with_state(shared);
        tokio::spawn(async move { axum::serve(listener, app).await });
        Self { address, seen }
    }

    pub(crate) fn seen(&self) -> Vec<Seen> {
        self.seen.lock().expect("a lock").clone()
    }
}

async fn handle(State(shared): State<Shared>, uri: Uri, headers: HeaderMap, body: String) -> Response {
    let seen = Seen { path: uri.path().to_owned(), query: uri.query().unwrap_or_default().to_owned(), headers, body };
    shared.seen.lock().expect("a lock").push(seen.clone());
    (shared.answer)(&seen)
}

/// A provider that speaks in raw bytes: reads the request, sends the bytes, and then does what `after` says.
pub(crate) async fn raw(bytes: &'static [u8], after: After) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("an address");
    tokio::spawn(async move {
        let mut held = Vec::new();
        while let Ok((mut stream, _)) = listener.accept().await {
            read_request(&mut stream).await;
            let _ = stream.write_all(bytes).await;
            match after {
                After::Close => {}
                After::Reset => stream.set_zero_linger().expect("an open socket"),
                After::Hang => held.push(stream),
            }
        }
    });
    address
}

#[derive(Clone, Copy)]
pub(crate) enum After {
    Close,
    Reset,
    Hang,
}

/// Reads until the last parameter of the form has come, or the last header of a request without a form.
async fn read_request(stream: &mut TcpStream) {
    let mut request = Vec::new();
    let mut buffer = [0; 4096];
    let is_complete = |request: &[u8]| {
        request.windows(13).any(|part| part == b"client_secret")
            || request.starts_with(b"GET ") && request.ends_with(b"\r\n\r\n")
    };
    while !is_complete(&request) {
        match stream.read(&mut buffer).await {
            Ok(read) if read > 0 => request.extend_from_slice(&buffer[..read]),
            _ => return,
        }
    }
}

/// A provider app whose token endpoint is at this address.
pub(crate) struct App {
    pub(crate) provider: HttpProvider,
    pub(crate) clock: Arc<ManualClock>,
}

impl App {
    pub(crate) fn of(name: &str, address: SocketAddr) -> Self {
        Self::with(name, address, None, Duration::from_secs(10))
    }

    pub(crate) fn with(name: &str, address: SocketAddr, next: Option<&str>, call_timeout: Duration) -> Self {
        let overrides = Overrides { token_url: Some(format!("http://{address}/token")), ..Overrides::default() };
        Self::made(name, &overrides, next, call_timeout)
    }

    pub(crate) fn made(name: &str, overrides: &Overrides, next: Option<&str>, call_timeout: Duration) -> Self {
        let registry = Registry::load(None).expect("sound descriptors");
        let descriptor = registry.get(&name.parse().expect("a name")).expect("a descriptor").clone();
        let clock = ManualClock::new();
        let provider = HttpProvider::new(
            descriptor.with_overrides(overrides).expect("a loopback URL"),
            Credentials {
                client_id: CLIENT_ID.to_owned(),
                client_secret: Secret::new(SECRET),
                next_client_secret: next.map(Secret::new),
            },
            Timeouts { connect: Duration::from_secs(3), call: call_timeout },
            clock.clone(),
        );
        Self { provider: provider.expect("a client"), clock }
    }

    pub(crate) async fn refresh(&self) -> Answer {
        self.provider.refresh(RefreshCall { refresh_token: &Secret::new(REFRESH_TOKEN), scopes: Some("a b") }).await
    }
}
