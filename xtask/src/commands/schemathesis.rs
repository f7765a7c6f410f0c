//! `cargo xtask schemathesis`: the API of a real process, held to docs/openapi.json by a tool that makes requests up.

mod answers;
mod tool;
mod world;

use std::path::Path;
use std::process::Command;
use std::time::Instant;
use std::{fs, io};

use anyhow::{Context, Result, anyhow};

use self::answers::Answers;
use self::world::World;
use super::leaks;
use crate::services::{self, Need};
use crate::{screen, workspace};

/// What is not asked, and why not.
const LEFT_OUT: [(&str, &str); 1] =
    [("listenToEvents", "its answer never ends; api/src/routes/events/tests.rs listens to it")];

/// What is asked and cannot be done, and why not: what is refused is tested all the same.
const IN_VAIN: [(&str, &str); 14] = {
    const NO_JOB: &str = "a new database has no failed job; api/src/routes/ops has tests with some";
    const NO_WORKER: &str = "ids of processes are not made up; api/src/authorization_tests.rs drains one";
    const NO_RECEIVER: &str =
        "addresses of receivers are not made up; api/src/authorization_tests.rs makes and uses one";
    [
        ("showFailedJob", NO_JOB),
        ("replayFailedJob", NO_JOB),
        ("discardFailedJob", NO_JOB),
        ("drainWorker", NO_WORKER),
        ("resumeWorker", NO_WORKER),
        ("createWebhook", NO_RECEIVER),
        ("showWebhook", NO_RECEIVER),
        ("updateWebhook", NO_RECEIVER),
        ("deleteWebhook", NO_RECEIVER),
        ("testWebhook", NO_RECEIVER),
        ("rotateWebhookSecret", NO_RECEIVER),
        ("listWebhookDeliveries", NO_RECEIVER),
        ("replayWebhook", NO_RECEIVER),
        ("replayMissedWebhooks", NO_RECEIVER),
    ]
};

/// How much.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Requests to make up for each operation, beside those that are derived from its limits
    #[arg(long, value_name = "NUMBER", default_value_t = EXAMPLES)]
    examples: u32,
    /// Which requests are made up; the same in every run with this number
    #[arg(long, value_name = "NUMBER", default_value_t = SEED)]
    seed: u64,
}

const EXAMPLES: u32 = 100;
const SEED: u64 = 3;

impl Default for Args {
    fn default() -> Self {
        Self { examples: EXAMPLES, seed: SEED }
    }
}

/// Starts Evergrant and a simulated Amazon, and tests the one against its description.
pub fn run(args: &Args) -> Result<()> {
    let begin = Instant::now();
    services::install_what_is_missing(&[Need::Python])?;
    let folder = workspace::target().join("schemathesis");
    let tool = tool::install(&folder.join("venv"))?;
    screen::step("building evergrant");
    workspace::run(workspace::cargo().args(["build", "--package", "evergrant"]))?;
    let logs = emptied(&folder.join("logs"))?;
    let world = World::start(&logs)?;
    let description = workspace::root().join("docs/openapi.json");
    screen::step(&format!("holding the API to {}", description.display()));
    let output = logs.join("schemathesis.log");
    let tested = test(&mut tool_command(&tool, args, &world, &description), &world, &output);
    let answers = Answers::read(&world.answers(), &description);
    drop(world);
    screen::say(&fs::read_to_string(&output).with_context(|| format!("cannot read {}", output.display()))?);
    let answers = answers?;
    screen::say(&answers.table());
    for (operation, why) in LEFT_OUT {
        screen::say(&format!("not asked: {operation}: {why}"));
    }
    for (operation, why) in IN_VAIN {
        screen::say(&format!("never done: {operation}: {why}"));
    }
    screen::say(&format!("all output is in {}; {} s", logs.display(), begin.elapsed().as_secs()));
    let never_done: Vec<_> = LEFT_OUT.iter().chain(&IN_VAIN).map(|(operation, _)| *operation).collect();
    all_of([tested, answers.verdict(&never_done), leaks::refuse(&logs)])
}

fn tool_command(tool: &Path, args: &Args, world: &World, description: &Path) -> Command {
    let mut command = Command::new(tool);
    command.arg("--config-file").arg(source("schemathesis.toml")).arg("run").arg(description);
    command.args(["--url", &world.url(), "--max-examples", &args.examples.to_string()]);
    command.args(["--seed", &args.seed.to_string()]);
    command.args(LEFT_OUT.iter().flat_map(|(operation, _)| ["--exclude-operation-id", operation]));
    command.env("SCHEMATHESIS_HOOKS", source("callers.py")).env("PYTHONDONTWRITEBYTECODE", "1");
    command
}

/// Runs it; whatever it prints goes into the file.
fn test(command: &mut Command, world: &World, output: &Path) -> Result<()> {
    let file = fs::File::create(output).with_context(|| format!("cannot write {}", output.display()))?;
    world.tell(command).stdout(file.try_clone()?).stderr(file);
    let status = command.status().context("cannot start schemathesis")?;
    if status.success() { Ok(()) } else { Err(anyhow!("schemathesis ended with {status}: see above what it found")) }
}

/// One error that tells all of them.
fn all_of<const N: usize>(results: [Result<()>; N]) -> Result<()> {
    let wrong: Vec<_> = results.into_iter().filter_map(Result::err).map(|error| format!("{error:#}")).collect();
    if wrong.is_empty() { Ok(()) } else { Err(anyhow!(wrong.join("\n"))) }
}

/// A file beside this one.
fn source(name: &str) -> std::path::PathBuf {
    workspace::root().join("xtask/src/commands/schemathesis").join(name)
}

fn emptied(folder: &Path) -> Result<std::path::PathBuf> {
    match fs::remove_dir_all(folder) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            return Err(error).with_context(|| format!("cannot empty {}", folder.display()));
        }
        _ => fs::create_dir_all(folder).with_context(|| format!("cannot make {}", folder.display()))?,
    }
    Ok(folder.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_left_out_or_in_vain_is_an_operation() {
        let description = fs::read_to_string(workspace::root().join("docs/openapi.json")).unwrap();
        for (operation, _) in LEFT_OUT.iter().chain(&IN_VAIN) {
            assert!(description.contains(&format!("\"operationId\": \"{operation}\"")), "{operation}");
        }
    }

    #[test]
    fn one_error_tells_all() {
        assert!(all_of([Ok(()), Ok(())]).is_ok());
        let told = all_of([Err(anyhow!("a")), Ok(()), Err(anyhow!("b"))]).unwrap_err();
        assert_eq!(told.to_string(), "a\nb");
    }

    #[test]
    fn its_files_are_where_they_are_looked_for() {
        for name in ["schemathesis.toml", "callers.py", "requirements.txt"] {
            assert!(source(name).is_file(), "{name}");
        }
    }
}
