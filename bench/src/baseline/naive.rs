//! *Naive*: what everybody writes first. A queue with one message for each job; a lease, a result and an acknowledgement
//! each by itself; 64 jobs in hand, 16 connections to the database.

use std::sync::Arc;

use anyhow::{Context, Result};
use chrono::{DateTime, Utc};
use futures::StreamExt;
use lapin::message::Delivery;
use lapin::options::{
    BasicAckOptions, BasicConsumeOptions, BasicPublishOptions, BasicQosOptions, ConfirmSelectOptions,
    QueueDeclareOptions, QueueDeleteOptions,
};
use lapin::types::{AMQPValue, FieldTable};
use lapin::{BasicProperties, Channel, ConnectionProperties};
use sqlx::PgPool;
use sqlx::postgres::PgPoolOptions;
use tokio::sync::mpsc;
use uuid::Uuid;

use super::{IN_FLIGHT, Kit, Place};
use crate::rows::PROVIDER;

const CONNECTIONS: u32 = 16;
/// Rows that its scheduler reads at once, and messages that it has not yet seen confirmed.
const PAGE: usize = 500;

const DUE: &str = "SELECT connection_id, refresh_at FROM schedules \
    WHERE provider = $1 AND refresh_at <= now() AND paused_at IS NULL AND (refresh_at, connection_id) > ($2, $3) \
    ORDER BY refresh_at, connection_id LIMIT $4";

const LEASE: &str = "UPDATE schedules s SET lease_owner = $2, lease_until = now() + interval '45 seconds' FROM tokens t \
    WHERE s.connection_id = $1 AND t.connection_id = $1 AND (s.lease_owner IS NULL OR s.lease_until < now()) \
    RETURNING t.refresh_token, s.version";

const RESULT: &str = "WITH s AS (UPDATE schedules SET version = version + 1, refresh_at = $4, lease_owner = NULL, \
    lease_until = NULL WHERE connection_id = $1 AND version = $6 AND lease_owner = $7 RETURNING connection_id) \
    UPDATE tokens t SET access_token = $2, refresh_token = $3, expires_at = $5, refreshed_at = now() FROM s \
    WHERE t.connection_id = s.connection_id";

/// Refreshes all that is due, and ends.
pub async fn run(place: &Place) -> Result<()> {
    let pool = PgPoolOptions::new().max_connections(CONNECTIONS).connect(&place.database).await?;
    let broker = lapin::Connection::connect(&place.amqp, ConnectionProperties::default()).await?;
    let queue = format!("bench-naive-{}", Uuid::now_v7().simple());
    let channel = broker.create_channel().await?;
    let mut arguments = FieldTable::default();
    arguments.insert("x-queue-type".into(), AMQPValue::LongString("quorum".into()));
    let durable = QueueDeclareOptions { durable: true, ..QueueDeclareOptions::default() };
    channel.queue_declare(queue.as_str().into(), durable, arguments).await?;

    let publisher = tokio::spawn(publish_due(pool.clone(), broker.create_channel().await?, queue.clone()));
    let worked = work(place, pool, &channel, &queue).await;
    publisher.abort();
    worked?;
    channel.queue_delete(queue.as_str().into(), QueueDeleteOptions::default()).await?;
    Ok(())
}

async fn publish_due(pool: PgPool, channel: Channel, queue: String) -> Result<()> {
    channel.confirm_select(ConfirmSelectOptions::default()).await?;
    let properties = BasicProperties::default().with_delivery_mode(2);
    let mut behind = (DateTime::<Utc>::UNIX_EPOCH, Uuid::nil());
    loop {
        let page: Vec<(Uuid, DateTime<Utc>)> = sqlx::query_as(DUE)
            .bind(PROVIDER)
            .bind(behind.0)
            .bind(behind.1)
            .bind(i64::try_from(PAGE)?)
            .fetch_all(&pool)
            .await?;
        let Some((id, at)) = page.last() else { return Ok(()) };
        behind = (*at, *id);
        let mut confirms = Vec::with_capacity(page.len());
        for (id, _) in &page {
            let options = BasicPublishOptions::default();
            let sent =
                channel.basic_publish("".into(), queue.as_str().into(), options, id.as_bytes(), properties.clone());
            confirms.push(sent.await?);
        }
        for confirm in confirms {
            confirm.await?;
        }
    }
}

async fn work(place: &Place, pool: PgPool, channel: &Channel, queue: &str) -> Result<()> {
    channel.basic_qos(u16::try_from(IN_FLIGHT)?, BasicQosOptions::default()).await?;
    let (options, arguments) = (BasicConsumeOptions::default(), FieldTable::default());
    let mut consumer = channel.basic_consume(queue.into(), "".into(), options, arguments).await?;
    let worker = Arc::new(Worker { kit: Kit::new(place)?, pool, owner: Uuid::now_v7() });
    let (done, mut ended) = mpsc::channel(IN_FLIGHT);
    let mut left = place.due;
    while left > 0 {
        tokio::select! {
            delivery = consumer.next() => {
                let delivery = delivery.context("the queue is gone")??;
                let (worker, done) = (Arc::clone(&worker), done.clone());
                // The one that waits for it is there until all are done.
                tokio::spawn(async move { done.send(worker.job(delivery).await).await });
            }
            result = ended.recv() => {
                result.context("a job is lost")??;
                left -= 1;
            }
        }
    }
    Ok(())
}

struct Worker {
    kit: Kit,
    pool: PgPool,
    owner: Uuid,
}

impl Worker {
    async fn job(&self, delivery: Delivery) -> Result<()> {
        let id = Uuid::from_slice(&delivery.data)?;
        let leased: Option<(String, i64)> =
            sqlx::query_as(LEASE).bind(id).bind(self.owner).fetch_optional(&self.pool).await?;
        if let Some((refresh_token, version)) = leased {
            let refreshed = self.kit.refresh(id, refresh_token).await?;
            sqlx::query(RESULT)
                .bind(id)
                .bind(refreshed.sealed.access_token)
                .bind(refreshed.sealed.refresh_token)
                .bind(refreshed.refresh_at)
                .bind(refreshed.expires_at)
                .bind(version)
                .bind(self.owner)
                .execute(&self.pool)
                .await?;
        }
        delivery.ack(BasicAckOptions::default()).await?;
        Ok(())
    }
}
