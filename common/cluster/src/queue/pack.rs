//! In a flood, several due jobs are one message: one to a line.
//!
//! A message costs the broker, the publisher and the worker's connection the same for one job and for eight. A few jobs stay
//! messages of their own, so that they are spread over the workers; and so do forced ones, which nobody may hold up. A pack
//! that is delivered again is taken apart: one of its jobs may be what the last worker died of, and the others are innocent.

use evergrant_contract::ids::JobId;
use evergrant_contract::job::{DecodeError, Job, JobKind};

/// Jobs in one message at most. More would gain little, and keep more from other workers.
pub(super) const PACK_MAX: usize = 8;
/// Messages that jobs are spread over before any carries more than one.
const SPREAD: usize = 64;
const BETWEEN: u8 = b'\n';

/// The jobs of one message, of one kind; never none.
#[derive(Debug, Clone, Copy)]
pub(super) struct Pack<'a>(&'a [Job]);

impl<'a> Pack<'a> {
    /// A message with a single job.
    pub(super) fn alone(job: &'a Job) -> Self {
        Self(std::slice::from_ref(job))
    }

    /// Its first job, by whose id the message goes.
    pub(super) fn lead(&self) -> &'a Job {
        &self.0[0]
    }

    /// The name of the message: that of its first job.
    pub(super) fn id(&self) -> JobId {
        self.lead().id
    }

    /// The message body.
    pub(super) fn encode(&self) -> Vec<u8> {
        let bodies: Vec<_> = self.0.iter().map(Job::encode).collect();
        bodies.join(&BETWEEN)
    }
}

/// The messages for these jobs, in their order.
pub(super) fn pack(jobs: &[Job]) -> Vec<Pack<'_>> {
    let of_one_kind = jobs.chunk_by(|one, next| one.payload.kind() == next.payload.kind());
    let packs = |run: &'_ [Job]| match run[0].payload.kind() {
        JobKind::RefreshDue => (run.len() / SPREAD).clamp(1, PACK_MAX),
        JobKind::ForceRefresh => 1,
    };
    of_one_kind.flat_map(|run| run.chunks(packs(run))).map(Pack).collect()
}

/// The jobs of a message. One that cannot be read makes the whole unreadable: it is kept as it came.
pub(super) fn unpack(body: &[u8]) -> Result<Vec<Job>, DecodeError> {
    // A message of one job may be written over several lines, by hand.
    Job::decode(body).map(|job| vec![job]).or_else(|alone| {
        let jobs: Result<Vec<_>, _> = body.split(|byte| *byte == BETWEEN).map(Job::decode).collect();
        jobs.map_err(|_| alone)
    })
}

#[cfg(test)]
mod tests {
    use evergrant_contract::Timestamp;
    use evergrant_contract::ids::{ConnectionId, Version};
    use evergrant_contract::job::{ForceReason, Payload};

    use super::*;

    const MOMENT: Timestamp = Timestamp::UNIX_EPOCH;

    fn due() -> Job {
        let connection = ConnectionId::generate();
        Job::new(Payload::RefreshDue { connection, version: Version::FIRST, refresh_at: MOMENT })
    }

    fn forced() -> Job {
        Job::new(Payload::ForceRefresh {
            connection: ConnectionId::generate(),
            observed_version: Version::FIRST,
            refresh_at: MOMENT,
            reason: ForceReason::Operator,
            deadline: MOMENT,
        })
    }

    fn sizes(jobs: &[Job]) -> Vec<usize> {
        pack(jobs).iter().map(|pack| pack.0.len()).collect()
    }

    #[test]
    fn few_jobs_are_spread_and_many_travel_together() {
        let due = |count| std::iter::repeat_with(due).take(count).collect::<Vec<_>>();
        assert_eq!(sizes(&due(100)), [1; 100]);
        assert_eq!(sizes(&due(200)).len(), 67);
        assert_eq!(sizes(&due(1_003)).len(), 126);
        assert!(sizes(&due(1_003)).iter().all(|size| *size <= PACK_MAX));
        assert!(pack(&[]).is_empty());
    }

    #[test]
    fn forced_jobs_travel_alone_and_kinds_do_not_mix() {
        let forced: Vec<_> = std::iter::repeat_with(forced).take(1_000).collect();
        assert_eq!(sizes(&forced), [1; 1_000]);
        let mixed: Vec<_> = std::iter::repeat_with(due).take(600).chain(forced).collect();
        assert_eq!(sizes(&mixed).len(), 75 + 1_000);
    }

    #[test]
    fn every_job_reads_back_in_its_order() {
        let jobs: Vec<_> = std::iter::repeat_with(due).take(500).collect();
        let read: Vec<_> = pack(&jobs).iter().flat_map(|pack| unpack(&pack.encode()).unwrap()).collect();
        assert_eq!(read, jobs);
    }

    #[test]
    fn one_line_that_is_no_job_keeps_the_message_whole() {
        let body = [due().encode(), b"not a job".to_vec()].join(&BETWEEN);
        assert!(unpack(&body).is_err());
        assert!(unpack(b"").is_err());
        let text = format!("\n{}\n", String::from_utf8(due().encode()).unwrap().replace(',', ",\n"));
        assert_eq!(unpack(text.as_bytes()).unwrap().len(), 1);
    }
}
