//! `evergrant top`: how things stand, looked at again and again.

mod draw;
mod look;
mod screen;

use std::io::{self, IsTerminal as _};
use std::time::Duration;

use anyhow::anyhow;

use self::look::{Look, Looker};
use self::screen::Screen;
use super::{clock, keyring, unreachable};
use crate::cli::TopArgs;
use crate::config::Config;
use crate::exit::{Exit, Failed};
use crate::output::Output;
use crate::providers;
use crate::shape::Shape;
use crate::startup::Refused;

/// Looking more often than this would only keep the store busy.
const EVERY_MIN: Duration = Duration::from_millis(200);

pub(super) async fn run(config: &Config, args: &TopArgs) -> Result<(), Failed> {
    config.check().map_err(|problems| Failed::new(Exit::Config, Refused(problems)))?;
    let has_terminal = io::stdout().is_terminal() && io::stdin().is_terminal();
    if !args.once && !has_terminal {
        return Err(Failed::new(Exit::Usage, anyhow!("there is no terminal to draw on: add --once to print one look")));
    }
    let configured = providers::token_urls(config).unwrap_or_default().into_iter().map(|(name, _)| name).collect();
    let shape = Shape::open(config, keyring(config)?, clock()).await.map_err(unreachable)?;
    let looker = Looker { shape: &shape, clock: clock(), mode: config.mode.to_string(), configured };
    let watched = if args.once {
        Output::stdout(false).line(&draw::frame(&looker.look().await)).map_err(Failed::from)
    } else {
        watch(&looker, args.every.max(EVERY_MIN)).await
    };
    shape.close().await;
    watched
}

/// Until somebody presses `q`.
async fn watch(looker: &Looker<'_>, every: Duration) -> Result<(), Failed> {
    let mut screen = Screen::take()?;
    loop {
        let look: Look = looker.look().await;
        screen.show(&draw::frame(&look))?;
        // Keys are read where blocking is no harm.
        let asked = tokio::task::spawn_blocking(move || screen::quits_within(every));
        if asked.await?? {
            return Ok(());
        }
    }
}
