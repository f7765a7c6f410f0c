//! Watches a backlog go, from the provider's side.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

use crate::http::{Connection, Question};
use crate::mock::Counts;
use crate::number::float;
use crate::usage::{Cost, Part};
use crate::window::{Look, Window};
use crate::world::{Lab, Mock};

/// Between two looks at the counts: a look costs the machine a twentieth of a millisecond.
const LOOK_EVERY: Duration = Duration::from_millis(20);
/// A run in which nothing happens for so long has failed.
const STALLED_AFTER: Duration = Duration::from_secs(90);
/// Neither the start nor the end of a run is measured: workers fill up in the one and run dry in the other.
const FROM: f64 = 0.1;
const TO: f64 = 0.9;

/// A run from its first call to its last.
pub(crate) struct Drained {
    pub(crate) window: Window,
    pub(crate) counts: Counts,
}

/// Watches until so many calls were answered. `parts` are what costs are told of.
pub(crate) async fn drain(
    mock: &Mock,
    parts: &[Part],
    total: usize,
    mut each_look: impl FnMut(u64) -> Result<()>,
) -> Result<Drained> {
    let total = total as u64;
    let mut connection = Connection::open(mock.address).await?;
    let begun = Instant::now();
    let (mut first, mut last): (Option<Look>, Option<Look>) = (None, None);
    let (mut moved, mut seen) = (Instant::now(), 0);
    loop {
        let counts = look(&mut connection).await?;
        let calls = counts.refreshes;
        let is_at = |share: f64| float(calls) >= share * float(total);
        if first.is_none() && is_at(FROM) {
            first = Some(Look { at: begun.elapsed(), calls, cost: Cost::now(parts)? });
        }
        if last.is_none() && is_at(TO) {
            last = Some(Look { at: begun.elapsed(), calls, cost: Cost::now(parts)? });
        }
        each_look(calls)?;
        if calls >= total {
            let (first, last) = first.zip(last).context("a run of no length")?;
            let window = Window::between(&first, &last, begun.elapsed(), Lab::cpus());
            return Ok(Drained { window, counts });
        }
        if calls > seen {
            (moved, seen) = (Instant::now(), calls);
        } else if moved.elapsed() > STALLED_AFTER {
            bail!("{calls} of {total} refreshes, and nothing more for {} s", STALLED_AFTER.as_secs());
        }
        tokio::time::sleep(LOOK_EVERY).await;
    }
}

async fn look(connection: &mut Connection) -> Result<Counts> {
    let answer = connection.ask(&Question::get("/counts")).await?.ok()?;
    serde_json::from_slice(&answer.body).context("the mock's counts are not readable")
}
