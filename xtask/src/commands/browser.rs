//! `cargo xtask browser`: the web page in a real browser, in front of real processes, in both shapes.

mod world;

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Instant;
use std::{fs, io, thread};

use anyhow::{Context, Result, anyhow};
use clap::ValueEnum;

use self::world::{Servers, Shape, World};
use super::leaks;
use crate::services::{self, Need, Postgres, Rabbit};
use crate::{npm, playwright, screen, workspace};

/// Which shape, and what for.
#[derive(Debug, Default, clap::Args)]
pub struct Args {
    /// Which shape; both are tested at the same time
    #[arg(long, value_enum, default_value_t = Shapes::Both)]
    shape: Shapes,
    /// Take pictures of every page, in light and dark, into docs/screenshots, instead of testing
    #[arg(long)]
    screenshots: bool,
    /// Passed on to `playwright test`
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    playwright: Vec<String>,
}

/// What is tested.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
enum Shapes {
    Embedded,
    Cluster,
    #[default]
    Both,
}

impl Args {
    /// Pictures of one shape are pictures of both.
    fn shapes(&self) -> &'static [Shape] {
        match self.shape {
            Shapes::Both if self.screenshots => &[Shape::Embedded],
            Shapes::Embedded => &[Shape::Embedded],
            Shapes::Cluster => &[Shape::Cluster],
            Shapes::Both => &[Shape::Embedded, Shape::Cluster],
        }
    }
}

/// Builds, starts the systems, and lets the browser at them.
pub fn run(args: &Args) -> Result<()> {
    let begin = Instant::now();
    let shapes = args.shapes();
    let is_cluster = shapes.contains(&Shape::Cluster);
    services::install_what_is_missing(&[Need::Chromium])?;
    if is_cluster {
        services::install_what_is_missing(&[Need::Postgres, Need::Rabbit])?;
    }
    npm::build()?;
    npm::install()?;
    let folder = emptied(&workspace::target().join("browser"))?;
    screen::step("building evergrant; the services start meanwhile");
    let servers = thread::scope(|scope| {
        let servers = scope.spawn(|| is_cluster.then(start_servers).transpose());
        let built = workspace::run(workspace::cargo().args(["build", "--package", "evergrant"]));
        built.and(servers.join().unwrap_or_else(|_| Err(anyhow!("the start of the servers panicked"))))
    })?;
    let logs = folder.join("logs");
    let worlds = start_worlds(shapes, servers.as_ref(), &logs)?;
    if args.screenshots {
        worlds.iter().try_for_each(World::fill)?;
    }
    screen::step("testing the web page in Chromium");
    let tested = test(args, &worlds, &folder);
    drop(worlds);
    screen::say(&format!("all output is in {}; {} s", folder.display(), begin.elapsed().as_secs()));
    tested.and(leaks::refuse(&logs))
}

fn start_servers() -> Result<Servers> {
    thread::scope(|scope| {
        let rabbit = scope.spawn(Rabbit::start);
        let postgres = Postgres::start();
        let rabbit = rabbit.join().unwrap_or_else(|_| Err(anyhow!("the start of RabbitMQ panicked")));
        Ok(Servers { postgres: postgres?, rabbit: rabbit? })
    })
}

fn start_worlds(shapes: &[Shape], servers: Option<&Servers>, logs: &Path) -> Result<Vec<World>> {
    let start = |shape: Shape| {
        let logs = emptied(&logs.join(shape.name()))?;
        World::start(shape, servers.filter(|_| shape == Shape::Cluster), &logs)
    };
    thread::scope(|scope| {
        let starting: Vec<_> = shapes.iter().map(|shape| scope.spawn(move || start(*shape))).collect();
        let joined = starting.into_iter().map(thread::ScopedJoinHandle::join);
        joined.map(|world| world.unwrap_or_else(|_| Err(anyhow!("the start of a system panicked")))).collect()
    })
}

fn test(args: &Args, worlds: &[World], folder: &Path) -> Result<()> {
    // It names a password, so only we may read it, and it goes when the tests have ended.
    let told: Vec<_> = worlds.iter().map(|world| &world.told).collect();
    let file = tempfile::NamedTempFile::new()?;
    serde_json::to_writer(&file, &told)?;
    let mut playwright = playwright::command(file.path(), &folder.join("results"))?;
    playwright.args(&args.playwright).args(args.screenshots.then_some("screenshots"));
    if args.screenshots {
        playwright.env("EVERGRANT_SCREENSHOTS", workspace::root().join("docs/screenshots"));
    }
    run_to_the_end(&mut playwright)
}

fn run_to_the_end(command: &mut Command) -> Result<()> {
    let status = command.status().context("cannot start npm")?;
    if status.success() { Ok(()) } else { Err(anyhow!("the tests in the browser failed: see above")) }
}

fn emptied(folder: &Path) -> Result<PathBuf> {
    match fs::remove_dir_all(folder) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            Err(error).with_context(|| format!("cannot empty {}", folder.display()))
        }
        _ => {
            fs::create_dir_all(folder).with_context(|| format!("cannot make {}", folder.display()))?;
            Ok(folder.to_owned())
        }
    }
}
