//! What goes wrong, all of it at once.

use std::time::Duration;

use evergrant_sim::{ErrorBody, Fault, FaultKind, Rotation, Sim, SimOptions};
use fernet::Fernet;

use crate::support::rows::now;
use crate::support::wait::eventually;
use crate::support::{Plan, Shape, World};

const EU_SECRET: &str = "the-e2e-secret-of-europe-that-nobody-may-see";
const WRONG_SECRET: &str = "a-wrong-e2e-secret-that-nobody-may-see";
pub(super) const POISON: &str = r#"{"kind":"refresh_due","connection":"not-an-id","note":"whole"#;

/// One connection in so many of the second app was given up on before, and waits for a slow retry. Somebody has discarded
/// the failed jobs of some: nothing but a refresh by hand helps those today.
const FAIL: &str = "UPDATE schedules SET state = 'failing', reason = 'attempts_exhausted', failures = 8, \
    refresh_at = now() + interval '1 day' WHERE connection_id IN \
    (SELECT id FROM connections WHERE user_id LIKE 'eu-%' AND split_part(user_id, '-', 2)::int % 15 = 0)";
const RUN_OUT: &str = "UPDATE tokens SET expires_at = now() - interval '1 hour' \
    WHERE connection_id IN (SELECT connection_id FROM schedules WHERE state = 'failing')";
const GIVE_UP: &str = "INSERT INTO failed_jobs (id, kind, connection_id, provider, payload, attempts, error, failed_at, state) \
    SELECT id, 'refresh_due', connection_id, provider, \
        json_build_object('v', 1, 'id', id, 'kind', 'refresh_due', 'connection', connection_id, 'version', 1, \
            'refresh_at', '2026-11-01T00:00:00Z')::text, '[]'::jsonb, 'Gave up: the provider is down', \
            date_trunc('milliseconds', now()) - n * interval '1 ms', \
            CASE WHEN n % 3 = 0 THEN 'discarded' ELSE 'open' END \
    FROM (SELECT gen_random_uuid() AS id, connection_id, provider, row_number() OVER () AS n \
        FROM schedules WHERE state = 'failing') row";

/// A world with two provider apps, each at a simulated Amazon of its own.
pub(super) struct Disaster {
    pub(super) world: World,
    eu: Sim,
    /// The key that a row needs and no process has.
    lost_key: String,
    /// Who has to connect again.
    pub(super) revoked: Vec<String>,
    /// How many connections there are.
    pub(super) total: u64,
}

impl Disaster {
    /// Nothing runs yet, and nothing is wrong. `None`: this cannot be had here, which was said loudly.
    pub(super) fn new(name: &'static str, token_lifetime: Duration) -> Option<Self> {
        let plan = Plan { token_lifetime, log_level: "warn,evergrant=info", ..Plan::new(Shape::Cluster, name) };
        let mut world = World::new(&plan)?;
        let options = SimOptions {
            token_lifetime,
            rotation: Rotation::Strict { retry_until_successor_used: true },
            client_secrets: vec![EU_SECRET.to_owned()],
            ..SimOptions::default()
        };
        let eu = world.runtime.block_on(Sim::start(options)).unwrap();
        // Everybody who signs in here has one address.
        world.set("EVERGRANT_API_AUTH_PER_MINUTE", "1000000");
        world.keep_secret(EU_SECRET);
        world.keep_secret(WRONG_SECRET);
        world.set("EVERGRANT_PROVIDERS_AMAZON_EU_TOKEN_URL", eu.token_url().as_str());
        world.set("EVERGRANT_PROVIDERS_AMAZON_EU_CLIENT_SECRET", WRONG_SECRET);
        Some(Self { world, eu, lost_key: Fernet::generate_key(), revoked: Vec::new(), total: 0 })
    }

    /// All of it, on this many connections and one; returns when everything that is wrong is seen.
    pub(super) fn strike(&mut self, connections: usize) {
        let world = &mut self.world;
        let old = world.key().to_owned();
        world.set_key(&self.lost_key);
        world.import_crowd("lost", "amazon-na", 1);
        world.set_key(&old);
        let people = world.import(connections / 2);
        let users: Vec<_> = (0..connections / 2 - 1).map(|number| format!("eu-{number}")).collect();
        let tokens: Vec<_> = users.iter().map(|user| self.eu.grant(user).refresh_token).collect();
        world.import_tokens("amazon-eu", &users, &tokens);
        let database = &world.cluster.as_ref().unwrap().database;
        world.runtime.block_on(async {
            assert!(database.execute(FAIL).await > 2);
            database.execute(RUN_OUT).await;
            assert!(database.execute(GIVE_UP).await > 2);
        });
        self.revoked = people.into_iter().take(connections * 3 / 100).collect();
        for user in &self.revoked {
            assert_eq!(world.sim.revoke(user), 1);
        }
        world.sim.set_faults([Fault::new(FaultKind::Status { status: 503, body: ErrorBody::Html })]);
        world.start();
        let queue = format!("{}.v1.refresh_due", world.cluster().namespace);
        let tap = world.cluster.as_ref().unwrap().tap.as_ref().unwrap();
        world.runtime.block_on(tap.send(&queue, POISON.as_bytes()));
        self.until_red();
    }

    fn until_red(&mut self) {
        let world = &mut self.world;
        eventually("both apps to be held, and the poison among the failed jobs", || {
            let doctor = world.ask(&["doctor"]).stdout;
            let listed = world.ask(&["jobs", "list", "--text", "not a job", "--json"]).json();
            let is_kept = listed["items"].as_array().is_some_and(|items| items.len() == 1);
            (is_kept && doctor.contains("fault since") && doctor.contains("outage since")).then_some(())
        });
        self.total = world.stats(now()).expect("the store answers").total;
    }

    /// What no tool does: the secret and the key are given by the operator, the outage is over when the provider says so.
    pub(super) fn mend(&mut self) {
        let world = &mut self.world;
        world.set("EVERGRANT_PROVIDERS_AMAZON_EU_CLIENT_SECRET", EU_SECRET);
        let keys = format!("{},{}", world.key(), self.lost_key);
        world.set_key(&keys);
        self.restart_one_by_one();
        self.world.sim.clear_faults();
    }

    /// As an operator gives processes new settings: each is told to stop and finishes what it has in hand.
    fn restart_one_by_one(&mut self) {
        let world = &mut self.world;
        for at in 0..world.processes.len() {
            let (name, role) = (world.processes[at].name.clone(), world.processes[at].role().to_owned());
            world.processes[at].terminate();
            world.processes[at].until_ended();
            world.processes[at] = world.spawn_apart(&format!("{name}-again"), &role);
            world.processes[at].until_ready();
        }
    }

    /// Tokens that were spent twice, at either provider.
    pub(super) fn spent_twice(&self) -> u64 {
        self.world.sim.stats().spent_twice + self.eu.stats().spent_twice
    }
}
