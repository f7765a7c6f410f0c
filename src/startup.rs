//! What every command begins with, and how the program says why it ended.

use std::fmt;
use std::io::Write;
use std::process::ExitCode;

use evergrant_traces::Traces;

use crate::cli::Cli;
use crate::config::{Config, Loaded, Problem};
use crate::exit::{Exit, Failed, story};
use crate::{output, telemetry};

/// The configuration can be read and must not be run with.
#[derive(Debug)]
pub struct Refused(pub Vec<Problem>);

impl std::error::Error for Refused {}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the configuration is refused:")?;
        self.0.iter().try_for_each(|problem| write!(f, "\n  {problem}"))
    }
}

/// Reads the configuration of a command and starts logging. It is not checked yet: some commands work without.
pub fn begin(cli: &Cli) -> Result<Config, Failed> {
    let loaded = cli.sources().load().map_err(|error| Failed::new(Exit::Config, error))?;
    telemetry::log_to_stderr(&loaded.config.log).map_err(|error| Failed::new(Exit::Config, error))?;
    Ok(introduced(loaded))
}

/// What a process with a role begins with: the same, checked, and traces if there is a collector. Within a runtime.
pub fn begin_serving(cli: &Cli, role: &'static str) -> Result<(Config, Option<Traces>), Failed> {
    let loaded = cli.sources().load().map_err(|error| Failed::new(Exit::Config, error))?;
    let checked = loaded.config.check();
    let Config { log, telemetry, .. } = &loaded.config;
    // What is refused may be the collector's.
    let telemetry = checked.is_ok().then_some(telemetry);
    let traces = telemetry::log_and_trace(log, telemetry, role).map_err(|error| Failed::new(Exit::Config, error))?;
    let config = introduced(loaded);
    checked.map_err(|problems| Failed::new(Exit::Config, Refused(problems)))?;
    Ok((config, traces))
}

/// Tells what there is to tell of how a configuration came about.
fn introduced(loaded: Loaded) -> Config {
    if let Some(file) = &loaded.file {
        tracing::debug!(file = %file.display(), "Configuration file read");
    }
    for note in loaded.notes {
        tracing::warn!("{note}");
    }
    loaded.config
}

/// Like [`begin`], but nothing is logged unless a level is asked for: the command prints a view of its own.
pub fn begin_quietly(cli: &Cli) -> Result<Config, Failed> {
    if cli.global.log_level.is_some() {
        return begin(cli);
    }
    Ok(cli.sources().load().map_err(|error| Failed::new(Exit::Config, error))?.config)
}

/// Reads and checks the configuration and starts logging: what everything that runs begins with.
pub fn begin_checked(cli: &Cli) -> Result<Config, Failed> {
    let config = begin(cli)?;
    config.check().map_err(|problems| Failed::new(Exit::Config, Refused(problems)))?;
    Ok(config)
}

/// Says why the program ended, if it failed, and with which code it ends.
pub fn end(result: Result<(), Failed>) -> ExitCode {
    match result {
        Ok(()) => Exit::Ok.into(),
        Err(failed) if output::is_broken_pipe(&failed.error) => Exit::Ok.into(),
        Err(failed) => {
            // Nothing is left to be done about a standard error that cannot be written.
            let _ = writeln!(std::io::stderr(), "evergrant: {}", story(&failed.error));
            failed.exit.into()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_problem_is_told_on_a_line_of_its_own() {
        let config = Config::defaults().map(|config| Config { mode: crate::config::Mode::Cluster, ..config }).unwrap();
        let refused = Refused(config.check().unwrap_err());
        assert_eq!(refused.to_string().lines().count(), 4);
    }

    #[test]
    fn a_reader_that_leaves_ends_the_program_well() {
        let pipe = std::io::Error::from(std::io::ErrorKind::BrokenPipe);
        assert_eq!(end(Err(pipe.into())), ExitCode::SUCCESS);
        assert_eq!(end(Err(Failed::new(Exit::NotFound, anyhow::anyhow!("no such connection")))), ExitCode::from(5));
    }
}
