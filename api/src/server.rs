//! The listener: connections with limits, and an end that cuts nobody off.

use std::convert::Infallible;
use std::io;
use std::net::SocketAddr;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::ConnectInfo;
use axum::response::Response;
use hyper::Request;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::{GracefulShutdown, Watcher};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio_util::sync::CancellationToken;
use tower::ServiceExt as _;
use tracing::{debug, info, warn};

use crate::settings::ApiSettings;

/// The longest head of a request: cookies, a bearer token and a query fit many times over.
const HEAD_MAX: usize = 64 * 1024;
/// The most headers of a request.
const HEADERS_MAX: usize = 100;
/// Connections beyond requests in hand and streams: probes, and browsers that keep one open.
const SPARE_CONNECTIONS: usize = 1_000;
/// After the system had no socket to give, the next try waits this long.
const NO_SOCKET_PAUSE: Duration = Duration::from_millis(500);

/// Why the API cannot be served.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// The address is taken or not ours.
    #[error("cannot listen on {address}: {cause} (set EVERGRANT_LISTEN to another address)")]
    Listen {
        /// The address asked for.
        address: SocketAddr,
        /// What the system said.
        cause: io::Error,
    },
}

/// What connections may take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ServerLimits {
    /// How long the head of a request may take to come. A connection that is kept open ends after as long without the next.
    pub header_timeout: Duration,
    /// Connections open at once; more wait to be accepted.
    pub connections_max: usize,
}

impl ServerLimits {
    /// Enough for liveness, readiness and metrics, where nothing else is served.
    pub const PROBES: Self = Self { header_timeout: Duration::from_secs(10), connections_max: SPARE_CONNECTIONS };

    /// Enough for every request and every stream that the settings let in.
    pub fn of(settings: &ApiSettings) -> Self {
        let connections_max =
            settings.in_flight_max.saturating_add(settings.streams_max).saturating_add(SPARE_CONNECTIONS);
        Self { header_timeout: settings.header_timeout, connections_max }
    }
}

/// A listener that is bound and not yet served, so that a taken port is told before anything else starts.
pub struct Server {
    listener: TcpListener,
    address: SocketAddr,
    limits: ServerLimits,
}

impl Server {
    /// Binds the address; port 0 takes any free one.
    pub async fn bind(address: SocketAddr) -> Result<Self, ServeError> {
        let listening = async {
            let listener = TcpListener::bind(address).await?;
            let address = listener.local_addr()?;
            Ok(Self { listener, address, limits: ServerLimits::PROBES })
        };
        listening.await.map_err(|cause| ServeError::Listen { address, cause })
    }

    /// With other limits than [`ServerLimits::PROBES`].
    #[must_use]
    pub fn limited(mut self, limits: ServerLimits) -> Self {
        self.limits = limits;
        self
    }

    /// The address that is bound.
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// Serves until `stop`; then accepts nobody any more, finishes the requests in hand, those that wait for a refresh among
    /// them, and returns.
    pub async fn run(self, routes: Router, stop: CancellationToken) -> Result<(), ServeError> {
        let Self { listener, address, limits } = self;
        info!(%address, "API listening");
        let room = Arc::new(Semaphore::new(limits.connections_max.min(Semaphore::MAX_PERMITS)));
        let connections = GracefulShutdown::new();
        while let Some((stream, peer, place)) = stop.run_until_cancelled(accept(&listener, &room)).await {
            let connection = Connection { peer, routes: routes.clone(), limits, _place: place };
            tokio::spawn(connection.serve(stream, connections.watcher(), stop.clone()));
        }
        // Whoever connects from now on is told so at once instead of waiting for nobody.
        drop(listener);
        debug!(connections = connections.count(), "The listener is closed; requests in hand are finished");
        connections.shutdown().await;
        Ok(())
    }
}

/// The next connection, once there is room for it.
async fn accept(
    listener: &TcpListener,
    room: &Arc<Semaphore>,
) -> (TcpStream, SocketAddr, Option<OwnedSemaphorePermit>) {
    // The semaphore is never closed.
    let place = Arc::clone(room).acquire_owned().await.ok();
    loop {
        match listener.accept().await {
            Ok((stream, peer)) => return (stream, peer, place),
            // The client was gone before its turn came.
            Err(error) if is_the_clients(&error) => {}
            Err(error) => {
                warn!(%error, "The system gives no socket for a connection; trying again");
                tokio::time::sleep(NO_SOCKET_PAUSE).await;
            }
        }
    }
}

fn is_the_clients(error: &io::Error) -> bool {
    use io::ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset};
    matches!(error.kind(), ConnectionAborted | ConnectionRefused | ConnectionReset)
}

struct Connection {
    peer: SocketAddr,
    routes: Router,
    limits: ServerLimits,
    _place: Option<OwnedSemaphorePermit>,
}

impl Connection {
    async fn serve(self, stream: TcpStream, watcher: Watcher, stop: CancellationToken) {
        if let Err(error) = stream.set_nodelay(true) {
            debug!(%error, "TCP_NODELAY cannot be set");
        }
        let (peer, routes) = (self.peer, self.routes);
        let was_used = Arc::new(AtomicBool::new(false));
        let used = Arc::clone(&was_used);
        let service = service_fn(move |request| {
            used.store(true, Ordering::Relaxed);
            answer(routes.clone(), peer, request)
        });
        let connection = http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(self.limits.header_timeout)
            .max_header_size(HEAD_MAX)
            .max_headers(HEADERS_MAX)
            .serve_connection(TokioIo::new(stream), service);
        let connection = pin!(watcher.watch(connection));
        // Broken pipes, garbage and silence: the other side's doing, and nobody's news.
        if let Err(error) = until_stopped(connection, &was_used, &stop).await {
            debug!(%error, "A connection ended early");
        }
    }
}

/// Serves a connection. At a stop one that nothing ever came over ends at once: browsers open some in advance, and hyper
/// would wait for their first request as long as for any.
async fn until_stopped<C: Future<Output = hyper::Result<()>>>(
    mut connection: Pin<&mut C>,
    was_used: &AtomicBool,
    stop: &CancellationToken,
) -> hyper::Result<()> {
    tokio::select! {
        biased;
        ended = &mut connection => return ended,
        () = stop.cancelled() => {}
    }
    if was_used.load(Ordering::Relaxed) { connection.await } else { Ok(()) }
}

async fn answer(routes: Router, peer: SocketAddr, request: Request<Incoming>) -> Result<Response, Infallible> {
    let mut request = request.map(Body::new);
    request.extensions_mut().insert(ConnectInfo(peer));
    routes.oneshot(request).await
}

#[cfg(test)]
mod tests {
    use axum::routing::{get, post};
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    use tokio::sync::Notify;
    use tokio::task::JoinHandle;

    use super::*;

    struct Running {
        address: SocketAddr,
        stop: CancellationToken,
        ended: JoinHandle<Result<(), ServeError>>,
    }

    async fn serve(routes: Router, limits: ServerLimits) -> Running {
        let server = Server::bind("127.0.0.1:0".parse().unwrap()).await.unwrap().limited(limits);
        let (address, stop) = (server.address(), CancellationToken::new());
        let ended = tokio::spawn(server.run(routes, stop.clone()));
        Running { address, stop, ended }
    }

    async fn connect(running: &Running) -> TcpStream {
        TcpStream::connect(running.address).await.unwrap()
    }

    /// Everything that comes until the other side closes.
    async fn rest(mut stream: TcpStream) -> String {
        let mut answer = Vec::new();
        // A reset is an end too.
        let _ = tokio::time::timeout(Duration::from_secs(20), stream.read_to_end(&mut answer)).await.unwrap();
        String::from_utf8_lossy(&answer).into_owned()
    }

    async fn ask(running: &Running, request: &str) -> String {
        let mut stream = connect(running).await;
        stream.write_all(request.as_bytes()).await.unwrap();
        rest(stream).await
    }

    #[tokio::test]
    async fn a_taken_port_is_told_with_what_to_do() {
        let first = Server::bind("127.0.0.1:0".parse().unwrap()).await.unwrap();
        let error = Server::bind(first.address()).await.err().unwrap().to_string();
        assert!(error.contains("EVERGRANT_LISTEN"), "{error}");
    }

    #[tokio::test]
    async fn handlers_know_the_peer() {
        let peer = |ConnectInfo(peer): ConnectInfo<SocketAddr>| async move { peer.ip().to_string() };
        let running = serve(Router::new().route("/", get(peer)), ServerLimits::PROBES).await;
        let answer = ask(&running, "GET / HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n").await;
        assert!(answer.starts_with("HTTP/1.1 200") && answer.ends_with("127.0.0.1"), "{answer}");
    }

    #[tokio::test]
    async fn whoever_sends_a_head_too_slowly_is_cut_off() {
        let limits = ServerLimits { header_timeout: Duration::from_millis(50), ..ServerLimits::PROBES };
        let running = serve(Router::new().route("/", get(|| async { "never" })), limits).await;
        let answer = ask(&running, "GET / HTTP/1.1\r\nhost: x\r\nx-slow: ").await;
        assert!(!answer.contains("never"), "{answer}");
    }

    #[tokio::test]
    async fn too_long_a_head_and_too_many_headers_are_refused() {
        let running = serve(Router::new().route("/", get(|| async { "never" })), ServerLimits::PROBES).await;
        let long = format!("GET / HTTP/1.1\r\nhost: x\r\nx-long: {}\r\n\r\n", "a".repeat(HEAD_MAX));
        let many = format!("GET / HTTP/1.1\r\nhost: x\r\n{}\r\n", "x-a: 1\r\n".repeat(HEADERS_MAX));
        for request in [long, many] {
            let answer = ask(&running, &request).await;
            assert!(answer.starts_with("HTTP/1.1 431"), "{answer}");
        }
    }

    #[tokio::test]
    async fn a_connection_beyond_the_cap_waits_for_its_turn() {
        let limits = ServerLimits { connections_max: 1, ..ServerLimits::PROBES };
        let running = serve(Router::new().route("/", get(|| async { "served" })), limits).await;
        let mut first = connect(&running).await;
        first.write_all(b"GET / HTTP/1.1\r\nhost: x\r\n\r\n").await.unwrap();
        let mut seen = [0; 12];
        first.read_exact(&mut seen).await.unwrap();
        let mut second = connect(&running).await;
        second.write_all(b"GET / HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n").await.unwrap();
        let early = tokio::time::timeout(Duration::from_millis(100), second.peek(&mut seen)).await;
        assert!(early.is_err(), "answered beside the first");
        drop(first);
        assert!(rest(second).await.ends_with("served"));
    }

    #[tokio::test]
    async fn a_stop_finishes_the_requests_in_hand_and_lets_idle_connections_go() {
        let (arrived, go) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
        let (here, wait) = (Arc::clone(&arrived), Arc::clone(&go));
        let slow = move |body: String| {
            let (here, wait) = (Arc::clone(&here), Arc::clone(&wait));
            async move {
                here.notify_one();
                wait.notified().await;
                body
            }
        };
        let running = serve(Router::new().route("/", post(slow)), ServerLimits::PROBES).await;
        let idle = connect(&running).await;
        let mut busy = connect(&running).await;
        busy.write_all(b"POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 5\r\n\r\nwhole").await.unwrap();
        arrived.notified().await;
        running.stop.cancel();
        let closed = tokio::time::timeout(ServerLimits::PROBES.header_timeout / 2, rest(idle)).await;
        assert_eq!(closed.expect("an unused connection ends at once"), "");
        assert!(!running.ended.is_finished(), "somebody is still being answered");
        go.notify_one();
        assert!(rest(busy).await.ends_with("whole"));
        running.ended.await.unwrap().unwrap();
        assert!(TcpStream::connect(running.address).await.is_err(), "nobody is accepted any more");
    }
}
