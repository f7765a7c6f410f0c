//! What a simulated Amazon is told when it starts.

use std::{fmt, net::SocketAddr, str::FromStr, time::Duration};

/// How a simulated Amazon behaves from its start; faults are added while it runs.
#[derive(Clone)]
pub struct SimOptions {
    /// Where to listen. Port 0 lets the system choose one.
    pub listen: SocketAddr,
    /// How long an access token works.
    pub token_lifetime: Duration,
    /// What happens to a refresh token when it is spent.
    pub rotation: Rotation,
    /// Added to every answer: half of it before the call takes effect and half after, as on a real network.
    pub latency: Duration,
    /// At most this much is added to `latency`, evenly distributed.
    pub latency_jitter: Duration,
    /// The one client id that is known here.
    pub client_id: String,
    /// The client secrets that are accepted. Two of them while a secret is being rotated.
    pub client_secrets: Vec<String>,
    /// The allowed return URLs. Empty allows every HTTP and HTTPS URL.
    pub redirect_uris: Vec<String>,
    /// Decides, together with the user id and the number of the call, whom a fault with a probability strikes.
    pub seed: u64,
}

impl Default for SimOptions {
    fn default() -> Self {
        Self {
            listen: SocketAddr::from(([127, 0, 0, 1], 0)),
            token_lifetime: Duration::from_hours(1),
            rotation: Rotation::Off,
            latency: Duration::ZERO,
            latency_jitter: Duration::ZERO,
            client_id: "amzn1.application-oa2-client.simulated".to_owned(),
            client_secrets: vec!["simulated-client-secret".to_owned()],
            redirect_uris: Vec::new(),
            seed: 1,
        }
    }
}

impl fmt::Debug for SimOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SimOptions")
            .field("listen", &self.listen)
            .field("token_lifetime", &self.token_lifetime)
            .field("rotation", &self.rotation)
            .field("latency", &self.latency)
            .field("client_id", &self.client_id)
            .field("seed", &self.seed)
            .finish_non_exhaustive()
    }
}

/// What happens to a refresh token when it is spent. Written `off`, `on`, `strict` or `strict-retry`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rotation {
    /// The same refresh token for ever, as Amazon does today.
    Off,
    /// Every answer has a new refresh token, and the old ones keep working.
    On,
    /// A refresh token is spent once; presenting a spent one ends the grant.
    Strict {
        /// The last spent token is answered again, with the same pair, until its successor has been spent.
        /// Anything older still ends the grant.
        retry_until_successor_used: bool,
    },
}

impl FromStr for Rotation {
    type Err = UnknownRotation;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "off" => Ok(Self::Off),
            "on" => Ok(Self::On),
            "strict" => Ok(Self::Strict { retry_until_successor_used: false }),
            "strict-retry" => Ok(Self::Strict { retry_until_successor_used: true }),
            _ => Err(UnknownRotation(text.to_owned())),
        }
    }
}

impl fmt::Display for Rotation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Off => "off",
            Self::On => "on",
            Self::Strict { retry_until_successor_used: false } => "strict",
            Self::Strict { retry_until_successor_used: true } => "strict-retry",
        })
    }
}

/// A rotation that does not exist.
#[derive(Debug, thiserror::Error)]
#[error("unknown rotation `{0}`: use off, on, strict or strict-retry")]
pub struct UnknownRotation(String);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rotation_is_read_as_it_is_written() {
        for text in ["off", "on", "strict", "strict-retry"] {
            assert_eq!(text.parse::<Rotation>().unwrap().to_string(), text);
        }
        assert!("Strict".parse::<Rotation>().is_err());
    }

    #[test]
    fn secrets_stay_out_of_debug() {
        let text = format!("{:?}", SimOptions::default());
        assert!(!text.contains("simulated-client-secret"), "{text}");
    }
}
