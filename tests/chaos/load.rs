//! People and services who go on asking, whatever befalls the system: for tokens, and for new ones.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use reqwest::Method;
use serde_json::{Value, json};
use tokio::task::JoinHandle;

use super::record::Record;
use super::schedule::{Dice, Fault, Kind};
use super::system::{ALLOWANCE, REQUEST_LIMIT};

/// A request that is not answered by then hangs.
const DEADLINE: Duration = REQUEST_LIMIT.saturating_add(Duration::from_secs(4));
/// Between two questions of one asker.
const PAUSE_MS: (u64, u64) = (40, 160);

/// Where the processes that answer are found, by name.
pub(super) type Addresses = Arc<Mutex<BTreeMap<String, String>>>;

/// One who asks one process.
#[derive(Clone)]
pub(super) struct Asker {
    /// The process.
    pub(super) name: String,
    pub(super) addresses: Addresses,
    pub(super) key: String,
    /// The ids of the connections.
    pub(super) connections: Arc<Vec<String>>,
    pub(super) record: Record,
    /// Where the simulated Amazon accepts tokens.
    pub(super) profile: String,
    pub(super) http: reqwest::Client,
}

impl Asker {
    /// Asks until it is aborted. Every third question is for a new token.
    pub(super) fn start(self, seed: u64) -> JoinHandle<()> {
        tokio::spawn(async move {
            let mut dice = Dice::new(seed);
            loop {
                let pause = dice.between(PAUSE_MS.0, PAUSE_MS.1);
                tokio::time::sleep(Duration::from_millis(pause)).await;
                let last = self.connections.len() as u64 - 1;
                let id = &self.connections[usize::try_from(dice.between(0, last)).unwrap()];
                let Some(vended) = self.vend(id).await else { continue };
                if dice.between(0, 9) < 3 {
                    self.force(id, &vended).await;
                } else {
                    self.spend(&vended).await;
                }
            }
        })
    }

    async fn vend(&self, id: &str) -> Option<Value> {
        let (status, reply) = self.ask("token", Method::GET, &format!("{id}/token"), None).await?;
        (status == 200).then_some(reply)
    }

    async fn force(&self, id: &str, vended: &Value) {
        let body = json!({ "observed_version": vended["version"] });
        let Some((200, reply)) = self.ask("force", Method::POST, &format!("{id}/force-refresh"), Some(body)).await
        else {
            return;
        };
        self.record.count(&format!("force: {}", reply["outcome"].as_str().unwrap_or("no outcome")));
        if reply["outcome"] == "refreshed" && reply["version"].as_u64() <= vended["version"].as_u64() {
            self.record.breach(format!("connection {id}: `refreshed` is answered without a newer version"));
        }
    }

    /// Uses a token that was just given out.
    async fn spend(&self, vended: &Value) {
        let Some(token) = vended["access_token"].as_str() else { return };
        let asked = self.http.get(&self.profile).header("x-amz-access-token", token).timeout(DEADLINE);
        let Ok(reply) = asked.send().await else { return };
        self.record.count(&format!("used: {}", reply.status().as_u16()));
        // Which of the two Amazon says depends on the endpoint.
        if matches!(reply.status().as_u16(), 400 | 401) && !self.record.is_excused(Instant::now(), ALLOWANCE) {
            self.record.breach(format!("{} gave out a token that had ended", self.name));
        }
    }

    /// One request: status and body. Whatever happens, something must happen in time.
    async fn ask(&self, what: &str, method: Method, path: &str, body: Option<Value>) -> Option<(u16, Value)> {
        let address = self.addresses.lock().unwrap_or_else(PoisonError::into_inner).get(&self.name).cloned()?;
        let request = self.http.request(method, format!("http://{address}/api/connections/{path}"));
        let mut request = request.bearer_auth(&self.key).timeout(DEADLINE);
        if let Some(body) = body {
            request = request.header("content-type", "application/json").body(body.to_string());
        }
        let begin = Instant::now();
        let answered = async {
            let response = request.send().await?;
            Ok::<_, reqwest::Error>((response.status().as_u16(), response.text().await?))
        };
        match answered.await {
            Ok((status, text)) => {
                self.record.count(&format!("{what}: {status}"));
                if status == 500 {
                    self.record.breach(format!("{} answers {what} with 500: {}", self.name, text.trim()));
                }
                Some((status, serde_json::from_str(&text).unwrap_or_default()))
            }
            Err(error) => {
                self.no_answer(what, begin, error.is_timeout());
                None
            }
        }
    }

    fn no_answer(&self, what: &str, begin: Instant, hung: bool) {
        let now = Instant::now();
        self.record.count(&format!("{what}: {}", if hung { "hung" } else { "no answer" }));
        // A process that is stopped can answer nobody, and one that was killed neither until it is started again.
        let struck = |fault: &Fault| matches!(fault.kind, Kind::Freeze(_) | Kind::Kill(_) | Kind::KillAt(_));
        let is_excused =
            self.record.befell(&self.name, begin, now, struck) || (!hung && self.record.is_excused(now, ALLOWANCE));
        if !is_excused {
            let how = if hung { "does not answer" } else { "breaks the line of" };
            self.record.breach(format!("{} {how} a request ({what}) after {:.1?}", self.name, begin.elapsed()));
        }
    }
}
