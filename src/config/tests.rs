//! What is loaded, what wins, what is refused and how it is said.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use evergrant_contract::secret::Secret;
use evergrant_contract::verdict::Confirmation;
use evergrant_provider::Registry;

use super::{Config, ConfigError, Flag, Loaded, Mode, Sources};

/// A value that must not show up anywhere.
const HUSH: &str = "hush-hush-0123456789";

fn sources(env: &[(&str, &str)]) -> Sources {
    let env = env.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    Sources { env, ..Sources::default() }
}

fn load(env: &[(&str, &str)]) -> Config {
    sources(env).load().map_or_else(|error| panic!("{error}"), |loaded| loaded.config)
}

fn with_file(text: &str, env: &[(&str, &str)]) -> Result<Loaded, ConfigError> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("evergrant.toml");
    std::fs::write(&path, text).unwrap();
    Sources { file: Some(path), ..sources(env) }.load()
}

/// The message, with the throw-away folder taken out.
fn complaint(text: &str, env: &[(&str, &str)]) -> String {
    let message = with_file(text, env).err().expect("refused").to_string();
    assert!(!message.contains(HUSH), "{message}");
    match (message.find('/'), message.find("evergrant.toml")) {
        (Some(start), Some(end)) if start < end => format!("{}{}", &message[..start], &message[end..]),
        _ => message,
    }
}

fn problems(config: &Config) -> String {
    let problems = config.check().err().unwrap_or_default();
    problems.iter().flat_map(|problem| [problem.to_string(), "\n".to_owned()]).collect()
}

#[test]
fn the_defaults_as_loaded() {
    insta::assert_json_snapshot!(load(&[]));
}

#[test]
fn the_defaults_are_safe() {
    assert_eq!(problems(&load(&[])), "");
}

#[test]
fn the_names_of_the_original_project_work_as_they_are() {
    let config = load(&[
        ("FERNET_KEY", "k"),
        ("AMAZON_CLIENT_ID", "id"),
        ("AMAZON_CLIENT_SECRET", "s"),
        ("AMAZON_TOKEN_URL", "http://127.0.0.1:9/token"),
        ("AMAZON_AUTHORIZE_URL", "http://127.0.0.1:9/authorize"),
        ("AMAZON_API_URL", "http://127.0.0.1:9"),
        ("AMAZON_IDENTITY_URL", "http://127.0.0.1:9"),
        ("AMAZON_SCOPE", "profile"),
        ("AMAZON_OAUTH_REDIRECT_URI", "http://127.0.0.1:8001/api/auth/amazon/callback"),
        ("JWT_SECRET_KEY", "j"),
        ("FRONTEND_URL", "http://localhost:3000"),
        ("ALLOWED_ORIGINS", "http://localhost:3000"),
        ("DATABASE_URL", "postgres://localhost/x"),
        ("AMQP_URL", "amqp://localhost"),
        ("REFRESH_INTERVAL", "61"),
        ("REFRESH_BUFFER", "62"),
        ("MAX_RETRIES", "3"),
    ]);
    assert!(config.keys.fernet_key.is_some() && config.database.url.is_some() && config.broker.url.is_some());
    assert_eq!(config.scheduler.refresh_interval, Duration::from_secs(61));
    assert_eq!(config.scheduler.refresh_buffer, Duration::from_secs(62));
    assert_eq!(config.force.max_retries, 3);
    assert!(config.auth.secret.is_some() && config.auth.redirect_uri.is_some() && config.api.frontend_url.is_some());
    assert_eq!(config.api.allowed_origins, ["http://localhost:3000"]);
    assert_eq!(config.providers.len(), 3);
    for app in config.providers.values() {
        assert_eq!(app.client_id.as_deref(), Some("id"));
        assert_eq!(app.client_secret.as_ref().map(Secret::expose), Some("s"));
        assert_eq!(app.urls().count(), 4);
        assert_eq!(app.scope.as_deref(), Some("profile"));
    }
}

#[test]
fn later_layers_win() {
    let file = "listen = \"127.0.0.1:1\"\n[worker]\nlease_ms = 1\ntries = 1\nmax_attempts = 1\n";
    let env = [("EVERGRANT_WORKER_TRIES", "2"), ("EVERGRANT_WORKER_MAX_ATTEMPTS", "2"), ("EVERGRANT_LISTEN", "")];
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("own.toml");
    std::fs::write(&path, file).unwrap();
    let flag = Flag { flag: "--max", key: "worker.max_attempts", value: "3".to_owned() };
    let config = Sources { file: Some(path), flags: vec![flag], ..sources(&env) }.load().unwrap().config;
    let worker = &config.worker;
    assert_eq!((worker.lease.as_millis(), worker.tries, worker.max_attempts), (1, 2, 3));
    assert_eq!(
        worker.concurrency_due,
        load(&[]).worker.concurrency_due,
        "a section in the file keeps its other defaults"
    );
    assert_eq!(config.listen.port(), 1, "an empty variable is not set");
}

#[test]
fn an_own_name_wins_over_one_of_the_original() {
    let config = load(&[
        ("AMAZON_CLIENT_ID", "all"),
        ("EVERGRANT_PROVIDERS_AMAZON_EU_CLIENT_ID", "eu"),
        ("REFRESH_BUFFER", "1"),
        ("EVERGRANT_SCHEDULER_REFRESH_BUFFER", "2"),
    ]);
    let ids: BTreeMap<_, _> =
        config.providers.iter().map(|(name, app)| (name.as_str(), app.client_id.as_deref())).collect();
    assert_eq!(
        ids,
        BTreeMap::from([("amazon-eu", Some("eu")), ("amazon-fe", Some("all")), ("amazon-na", Some("all"))])
    );
    assert_eq!(config.scheduler.refresh_buffer.as_secs(), 2);
}

#[test]
fn an_app_of_the_users_own_can_be_set_by_the_environment_alone() {
    let config = load(&[
        ("EVERGRANT_PROVIDERS_MY_APP_CLIENT_ID", "12345"),
        ("EVERGRANT_PROVIDERS_MY_APP_CLIENT_SECRET_NEXT", "678"),
        ("EVERGRANT_PROVIDERS_MY_APP_REQUESTS_PER_SECOND", "7"),
    ]);
    let app = &config.providers[&"my-app".parse().unwrap()];
    assert_eq!((app.client_id.as_deref(), app.requests_per_second), (Some("12345"), 7), "digits stay a text");
    assert_eq!(app.client_secret_next.as_ref().map(Secret::expose), Some("678"));
}

#[test]
fn a_misspelt_variable_is_told_and_others_are_left_alone() {
    let env = [
        ("EVERGRANT_WORKER_LEESE_MS", HUSH),
        ("EVERGRANT_PORT_8080_TCP", "tcp://10.0.0.1:8080"),
        ("EVERGRANT_CONFIG", "x"),
        ("EVERGRANT_TEST_DATABASE_URL", "x"),
        ("PATH", "/bin"),
    ];
    insta::assert_snapshot!(sources(&env).load().unwrap().notes.join("\n"));
}

#[test]
fn messages_say_where_and_which_key() {
    let cases = [
        ("[worker]\nleese_ms = 1", vec![]),
        ("lease_ms = 1", vec![]),
        ("[wroker]\ntries = 1", vec![]),
        ("[providers.my-app]\nclientid = \"x\"", vec![]),
        ("[providers.\"My App\"]\nclient_id = \"x\"", vec![]),
        ("[log]\nzzz = 1", vec![]),
        ("[worker]\ntries = \"two\"", vec![]),
        ("[worker]\ntries = -1", vec![]),
        ("[worker]\nlease_ms = 99999999999999", vec![]),
        ("mode = \"clustre\"", vec![]),
        ("listen = \"8080\"", vec![]),
        ("", vec![("EVERGRANT_WORKER_TRIES", "two")]),
        ("", vec![("EVERGRANT_PROVIDERS_AMAZON_NA_ALLOW_PLAIN_HTTP", "yes")]),
        ("", vec![("AMAZON_TOKEN_URL", "ftp://example.com")]),
        ("worker = 1", vec![]),
        ("[keys]\nfernet_key = [\"hush-hush-0123456789\"]", vec![]),
        ("[keys]\n\nfernet_key = hush-hush-0123456789", vec![]),
        ("[keys]\nfernet_key = \"hush-hush-0123456789", vec![]),
        ("[providers.amazon-na]\nclient_secret = 1", vec![]),
    ];
    let told: Vec<_> = cases.iter().map(|(text, env)| complaint(text, env)).collect();
    insta::assert_snapshot!(told.join("\n"));
}

#[test]
fn a_named_file_must_be_there() {
    let missing = Sources { file: Some(PathBuf::from("no/such/file.toml")), ..Sources::default() };
    insta::assert_snapshot!(missing.load().err().unwrap());
}

#[test]
fn a_cluster_names_all_that_it_lacks_at_once() {
    let config = load(&[("EVERGRANT_MODE", "cluster")]);
    assert_eq!(config.mode, Mode::Cluster);
    insta::assert_snapshot!(problems(&config));
}

#[test]
fn an_embedded_process_does_not_ignore_a_cluster() {
    let config = load(&[("DATABASE_URL", "postgres://localhost/x"), ("AMQP_URL", "amqp://localhost")]);
    assert!(problems(&config).starts_with("mode: "));
    assert_eq!(problems(&load(&[("DATABASE_URL", "postgres://localhost/x")])), "", "a stray DATABASE_URL is common");
}

#[test]
fn dangerous_combinations_are_refused_with_reason_and_remedy() {
    let cases: &[&[(&str, &str)]] = &[
        &[("EVERGRANT_WORKER_LEASE_MS", "41000")],
        &[("REFRESH_BUFFER", "0")],
        &[("REFRESH_BUFFER", "3")],
        &[("EVERGRANT_SCHEDULER_REPUBLISH_AFTER_SECS", "44")],
        &[("EVERGRANT_SCHEDULER_LEAD_TTL_SECS", "1")],
        &[("EVERGRANT_WORKER_CONNECT_TIMEOUT_MS", "10001")],
        &[("EVERGRANT_WORKER_BACK_OFF_FIRST_SECS", "1801")],
        &[("EVERGRANT_SHUTDOWN_DEADLINE_SECS", "14")],
        &[("AMAZON_CLIENT_ID", "id")],
        &[("EVERGRANT_PROVIDERS_MY_APP_CLIENT_SECRET", HUSH)],
        &[("AMAZON_CLIENT_SECRET_NEXT", HUSH)],
        &[("AMAZON_TOKEN_URL", "http://amazon.example/token")],
        &[("FERNET_KEY", HUSH), ("FERNET_KEY_FILE", "/run/secrets/key")],
        &[("DATABASE_URL", HUSH)],
        &[("AMQP_URL", "http://hush-hush-0123456789@localhost")],
        &[("EVERGRANT_BROKER_NAMESPACE", "two words")],
        &[("EVERGRANT_WORKER_CONCURRENCY_DUE", "0"), ("EVERGRANT_WORKER_CONCURRENCY_FORCE", "0")],
        &[("EVERGRANT_API_REQUEST_TIMEOUT_MS", "10000")],
        &[("EVERGRANT_API_IN_FLIGHT_MAX", "10000")],
        &[("ALLOWED_ORIGINS", "https://good.example, https://good.example/path, *")],
        &[("EVERGRANT_API_PUBLIC_URL", "http://ads.example.com")],
        &[("JWT_SECRET_KEY", HUSH), ("JWT_SECRET_KEY_FILE", "/run/secrets/session")],
        &[("EVERGRANT_AUTH_SESSION_MAX_SECS", "604799")],
        &[("EVERGRANT_AUTH_ROTATION_GRACE_SECS", "900")],
        &[("EVERGRANT_AUTH_ACCESS_TOKEN_SECS", "3601")],
        &[("EVERGRANT_AUTH_SIGN_IN_PROVIDER", "elsewhere")],
    ];
    let told: Vec<_> = cases.iter().map(|env| problems(&load(env))).collect();
    assert!(told.iter().all(|told| !told.is_empty() && !told.contains(HUSH)), "{told:#?}");
    insta::assert_snapshot!(told.join("\n"));
}

#[test]
fn what_stands_just_inside_the_limits_is_accepted() {
    let cases: &[&[(&str, &str)]] = &[
        &[("EVERGRANT_WORKER_LEASE_MS", "41001")],
        &[("EVERGRANT_SCHEDULER_REPUBLISH_AFTER_SECS", "45")],
        &[("EVERGRANT_SHUTDOWN_DEADLINE_SECS", "15")],
        &[("ALLOWED_ORIGINS", "https://good.example,http://localhost:5173")],
        &[("EVERGRANT_API_PUBLIC_URL", "http://localhost:8001"), ("FRONTEND_URL", "http://localhost:5173")],
        &[("AMAZON_TOKEN_URL", "http://localhost:9/token"), ("AMAZON_API_URL", "http://[::1]:9")],
        &[
            ("EVERGRANT_PROVIDERS_AMAZON_NA_TOKEN_URL", "http://sim:9"),
            ("EVERGRANT_PROVIDERS_AMAZON_NA_ALLOW_PLAIN_HTTP", "true"),
        ],
    ];
    for env in cases {
        assert_eq!(problems(&load(env)), "");
    }
}

#[test]
fn every_setting_that_must_not_be_zero_is_refused_at_zero() {
    let shown = serde_json::to_value(load(&[])).unwrap();
    let may_be_zero = [
        "admit_patience_ms",
        "takeover_grace_ms",
        "commit_budget_ms",
        "max_retries",
        "cool_down_ms",
        "fresh_secs",
        "trusted_proxies",
        "amc_throttle_budget_ms",
        "rotation_grace_secs",
        "rest_after_days",
    ];
    for section in ["database", "broker", "scheduler", "worker", "retention", "usage", "force", "api", "auth"] {
        for (key, default) in shown[section].as_object().unwrap() {
            if default.is_number() && !may_be_zero.contains(&key.as_str()) {
                let variable = format!("EVERGRANT_{section}_{key}").to_uppercase();
                let told = problems(&load(&[(&variable, "0")]));
                assert!(!told.is_empty(), "{section}.{key} = 0 is accepted");
            }
        }
    }
}

#[test]
fn shown_secrets_are_hidden() {
    let config = load(&[
        ("FERNET_KEY", HUSH),
        ("AMAZON_CLIENT_SECRET", HUSH),
        ("DATABASE_URL", HUSH),
        ("AMQP_URL", HUSH),
        ("JWT_SECRET_KEY", HUSH),
    ]);
    let shown = serde_json::to_string(&config).unwrap();
    assert!(!shown.contains(HUSH));
    assert_eq!(shown.matches("<set>").count(), 7, "three apps, the key, two URLs, the sessions' secret");
}

/// Workers check each descriptor's policy too, the user's own among them; here the two must not disagree.
#[test]
fn the_lease_is_checked_as_the_workers_check_it() {
    let pause = super::check::CONFIRMATION_PAUSE;
    let limit = load(&[]).lease_needed(pause).as_millis();
    for (lease_ms, is_enough) in [(limit, false), (limit + 1, true)] {
        let config = load(&[("EVERGRANT_WORKER_LEASE_MS", &lease_ms.to_string())]);
        assert_eq!(config.check().is_ok(), is_enough);
        for descriptor in Registry::load(None).unwrap().iter() {
            let policy = descriptor.policy(config.worker.call_timeout);
            let checked = crate::settings::worker(&config).check(&policy);
            match policy.confirmation {
                Confirmation::InJob { after_ms } if u128::from(after_ms) == pause.as_millis() => {
                    assert_eq!(checked.is_ok(), is_enough, "{}", policy.name);
                }
                _ => assert!(checked.is_ok() || !is_enough, "{} needs less than is assumed", policy.name),
            }
        }
    }
}
