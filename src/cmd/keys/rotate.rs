//! `evergrant keys rotate`: a new key comes into use.

use std::fmt::Write as _;
use std::path::Path;
use std::time::Duration;

use anyhow::anyhow;
use evergrant_contract::operations::Action;
use evergrant_contract::ports::{Clock, Peer, Store};
use serde::Serialize;

use super::super::{clock, keyring, refused, with_store};
use super::{line, told};
use crate::cli::RotateKeyArgs;
use crate::config::Config;
use crate::exit::{Exit, Failed};
use crate::keys::file;
use crate::output::Output;
use crate::peers::ALIVE_FOR;

/// Running processes look at their key file every two seconds, and then finish what they have in hand.
const PATIENCE: Duration = Duration::from_mins(1);
const LOOK_EVERY: Duration = Duration::from_millis(500);

/// What was done, or what is to be done.
#[derive(Serialize)]
struct Rotation {
    /// The key that encrypts, or may do so now; absent: none was named.
    #[serde(skip_serializing_if = "Option::is_none")]
    key: Option<String>,
    /// `rotated`: it is in use. `ready`: it may come first now. `steps`: nothing was checked.
    outcome: &'static str,
    /// What to do next, in order.
    next: Vec<String>,
}

pub(super) async fn run(config: &Config, args: &RotateKeyArgs) -> Result<(), Failed> {
    let rotation = match (file::generated(config), &args.to) {
        (Some(_), Some(_)) => {
            let why =
                anyhow!("--to is for keys from FERNET_KEY; here `evergrant keys rotate` makes the new key itself");
            return Err(Failed::new(Exit::Usage, why));
        }
        (Some(path), None) => with_store(config, async |store| in_file(&*store, &path, args).await).await?,
        (None, None) => steps(keyring(config)?.primary().as_str()),
        (None, Some(key)) => with_store(config, async |store| check(config, &*store, key, args).await).await?,
    };
    Ok(Output::stdout(args.output.json).data(&rotation, Rotation::text)?)
}

impl Rotation {
    fn text(&self) -> String {
        let mut text = match (self.outcome, &self.key) {
            ("rotated", Some(key)) => format!("The key {key} encrypts from now on.\n"),
            ("ready", Some(key)) => format!("Every live process has the key {key}: it may come first.\n"),
            _ => "The keys come from FERNET_KEY: set it in these steps, and no process meets a row that it cannot read.\n"
                .to_owned(),
        };
        for (number, step) in (1..).zip(&self.next) {
            let _ = writeln!(text, "{number}. {step}");
        }
        text
    }
}

/// What follows once a new key encrypts.
fn afterwards(former: &str) -> [String; 2] {
    [
        "Wait until no rows are left under the old key: `evergrant keys list`. They are encrypted again in the background, \
         or now by `evergrant keys reencrypt`."
            .to_owned(),
        format!("`evergrant keys retire {former}` says whether the old key can go."),
    ]
}

fn steps(primary: &str) -> Rotation {
    let next = [
        "`evergrant keys generate` makes a new key; keep it where you keep the present one.".to_owned(),
        format!("Set FERNET_KEY=<present>,<new> for every process and restart them: {primary} still encrypts."),
        "`evergrant keys list` shows the new key's fingerprint; `evergrant keys rotate --to FINGERPRINT` checks that every \
         live process has it."
            .to_owned(),
        "Set FERNET_KEY=<new>,<present> for every process and restart them, one after the other.".to_owned(),
    ];
    Rotation { key: None, outcome: "steps", next: next.into_iter().chain(afterwards(primary)).collect() }
}

/// Whether a key may come first: nobody may meet a row that it cannot read.
async fn check(config: &Config, store: &dyn Store, key: &str, args: &RotateKeyArgs) -> Result<Rotation, Failed> {
    let keyring = keyring(config)?;
    if !keyring.fingerprints().any(|known| known.as_str() == key) {
        let why = anyhow!("FERNET_KEY of this command lacks the key {key}: `evergrant keys list` shows those it has");
        return Err(Failed::new(Exit::NotFound, why));
    }
    let peers = store.peers(ALIVE_FOR).await?;
    let lacking: Vec<_> = peers.iter().filter(|peer| !peer.keys.iter().any(|known| known == key)).collect();
    let outcome = if lacking.is_empty() { "ready" } else { "refused" };
    store.audit(&line(&*clock(), &args.operator, Action::RotateKey, key, outcome)).await?;
    if !lacking.is_empty() {
        let why = anyhow!(
            "{} of {} live processes lack the key {key} and would take what it encrypts for undecryptable:{}\nGive it to \
             them behind the present key and restart them; then ask again. Nothing was changed",
            lacking.len(),
            peers.len(),
            told(&lacking)
        );
        return Err(why.into());
    }
    let former: Vec<_> =
        keyring.fingerprints().map(evergrant_vault::Fingerprint::as_str).filter(|known| *known != key).collect();
    let Some(old) = former.first() else {
        return Ok(Rotation { key: Some(key.to_owned()), outcome, next: Vec::new() });
    };
    let order = std::iter::once(key).chain(former.iter().copied()).map(|known| format!("<{known}>"));
    let order = order.collect::<Vec<_>>().join(",");
    let next = format!("Set FERNET_KEY={order} for every process and restart them, one after the other.");
    let next = std::iter::once(next).chain(afterwards(old)).collect();
    Ok(Rotation { key: Some(key.to_owned()), outcome, next })
}

/// First behind the present key, until every live process has it; then before it.
async fn in_file(store: &dyn Store, path: &Path, args: &RotateKeyArgs) -> Result<Rotation, Failed> {
    let clock = clock();
    let former = file::keyring(path).map_err(refused)?.primary().as_str().to_owned();
    let key = if store.peers(ALIVE_FOR).await?.is_empty() {
        file::add_first(path).map_err(refused)?
    } else {
        let key = file::add_second(path).map_err(refused)?;
        until(store, &*clock, |peer| peer.keys.contains(&key), &key).await?;
        file::make_first(path, &key).map_err(refused)?;
        until(store, &*clock, |peer| peer.primary_key == key, &key).await?;
        key
    };
    store.audit(&line(&*clock, &args.operator, Action::RotateKey, &key, "rotated")).await?;
    let back_up = format!("Back up {}: without it no stored token can be read.", path.display());
    let next = std::iter::once(back_up).chain(afterwards(&former)).collect();
    Ok(Rotation { key: Some(key), outcome: "rotated", next })
}

/// Waits until all live processes are like this.
async fn until(store: &dyn Store, clock: &dyn Clock, is_so: impl Fn(&Peer) -> bool, key: &str) -> Result<(), Failed> {
    let begun = clock.monotonic();
    loop {
        let peers = store.peers(ALIVE_FOR).await?;
        let missing: Vec<_> = peers.iter().filter(|peer| !is_so(peer)).collect();
        if missing.is_empty() && !peers.is_empty() {
            return Ok(());
        }
        if clock.monotonic().saturating_sub(begun) > PATIENCE {
            let why = anyhow!(
                "the new key {key} is in the key file, and these processes have not taken it up within {} s:{}\nRestart them \
                 and run `evergrant keys rotate` again",
                PATIENCE.as_secs(),
                told(&missing)
            );
            return Err(why.into());
        }
        clock.sleep(LOOK_EVERY).await;
    }
}
