//! Somebody who asks, and asks again as soon as there is an answer.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::Result;
use futures::future::try_join_all;

use crate::http::{Connection, Question};

/// What was asked and answered.
#[derive(Debug, Clone, Default)]
pub struct Load {
    /// How long each answer took, in no order.
    pub times: Vec<Duration>,
    /// How often each status came.
    pub statuses: BTreeMap<u16, u64>,
    /// From the first question to the last answer.
    pub lasted: Duration,
}

/// So many connections ask in turn, each its own share of the questions, for so long.
pub async fn closed_loop(
    address: SocketAddr,
    questions: Arc<Vec<Question>>,
    connections: usize,
    run_for: Duration,
) -> Result<Load> {
    let open = try_join_all((0..connections).map(|_| Connection::open(address))).await?;
    let begun = Instant::now();
    let tasks = open.into_iter().enumerate().map(|(number, mut connection)| {
        let questions = Arc::clone(&questions);
        tokio::spawn(async move {
            let mut load = Load::default();
            let mut turn = number;
            while begun.elapsed() < run_for {
                let asked = Instant::now();
                let answer = connection.ask(&questions[turn % questions.len()]).await?;
                load.times.push(asked.elapsed());
                *load.statuses.entry(answer.status.as_u16()).or_default() += 1;
                turn += connections;
            }
            anyhow::Ok(load)
        })
    });
    let mut all = Load::default();
    for part in try_join_all(tasks).await? {
        let part = part?;
        all.times.extend(part.times);
        for (status, count) in part.statuses {
            *all.statuses.entry(status).or_default() += count;
        }
    }
    all.lasted = begun.elapsed();
    Ok(all)
}

/// All at once, each over a connection of its own that is open already: how long after the start each was answered.
pub async fn at_once(addresses: &[SocketAddr], question: &Question, callers: usize) -> Result<Load> {
    let spread = (0..callers).map(|number| addresses[number % addresses.len()]);
    let open = try_join_all(spread.map(Connection::open)).await?;
    let start = Arc::new(tokio::sync::Barrier::new(callers + 1));
    let tasks: Vec<_> = open
        .into_iter()
        .map(|mut connection| {
            let (start, question) = (Arc::clone(&start), question.clone());
            tokio::spawn(async move {
                start.wait().await;
                let begun = Instant::now();
                let answer = connection.ask(&question).await?;
                anyhow::Ok((begun, Instant::now(), answer.status.as_u16()))
            })
        })
        .collect();
    start.wait().await;
    let mut answered = Vec::with_capacity(callers);
    for one in try_join_all(tasks).await? {
        answered.push(one?);
    }
    let (first, last) = (answered.iter().map(|one| one.0).min(), answered.iter().map(|one| one.1).max());
    let begun = first.unwrap_or_else(Instant::now);
    let mut load = Load { lasted: last.map_or(Duration::ZERO, |last| last - begun), ..Load::default() };
    for (_, ended, status) in answered {
        load.times.push(ended - begun);
        *load.statuses.entry(status).or_default() += 1;
    }
    Ok(load)
}
