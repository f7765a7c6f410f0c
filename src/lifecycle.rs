//! From the first component's start to the last one's end.
//!
//! Two stages: *stop* takes no new work and finishes what is in hand, *abort* ends the waiting. The first signal stops, a
//! second one aborts, and so does the deadline. A component that ends by itself, by error or panic, stops the others, and
//! the process ends with an error.

use std::future::Future;
use std::time::Duration;

use anyhow::{Context as _, anyhow};
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use tracing::{error, info, warn};

use crate::exit::story;

/// After the abort, components have so long to put away what they hold.
const PUT_AWAY: Duration = Duration::from_secs(3);

/// The components of a process and the two signals that they obey.
pub struct Lifecycle {
    /// No new work from here on.
    pub stop: CancellationToken,
    /// No more waiting either.
    pub abort: CancellationToken,
    deadline: Duration,
    signals: Signals,
    components: JoinSet<(&'static str, anyhow::Result<()>)>,
}

/// Heard from the moment that they are made: what comes before anybody waits for it is not lost.
struct Signals {
    interrupt: Signal,
    terminate: Signal,
}

impl Signals {
    fn listen() -> anyhow::Result<Self> {
        Ok(Self {
            interrupt: signal(SignalKind::interrupt()).context("SIGINT cannot be listened for")?,
            terminate: signal(SignalKind::terminate()).context("SIGTERM cannot be listened for")?,
        })
    }
}

impl Lifecycle {
    /// A process that gives its components so long to finish once they are told to stop.
    pub fn new(deadline: Duration) -> anyhow::Result<Self> {
        let (stop, abort) = (CancellationToken::new(), CancellationToken::new());
        Ok(Self { stop, abort, deadline, signals: Signals::listen()?, components: JoinSet::new() })
    }

    /// Starts a component that is to run until `stop`.
    pub fn start(&mut self, name: &'static str, component: impl Future<Output = anyhow::Result<()>> + Send + 'static) {
        self.components.spawn(async move { (name, component.await) });
    }

    /// Runs until every component has ended. An error if one of them ended before it was told to.
    pub async fn run(mut self) -> anyhow::Result<()> {
        let stop = self.stop.clone();
        let mut crash = None;
        tokio::select! {
            // A signal that came already is the first one, not the second, whoever else was told of it.
            biased;
            _ = self.signals.interrupt.recv() => info!("Interrupted: finishing what is in hand (interrupt again to end at once)"),
            _ = self.signals.terminate.recv() => info!("Told to terminate: finishing what is in hand"),
            () = stop.cancelled() => {}
            // Told to stop by somebody else, a component may end before this loop hears of it: that is no crash.
            ended = self.components.join_next() => {
                crash = if stop.is_cancelled() { ended.and_then(error_of) } else { ended.map(crash_of) };
            }
        }
        stop.cancel();
        let deadline = tokio::time::sleep(self.deadline);
        tokio::pin!(deadline);
        loop {
            tokio::select! {
                ended = self.components.join_next() => match ended {
                    None => break,
                    Some(ended) => crash = crash.or_else(|| error_of(ended)),
                },
                _ = self.signals.interrupt.recv() => self.give_up("interrupted again"),
                _ = self.signals.terminate.recv() => self.give_up("told to terminate again"),
                () = &mut deadline, if !self.abort.is_cancelled() => self.give_up("the shutdown deadline has passed"),
            }
            if self.abort.is_cancelled() {
                self.put_away().await;
                break;
            }
        }
        crash.map_or(Ok(()), Err)
    }

    fn give_up(&self, why: &str) {
        warn!(why, "Ending now: what cannot be stored goes to the spool, the rest is found again from the rows");
        self.abort.cancel();
    }

    async fn put_away(&mut self) {
        let all_ended = async { while self.components.join_next().await.is_some() {} };
        if tokio::time::timeout(PUT_AWAY, all_ended).await.is_err() {
            error!("Some components did not end in time and are dropped");
            self.components.abort_all();
        }
    }
}

/// Returns at the first SIGINT or SIGTERM, for processes without components.
pub async fn told_to_stop() -> anyhow::Result<()> {
    let Signals { mut interrupt, mut terminate } = Signals::listen()?;
    tokio::select! {
        _ = interrupt.recv() => {}
        _ = terminate.recv() => {}
    }
    Ok(())
}

type Ended = Result<(&'static str, anyhow::Result<()>), tokio::task::JoinError>;

/// A component that ended before it was told to is a crash, even without an error.
fn crash_of(ended: Ended) -> anyhow::Error {
    let name = ended.as_ref().map_or("a component", |(name, _)| name);
    let crash = anyhow!("{name} ended by itself");
    let cause = error_of(ended);
    let crash = cause.unwrap_or(crash);
    error!(error = story(&crash), "A component has crashed: the process ends");
    crash
}

fn error_of(ended: Ended) -> Option<anyhow::Error> {
    match ended {
        Ok((_, Ok(()))) => None,
        Ok((name, Err(error))) => Some(error.context(format!("{name} failed"))),
        Err(error) => Some(anyhow!("a component panicked: {error}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LONG: Duration = Duration::from_mins(1);

    #[tokio::test]
    async fn a_component_that_ends_by_itself_stops_the_others_and_is_an_error() {
        let mut lifecycle = Lifecycle::new(LONG).unwrap();
        let stop = lifecycle.stop.clone();
        lifecycle.start("patient", async move {
            stop.cancelled().await;
            Ok(())
        });
        lifecycle.start("hasty", async { Ok(()) });
        assert_eq!(lifecycle.run().await.unwrap_err().to_string(), "hasty ended by itself");
    }

    #[tokio::test]
    async fn a_crash_names_the_component() {
        let mut lifecycle = Lifecycle::new(LONG).unwrap();
        lifecycle.start("queue", async { Err(anyhow!("no broker")) });
        assert_eq!(format!("{:#}", lifecycle.run().await.unwrap_err()), "queue failed: no broker");
    }

    #[tokio::test]
    async fn a_stop_that_is_obeyed_is_a_success() {
        let mut lifecycle = Lifecycle::new(LONG).unwrap();
        let stop = lifecycle.stop.clone();
        lifecycle.start("obedient", {
            let stop = stop.clone();
            async move {
                stop.cancelled().await;
                Ok(())
            }
        });
        stop.cancel();
        lifecycle.run().await.unwrap();
    }

    #[tokio::test]
    async fn whoever_ends_because_of_a_stop_is_no_crash_whatever_is_heard_of_first() {
        for _ in 0..50 {
            let mut lifecycle = Lifecycle::new(LONG).unwrap();
            let stop = lifecycle.stop.clone();
            lifecycle.start("quick", async { Ok(()) });
            // The component ends first, and the stop is there when the loop looks for the first time: both are ready.
            tokio::task::yield_now().await;
            stop.cancel();
            lifecycle.run().await.unwrap();
        }
    }

    #[tokio::test]
    async fn past_the_deadline_waiting_is_aborted() {
        let mut lifecycle = Lifecycle::new(Duration::ZERO).unwrap();
        let (stop, abort) = (lifecycle.stop.clone(), lifecycle.abort.clone());
        lifecycle.start("slow", async move {
            abort.cancelled().await;
            Ok(())
        });
        stop.cancel();
        lifecycle.run().await.unwrap();
    }
}
