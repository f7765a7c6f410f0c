//! The trace of a request, carried by its job into the worker's span, and by the event back.

use std::io::Write;
use std::sync::{Arc, Mutex};

use evergrant_contract::event::Event;
use evergrant_contract::job::Job;
use evergrant_testkit::memory::provider::Reply;

use crate::world::{SETTINGS, World};

const TRACE_ID: &str = "0af7651916cd43dd8448eb211c80319c";
const TRACEPARENT: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

fn traced(job: Job) -> Job {
    Job { traceparent: Some(TRACEPARENT.to_owned()), ..job }
}

fn traceparents(world: &World) -> Vec<Option<String>> {
    let traceparent = |event| match event {
        Event::Connection { traceparent, .. } => Some(traceparent),
        Event::App { .. } => None,
    };
    world.events.published().into_iter().filter_map(traceparent).collect()
}

#[tokio::test]
async fn every_event_of_a_job_carries_the_trace_that_asked_for_it() {
    let world = World::new();
    world.provider.then([Reply::Throttled(None)]);
    let id = world.connection("ada").await;
    let job = traced(world.force_job(id).await);
    // The first is put off; the second finds that the row has moved on, and says how it stands.
    world.run(job.clone()).await;
    world.run(job).await;
    // One that succeeds.
    let grace = world.connection("grace").await;
    world.run(traced(world.force_job(grace).await)).await;
    assert_eq!(traceparents(&world), vec![Some(TRACEPARENT.to_owned()); 3]);
}

#[tokio::test]
async fn a_job_that_nobody_asked_for_has_no_trace() {
    let world = World::new();
    let id = world.connection("ada").await;
    world.run(world.due_job(id).await).await;
    assert_eq!(traceparents(&world), [None]);
}

#[tokio::test]
async fn a_failed_job_keeps_its_trace() {
    let world = World::new();
    world.provider.otherwise(Reply::Transient);
    let id = world.connection("ada").await;
    for _ in 0..SETTINGS.max_attempts {
        world.run(traced(world.force_job(id).await)).await;
    }
    let failed = world.open_jobs().await;
    assert_eq!(failed.iter().map(|job| job.traceparent.as_deref()).collect::<Vec<_>>(), [Some(TRACEPARENT)]);
}

#[derive(Clone, Default)]
struct Lines(Arc<Mutex<Vec<u8>>>);

impl Write for Lines {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

impl Lines {
    /// The lines of one job; the jobs of other tests are about.
    fn of(&self, job: &Job) -> Vec<String> {
        let text = String::from_utf8(self.0.lock().unwrap().clone()).unwrap();
        text.lines().filter(|line| line.contains(&job.id.to_string())).map(ToOwned::to_owned).collect()
    }
}

#[tokio::test]
async fn the_log_lines_of_a_refresh_show_the_trace_and_never_what_is_none() {
    let lines = Lines::default();
    let writer = lines.clone();
    // For the whole test binary: a subscriber of one thread would miss lines that another test's thread came by first.
    tracing_subscriber::fmt().with_ansi(false).with_writer(move || writer.clone()).init();
    let world = World::new();
    let id = world.connection("ada").await;
    let job = traced(world.force_job(id).await);
    world.run(job.clone()).await;
    let told = lines.of(&job);
    assert!(told.iter().any(|line| line.contains("Successfully refreshed token")), "{told:#?}");
    assert!(told.iter().all(|line| line.contains(TRACE_ID)), "{told:#?}");

    let rubbish = Job { traceparent: Some("00-no trace\nid-x-01".to_owned()), ..world.force_job(id).await };
    world.run(rubbish.clone()).await;
    let told = lines.of(&rubbish);
    assert!(!told.is_empty() && told.iter().all(|line| !line.contains("no trace")), "{told:#?}");
}
