//! The parts of a refresh that need no server, one by one: `cargo bench --package evergrant-bench`.

use std::hint::black_box;
use std::time::Duration;

use criterion::{Criterion, criterion_group, criterion_main};
use evergrant_bench::{rows, token};
use evergrant_contract::connection::LeaseRequest;
use evergrant_contract::ids::{ConnectionId, ProcessId, Version};
use evergrant_contract::job::{Job, Payload};
use evergrant_contract::lease::{Row, decide};
use evergrant_contract::secret::Secret;
use evergrant_contract::state::State;
use evergrant_contract::timing::Margin;
use evergrant_vault::Keyring;
use uuid::Uuid;

fn now() -> evergrant_contract::Timestamp {
    chrono::DateTime::UNIX_EPOCH
}

fn keys(count: usize) -> Secret {
    let keys: Vec<_> = (0..count).map(|_| Keyring::generate_key().expose().to_owned()).collect();
    Secret::new(keys.join(","))
}

#[expect(clippy::expect_used, reason = "keys that were just generated are keys")]
fn keyring(keys: &Secret) -> Keyring {
    Keyring::parse(keys).expect("keys")
}

/// Fernet with its envelope, on tokens of 400 bytes.
fn vault(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("vault");
    let (id, token) = (Uuid::now_v7(), token::refresh_token(7, 7));
    let three = keys(3);
    let newest = keyring(&three);
    let oldest_first: Vec<_> = three.expose().rsplit(',').collect();
    let oldest = keyring(&Secret::new(oldest_first.join(",")));
    group.bench_function("seal two tokens", |bencher| {
        bencher.iter(|| rows::seal(&newest, id, black_box(&token), black_box(&token)));
    });
    for (name, sealed) in [
        ("open", rows::seal(&newest, id, &token, &token)),
        ("open, the last of three keys", rows::seal(&oldest, id, &token, &token)),
    ] {
        group.bench_function(name, |bencher| {
            bencher.iter(|| rows::open(&newest, id, black_box(&sealed.refresh_token).clone()));
        });
    }
    group.finish();
}

/// Messages of the queue.
fn jobs(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("job");
    let (connection, version) = (ConnectionId::from(Uuid::now_v7()), Version::new(7));
    let job = Job::new(Payload::RefreshDue { connection, version, refresh_at: now() });
    let message = job.encode();
    group.bench_function("encode", |bencher| bencher.iter(|| black_box(&job).encode()));
    group.bench_function("decode", |bencher| bencher.iter(|| Job::decode(black_box(&message))));
    group.finish();
}

/// What is decided without asking anybody.
fn decisions(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("decision");
    let (version, refresh_at) = (Version::new(7), now());
    let row = Row { state: State::Active, version, refresh_at: Some(refresh_at), is_paused: false, holder: None };
    let request = LeaseRequest {
        connection: ConnectionId::from(Uuid::now_v7()),
        version,
        seen_refresh_at: Some(refresh_at),
        owner: ProcessId::generate(),
        ttl: Duration::from_secs(45),
        takeover_grace: Duration::from_secs(10),
        is_awaited: false,
    };
    let margin = Margin { buffer: Duration::from_mins(15), share_percent: 25 };
    group.bench_function("who gets a lease", |bencher| {
        bencher.iter(|| decide(black_box(&row), black_box(&request), black_box(refresh_at)));
    });
    group.bench_function("when to refresh", |bencher| {
        bencher.iter(|| margin.refresh_at(black_box(refresh_at), Duration::from_hours(1), black_box(0.5)));
    });
    group.finish();
}

criterion_group!(parts, vault, jobs, decisions);
criterion_main!(parts);
