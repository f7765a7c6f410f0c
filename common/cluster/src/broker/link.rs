//! One supervised connection.
//!
//! The client library can recover connections by itself, but gives up after some minutes without telling anybody, and does
//! not recover channels that the broker closed. So recovery is ours: a connection that is lost is thrown away and a new one
//! is made, for ever, and whoever holds something of the old one is told by its errors.

use std::sync::Arc;
use std::time::Duration;

use backon::{BackoffBuilder, ExponentialBackoff, ExponentialBuilder};
use evergrant_contract::ports::QueueError;
use futures::{StreamExt, pin_mut};
use lapin::uri::AMQPUri;
use lapin::{Channel, Connection, ConnectionProperties, ErrorKind, Event};
use tokio::sync::watch;
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::{error, info, warn};

use super::status::LinkStatus;
use crate::topology::{DeclareError, Step, declare};

/// The first pause after a loss. The second failure in a row waits about twice as long, and so on.
const FIRST_PAUSE: Duration = Duration::from_millis(100);

/// The longest pause: how long a broker may be back before everybody has noticed.
const LONGEST_PAUSE: Duration = Duration::from_secs(5);

/// A connection that lived this long has earned a fresh start of the pauses.
const STEADY: Duration = Duration::from_secs(30);

/// How long making a connection and declaring the topology may take. Longer than the broker's own handshake limit of 10 s,
/// so that the attempt is normally ended by the side that can also end the socket.
const SETUP_TIMEOUT: Duration = Duration::from_secs(20);

/// How long a connection may take to say goodbye.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(2);

/// What is said of a connection after its end.
const CLOSED: &str = "the broker was closed by this process";

/// How long the news of a deleted queue may take to its consumers.
const DELETION_SPREADS: Duration = Duration::from_millis(300);

/// How often a connection is looked at, should its own report of a loss get lost.
const WATCH_EVERY: Duration = Duration::from_secs(1);

/// The pauses between attempts at something that must succeed in the end: doubling, with jitter, capped, without end.
pub(crate) fn pauses() -> ExponentialBackoff {
    ExponentialBuilder::default()
        .with_min_delay(FIRST_PAUSE)
        .with_max_delay(LONGEST_PAUSE)
        .with_factor(2.0)
        .with_jitter()
        .without_max_times()
        .build()
}

/// What a connection is for.
pub(super) struct Plan {
    pub(super) uri: AMQPUri,
    pub(super) name: String,
    pub(super) role: &'static str,
    pub(super) steps: Vec<Step>,
}

#[derive(Clone)]
enum State {
    Down { why: Why },
    Up { connection: Arc<Connection>, blocked: Option<String> },
}

/// Why a connection is down.
#[derive(Clone, Debug, thiserror::Error)]
#[error("{text}")]
struct Why {
    text: String,
    /// Somebody has to do something about it.
    lasting: bool,
}

impl From<lapin::Error> for Why {
    fn from(problem: lapin::Error) -> Self {
        // A refused login, and a virtual host that does not exist or may not be entered.
        let refused = matches!(problem.kind(), ErrorKind::ProtocolError(e) if matches!(e.get_id(), 403 | 530));
        Self { text: problem.to_string(), lasting: refused }
    }
}

impl From<DeclareError> for Why {
    fn from(problem: DeclareError) -> Self {
        Self { text: problem.to_string(), lasting: !problem.is_transient() }
    }
}

/// One supervised connection, from the outside.
pub(crate) struct Link {
    state: watch::Receiver<State>,
    steps: Arc<[Step]>,
    closing: CancellationToken,
}

impl Link {
    pub(super) fn start(plan: Plan, closing: &CancellationToken, tasks: &TaskTracker) -> Self {
        let (sender, state) =
            watch::channel(State::Down { why: Why { text: "not connected yet".into(), lasting: false } });
        let steps = plan.steps.clone().into();
        let task_closing = closing.clone();
        tasks.spawn(async move {
            supervise(plan, &sender, &task_closing).await;
            sender.send_replace(State::Down { why: Why { text: CLOSED.into(), lasting: false } });
        });
        Self { state, steps, closing: closing.clone() }
    }

    pub(super) fn status(&self) -> LinkStatus {
        match &*self.state.borrow() {
            State::Down { why } => LinkStatus::Down(why.text.clone()),
            State::Up { blocked: Some(reason), .. } => LinkStatus::Blocked(reason.clone()),
            State::Up { .. } => LinkStatus::Up,
        }
    }

    /// Why the broker takes nothing from this connection at present, if so.
    pub(crate) fn blocked(&self) -> Option<String> {
        match &*self.state.borrow() {
            State::Up { blocked, .. } => blocked.clone(),
            State::Down { .. } => None,
        }
    }

    /// Whether the connection can be used now.
    pub(crate) fn is_up(&self) -> bool {
        matches!(&*self.state.borrow(), State::Up { connection, .. } if connection.status().connected())
    }

    /// The connection, as soon as there is one. `None`: the broker was closed.
    pub(crate) async fn up(&self) -> Option<Arc<Connection>> {
        let mut state = self.state.clone();
        let wait = state.wait_for(|state| matches!(state, State::Up { .. }));
        let up = self.closing.run_until_cancelled(wait).await?.ok()?;
        match &*up {
            State::Up { connection, .. } => Some(Arc::clone(connection)),
            State::Down { .. } => None,
        }
    }

    /// The connection, or after `patience` the reason why there is none; at once, if somebody has to do something about it.
    pub(crate) async fn up_within(&self, patience: Duration) -> Result<Arc<Connection>, QueueError> {
        let mut state = self.state.clone();
        let wait = state.wait_for(|state| match state {
            State::Up { .. } => true,
            State::Down { why } => why.lasting,
        });
        // The guard that a successful wait returns is let go with the statement.
        let _ = timeout(patience, self.closing.run_until_cancelled(wait)).await.map(|_| ());
        if self.closing.is_cancelled() {
            return Err(QueueError::Unavailable(CLOSED.into()));
        }
        match &*self.state.borrow() {
            State::Up { connection, .. } => Ok(Arc::clone(connection)),
            State::Down { why } if why.lasting => Err(QueueError::Refused(why.text.clone())),
            State::Down { why } => Err(QueueError::Unavailable(why.text.clone())),
        }
    }

    /// Declares what somebody deleted. Not at once: a consumer that has not heard of the deletion before the new queue is
    /// there is never told, and waits for ever on a queue that it does not consume from (seen on 3.10).
    pub(crate) async fn declare_missing(&self, connection: &Connection) -> Result<(), QueueError> {
        sleep(DELETION_SPREADS).await;
        self.redeclare(connection).await
    }

    /// Declares this connection's part of the topology again, on a channel of its own: a refusal closes the channel.
    pub(crate) async fn redeclare(&self, connection: &Connection) -> Result<(), QueueError> {
        let channel = connection.create_channel().await.map_err(lost)?;
        let declared = declare(&channel, &self.steps).await;
        declared.map_err(|problem| {
            let told = if problem.is_transient() { QueueError::Unavailable } else { QueueError::Refused };
            told(problem.to_string())
        })?;
        close_channel(&channel).await;
        Ok(())
    }
}

/// A client library error as the port tells it.
#[expect(clippy::needless_pass_by_value, reason = "made for map_err")]
pub(crate) fn lost(problem: lapin::Error) -> QueueError {
    QueueError::Unavailable(problem.to_string())
}

/// Closes a channel that is no longer needed. If that fails it is gone anyway.
pub(crate) async fn close_channel(channel: &Channel) {
    let _ = timeout(CLOSE_TIMEOUT, channel.close(200, "done".into())).await;
}

/// Connects again and again until the broker is closed.
async fn supervise(plan: Plan, state: &watch::Sender<State>, closing: &CancellationToken) {
    let role = plan.role;
    let mut pause = pauses();
    loop {
        let attempt = closing.run_until_cancelled(timeout(SETUP_TIMEOUT, set_up(&plan))).await;
        let why = match attempt {
            None => return,
            Some(Err(_)) => Why { text: format!("no connection within {SETUP_TIMEOUT:?}"), lasting: false },
            Some(Ok(Err(why))) => why,
            Some(Ok(Ok(connection))) => {
                info!(link = role, "Connected to the broker");
                let since = tokio::time::Instant::now();
                let why = watch_over(&connection, state, closing).await;
                if closing.is_cancelled() {
                    let _ = timeout(CLOSE_TIMEOUT, connection.close(200, "done".into())).await;
                    return;
                }
                if since.elapsed() >= STEADY {
                    pause = pauses();
                }
                why
            }
        };
        if why.lasting {
            error!(link = role, error = %why, "The broker refuses this connection; trying on");
        } else {
            warn!(link = role, error = %why, "Not connected to the broker; trying on");
        }
        state.send_replace(State::Down { why });
        let wait = sleep(pause.next().unwrap_or(LONGEST_PAUSE));
        if closing.run_until_cancelled(wait).await.is_none() {
            return;
        }
    }
}

async fn set_up(plan: &Plan) -> Result<Arc<Connection>, Why> {
    let properties = ConnectionProperties::default().with_connection_name(plan.name.as_str().into());
    let connection = Connection::connect_uri(plan.uri.clone(), properties).await?;
    let channel = connection.create_channel().await?;
    declare(&channel, &plan.steps).await?;
    close_channel(&channel).await;
    Ok(Arc::new(connection))
}

/// Publishes the connection and returns when it is lost, with the reason, or when the broker is closed.
async fn watch_over(connection: &Arc<Connection>, state: &watch::Sender<State>, closing: &CancellationToken) -> Why {
    let show = |blocked| state.send_replace(State::Up { connection: Arc::clone(connection), blocked });
    let events = connection.events_listener();
    pin_mut!(events);
    show(connection.status().blocked().then(|| "it has an alarm".to_owned()));
    let mut why = Why { text: "the connection was lost".into(), lasting: false };
    while connection.status().connected() {
        let event = tokio::select! {
            () = closing.cancelled() => return why,
            event = events.next() => event,
            () = sleep(WATCH_EVERY) => continue,
        };
        match event {
            Some(Event::ConnectionBlocked(reason)) => {
                warn!(%reason, "The broker takes no more messages until its alarm is over");
                show(Some(reason));
            }
            Some(Event::ConnectionUnblocked) => {
                info!("The broker takes messages again");
                show(None);
            }
            // Also sent when a mere channel is closed; the loop's condition tells the two apart.
            Some(Event::Error(problem)) => why = problem.into(),
            Some(_) => {}
            None => return why,
        }
    }
    why
}
