//! Everything is red at once, and an operator gets it back with the command line, as docs/OPERATIONS.md says.

use std::collections::VecDeque;
use std::time::Duration;

use evergrant_sim::{ErrorBody, Fault, FaultKind, Rotation, Sim, SimOptions};
use fernet::Fernet;
use serde_json::{Value, json};

use super::number;
use crate::support::rows::now;
use crate::support::wait::{PATIENCE, eventually, within};
use crate::support::{Answer, Caller, Plan, Shape, World};

const GUIDE: &str = include_str!("../../docs/OPERATIONS.md");
const SECTION: &str = "## Everything is red at once";

const EU_SECRET: &str = "the-e2e-secret-of-europe-that-nobody-may-see";
const WRONG_SECRET: &str = "a-wrong-e2e-secret-that-nobody-may-see";
const POISON: &str = r#"{"kind":"refresh_due","connection":"not-an-id","note":"whole"#;

/// One connection in so many of the second app was given up on before, and waits for a slow retry.
const FAIL: &str = "UPDATE schedules SET state = 'failing', reason = 'attempts_exhausted', failures = 8, \
    refresh_at = now() + interval '1 day' WHERE connection_id IN \
    (SELECT id FROM connections WHERE user_id LIKE 'eu-%' AND split_part(user_id, '-', 2)::int % 15 = 0)";
const GIVE_UP: &str = "INSERT INTO failed_jobs (id, kind, connection_id, provider, payload, attempts, error, failed_at, state) \
    SELECT id, 'refresh_due', connection_id, provider, \
        json_build_object('v', 1, 'id', id, 'kind', 'refresh_due', 'connection', connection_id, 'version', 1, \
            'refresh_at', '2026-11-01T00:00:00Z')::text, '[]'::jsonb, 'Gave up: the provider is down', now(), 'open' \
    FROM (SELECT gen_random_uuid() AS id, connection_id, provider FROM schedules WHERE state = 'failing') row";

/// The documented commands, in their order: what is done here is what is written there.
struct Guide(VecDeque<String>);

impl Guide {
    fn read() -> Self {
        let section = GUIDE.split(SECTION).nth(1).and_then(|rest| rest.split("\n## ").next()).expect("the section");
        let block = section.split("```sh\n").nth(1).and_then(|rest| rest.split("```").next()).expect("its commands");
        let command = |line: &str| line.split(" #").next().unwrap_or_default().trim().to_owned();
        Self(block.lines().map(command).collect())
    }

    /// Runs the next command, which must be this one; `id` takes the place of `ID`.
    #[track_caller]
    fn run(&mut self, world: &mut World, command: &str, id: &str) -> Answer {
        assert_eq!(self.0.pop_front().as_deref(), Some(command), "the guide has another order");
        let command = command.replace("ID", id);
        let args: Vec<_> = command.split_whitespace().skip(1).collect();
        world.ask(&args)
    }
}

/// 10,000 of them: `EVERGRANT_DISASTER_CONNECTIONS=10000`.
#[test]
fn an_operator_gets_everything_back_with_the_command_line() {
    let full = number("EVERGRANT_DISASTER_CONNECTIONS");
    let many = full.unwrap_or(600);
    let lifetime = Duration::from_secs(if full.is_some() { 300 } else { 20 });
    let Some((mut world, eu)) = world(lifetime) else { return };
    let (old, lost) = (world.key().to_owned(), Fernet::generate_key());
    let revoked = strike(&mut world, &eu, many, &lost);
    let patience = PATIENCE + lifetime * 2;
    let total = until_red(&mut world);

    let mut guide = Guide::read();
    let doctor = guide.run(&mut world, "evergrant doctor", "");
    assert_eq!(doctor.code, 1);
    assert!(doctor.stdout.contains("amazon-eu    fault since"), "{}", doctor.stdout);
    assert!(doctor.stdout.contains("amazon-na    outage since"), "{}", doctor.stdout);
    assert!(doctor.stdout.contains("FERNET_KEY lacks the key"), "{}", doctor.stdout);
    assert!(guide.run(&mut world, "evergrant keys list", "").success().stdout.contains("MISSING"));
    assert!(guide.run(&mut world, "evergrant jobs list", "").success().stdout.contains("the provider is down"));

    // Mended: the secret and the key by the operator, the outage by the provider.
    world.set("EVERGRANT_PROVIDERS_AMAZON_EU_CLIENT_SECRET", EU_SECRET);
    world.set_key(&format!("{old},{lost}"));
    restart_one_by_one(&mut world);
    world.sim.clear_faults();
    within(patience, "both provider apps to be open", || {
        let doctor = world.ask(&["doctor"]);
        (doctor.code == 0 && !doctor.stdout.contains("outage since")).then_some(())
    });

    let dry = guide.run(&mut world, "evergrant jobs replay --all --dry-run", "").success();
    assert!(dry.stdout.contains("would be replayed") && dry.stdout.contains("unreadable"), "{}", dry.stdout);
    let replayed = guide.run(&mut world, "evergrant jobs replay --all --reason recovered", "");
    assert_eq!(replayed.code, 1, "one is left open: {}", replayed.stdout);
    let left = world.ask(&["jobs", "list", "--json"]).success().json();
    let left = left["items"].as_array().unwrap();
    assert_eq!((left.len(), &left[0]["payload"]), (1, &json!(POISON)), "{left:?}");
    let id = left[0]["id"].as_str().unwrap().to_owned();
    guide.run(&mut world, "evergrant jobs discard ID --reason poison", &id).success();
    guide.run(&mut world, "evergrant connections refresh --expired", "").success();

    within(patience, "all but those that were revoked to be active", || {
        let stats = world.stats(now())?;
        (stats.in_state("active") == total - revoked.len() as u64).then_some(())
    });
    guide.run(&mut world, "evergrant connections list --state needs_reauth", "").success();
    let ended: Value =
        world.ask(&["connections", "list", "--state", "needs_reauth", "--limit", "10000", "--json"]).json();
    let ended = ended.as_array().unwrap();
    assert!(ended.iter().all(|row| row["reason"] == "grant_invalid"), "{ended:?}");
    assert_eq!(ended.len(), revoked.len());
    reconnect(&world, &revoked);

    let stats = within(patience, "every connection to be active", || {
        world.stats(now()).filter(|stats| stats.in_state("active") == total && stats.expired == 0)
    });
    assert_eq!(stats.failed_jobs, 0, "{stats:?}");
    guide.run(&mut world, "evergrant connections stats --since 1h", "").success();
    guide.run(&mut world, "evergrant doctor", "").success();
    assert!(guide.0.is_empty(), "the guide goes on: {:?}", guide.0);
    assert_eq!((world.sim.stats().spent_twice, eu.stats().spent_twice), (0, 0));
    world.end();
}

/// A world with two provider apps, each at a simulated Amazon of its own.
fn world(token_lifetime: Duration) -> Option<(World, Sim)> {
    let plan = Plan { token_lifetime, log_level: "warn,evergrant=info", ..Plan::new(Shape::Cluster, "disaster") };
    let mut world = World::new(&plan)?;
    world.set("EVERGRANT_API_PUBLIC_URL", "https://evergrant.example");
    let options = SimOptions {
        token_lifetime,
        rotation: Rotation::Strict { retry_until_successor_used: true },
        client_secrets: vec![EU_SECRET.to_owned()],
        ..SimOptions::default()
    };
    let eu = world.runtime.block_on(Sim::start(options)).unwrap();
    world.keep_secret(EU_SECRET);
    world.keep_secret(WRONG_SECRET);
    world.set("EVERGRANT_PROVIDERS_AMAZON_EU_TOKEN_URL", eu.token_url().as_str());
    world.set("EVERGRANT_PROVIDERS_AMAZON_EU_CLIENT_SECRET", WRONG_SECRET);
    Some((world, eu))
}

/// The whole disaster: who has to connect again.
fn strike(world: &mut World, eu: &Sim, many: usize, lost: &str) -> Vec<String> {
    let old = world.key().to_owned();
    world.set_key(lost);
    world.import_crowd("lost", "amazon-na", 1);
    world.set_key(&old);
    let people = world.import(many / 2);
    let users: Vec<_> = (0..many / 2 - 1).map(|number| format!("eu-{number}")).collect();
    let tokens: Vec<_> = users.iter().map(|user| eu.grant(user).refresh_token).collect();
    world.import_tokens("amazon-eu", &users, &tokens);
    let database = &world.cluster.as_ref().unwrap().database;
    world.runtime.block_on(async {
        assert!(database.execute(FAIL).await > 0);
        database.execute(GIVE_UP).await
    });
    let revoked: Vec<_> = people.into_iter().take(many * 3 / 100).collect();
    for user in &revoked {
        assert_eq!(world.sim.revoke(user), 1);
    }
    world.sim.set_faults([Fault::new(FaultKind::Status { status: 503, body: ErrorBody::Html })]);
    world.start();
    let queue = format!("{}.v1.refresh_due", world.cluster().namespace);
    let tap = world.cluster.as_ref().unwrap().tap.as_ref().unwrap();
    world.runtime.block_on(tap.send(&queue, POISON.as_bytes()));
    revoked
}

/// Waits until everything that is wrong is seen: how many connections there are.
fn until_red(world: &mut World) -> u64 {
    eventually("both apps to be held, and the poison among the failed jobs", || {
        let doctor = world.ask(&["doctor"]).stdout;
        let listed = world.ask(&["jobs", "list", "--text", "not a job", "--json"]).json();
        let is_kept = listed["items"].as_array().is_some_and(|items| items.len() == 1);
        (is_kept && doctor.contains("fault since") && doctor.contains("outage since")).then_some(())
    });
    world.stats(now()).expect("the store answers").total
}

/// As an operator gives processes new settings: each is told to stop and finishes what it has in hand.
fn restart_one_by_one(world: &mut World) {
    for at in 0..world.processes.len() {
        let (name, role) = (world.processes[at].name.clone(), world.processes[at].role().to_owned());
        world.processes[at].terminate();
        world.processes[at].until_ended();
        world.processes[at] = world.spawn_apart(&format!("{name}-again"), &role);
        world.processes[at].until_ready();
    }
}

/// Each of them signs in with Amazon, consents, and has the connection back that they had.
fn reconnect(world: &World, users: &[String]) {
    let address = world.addresses("api").remove(0);
    for user in users {
        let mut browser = Caller::new(&address);
        let begun = world.runtime.block_on(browser.get("/api/auth/amazon/login")).expect(200).json();
        let callback = world.consent(begun["auth_url"].as_str().unwrap(), &format!("amzn1.account.{user}"));
        let landed = world.runtime.block_on(browser.get(&callback));
        assert!(landed.status.is_redirection() && !landed.location().contains("error"), "{}", landed.location());
    }
}
