//! A provider that takes its time.

use anyhow::{Context, Result};

use super::drain::Drained;
use super::throughput::{self, Answers};
use crate::figure::{Figure, Target};
use crate::screen;
use crate::stats::median;
use crate::window::Window;
use crate::world::Lab;

pub(super) const TOLD: &str = "The cluster of throughput-cluster with a provider that takes 50 ms, against the same at 0 ms in the same round, with no \
setting changed: >= 0.6 x. And with one in 100 answers after 1 s: >= 0.7 x the 50 ms figure (each call alone would allow 0.84 if \
calls under way were fixed), since the slowest call of a group holds nobody up.";

const LATENCY_MS: u64 = 50;
const SLOW_ONE_IN: u64 = 100;
const SLOW_MS: u64 = 1_000;

/// One run.
#[derive(Debug, serde::Serialize)]
struct Seen {
    window: Window,
    /// How many calls workers had under way, at most.
    calls_at_once: u64,
}

pub(super) async fn latency(lab: &Lab) -> Result<Vec<Figure>> {
    let [quick, slow] = [lab.scale.pick(300, 25_000, 150_000); 2];
    let mut rounds: Vec<[Seen; 3]> = Vec::new();
    let some_slow = Answers { latency_ms: LATENCY_MS, slow_one_in: SLOW_ONE_IN, slow_ms: SLOW_MS };
    for round in 1..=lab.rounds {
        rounds.push([
            see(lab, round, "0 ms", quick, Answers::after(0)).await?,
            see(lab, round, "50 ms", slow, Answers::after(LATENCY_MS)).await?,
            see(lab, round, "50 ms, some 1 s", slow, some_slow).await?,
        ]);
    }
    let of = |value: fn(&[f64; 3]) -> f64| {
        let rates = rounds.iter().map(|round| [0, 1, 2].map(|at: usize| round[at].window.per_second));
        median(&rates.map(|rates| value(&rates)).collect::<Vec<_>>()).unwrap_or(f64::NAN)
    };
    let conditions = format!(
        "{slow} due ({quick} at 0 ms), 1 scheduler, 1 worker, 1 API, nothing tuned, {} rounds, {} CPUs",
        lab.rounds,
        Lab::cpus()
    );
    let figure = |what, value, unit, target| {
        Figure::new("latency-50ms", what, value, unit, target).under(&conditions).with("rounds", &rounds)
    };
    Ok(vec![
        figure("refreshes, provider takes 50 ms", of(|rates| rates[1]), "/s", Target::Told),
        figure("times 0 ms", of(|rates| rates[1] / rates[0]), "", Target::AtLeast(0.6)),
        figure("some take 1 s: times 50 ms", of(|rates| rates[2] / rates[1]), "", Target::AtLeast(0.7)),
    ])
}

async fn see(lab: &Lab, round: usize, name: &'static str, due: usize, answers: Answers) -> Result<Seen> {
    let Drained { window, counts } = throughput::product(lab, "latency", due, answers).await.context(name)?;
    screen::progress(&format!("round {round}, {name}: {}; at most {} calls at once", window.told(), counts.at_once));
    Ok(Seen { window, calls_at_once: counts.at_once })
}
