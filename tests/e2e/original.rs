//! The calls of the original project's front end, replayed as it makes them, and its defects, which are not ours.

use std::time::Duration;

use evergrant_sim::{ErrorBody, Fault, FaultKind, Target};
use futures::future::join_all;
use reqwest::Method;
use serde_json::{Value, json};

use crate::support::{Caller, Pace, Plan, Shape, World};

const PASSWORD: &str = "correct-horse-battery-staple";

#[test]
fn the_original_front_end_works_with_one_process() {
    the_front_end_works(Shape::Embedded, "original_embedded");
}

/// Each call goes to another process: nothing is kept in one.
#[test]
fn the_original_front_end_works_with_a_cluster() {
    the_front_end_works(Shape::Cluster, "original_cluster");
}

fn the_front_end_works(shape: Shape, name: &'static str) {
    let Some(mut world) = world(shape, name) else { return };
    let mut addresses = start(&mut world).into_iter().cycle();
    let mut next = move || addresses.next().expect("an address");

    let mut browser = signed_in_with_a_password(&mut world, &next());
    let me = call(&world, &mut browser, Method::GET, "/api/auth/me");
    assert_eq!((&me["email"], &me["is_active"]), (&json!("ops@example.com"), &json!(true)));
    assert!(me["profile_ids"].is_array() && me["marketplace_ids"].is_array() && me["id"].is_string());

    let before = call(&world, &mut browser, Method::GET, "/api/auth/token-status");
    assert_eq!((&before["hasValidToken"], &before["requiresAuthentication"]), (&json!(false), &json!(true)));
    assert!(before["message"].as_str().is_some_and(|text| text.contains("authenticate with Amazon")), "{before}");

    let begun = call(&world, &mut browser, Method::GET, "/api/auth/amazon/login");
    let callback = world.consent(begun["auth_url"].as_str().unwrap(), "amzn1.account.ONE");
    let mut browser = browser.at(&next());
    let landed = world.runtime.block_on(browser.get(&callback));
    assert!(landed.status.is_redirection(), "{}", landed.text);
    assert!(!landed.location().contains("token") && !landed.location().contains("eyJ"), "no token is in a URL");

    let mut browser = browser.at(&next());
    let status = call(&world, &mut browser, Method::GET, "/api/auth/token-status");
    assert_eq!((&status["hasValidToken"], &status["requiresAuthentication"]), (&json!(true), &json!(false)));
    assert_eq!(status["message"], Value::Null);
    let amazon = call(&world, &mut browser, Method::GET, "/api/auth/amazon/status");
    assert_eq!((&amazon["authenticated"], &amazon["auto_refresh_enabled"]), (&json!(true), &json!(true)));
    assert_eq!(amazon["token_info"]["is_expired"], false);
    assert!(amazon["token_info"]["expires_in_seconds"].as_i64().is_some_and(|left| left > 0));
    let service = call(&world, &mut browser, Method::GET, "/api/auth/amazon/refresh-status");
    assert_eq!((&service["service_running"], &service["user_tracked"]), (&json!(true), &json!(true)));
    assert_eq!((&service["refresh_interval_seconds"], &service["refresh_buffer_seconds"]), (&json!(600), &json!(900)));

    let refreshed = call(&world, &mut browser, Method::POST, "/api/auth/amazon/refresh");
    assert_eq!(refreshed["message"], "Token refreshed successfully");
    assert_eq!(refreshed["has_valid_token"], true);
    let session = call(&world, &mut browser, Method::POST, "/api/auth/refresh");
    assert_eq!((&session["token_type"], &session["amazon_token_refreshed"]), (&json!("bearer"), &json!(false)));
    assert_eq!(session["amazon"]["status"], "ok");
    world.keep_secret(session["access_token"].as_str().unwrap());

    let reauth = call(&world, &mut browser, Method::POST, "/api/auth/amazon/reauth");
    assert_eq!(reauth["message"], "Redirect user to Amazon for re-authentication");
    let callback = world.consent(reauth["authUrl"].as_str().unwrap(), "amzn1.account.ONE");
    let landed = world.runtime.block_on(browser.get(&callback));
    assert!(landed.location().contains("/profile?reauth=success"), "{}", landed.location());

    let gone = call(&world, &mut browser, Method::POST, "/api/auth/amazon/disconnect");
    assert_eq!(
        (&gone["success"], &gone["message"]),
        (&json!(true), &json!("Amazon account disconnected successfully"))
    );
    let after = call(&world, &mut browser, Method::GET, "/api/auth/token-status");
    assert_eq!(after["requiresAuthentication"], true);
    let out = call(&world, &mut browser, Method::POST, "/api/auth/logout");
    assert_eq!(out["message"], "Logged out successfully");
    let health = call(&world, &mut browser, Method::GET, "/api/health");
    assert_eq!(health["status"], "healthy");
    world.end();
}

/// Defects 1, 3, 4 and 12 of the original: what a 401, a 403 and an outage do to a connection.
#[test]
fn refusals_and_outages_cost_nobody_their_connection() {
    let Some(mut world) = world(Shape::Embedded, "original_defects") else { return };
    let address = start(&mut world).remove(0);
    world.import(1);
    let row = world.rows().into_values().next().unwrap();
    let key = world.api_key("amc", &["amc:call", "connections:read"], None);
    let service = Caller::new(&address).with_bearer(&key);
    let profiles = format!("/api/amc/{}/v2/profiles", row.id);
    let ask = |world: &World| world.runtime.block_on(service.ask(Method::GET, &profiles, None));

    // A token that Amazon takes no more: one refresh, and nobody notices.
    world.sim.set_faults([once(api_error(401, "Authentication failed"))]);
    ask(&world).expect(200);
    assert_eq!(world.rows()[&row.user].version, row.version + 1);

    // A 401 about permissions, and every 403, change nothing and are handed on as they are.
    for (status, details) in [(401, "Not authorized to access scope 1"), (403, "Unauthorized request.")] {
        world.sim.set_faults([once(api_error(status, details))]);
        let answer = ask(&world).expect(status);
        assert_eq!(answer.json()["details"], details);
        assert_eq!(world.rows()[&row.user].version, row.version + 1);
    }

    // Amazon is away: the connection keeps its tokens, and works again when Amazon does.
    let away = Fault::new(FaultKind::Status { status: 503, body: ErrorBody::Html });
    world.sim.set_faults([away.clone().on(Target::Any)]);
    ask(&world).expect(503);
    let during = &world.rows()[&row.user];
    assert_eq!((during.version, during.state.as_str()), (row.version + 1, "active"));
    world.sim.clear_faults();
    ask(&world).expect(200);

    // The grant has ended: that is 409, and never the 401 of a session.
    world.sim.revoke(&row.user);
    world.ask(&["connections", "refresh", &row.id]);
    let ended = ask(&world).expect(409);
    assert_eq!(
        (ended.problem().as_str(), &ended.json()["reason"]),
        ("provider-reauth-required", &json!("grant_invalid"))
    );
    world.end();
}

/// Defect 9 of the original: its limits limited none of 120 requests.
#[test]
fn a_hundred_and_twenty_sign_ins_in_a_row_are_too_many() {
    let Some(mut world) = world(Shape::Embedded, "original_limits") else { return };
    let address = start(&mut world).remove(0);
    let stranger = Caller::new(&address);
    let guess = json!({ "email": "ops@example.com", "password": "a-wrong-password" });
    let tries = (0..120).map(|_| stranger.ask(Method::POST, "/api/auth/login", Some(&guess)));
    let replies = world.runtime.block_on(join_all(tries));
    let limited: Vec<_> = replies.iter().filter(|reply| reply.status == 429).collect();
    assert!(limited.len() >= 40, "{} of 120 were limited", limited.len());
    assert!(limited.iter().all(|reply| reply.problem() == "rate-limited" && reply.headers.contains_key("retry-after")));
    assert!(replies.iter().all(|reply| matches!(reply.status.as_u16(), 401 | 429)));
    world.end();
}

fn world(shape: Shape, name: &'static str) -> Option<World> {
    let plan = Plan { token_lifetime: Duration::from_hours(2), ..Plan::new(shape, name) };
    World::new(&plan)
}

/// Starts everything: where the API answers; in a cluster, at two places.
fn start(world: &mut World) -> Vec<String> {
    // Set, since each of two processes would take its own address for the one that browsers know.
    world.set("EVERGRANT_API_PUBLIC_URL", "https://evergrant.example");
    world.start();
    if world.shape == Shape::Embedded {
        return world.addresses("serve");
    }
    let second = world.spawn("api-6", "api");
    world.processes[second].until_ready();
    world.addresses("api")
}

/// As the original does it: everything in the query, the token out of the body.
fn signed_in_with_a_password(world: &mut World, address: &str) -> Caller {
    world.keep_secret(PASSWORD);
    world.ask_with_input(&["users", "add", "ops@example.com", "--password"], PASSWORD).success();
    let mut browser = Caller::new(address);
    let path = format!("/api/auth/login?email=OPS@example.com&password={PASSWORD}");
    let answer = world.runtime.block_on(browser.post(&path, None)).expect(200).json();
    assert_eq!((&answer["token_type"], &answer["user"]["email"]), (&json!("bearer"), &json!("ops@example.com")));
    assert!(answer["user"]["id"].is_string() && answer["user"]["name"].is_string());
    let session = browser.cookie("__Host-evergrant-session").expect("a session cookie").to_owned();
    world.keep_secret(&session);
    let token = answer["access_token"].as_str().expect("an access token");
    browser.with_bearer(token)
}

/// A call that must succeed.
#[track_caller]
fn call(world: &World, browser: &mut Caller, method: Method, path: &str) -> Value {
    let reply = world.runtime.block_on(browser.ask(method, path, None));
    browser.keep_cookies(&reply);
    reply.expect(200).json()
}

fn api_error(status: u16, details: &str) -> Fault {
    Fault::new(FaultKind::ApiError { status, details: details.to_owned() }).on(Target::Api)
}

fn once(fault: Fault) -> Fault {
    fault.times(1)
}

/// Defect 7 of the original: one slow call of the token endpoint stalled everything else in the process.
#[test]
fn a_slow_amazon_holds_up_nobody_else() {
    let plan = Plan {
        token_lifetime: Duration::from_hours(2),
        latency: Duration::from_secs(2),
        pace: Pace::Calm,
        ..Plan::new(Shape::Embedded, "original_slow")
    };
    let Some(mut world) = World::new(&plan) else { return };
    let address = start(&mut world).remove(0);
    let browser = signed_in_with_a_password(&mut world, &address);
    world.import(1);
    let row = world.rows().into_values().next().unwrap();
    let service = Caller::new(&address).with_bearer(&world.api_key("reports", &["tokens:refresh"], None));
    let refused = json!({ "observed_version": row.version });
    let force = format!("/api/connections/{}/force-refresh", row.id);
    let slow = world.runtime.spawn(async move { service.ask(Method::POST, &force, Some(&refused)).await });
    for _ in 0..20 {
        world.runtime.block_on(browser.ask(Method::GET, "/api/auth/me", None)).expect(200);
    }
    assert!(!slow.is_finished(), "twenty requests took as long as the slow one");
    world.runtime.block_on(slow).unwrap().expect(200);
    world.end();
}
