//! One process on a machine that has other things to do: its size, its start, and what it costs while nothing is due.

use std::time::{Duration, Instant};

use anyhow::Result;
use evergrant_vault::Keyring;

use crate::figure::{Figure, Target};
use crate::number::{float, mebibytes, millis};
use crate::product::Product;
use crate::rows::{Crowd, fill_sqlite};
use crate::screen;
use crate::stats::median;
use crate::usage::{Cost, Memory};
use crate::world::{Lab, Mock, quick_mock};

pub(super) const BINARY: &str = "The size of the file; and from the start of `serve` to its first success on /readyz, asked every few milliseconds: the \
median of several starts on a database that is there. <= 30 MB, <= 200 ms.";
pub(super) const FOOTPRINT: &str = "`serve` with 100,000 connections of which none is due, left alone: its resident memory, and its CPU time over a \
stretch of time. <= 40 MB, <= 1 % of a CPU.";

/// After a process is ready.
const SETTLE: Duration = Duration::from_millis(100);
/// Megabytes, as the size of a file is told.
const MEGABYTE: f64 = 1e6;

pub(super) async fn binary(lab: &Lab) -> Result<Vec<Figure>> {
    let size = float(std::fs::metadata(&lab.program)?.len()) / MEGABYTE;
    let times = lab.scale.pick(2, 10, 20);
    let mock = Mock::start(lab, "binary", quick_mock(1, 0)?).await?;
    let key = Keyring::generate_key();
    let mut starts = Vec::new();
    for _ in 0..times {
        let mut product = Product::embedded(lab, "binary", &key, &mock)?;
        let begun = Instant::now();
        product.start("serve").await?;
        starts.push(millis(begun.elapsed()));
        // The rest of its start is not to go on beside the next one's.
        tokio::time::sleep(SETTLE).await;
    }
    screen::progress(&format!("{size:.1} MB, starts {starts:.0?} ms"));
    let start = median(&starts).unwrap_or(f64::NAN);
    Ok(vec![
        Figure::new("binary", "size", size, "MB", Target::AtMost(30.0)).under("as it was built"),
        Figure::new("binary", "start to ready", start, "ms", Target::AtMost(200.0))
            .under(format!("embedded, the median of {times} starts"))
            .with("starts_ms", starts),
    ])
}

pub(super) async fn footprint(lab: &Lab) -> Result<Vec<Figure>> {
    let stored = lab.scale.pick(500, 100_000, 100_000);
    let [settle, stretch] = match lab.scale.pick(0, 1, 2) {
        0 => [1, 1],
        1 => [5, 10],
        _ => [30, 120],
    };
    let mock = Mock::start(lab, "footprint", quick_mock(stored, 0)?).await?;
    let key = Keyring::generate_key();
    let mut product = Product::embedded(lab, "footprint", &key, &mock)?;
    fill_sqlite(&product.file(), &Keyring::parse(&key)?, Crowd { due: 0, not_due: stored }).await?;
    let (serve, _) = product.start("serve").await?;
    tokio::time::sleep(Duration::from_secs(settle)).await;
    let (begun, before) = (Instant::now(), Cost::now(std::slice::from_ref(&serve))?);
    tokio::time::sleep(Duration::from_secs(stretch)).await;
    let (lasted, cost) = (begun.elapsed(), Cost::now(std::slice::from_ref(&serve))?.since(&before));
    let memory = Memory::of(serve.pid)?;
    product.household.all_alive()?;
    let busy = cost.parts.values().sum::<Duration>().as_secs_f64() / lasted.as_secs_f64() * 100.0;
    screen::progress(&format!(
        "{:.1} MiB, at most {:.1}; {busy:.2} % of a CPU",
        mebibytes(memory.now),
        mebibytes(memory.most)
    ));
    let conditions = format!("{stored} connections, none due, over {} s", lasted.as_secs());
    Ok(vec![
        Figure::new("footprint", "memory, idle", float(memory.now) / MEGABYTE, "MB", Target::AtMost(40.0))
            .under(&conditions)
            .with("most_mb", float(memory.most) / MEGABYTE),
        Figure::new("footprint", "CPU, idle", busy, "% of a CPU", Target::AtMost(1.0)).under(&conditions),
    ])
}
