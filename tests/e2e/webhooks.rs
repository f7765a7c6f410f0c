//! Receivers are told what changed, once, signed, and of nothing else.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use evergrant_sim::{ErrorBody, Fault, FaultKind};
use serde_json::Value;

use crate::support::process::Process;
use crate::support::wait::eventually;
use crate::support::{Plan, Receiver, Shape, World};

const CONNECTIONS: usize = 6;
/// Whose grants end while workers are killed, and of how many of them a try waits for its answer then.
const REVOKED: usize = 8;
const HELD: usize = 4;
const DOCUMENT: &str = include_str!("../../docs/WEBHOOKS.md");

/// A consent that ends within the week: rows of providers that say when have such times.
const CONSENT_ENDS: [&str; 2] = [
    "UPDATE connections SET refresh_expires_at = now() + interval '150 hours' WHERE user_id = 'ends-0'",
    "UPDATE connections SET refresh_expires_at = (unixepoch() + 150 * 3600) * 1000 WHERE user_id = 'ends-0'",
];

#[test]
fn receivers_are_told_what_changed_embedded() {
    told(Shape::Embedded, "webhooks_embedded");
}

#[test]
fn receivers_are_told_what_changed_cluster() {
    told(Shape::Cluster, "webhooks_cluster");
}

fn told(shape: Shape, name: &'static str) {
    let plan = Plan { token_lifetime: Duration::from_secs(12), ..Plan::new(shape, name) };
    let Some(mut world) = World::new(&plan) else { return };
    let receiver = Receiver::start(&world.runtime);
    world.set("EVERGRANT_WORKER_MAX_ATTEMPTS", "5");
    let (endpoint, secret) = tell(&mut world, &receiver);
    let (endpoint, secret) = (endpoint.as_str(), secret.as_str());
    world.import_crowd("ends", "amazon-na", 1);
    assert_eq!(world.change_rows(CONSENT_ENDS[0], CONSENT_ENDS[1]), 1);
    world.start();
    let ends = the(&receiver, secret, "connection.expiring");
    assert_eq!((&ends["data"]["user_id"], &ends["data"]["days_left"]), (&"ends-0".into(), &7.into()), "{ends}");
    world.import(CONNECTIONS);
    world.until_refreshed_again(CONNECTIONS + 1);
    assert_eq!(receiver.messages(secret).len(), 1, "a refresh that succeeds is no news: {}", receiver.text());

    let mut rows = world.rows().into_iter().filter(|(user, _)| user != "ends-0");
    let ((user, row), (troubled, its)) = (rows.next().unwrap(), rows.next().unwrap());
    assert_eq!(world.sim.revoke(&user), 1);
    let ended = the(&receiver, secret, "connection.needs_reauth");
    assert_eq!(ended["data"]["connection_id"], row.id.as_str(), "{ended}");
    assert_eq!(ended["data"]["user_id"], user.as_str(), "{ended}");

    let broken = Fault::new(FaultKind::Status { status: 500, body: ErrorBody::Html });
    world.sim.set_faults_for(&troubled, [broken]);
    let failing = the(&receiver, secret, "connection.failing");
    assert_eq!(
        (&failing["data"]["connection_id"], &failing["data"]["state"]),
        (&its.id.as_str().into(), &"failing".into())
    );
    world.sim.set_faults_for(&troubled, []);
    let recovered = the(&receiver, secret, "connection.recovered");
    assert_eq!((&recovered["data"]["connection_id"], &recovered["data"]["state"]), (&its.id.into(), &"active".into()));

    let right = world.env["AMAZON_CLIENT_SECRET"].clone();
    world.sim.set_client_secrets(["another-one".to_owned()]);
    the(&receiver, secret, "app.fault");
    world.sim.set_client_secrets([right]);
    the(&receiver, secret, "app.recovered");
    world.until_refreshed_again(CONNECTIONS);

    let told = receiver.messages(secret);
    let kinds: Vec<_> = told.iter().map(|message| message["type"].as_str().unwrap()).collect();
    let each_once = [
        "connection.expiring",
        "connection.needs_reauth",
        "connection.failing",
        "connection.recovered",
        "app.fault",
        "app.recovered",
    ];
    assert_eq!(kinds, each_once, "and nothing else");
    let sent = world.ask(&["webhooks", "deliveries", endpoint, "--json"]).success().stdout;
    assert_eq!(sent.matches("\"delivered\"").count(), each_once.len(), "{sent}");
    the_documented_lines_for_node_verify(&receiver, secret);
    world.keep_with_logs("webhooks.txt", &receiver.text());
    world.end();
}

/// The message of this kind, when it has come.
fn the(receiver: &Receiver, secret: &str, kind: &str) -> Value {
    eventually(&format!("to be told of {kind}"), || {
        receiver.messages(secret).into_iter().find(|message| message["type"] == kind)
    })
}

/// Makes the receiver an endpoint: its id and its secret.
fn tell(world: &mut World, receiver: &Receiver) -> (String, String) {
    world.set("EVERGRANT_WEBHOOKS_ALLOW_HTTP", "true");
    world.set("EVERGRANT_WEBHOOKS_ALLOW_NETWORKS", "127.0.0.0/8");
    world.set("EVERGRANT_WEBHOOKS_LOOK_EVERY_MS", "200");
    let made = world.ask_in_private(&["webhooks", "create", &receiver.url, "--json"]).success().json();
    let [endpoint, secret] = ["id", "secret"].map(|name| made[name].as_str().unwrap().to_owned());
    world.keep_secret(&secret);
    (endpoint, secret)
}

/// What docs/WEBHOOKS.md shows takes what came, and refuses it when a letter was altered on the way.
fn the_documented_lines_for_node_verify(receiver: &Receiver, secret: &str) {
    let lines = DOCUMENT.split("```js\n").nth(1).and_then(|rest| rest.split("```").next()).expect("lines for Node");
    let Some(taken) = receiver.in_node(lines, secret, false) else { return };
    assert_eq!(taken.as_ref(), Ok(&receiver.messages(secret)[0]));
    let refused = receiver.in_node(lines, secret, true).unwrap().expect_err("an altered body is refused");
    assert!(refused.contains("WebhookVerificationError"), "{refused}");
}

#[test]
fn a_killed_process_loses_no_message_and_repeats_it_under_the_same_id() {
    killed(Shape::Embedded, "webhooks_killed_embedded");
}

#[test]
fn killed_workers_lose_no_message_and_repeat_it_under_the_same_id() {
    killed(Shape::Cluster, "webhooks_killed_cluster");
}

fn killed(shape: Shape, name: &'static str) {
    let Some(mut world) = World::new(&Plan::new(shape, name)) else { return };
    let receiver = Receiver::start(&world.runtime);
    world.set("EVERGRANT_WEBHOOKS_TIMEOUT_MS", "5000");
    let (endpoint, secret) = tell(&mut world, &receiver);
    world.start();
    let users = world.import(REVOKED + 2);
    world.until_refreshed_again(users.len());

    receiver.be_silent(true);
    users[..HELD].iter().for_each(|user| assert_eq!(world.sim.revoke(user), 1));
    eventually("tries that wait for an answer", || (receiver.taken().len() >= HELD).then_some(()));
    users[HELD..REVOKED].iter().for_each(|user| assert_eq!(world.sim.revoke(user), 1));
    world.processes.iter_mut().filter(|process| delivers(process)).for_each(Process::kill);
    let held = receiver.taken();
    receiver.be_silent(false);
    for at in 0..world.processes.len() {
        if delivers(&world.processes[at]) {
            world.restart(at);
        }
    }

    let answered = || receiver.taken().into_iter().filter(|taken| taken.is_answered).collect::<Vec<_>>();
    let told = eventually("each of them to be told", || {
        let told: BTreeMap<_, _> =
            answered().iter().map(|taken| (taken.id().to_owned(), taken.message(&secret))).collect();
        (told.len() >= REVOKED).then_some(told)
    });
    for before in &held {
        assert_eq!(told.get(before.id()), Some(&before.message(&secret)), "the same message under the same id");
    }
    let about: BTreeSet<_> = told.values().map(|message| message["data"]["user_id"].as_str().unwrap()).collect();
    assert_eq!(about, users[..REVOKED].iter().map(String::as_str).collect(), "each once, and nobody else");
    let sent = world.ask(&["webhooks", "deliveries", &endpoint, "--json"]).success().stdout;
    assert_eq!(sent.matches("\"delivered\"").count(), REVOKED, "{sent}");
    world.end();
}

fn delivers(process: &Process) -> bool {
    ["serve", "worker"].contains(&process.role())
}
