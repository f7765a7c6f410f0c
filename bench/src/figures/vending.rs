//! Token vending: services that ask for a token that is good.

use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use evergrant_vault::Keyring;
use sqlx::Connection as _;

use super::forced::in_background;
use crate::figure::{Figure, Target};
use crate::http::{Connection, Question};
use crate::load::closed_loop;
use crate::number::{count, float};
use crate::product::Product;
use crate::rows::{Crowd, fill_postgres};
use crate::screen;
use crate::stats::Spread;
use crate::usage::{Cost, Part};
use crate::world::{Lab, Mock, quick_mock};

pub(super) const TOLD: &str = "64 callers ask one API process for valid tokens of 1,000 connections, each as soon as it has its answer; they are on \
the same CPUs. >= 20,000/s, p99 <= 10 ms. Then the key is revoked: from the end of `api-keys revoke` to the first refusal, <= 1 s.";

const CALLERS: usize = 64;
const CONNECTIONS: usize = 1_000;
const KEY: &str = "vending";
/// Nobody is refused any more after this, or never.
const REVOKED_LIMIT: Duration = Duration::from_secs(30);

pub(super) async fn vending(lab: &Lab) -> Result<Vec<Figure>> {
    let run_for = Duration::from_millis(lab.scale.pick(300, 5_000, 20_000) as u64);
    let key = Keyring::generate_key();
    let mock = Mock::start(lab, "vending", quick_mock(CONNECTIONS, 0)?).await?;
    let database = lab.servers()?.database().await?;
    let mut product = Product::cluster(lab, "vending", &key, &mock, &database)?;
    let mut db = database.connect().await?;
    let made = fill_postgres(&mut db, &Keyring::parse(&key)?, Crowd { due: 0, not_due: CONNECTIONS }).await?;
    db.close().await?;
    let bearer = product.api_key(KEY, &["tokens:read"])?;
    let keys: serde_json::Value = serde_json::from_str(&product.ask(&["api-keys", "list", "--json"])?)?;
    let id = keys[0]["id"].as_str().context("the list of keys")?.to_owned();
    let (api, address) = product.start("api").await?;
    let questions = made.iter().map(|one| Question::get(format!("/api/connections/{}/token", one.id)).by(&bearer));
    let questions: Arc<Vec<_>> = Arc::new(questions.collect());

    closed_loop(address, Arc::clone(&questions), CALLERS, run_for / 5).await?;
    let before = Cost::now(std::slice::from_ref(&api))?;
    let load = closed_loop(address, Arc::clone(&questions), CALLERS, run_for).await?;
    let cost = Cost::now(std::slice::from_ref(&api))?.since(&before);
    ensure!(load.statuses.keys().eq([&200]), "answers were {:?}", load.statuses);
    let answers = float(count(load.times.len()));
    let (rate, spread) = (answers / load.lasted.as_secs_f64(), Spread::over(&load.times, Duration::ZERO));
    let each_us = |part: &Part| cost.parts.get(part.name).map_or(f64::NAN, |time| time.as_secs_f64() * 1e6 / answers);
    screen::progress(&format!("{rate:.0}/s, {spread:?}, API {:.1} us each", each_us(&api)));

    let revoked = seconds_to_revocation(&product, address, &questions[0], &id).await?;
    product.household.all_alive()?;
    let conditions =
        format!("{CALLERS} callers for {run_for:?}, {CONNECTIONS} connections, 1 API process, {} CPUs", Lab::cpus());
    let figure = |what, value, unit, target| Figure::new("vending", what, value, unit, target).under(&conditions);
    let figures = vec![
        figure("tokens vended", rate, "/s", Target::AtLeast(20_000.0))
            .with("spread", spread)
            .with("api_cpu_us_each", each_us(&api)),
        figure("tokens vended, p99", spread.p99_ms, "ms", Target::AtMost(10.0)),
        figure("revocation seen after", revoked, "s", Target::AtMost(1.0)),
    ];
    drop((product, mock));
    database.remove(lab.servers()?).await?;
    Ok(figures)
}

async fn seconds_to_revocation(
    product: &Product<'_>,
    address: std::net::SocketAddr,
    question: &Question,
    key: &str,
) -> Result<f64> {
    let mut connection = Connection::open(address).await?;
    connection.ask(question).await?.ok()?;
    in_background(product.command(&["api-keys", "revoke", key])).await?;
    let begun = Instant::now();
    while connection.ask(question).await?.status.as_u16() == 200 {
        ensure!(begun.elapsed() < REVOKED_LIMIT, "a revoked key is good for {} s and more", REVOKED_LIMIT.as_secs());
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    Ok(begun.elapsed().as_secs_f64())
}
