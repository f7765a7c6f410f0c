//! Every help text as it is printed, and what becomes of flags.

use clap::{CommandFactory, Parser};
use evergrant_contract::Timestamp;

use super::{Cli, Command, ConnectionsCommand, Since};

#[test]
fn verify_cli() {
    Cli::command().debug_assert();
}

/// The help of a command and of all below it, one snapshot each.
fn snapshot(command: &mut clap::Command, path: &str) {
    let help = command.render_long_help().to_string();
    assert!(help.lines().all(|line| line.chars().count() <= 140), "{path} has a line that no terminal shows whole");
    insta::assert_snapshot!(path, help);
    for below in command.get_subcommands_mut() {
        let path = format!("{path}_{}", below.get_name());
        snapshot(below, &path);
    }
}

#[test]
fn every_help_text() {
    let mut command = Cli::command().term_width(100);
    command.build();
    snapshot(&mut command, "help");
}

#[test]
fn every_exit_code_is_documented() {
    use crate::exit::Exit::{Config, Failure, NotFound, Ok, Unreachable, Usage};
    for exit in [Ok, Failure, Usage, Config, Unreachable, NotFound] {
        assert!(super::EPILOGUE.contains(&format!("\n  {}  ", exit as u8)), "{exit:?}");
    }
}

/// Commands in the running text and in the blocks of a page, without comments.
fn commands(page: &str) -> Vec<String> {
    let spans = page.split('`').skip(1).step_by(2);
    let lines = page.lines().map(|line| line.split(" #").next().unwrap_or_default());
    let all = spans.chain(lines).filter(|text| text.starts_with("evergrant "));
    all.map(|text| {
        text.trim().replace("HOST:PORT", "127.0.0.1:1").replace("ID", "018f0000-0000-7000-8000-000000000001")
    })
    .collect()
}

#[test]
fn every_command_in_the_docs_exists() {
    let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut seen = 0;
    for page in [
        "README.md",
        "deploy/prometheus/alerts.yml",
        "docs/API.md",
        "docs/DEPLOY.md",
        "docs/OPERATIONS.md",
        "docs/SECURITY.md",
        "docs/TELEMETRY.md",
        "migrations/README.md",
    ] {
        for command in commands(&std::fs::read_to_string(root.join(page)).unwrap()) {
            let parsed = Cli::try_parse_from(command.split_whitespace());
            assert!(parsed.is_ok(), "{page}: `{command}`: {}", parsed.unwrap_err());
            seen += 1;
        }
    }
    assert!(seen > 20, "the pages are no longer read as they are written");
}

#[test]
fn flags_become_settings() {
    let line = ["evergrant", "serve", "--mode", "cluster", "--log-format", "json", "--log-level", "debug"];
    let cli = Cli::try_parse_from(line.into_iter().chain(["--listen", "[::1]:1", "--data-dir", "/d"])).unwrap();
    let sources = crate::config::Sources { flags: cli.sources().flags, ..Default::default() };
    let config = sources.load().unwrap().config;
    assert_eq!(config.mode, crate::config::Mode::Cluster);
    assert_eq!(config.log.format, crate::config::LogFormat::Json);
    assert_eq!((config.log.level.as_str(), config.listen.port()), ("debug", 1));
    assert_eq!(config.data_dir.to_str(), Some("/d"));
}

#[test]
fn no_secret_is_a_flag() {
    fn all_flags(command: &clap::Command, into: &mut Vec<String>) {
        let with_value = command.get_arguments().filter(|arg| arg.get_action().takes_values());
        into.extend(with_value.filter_map(|arg| arg.get_long().map(str::to_owned)));
        command.get_subcommands().for_each(|below| all_flags(below, into));
    }
    let mut flags = Vec::new();
    all_flags(&Cli::command(), &mut flags);
    assert!(flags.len() > 10);
    for flag in flags {
        assert!(!["key", "secret", "url", "password"].iter().any(|word| flag.contains(word)), "--{flag}");
    }
}

#[test]
fn since_is_a_time_or_how_long_ago() {
    let now: Timestamp = "2026-11-23T12:00:00Z".parse().unwrap();
    let since = |text: &str| text.parse::<Since>().map(|since| since.at(now).to_rfc3339());
    assert_eq!(since("90m").as_deref(), Ok("2026-11-23T10:30:00+00:00"));
    assert_eq!(since("2026-11-01T00:00:00+01:00").as_deref(), Ok("2026-10-31T23:00:00+00:00"));
    assert!(since("yesterday").unwrap_err().contains("10m"));
    let line = ["evergrant", "connections", "stats", "--since", "1h", "--json"];
    let Command::Connections(ConnectionsCommand::Stats(args)) = Cli::try_parse_from(line).unwrap().command else {
        panic!("another command");
    };
    assert!(args.output.json);
}

#[test]
fn help_names_the_defaults_of_the_configuration() {
    let defaults = serde_json::to_value(crate::config::Config::defaults().unwrap()).unwrap();
    let serve = Cli::command().find_subcommand_mut("serve").unwrap().clone();
    let flags = [
        (Cli::command(), "mode", "/mode"),
        (Cli::command(), "log_format", "/log/format"),
        (Cli::command(), "log_level", "/log/level"),
        (Cli::command(), "data_dir", "/data_dir"),
        (serve, "listen", "/listen"),
    ];
    for (command, flag, setting) in flags {
        let argument = command.get_arguments().find(|argument| argument.get_id() == flag).unwrap();
        let default = defaults.pointer(setting).unwrap().as_str().unwrap();
        let help = argument.get_help().unwrap().to_string();
        assert!(help.ends_with(&format!("[default: {default}]")), "{help}");
    }
}
