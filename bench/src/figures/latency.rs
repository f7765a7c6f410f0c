//! A provider that takes its time.

use anyhow::{Context, Result};

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

pub(super) async fn latency(lab: &Lab) -> Result<Vec<Figure>> {
    let [quick, slow] = [lab.scale.pick(300, 30_000, 150_000), lab.scale.pick(300, 30_000, 150_000)];
    let mut rounds = Vec::new();
    for round in 1..=lab.rounds {
        let mut windows = Vec::new();
        for (name, due, answers) in [
            ("0 ms", quick, Answers::after(0)),
            ("50 ms", slow, Answers::after(LATENCY_MS)),
            ("50 ms, some 1 s", slow, Answers { latency_ms: LATENCY_MS, slow_one_in: SLOW_ONE_IN, slow_ms: SLOW_MS }),
        ] {
            let drained = throughput::product(lab, "latency", due, answers).await.context(name)?;
            screen::progress(&format!(
                "round {round}, {name}: {}; at most {} calls at once",
                drained.window.told(),
                drained.counts.at_once
            ));
            windows.push((drained.window, drained.counts.at_once));
        }
        rounds.push(windows);
    }
    let rate = |round: &[(Window, u64)], at: usize| round.get(at).map_or(f64::NAN, |(window, _)| window.per_second);
    let of = |value: &dyn Fn(&[(Window, u64)]) -> f64| {
        median(&rounds.iter().map(|round| value(round)).collect::<Vec<_>>()).unwrap_or(f64::NAN)
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
        figure("refreshes, provider takes 50 ms", of(&|round| rate(round, 1)), "/s", Target::Told),
        figure("times 0 ms", of(&|round| rate(round, 1) / rate(round, 0)), "", Target::AtLeast(0.6)),
        figure("some take 1 s: times 50 ms", of(&|round| rate(round, 2) / rate(round, 1)), "", Target::AtLeast(0.7)),
    ])
}
