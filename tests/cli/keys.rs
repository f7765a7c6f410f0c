//! Keys, migrations, the doctor, and configurations that are refused.

use evergrant_vault::Keyring;

use super::desk::{Desk, assert_shows, scenes};

#[test]
fn a_generated_key_is_one_and_each_is_new() {
    let desk = Desk::new();
    let text = desk.run_unwatched(&["keys", "generate"], "").ended(0).out;
    let json = desk.run_unwatched(&["keys", "generate", "--json"], "").ended(0).json();
    let (first, second) = (text.trim(), json["fernet_key"].as_str().unwrap());
    assert_ne!(first, second);
    for key in [first, second] {
        assert!(Keyring::parse(&evergrant_contract::secret::Secret::new(key)).is_ok());
    }
    assert!(!desk.path().join("evergrant-data").exists(), "making a key needs no store");
}

#[test]
fn the_first_start_makes_a_key_and_says_so_once() {
    let desk = Desk::new().without("FERNET_KEY");
    let first = desk.run(&["migrate"]).ended(0);
    assert!(
        first.err.contains("a key was generated") && first.err.contains("evergrant-data/fernet.key"),
        "{}",
        first.err
    );
    assert_eq!(desk.run(&["migrate"]).ended(0).err, "");
    std::fs::remove_file(desk.path().join("evergrant-data/fernet.key")).unwrap();
    let lost = desk.run(&["connections", "list"]).ended(3);
    assert!(lost.err.contains("Put the key file back"), "{}", lost.err);
}

#[test]
fn keys_are_listed_by_their_fingerprints() {
    let desk = Desk::new();
    desk.run_with_input(&["connections", "import", "-"], r#"{"user_id": "1", "refresh_token": "Atzr|x"}"#).ended(0);
    let listed = ("evergrant keys list", desk.run(&["keys", "list"]).ended(0));
    let changed = Desk { env: desk.env.clone(), folder: desk.folder }.with("FERNET_KEY", OTHER_KEY);
    let missing = ("FERNET_KEY=another evergrant keys list", changed.run(&["keys", "list"]).ended(0));
    let json = ("FERNET_KEY=another evergrant keys list --json", changed.run(&["keys", "list", "--json"]).ended(0));
    let doctor = ("FERNET_KEY=another evergrant doctor", changed.run(&["doctor"]).ended(1));
    assert_shows("keys", &scenes([listed, missing, json, doctor]));
}

const OTHER_KEY: &str = "ZmVkY2JhOTg3NjU0MzIxMGZlZGNiYTk4NzY1NDMyMTA=";

#[test]
fn the_doctor_leaves_nothing_behind_where_nothing_is() {
    let desk = Desk::new().without("FERNET_KEY");
    let said = desk.run(&["doctor"]).ended(0);
    assert_shows("doctor_before_the_first_start", &said.everything());
    assert!(!desk.path().join("evergrant-data").exists());
}

#[tokio::test(flavor = "multi_thread")]
async fn the_doctor_says_what_is_well_and_what_to_do() {
    let (desk, sim) = Desk::at_a_simulated_amazon().await;
    desk.connect(&sim, "ada");
    let well = ("evergrant doctor", desk.run(&["doctor"]).ended(0));
    let json = desk.run(&["doctor", "--json"]).ended(0);
    assert!(json.json()["checks"].as_array().unwrap().iter().all(|check| check["grade"] == "ok"), "{}", json.out);
    sim.stop().await;
    let down = ("evergrant doctor # nobody at the token endpoint", desk.run(&["doctor"]).ended(1));
    let wrong = desk.with("AMAZON_CLIENT_SECRET", "").with("EVERGRANT_WORKER_TRIES", "0");
    let refused = ("AMAZON_CLIENT_SECRET= EVERGRANT_WORKER_TRIES=0 evergrant doctor", wrong.run(&["doctor"]).ended(1));
    let refused_json = ("... --json", wrong.run(&["doctor", "--json"]).ended(1));
    assert_shows("doctor", &scenes([well, down, refused, refused_json]));
}

#[test]
fn migrating_can_be_repeated() {
    let desk = Desk::new();
    let first = ("evergrant migrate", desk.run(&["migrate"]).ended(0));
    let second = ("evergrant migrate --json", desk.run(&["migrate", "--json"]).ended(0));
    assert_shows("migrate", &scenes([first, second]));
}

/// How it is shown, what is set, and the arguments.
type Case<'a> = (&'a str, &'a [(&'a str, &'a str)], &'a [&'a str]);

#[test]
fn what_cannot_be_run_with_is_refused_before_anything_happens() {
    let cases: [Case; 5] = [
        ("evergrant scheduler", &[], &["scheduler"]),
        ("FERNET_KEY=x evergrant migrate", &[("FERNET_KEY", "x")], &["migrate"]),
        ("EVERGRANT_MODE=cluster evergrant worker", &[("EVERGRANT_MODE", "cluster")], &["worker"]),
        ("evergrant --config nowhere.toml doctor", &[], &["--config", "nowhere.toml", "doctor"]),
        (
            "AMAZON_TOKEN_URL=http://amazon.example/ ... evergrant serve",
            &[("AMAZON_TOKEN_URL", "http://amazon.example/"), ("AMAZON_CLIENT_ID", "a"), ("AMAZON_CLIENT_SECRET", "b")],
            &["serve"],
        ),
    ];
    let shown = cases.map(|(what, env, args)| {
        let desk = env.iter().fold(Desk::new(), |desk, (name, value)| desk.with(name, value));
        let said = desk.run(args).ended(3);
        assert!(!desk.path().join("evergrant-data").exists(), "{what} left something behind");
        (what, said)
    });
    assert_shows("refused", &scenes(shown));
}

#[test]
fn a_wrong_command_line_ends_with_2_and_a_store_that_is_away_with_4() {
    let desk = Desk::new();
    for args in [&["sevre"][..], &["connections", "show", "not-an-id"], &["connections", "list", "--limit", "0"]] {
        desk.run(args).ended(2);
    }
    // Port 1 is reserved and listened on by nobody.
    let away = desk
        .with("EVERGRANT_MODE", "cluster")
        .with("DATABASE_URL", "postgres://evergrant:hidden-password@127.0.0.1:1/evergrant")
        .with("AMQP_URL", "amqp://evergrant:hidden-password@127.0.0.1:1")
        .with("JWT_SECRET_KEY", "a-session-secret-of-more-than-32-characters");
    for args in [&["connections", "list"][..], &["migrate"], &["serve"]] {
        let said = away.run(args).ended(4);
        assert!(said.err.contains("127.0.0.1:1") && !said.err.contains("hidden-password"), "{}", said.err);
    }
}
