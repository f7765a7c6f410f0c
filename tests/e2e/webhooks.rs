//! Receivers are told what changed, once, signed, and of nothing else.

use std::time::Duration;

use serde_json::Value;

use crate::support::wait::eventually;
use crate::support::{Plan, Receiver, Shape, World};

const CONNECTIONS: usize = 6;

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
    world.set("EVERGRANT_WEBHOOKS_ALLOW_HTTP", "true");
    world.set("EVERGRANT_WEBHOOKS_ALLOW_NETWORKS", "127.0.0.0/8");
    world.set("EVERGRANT_WEBHOOKS_LOOK_EVERY_MS", "200");
    world.start();
    let made = world.ask_in_private(&["webhooks", "create", &receiver.url, "--json"]).success().json();
    let (endpoint, secret) = (made["id"].as_str().unwrap(), made["secret"].as_str().unwrap());
    world.keep_secret(secret);
    world.import(CONNECTIONS);
    world.until_refreshed_again(CONNECTIONS);
    assert_eq!(receiver.messages(secret), [] as [Value; 0], "a refresh that succeeds is no news");

    let (user, row) = world.rows().into_iter().next().unwrap();
    assert_eq!(world.sim.revoke(&user), 1);
    let ended = the(&receiver, secret, "connection.needs_reauth");
    assert_eq!(ended["data"]["connection_id"], row.id.as_str(), "{ended}");
    assert_eq!(ended["data"]["user_id"], user.as_str(), "{ended}");

    let right = world.env["AMAZON_CLIENT_SECRET"].clone();
    world.sim.set_client_secrets(["another-one".to_owned()]);
    the(&receiver, secret, "app.fault");
    world.sim.set_client_secrets([right]);
    the(&receiver, secret, "app.recovered");
    world.until_refreshed_again(CONNECTIONS - 1);

    let told = receiver.messages(secret);
    let kinds: Vec<_> = told.iter().map(|message| message["type"].as_str().unwrap()).collect();
    assert_eq!(kinds, ["connection.needs_reauth", "app.fault", "app.recovered"], "each once, and nothing else");
    let sent = world.ask(&["webhooks", "deliveries", endpoint, "--json"]).success().stdout;
    assert_eq!(sent.matches("\"delivered\"").count(), 3, "{sent}");
    world.keep_with_logs("webhooks.txt", &receiver.text());
    world.end();
}

/// The message of this kind, when it has come.
fn the(receiver: &Receiver, secret: &str, kind: &str) -> Value {
    eventually(&format!("to be told of {kind}"), || {
        receiver.messages(secret).into_iter().find(|message| message["type"] == kind)
    })
}
