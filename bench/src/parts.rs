//! *Raw*: what the parts can do by themselves, so that it can be told which of them a figure is near to.

use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use evergrant_vault::Keyring;
use futures::{StreamExt, TryStreamExt, stream};
use lapin::options::{
    BasicAckOptions, BasicConsumeOptions, BasicPublishOptions, BasicQosOptions, ConfirmSelectOptions,
    QueueDeclareOptions, QueueDeleteOptions,
};
use lapin::types::{AMQPValue, FieldTable};
use lapin::{BasicProperties, Channel, ConnectionProperties};
use sqlx::{Connection as _, PgConnection};
use uuid::Uuid;

use crate::figure::{Figure, Target};
use crate::number::{count, float};
use crate::product::Product;
use crate::rows::{self, Crowd, Made, fill_postgres};
use crate::token;
use crate::world::{Lab, Mock, Servers, quick_mock};

/// How they are measured.
pub(crate) const TOLD: &str = "One process of the bench: publishing 250 bytes to a quorum queue with 500 unconfirmed at once; consuming with an ack \
each, and with one for 100; POST to the mock, 64 at once; `UPDATE` of 100 rows of tokens in one statement; sealing and opening \
a token of 400 bytes. No targets: they say what the other figures are made of.";

/// A message of the product has about so many bytes.
const MESSAGE: [u8; 250] = [7; 250];
const WINDOW: usize = 500;
const ACK_EACH: usize = 1;
const ACK_MANY: usize = 100;
const POSTS_AT_ONCE: usize = 64;
const ROWS: usize = 100;

/// Measures each by itself.
pub(crate) async fn raw(lab: &Lab) -> Result<Vec<Figure>> {
    let servers = lab.servers()?;
    let many = lab.scale.pick(500, 20_000, 200_000);
    let mut rates = of_the_queue(servers, many).await.context("RabbitMQ")?;
    rates.extend(of_the_provider_and_the_rows(lab, many).await?);
    rates.extend(of_the_vault(many)?);
    let figure = |(what, rate)| {
        Figure::new("raw", what, rate, "/s", Target::Told).under(format!("{many} of each, {} CPUs", Lab::cpus()))
    };
    Ok(rates.into_iter().map(figure).collect())
}

type Rate = (&'static str, f64);

fn rate(what: &'static str, many: usize, took: Duration) -> Rate {
    (what, float(count(many)) / took.as_secs_f64())
}

async fn of_the_queue(servers: &Servers, many: usize) -> Result<Vec<Rate>> {
    let broker = lapin::Connection::connect(&servers.amqp_url, ConnectionProperties::default()).await?;
    let channel = broker.create_channel().await?;
    let name = format!("bench-raw-{}", Uuid::now_v7().simple());
    let mut arguments = FieldTable::default();
    arguments.insert("x-queue-type".into(), AMQPValue::LongString("quorum".into()));
    let durable = QueueDeclareOptions { durable: true, ..QueueDeclareOptions::default() };
    channel.queue_declare(name.as_str().into(), durable, arguments).await?;
    channel.confirm_select(ConfirmSelectOptions::default()).await?;
    let mut rates = Vec::new();
    for (what, at_once) in [("consume, ack each", ACK_EACH), ("consume, one ack for 100", ACK_MANY)] {
        let begun = Instant::now();
        publish(&channel, &name, many).await?;
        let published = begun.elapsed();
        rates.push(rate(what, many, consume(&broker.create_channel().await?, &name, many, at_once).await?));
        if at_once == ACK_EACH {
            rates.insert(0, rate("publish and confirm", many, published));
        }
    }
    channel.queue_delete(name.as_str().into(), QueueDeleteOptions::default()).await?;
    Ok(rates)
}

async fn publish(channel: &Channel, queue: &str, many: usize) -> Result<()> {
    let properties = BasicProperties::default().with_delivery_mode(2);
    let mut left = many;
    while left > 0 {
        let portion = left.min(WINDOW);
        let mut confirms = Vec::with_capacity(portion);
        for _ in 0..portion {
            let options = BasicPublishOptions::default();
            confirms.push(channel.basic_publish("".into(), queue.into(), options, &MESSAGE, properties.clone()).await?);
        }
        for confirm in confirms {
            confirm.await?;
        }
        left -= portion;
    }
    Ok(())
}

async fn consume(channel: &Channel, queue: &str, many: usize, at_once: usize) -> Result<Duration> {
    channel.basic_qos(u16::try_from(WINDOW)?, BasicQosOptions::default()).await?;
    let options = BasicConsumeOptions::default();
    let begun = Instant::now();
    let mut consumer = channel.basic_consume(queue.into(), "".into(), options, FieldTable::default()).await?;
    for number in 1..=many {
        let delivery = consumer.next().await.context("the queue is gone")??;
        if number % at_once == 0 || number == many {
            delivery.ack(BasicAckOptions { multiple: at_once > 1 }).await?;
        }
    }
    let took = begun.elapsed();
    channel.close(200, "done".into()).await?;
    Ok(took)
}

async fn of_the_provider_and_the_rows(lab: &Lab, many: usize) -> Result<Vec<Rate>> {
    let key = Keyring::generate_key();
    let keyring = Keyring::parse(&key)?;
    let mock = Mock::start(lab, "raw", quick_mock(many, 0)?).await?;
    let database = lab.servers()?.database().await?;
    Product::cluster(lab, "raw", &key, &mock, &database)?;
    let mut db = database.connect().await?;
    let made = fill_postgres(&mut db, &keyring, Crowd { due: 0, not_due: many }).await?;
    let updated = update(&mut db, &keyring, &made).await.context("PostgreSQL")?;
    db.close().await?;
    database.remove(lab.servers()?).await?;
    Ok(vec![rate("HTTP POST", many, post(&mock, many).await?), rate("rows updated", many, updated)])
}

async fn post(mock: &Mock, many: usize) -> Result<Duration> {
    // Installed once; a second try is refused and changes nothing.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let (client, url) = (Arc::new(reqwest::Client::builder().build()?), mock.token_url());
    let begun = Instant::now();
    let grants = (0..u32::try_from(many)?).map(anyhow::Ok);
    stream::iter(grants)
        .map_ok(|grant| {
            let (client, url) = (Arc::clone(&client), url.clone());
            let form = [("grant_type", "refresh_token".to_owned()), ("refresh_token", token::refresh_token(grant, 0))];
            let asked = async move { client.post(url).form(&form).send().await?.error_for_status()?.bytes().await };
            async move { tokio::spawn(asked).await?.map(drop).map_err(anyhow::Error::from) }
        })
        .try_buffer_unordered(POSTS_AT_ONCE)
        .try_collect::<()>()
        .await?;
    Ok(begun.elapsed())
}

async fn update(db: &mut PgConnection, keyring: &Keyring, made: &[Made]) -> Result<Duration> {
    const WRITE: &str = "UPDATE tokens t SET access_token = w.a, refresh_token = w.r, refreshed_at = now() \
        FROM unnest($1::uuid[], $2::text[], $3::text[]) AS w (id, a, r) WHERE t.connection_id = w.id";
    let mut took = Duration::ZERO;
    for batch in made.chunks(ROWS) {
        let sealed = batch.iter().map(|one| {
            let sealed = rows::seal(keyring, one.id, &token::access_token(0, 1), &token::refresh_token(0, 1));
            (sealed.access_token, sealed.refresh_token)
        });
        let (access, refresh): (Vec<_>, Vec<_>) = sealed.unzip();
        let ids: Vec<_> = batch.iter().map(|one| one.id).collect();
        let begun = Instant::now();
        sqlx::query(WRITE).bind(ids).bind(access).bind(refresh).execute(&mut *db).await?;
        took += begun.elapsed();
    }
    Ok(took)
}

fn of_the_vault(many: usize) -> Result<Vec<Rate>> {
    let keyring = Keyring::parse(&Keyring::generate_key())?;
    let (id, token) = (Uuid::now_v7(), token::refresh_token(0, 0));
    let begun = Instant::now();
    for _ in 0..many {
        std::hint::black_box(rows::seal(&keyring, id, &token, &token));
    }
    let sealed = begun.elapsed();
    let refresh_token = rows::seal(&keyring, id, &token, &token).refresh_token;
    let begun = Instant::now();
    for _ in 0..many {
        std::hint::black_box(rows::open(&keyring, id, refresh_token.clone())?);
    }
    Ok(vec![rate("tokens sealed", 2 * many, sealed), rate("tokens opened", many, begun.elapsed())])
}
