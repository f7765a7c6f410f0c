//! Jobs as messages, and messages as failed jobs.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use evergrant_contract::Timestamp;
use evergrant_contract::failed_job::{FailedJob, FailedJobState};
use evergrant_contract::ids::JobId;
use evergrant_contract::job::Job;
use lapin::BasicProperties;
use lapin::message::Delivery;
use lapin::types::{AMQPValue, FieldTable, ShortString};

use super::pack::unpack;

/// The delivery mode that survives a restart of the broker. Its dead-lettered copies keep it.
const PERSISTENT: u8 = 2;

/// The properties of a message that begins with this job: everything an operator sees of it without reading the body.
pub(super) fn properties(job: &Job, now: Timestamp) -> BasicProperties {
    let properties = BasicProperties::default()
        .with_delivery_mode(PERSISTENT)
        .with_content_type("application/json".into())
        .with_message_id(job.id.to_string().into())
        .with_type(job.payload.kind().as_str().into())
        .with_timestamp(now.timestamp().unsigned_abs());
    match &job.traceparent {
        None => properties,
        Some(traceparent) => {
            let mut headers = FieldTable::default();
            headers.insert("traceparent".into(), AMQPValue::LongString(traceparent.as_str().into()));
            properties.with_headers(headers)
        }
    }
}

/// The id of the job whose message this is.
pub(super) fn job_id(properties: &BasicProperties) -> Option<JobId> {
    properties.message_id().as_ref()?.as_str().parse().ok()
}

/// Why and from where a message was dead-lettered.
struct Death {
    reason: String,
    queue: String,
}

/// The message as failed jobs: one for each job, or one with the whole message if nobody can read it.
pub(super) fn failed_jobs(delivery: &Delivery, now: Timestamp) -> Vec<FailedJob> {
    let death = death(&delivery.properties);
    let came_from = death.as_ref().map_or("an unknown queue", |death| death.queue.as_str());
    let reason = death.as_ref().map_or("an unknown reason", |death| death.reason.as_str());
    match unpack(&delivery.data) {
        Err(problem) => {
            let error = format!("the message cannot be read: {problem} (dead-lettered from {came_from}: {reason})");
            vec![unreadable(delivery, came_from, error, now)]
        }
        Ok(jobs) => {
            let error = if reason == "delivery_limit" {
                format!(
                    "every worker that took it from {came_from} was lost or gave it back before it was done, too often to try again"
                )
            } else {
                format!("dead-lettered from {came_from}: {reason}")
            };
            let of_message = traceparent(&delivery.properties);
            jobs.into_iter().map(|job| readable(job, of_message.clone(), error.clone(), now)).collect()
        }
    }
}

fn readable(job: Job, of_message: Option<String>, error: String, failed_at: Timestamp) -> FailedJob {
    FailedJob {
        id: job.id,
        kind: job.payload.kind().to_string(),
        connection: Some(job.payload.connection()),
        provider: None,
        payload: payload(&job.encode()),
        attempts: Vec::new(),
        error,
        traceparent: job.traceparent.or(of_message),
        failed_at,
        state: FailedJobState::Open,
    }
}

fn unreadable(delivery: &Delivery, came_from: &str, error: String, failed_at: Timestamp) -> FailedJob {
    let named = delivery.properties.kind().as_ref().map(ShortString::to_string);
    FailedJob {
        id: job_id(&delivery.properties).unwrap_or_else(JobId::generate),
        kind: named.unwrap_or_else(|| came_from.to_owned()),
        connection: None,
        provider: None,
        payload: payload(&delivery.data),
        attempts: Vec::new(),
        error,
        traceparent: traceparent(&delivery.properties),
        failed_at,
        state: FailedJobState::Open,
    }
}

fn payload(body: &[u8]) -> String {
    match std::str::from_utf8(body) {
        // A text column cannot hold the null character.
        Ok(text) if !text.contains('\0') => text.to_owned(),
        _ => format!("base64:{}", STANDARD.encode(body)),
    }
}

fn header<'a>(properties: &'a BasicProperties, name: &str) -> Option<&'a AMQPValue> {
    properties.headers().as_ref()?.inner().get(name)
}

fn traceparent(properties: &BasicProperties) -> Option<String> {
    header(properties, "traceparent").and_then(word)
}

/// The latest entry of the broker's own record of a dead-lettered message.
fn death(properties: &BasicProperties) -> Option<Death> {
    let latest = header(properties, "x-death")?.as_array()?.as_slice().first()?.as_field_table()?;
    let field = |name: &str| latest.inner().get(name).and_then(word);
    Some(Death { reason: field("reason")?, queue: field("queue")? })
}

fn word(value: &AMQPValue) -> Option<String> {
    let text = value.as_long_string().map(ToString::to_string);
    text.or_else(|| value.as_short_string().map(ToString::to_string))
}

#[cfg(test)]
mod tests {
    use evergrant_contract::ids::{ConnectionId, Version};
    use evergrant_contract::job::{JobKind, Payload};

    use super::*;

    fn now() -> Timestamp {
        Timestamp::from_timestamp_millis(1_800_000_000_000).unwrap()
    }

    fn job() -> Job {
        let payload =
            Payload::RefreshDue { connection: ConnectionId::generate(), version: Version::FIRST, refresh_at: now() };
        Job { traceparent: Some("00-aa-bb-01".into()), ..Job::new(payload) }
    }

    fn dead(body: &[u8], properties: BasicProperties, reason: &str) -> Vec<FailedJob> {
        let mut entry = FieldTable::default();
        entry.insert("reason".into(), AMQPValue::LongString(reason.into()));
        entry.insert("queue".into(), AMQPValue::LongString("evergrant.v1.refresh_due".into()));
        let mut headers = properties.headers().clone().unwrap_or_default();
        headers.insert("x-death".into(), AMQPValue::FieldArray(vec![AMQPValue::FieldTable(entry)].into()));
        let mut delivery = Delivery::mock(1, "".into(), "".into(), false, body.to_vec());
        delivery.properties = properties.with_headers(headers);
        failed_jobs(&delivery, now())
    }

    #[test]
    fn a_message_tells_what_it_is_and_survives_a_restart() {
        let job = job();
        let properties = properties(&job, now());
        assert_eq!(*properties.delivery_mode(), Some(2));
        assert_eq!(properties.kind().as_ref().unwrap().as_str(), JobKind::RefreshDue.as_str());
        assert_eq!(*properties.timestamp(), Some(1_800_000_000));
        assert_eq!(job_id(&properties), Some(job.id));
        assert_eq!(traceparent(&properties), job.traceparent);
    }

    #[test]
    fn a_readable_dead_letter_keeps_its_identity() {
        let job = job();
        let failed = &dead(&job.encode(), properties(&job, now()), "delivery_limit")[0];
        assert_eq!((failed.id, failed.connection), (job.id, Some(job.payload.connection())));
        assert_eq!(failed.kind, "refresh_due");
        assert_eq!(failed.traceparent, job.traceparent);
        assert_eq!(Job::decode(failed.payload.as_bytes()).unwrap(), job);
        assert!(failed.error.contains("too often"), "{}", failed.error);
    }

    #[test]
    fn each_job_of_a_dead_pack_is_a_failed_job() {
        let (one, other) = (job(), job());
        let body = [one.encode(), other.encode()].join(&b'\n');
        let failed = dead(&body, properties(&one, now()), "maxlen");
        assert_eq!(failed.iter().map(|failed| failed.id).collect::<Vec<_>>(), [one.id, other.id]);
        assert_eq!(Job::decode(failed[1].payload.as_bytes()).unwrap(), other);
    }

    #[test]
    fn an_unreadable_dead_letter_is_kept_whole_and_explained() {
        let failed = &dead(b"not json", BasicProperties::default(), "rejected")[0];
        assert_eq!(failed.payload, "not json");
        assert_eq!(failed.kind, "evergrant.v1.refresh_due");
        assert!(failed.error.contains("invalid JSON") && failed.error.contains("rejected"), "{}", failed.error);

        let typed = BasicProperties::default().with_type("later_kind".into());
        assert_eq!(dead(b"{}", typed, "rejected")[0].kind, "later_kind");
    }

    #[test]
    fn bytes_that_no_text_column_takes_are_kept_as_base64() {
        assert_eq!(payload(b"\xff\x00"), "base64:/wA=");
        assert_eq!(payload(b"a\0b"), "base64:YQBi");
    }
}
