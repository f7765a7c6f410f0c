//! Keys, migrations, the doctor, and configurations that are refused.

use evergrant_vault::Keyring;

use super::desk::{Desk, KEY, assert_shows, scenes};

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

/// Each step by itself, where nothing runs: what is needed is refused, what is not is taken out of the file.
#[test]
fn a_generated_key_is_rotated_and_the_old_one_retired() {
    let desk = Desk::new();
    // The file holds what tests may know, as if it had been generated.
    let file = desk.path().join("evergrant-data/fernet.key");
    std::fs::create_dir_all(desk.path().join("evergrant-data")).unwrap();
    std::fs::write(&file, format!("{KEY}\n")).unwrap();
    let desk = desk.without("FERNET_KEY");
    desk.run_with_input(&["connections", "import", "-"], r#"{"user_id": "1", "refresh_token": "Atzr|x"}"#).ended(0);
    let old = Keyring::parse(&evergrant_contract::secret::Secret::new(KEY)).unwrap().primary().to_string();

    let rotated = desk.run(&["keys", "rotate", "--json"]).ended(0).json();
    let new = rotated["key"].as_str().unwrap();
    assert_eq!(rotated["outcome"], "rotated");
    let needed = desk.run(&["keys", "retire", &old]).ended(1);
    assert!(needed.err.contains("1 rows are encrypted with it"), "{}", needed.err);
    let first = desk.run(&["keys", "retire", new]).ended(1);
    assert!(first.err.contains("it is the first of this configuration"), "{}", first.err);
    desk.run(&["keys", "retire", "0000000000000000"]).ended(5);

    let again = desk.run(&["keys", "reencrypt", "--json"]).ended(0).json();
    assert_eq!((&again["reencrypted"], &again["undecryptable"]), (&1.into(), &0.into()));
    let again = desk.run(&["keys", "reencrypt", "--json"]).ended(0).json();
    assert_eq!(again["reencrypted"], 0, "there is nothing left to do");
    assert_eq!(desk.run(&["keys", "retire", &old, "--json"]).ended(0).json()["removed"], true);
    let listed = desk.run(&["keys", "list", "--json"]).ended(0).json();
    assert_eq!(listed.as_object().unwrap().keys().collect::<Vec<_>>(), [new]);
    let left = std::fs::read_to_string(&file).unwrap();
    assert!(!left.contains(KEY) && left.trim().split(',').count() == 1);
}

#[test]
fn keys_from_the_environment_are_rotated_by_their_owner() {
    let desk = Desk::new();
    desk.run(&["migrate"]).ended(0);
    let steps = ("evergrant keys rotate", desk.run(&["keys", "rotate"]).ended(0));
    let new = "1111111111111111";
    let absent = ("evergrant keys rotate --to 1111111111111111", desk.run(&["keys", "rotate", "--to", new]).ended(5));
    let both = Desk { env: desk.env.clone(), folder: desk.folder }.with("FERNET_KEY", &format!("{KEY},{OTHER_KEY}"));
    let other = Keyring::parse(&evergrant_contract::secret::Secret::new(OTHER_KEY)).unwrap().primary().to_string();
    let ready =
        ("FERNET_KEY=old,new evergrant keys rotate --to NEW", both.run(&["keys", "rotate", "--to", &other]).ended(0));
    assert!(!ready.1.everything().contains(OTHER_KEY));
    let retired = ("FERNET_KEY=old,new evergrant keys retire NEW", both.run(&["keys", "retire", &other]).ended(0));
    assert_shows("keys_rotate", &scenes([steps, absent, ready, retired]));
}
