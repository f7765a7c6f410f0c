//! From one encryption key to the next, while everything is refreshed.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use evergrant_contract::ids::ConnectionId;
use evergrant_contract::secret::Secret;
use evergrant_vault::{Ciphertext, Field, Keyring, Place};
use fernet::Fernet;
use uuid::Uuid;

use super::number;
use crate::support::wait::eventually;
use crate::support::{Plan, Shape, World};

const CONNECTIONS: usize = 20;

fn plan(shape: Shape, name: &'static str) -> Plan {
    Plan { token_lifetime: Duration::from_secs(8), ..Plan::new(shape, name) }
}

/// Rows by key, as `keys list` counts them.
fn rows_by_key(world: &mut World) -> BTreeMap<String, u64> {
    let keys = world.ask(&["keys", "list", "--json"]).success().json();
    let keys = keys.as_object().expect("keys by fingerprint");
    keys.iter().map(|(key, told)| (key.clone(), told["rows"].as_u64().unwrap())).collect()
}

fn fingerprint(key: &str) -> String {
    Keyring::parse(&Secret::new(key)).unwrap().primary().as_str().to_owned()
}

fn restart_in_good_order(world: &mut World) {
    for index in 0..world.processes.len() {
        let (name, role) = (world.processes[index].name.clone(), world.processes[index].role().to_owned());
        world.processes[index].terminate();
        assert!(world.processes[index].until_ended().success());
        world.processes[index] = world.spawn_apart(&name, &role);
        world.processes[index].until_ready();
    }
}

#[track_caller]
fn assert_nothing_was_lost(world: &mut World) {
    let stats = world.until_refreshed_again(CONNECTIONS);
    assert_eq!((stats.in_state("active"), stats.failed_jobs), (CONNECTIONS as u64, 0), "{stats:?}");
    let account = world.sim.stats();
    assert_eq!((account.live, account.spent_twice), (CONNECTIONS as u64, 0));
}

#[test]
fn a_generated_key_is_changed_under_a_running_process() {
    let Some(mut world) = World::new(&plan(Shape::Embedded, "turnover_embedded")) else { return };
    world.env.remove("FERNET_KEY");
    world.start();
    world.import_crowd("user", "amazon-na", CONNECTIONS);
    world.until_refreshed_again(CONNECTIONS);
    let (before, address) = (rows_by_key(&mut world), world.processes[0].address());
    assert_eq!(before.values().copied().collect::<Vec<_>>(), [CONNECTIONS as u64], "one key for all");
    let old = before.into_keys().next().unwrap();

    let rotated = world.ask(&["keys", "rotate", "--why", "a test", "--json"]).success().json();
    let new = rotated["key"].as_str().expect("the new key").to_owned();
    assert_eq!(rotated["outcome"], "rotated");
    assert_ne!(new, old);
    assert_eq!(world.processes[0].address(), address, "it starts anew where it was");
    let too_early = world.ask(&["keys", "retire", &new]);
    assert_eq!(too_early.code, 1, "{}", too_early.stdout);
    assert!(too_early.stderr.contains("live processes encrypt with it"), "{}", too_early.stderr);

    world.ask(&["keys", "reencrypt", "--why", "a test"]).success();
    assert_eq!(rows_by_key(&mut world)[&old], 0);
    world.ask(&["keys", "retire", &old, "--why", "a test"]).success();
    assert_nothing_was_lost(&mut world);
    let expected = BTreeMap::from([(new, CONNECTIONS as u64)]);
    eventually("the old key to be gone everywhere", || (rows_by_key(&mut world) == expected).then_some(()));

    // What the file holds now is enough for a start.
    world.stop();
    world.start();
    assert_nothing_was_lost(&mut world);
    world.end();
}

#[test]
fn a_cluster_changes_its_key_one_process_after_the_other() {
    let Some(mut world) = World::new(&plan(Shape::Cluster, "turnover_cluster")) else { return };
    world.start();
    world.import(CONNECTIONS);
    world.until_refreshed_again(CONNECTIONS);
    let (old, new) = (world.key().to_owned(), Fernet::generate_key());
    let (old_name, new_name) = (fingerprint(&old), fingerprint(&new));

    // Only this command has the new key: whoever is live lacks it, and it must not encrypt.
    world.set_key(&format!("{old},{new}"));
    let refused = world.ask(&["keys", "rotate", "--to", &new_name]);
    assert_eq!(refused.code, 1, "{}", refused.stdout);
    assert!(refused.stderr.contains("6 of 6 live processes lack the key"), "{}", refused.stderr);
    restart_in_good_order(&mut world);
    let ready = world.ask(&["keys", "rotate", "--to", &new_name, "--json"]).success().json();
    assert_eq!(ready["outcome"], "ready");

    world.set_key(&format!("{new},{old}"));
    let too_early = world.ask(&["keys", "retire", &old_name]);
    assert_eq!(too_early.code, 1, "{}", too_early.stdout);
    assert!(too_early.stderr.contains("encrypt with it"), "{}", too_early.stderr);
    restart_in_good_order(&mut world);
    world.ask(&["keys", "reencrypt"]).success();
    eventually("no row under the old key", || (rows_by_key(&mut world)[&old_name] == 0).then_some(()));
    world.ask(&["keys", "retire", &old_name]).success();

    world.set_key(&new);
    restart_in_good_order(&mut world);
    assert_nothing_was_lost(&mut world);
    assert_eq!(rows_by_key(&mut world), BTreeMap::from([(new_name, CONNECTIONS as u64)]));
    world.end();
}

// -------------------------------------------------------------------------------------------- many rows, live refreshes

/// Rows in one statement of the test.
const AT_ONCE: usize = 5_000;

/// `cargo xtask reencrypt` runs this in a release build with a million rows.
#[test]
fn many_rows_are_encrypted_again_beside_live_refreshes() {
    let rows = number("EVERGRANT_REENCRYPT_ROWS").unwrap_or(2_000);
    let quiet = Plan { log_level: "warn,evergrant=info,evergrant_api=info", ..plan(Shape::Cluster, "reencrypt_many") };
    let Some(mut world) = World::new(&quiet) else { return };
    // The command alone is timed.
    world.set("EVERGRANT_KEYS_REENCRYPT_PER_SECOND", "0");
    world.start();
    world.import(CONNECTIONS);
    world.until_refreshed_again(CONNECTIONS);
    let (old, new) = (world.key().to_owned(), Fernet::generate_key());
    let filled = fill(&mut world, &Keyring::parse(&Secret::new(old.as_str())).unwrap(), rows);
    world.set_key(&format!("{old},{new}"));
    restart_in_good_order(&mut world);
    world.set_key(&format!("{new},{old}"));
    restart_in_good_order(&mut world);

    let refreshes = |world: &World| world.ledger().values().map(|entry| entry.counts.refreshes).sum::<u64>();
    let (begun, before) = (Instant::now(), refreshes(&world));
    let done = world.ask(&["keys", "reencrypt", "--json"]).success().json();
    let (took, during) = (begun.elapsed(), refreshes(&world) - before);
    let per_second = rows as u128 * 1000 / took.as_millis().max(1);
    eprintln!("{rows} rows encrypted again in {took:.1?}, {per_second} a second, beside {during} refreshes: {done}");
    // The live ones may have come under the new key by themselves.
    let reencrypted = done["reencrypted"].as_u64().unwrap();
    assert!((rows as u64..=(rows + CONNECTIONS) as u64).contains(&reencrypted), "{done}");
    assert_eq!(done["undecryptable"], 0);
    assert_nothing_was_lost_of(&world, &Keyring::parse(&Secret::new(new.as_str())).unwrap(), &filled);
    assert_eq!(rows_by_key(&mut world)[&fingerprint(&old)], 0);
    let url = world.cluster().database.url.clone();
    world.runtime.block_on(forget(&url));
    assert_nothing_was_lost(&mut world);
    world.end();
}

/// Connections that are not due for years, straight into the tables: what they hold is sealed like any other row.
fn fill(world: &mut World, keyring: &Keyring, rows: usize) -> Vec<Uuid> {
    let ids: Vec<Uuid> = (0..rows).map(|_| ConnectionId::generate().uuid()).collect();
    let seal = |id: Uuid, field, text: String| {
        String::from(keyring.seal(Place { connection: id.into(), field }, &Secret::new(text)))
    };
    let database = &world.cluster().database;
    let url = database.url.clone();
    for (chunk, first) in ids.chunks(AT_ONCE).zip((0..).step_by(AT_ONCE)) {
        let tokens: Vec<_> = chunk
            .iter()
            .zip(first..)
            .map(|(id, n)| (seal(*id, Field::AccessToken, access(n)), seal(*id, Field::RefreshToken, refresh(n))))
            .collect();
        let (access_tokens, refresh_tokens): (Vec<_>, Vec<_>) = tokens.into_iter().unzip();
        world.runtime.block_on(insert(&url, chunk, &access_tokens, &refresh_tokens, keyring.primary().as_str()));
    }
    ids
}

fn access(n: usize) -> String {
    format!("bulk-access-{n}")
}

fn refresh(n: usize) -> String {
    format!("bulk-refresh-{n}")
}

async fn insert(url: &str, ids: &[Uuid], access_tokens: &[String], refresh_tokens: &[String], key: &str) {
    use sqlx::Connection as _;
    let mut connection = sqlx::PgConnection::connect(url).await.unwrap();
    sqlx::query(
        "WITH given AS (
             SELECT * FROM unnest($1::uuid[], $2::text[], $3::text[]) AS g (id, access_token, refresh_token)
         ),
         identities AS (
             INSERT INTO connections (id, user_id, provider, created_at)
             SELECT id, 'bulk-' || id, 'amazon-na', now() FROM given
         ),
         schedule AS (
             INSERT INTO schedules (connection_id, provider, state, version, refresh_at)
             SELECT id, 'amazon-na', 'active', 1, now() + interval '10 years' FROM given
         )
         INSERT INTO tokens (connection_id, access_token, refresh_token, key, expires_at)
         SELECT id, access_token, refresh_token, $4, now() + interval '10 years' FROM given",
    )
    .bind(ids)
    .bind(access_tokens)
    .bind(refresh_tokens)
    .bind(key)
    .execute(&mut connection)
    .await
    .unwrap();
    connection.close().await.unwrap();
}

async fn forget(url: &str) {
    use sqlx::Connection as _;
    let mut connection = sqlx::PgConnection::connect(url).await.unwrap();
    let sql = "DELETE FROM connections WHERE user_id LIKE 'bulk-%'";
    sqlx::query(sql).execute(&mut connection).await.unwrap();
    connection.close().await.unwrap();
}

/// Every one of them opens with the new key alone, and is what it was.
fn assert_nothing_was_lost_of(world: &World, keyring: &Keyring, ids: &[Uuid]) {
    let url = world.cluster.as_ref().unwrap().database.url.clone();
    for (chunk, first) in ids.chunks(AT_ONCE).zip((0..).step_by(AT_ONCE)) {
        let rows = world.runtime.block_on(stored(&url, chunk));
        assert_eq!(rows.len(), chunk.len(), "rows are gone");
        for (id, n) in chunk.iter().zip(first..) {
            let open = |field, text: &String| {
                let place = Place { connection: (*id).into(), field };
                keyring.open(place, &Ciphertext::from(text.clone())).ok().map(|secret| secret.expose().to_owned())
            };
            let (access_token, refresh_token) = &rows[id];
            assert_eq!(open(Field::AccessToken, access_token), Some(access(n)));
            assert_eq!(open(Field::RefreshToken, refresh_token), Some(refresh(n)));
        }
    }
}

async fn stored(url: &str, ids: &[Uuid]) -> BTreeMap<Uuid, (String, String)> {
    use sqlx::Connection as _;
    let mut connection = sqlx::PgConnection::connect(url).await.unwrap();
    let sql = "SELECT connection_id, access_token, refresh_token FROM tokens WHERE connection_id = ANY($1)";
    let rows: Vec<(Uuid, String, String)> = sqlx::query_as(sql).bind(ids).fetch_all(&mut connection).await.unwrap();
    connection.close().await.unwrap();
    rows.into_iter().map(|(id, access_token, refresh_token)| (id, (access_token, refresh_token))).collect()
}
