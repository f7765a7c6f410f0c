//! `cargo xtask scale`: a day of 1, 10 and 100 million connections, simulated.

use std::path::PathBuf;

use anyhow::{Context, Result, bail};

use crate::{scale, screen, workspace};

const BEGIN: &str = "<!-- begin: cargo xtask scale --write -->\n";
const END: &str = "\n<!-- end -->";

/// How.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  cargo xtask scale\n  cargo xtask scale --write")]
pub struct Args {
    /// Put the tables into docs/SCALE.md, which a test compares with them
    #[arg(long)]
    write: bool,
}

/// Simulates, and prints the tables.
pub fn run(args: &Args) -> Result<()> {
    let tables = scale::page()?;
    if args.write {
        let page = std::fs::read_to_string(path()).context("cannot read docs/SCALE.md")?;
        std::fs::write(path(), with(&page, &tables)?).context("cannot write docs/SCALE.md")?;
    }
    screen::say(&tables);
    Ok(())
}

fn path() -> PathBuf {
    workspace::root().join("docs/SCALE.md")
}

/// The page with these tables in their place.
fn with(page: &str, tables: &str) -> Result<String> {
    let Some((before, rest)) = page.split_once(BEGIN) else { bail!("docs/SCALE.md has no line `{}`", BEGIN.trim()) };
    let Some((_, behind)) = rest.split_once(END) else { bail!("docs/SCALE.md has no line `{}`", END.trim()) };
    Ok(format!("{before}{BEGIN}{tables}{END}{behind}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_page_has_what_the_simulation_says() {
        let page = std::fs::read_to_string(path()).unwrap();
        let expected = with(&page, &scale::page().unwrap()).unwrap();
        assert_eq!(page, expected, "run `cargo xtask scale --write`");
    }
}
