//! A receiver of webhooks that keeps what the reference implementation verifies.

use std::io::Write as _;
use std::process::Stdio;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use serde_json::{Value, json};
use standardwebhooks::Webhook;
use tokio::runtime::Runtime;
use xtask::node;

/// What came, as it came.
#[derive(Clone)]
pub(crate) struct Taken {
    headers: HeaderMap,
    body: Bytes,
    /// Whether it was answered.
    pub(crate) is_answered: bool,
}

impl Taken {
    /// By which a receiver knows a message that comes again.
    pub(crate) fn id(&self) -> &str {
        self.headers["webhook-id"].to_str().unwrap()
    }

    /// What the message says, if it was signed with this secret.
    pub(crate) fn message(&self, secret: &str) -> Value {
        let reference = Webhook::new(secret).unwrap();
        reference.verify(&self.body, &self.headers).expect("the reference verifies what arrives");
        serde_json::from_slice(&self.body).unwrap()
    }
}

#[derive(Default)]
struct Shared {
    taken: Mutex<Vec<Taken>>,
    is_silent: AtomicBool,
}

/// A receiver that listens until the runtime ends.
pub(crate) struct Receiver {
    pub(crate) url: String,
    shared: Arc<Shared>,
}

impl Receiver {
    pub(crate) fn start(runtime: &Runtime) -> Self {
        let shared = Arc::<Shared>::default();
        let routes = Router::new().fallback(take).with_state(Arc::clone(&shared));
        let listener = runtime.block_on(tokio::net::TcpListener::bind("127.0.0.1:0")).unwrap();
        let url = format!("http://{}/hook", listener.local_addr().unwrap());
        runtime.spawn(async move { axum::serve(listener, routes).await });
        Self { url, shared }
    }

    /// Keeps what comes from now on without an answer, until told otherwise.
    pub(crate) fn be_silent(&self, is_silent: bool) {
        self.shared.is_silent.store(is_silent, Ordering::SeqCst);
    }

    /// Everything that came, in its order.
    pub(crate) fn taken(&self) -> Vec<Taken> {
        self.shared.taken.lock().unwrap().clone()
    }

    /// What came, in its order, each signed with this secret.
    pub(crate) fn messages(&self, secret: &str) -> Vec<Value> {
        self.taken().iter().map(|taken| taken.message(secret)).collect()
    }

    /// Everything that came, as it came.
    pub(crate) fn text(&self) -> String {
        let told = |taken: &Taken| format!("{:?}\n{}", taken.headers, String::from_utf8_lossy(&taken.body));
        self.taken().iter().map(told).collect::<Vec<_>>().join("\n")
    }

    /// Gives the first message to lines of JavaScript that leave an `event`, as it came or altered: that event, or `Err` with
    /// what was thrown. `None`: Node.js is not here, which was said loudly.
    pub(crate) fn in_node(&self, lines: &str, secret: &str, is_altered: bool) -> Option<Result<Value, String>> {
        let mut node = node::command("standardwebhooks")?;
        let first = &self.taken()[0];
        let mut body = String::from_utf8(first.body.to_vec()).unwrap();
        if is_altered {
            body = body.replacen("connection", "konnection", 1);
        }
        let headers =
            first.headers.iter().map(|(name, value)| (name.as_str().to_owned(), value.to_str().unwrap().into()));
        let request = json!({ "rawBody": body, "request": { "headers": headers.collect::<serde_json::Map<_, _>>() } });
        let before = "import { readFileSync } from 'node:fs';\nconst { rawBody, request } = JSON.parse(readFileSync(0, 'utf8'));";
        let module = format!("{before}\n{lines}\nconsole.log(JSON.stringify(event));");
        node.args(["--input-type=module", "--eval", &module]).env("WEBHOOK_SECRET", secret);
        node.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut running = node.spawn().expect("node starts");
        running.stdin.take().unwrap().write_all(request.to_string().as_bytes()).unwrap();
        let output = running.wait_with_output().unwrap();
        Some(if output.status.success() {
            Ok(serde_json::from_slice(&output.stdout).expect("the event as JSON"))
        } else {
            Err(String::from_utf8_lossy(&output.stderr).into_owned())
        })
    }
}

async fn take(State(shared): State<Arc<Shared>>, headers: HeaderMap, body: Bytes) -> StatusCode {
    let is_answered = !shared.is_silent.load(Ordering::SeqCst);
    shared.taken.lock().unwrap().push(Taken { headers, body, is_answered });
    if !is_answered {
        // Until whoever asked has gone.
        std::future::pending::<()>().await;
    }
    StatusCode::NO_CONTENT
}
