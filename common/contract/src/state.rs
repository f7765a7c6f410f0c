//! The states of a connection and the reasons for leaving `active`.

/// Declares a closed set of words: one spelling in code, SQL, logs, metrics, API and UI.
macro_rules! words {
    ($(#[$doc:meta])* $name:ident, $what:literal { $($(#[$variant_doc:meta])* $variant:ident => $text:literal),+ $(,)? }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize)]
        pub enum $name {
            $($(#[$variant_doc])* #[serde(rename = $text)] $variant,)+
        }

        impl $name {
            /// Every word of the set, in order.
            pub const ALL: &[Self] = &[$(Self::$variant),+];

            /// The word as it stands in SQL, logs, metrics, API and UI.
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $text),+ }
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.pad(self.as_str())
            }
        }

        impl std::str::FromStr for $name {
            type Err = $crate::ids::InvalidName;

            fn from_str(text: &str) -> Result<Self, $crate::ids::InvalidName> {
                match text { $($text => Ok(Self::$variant),)+ _ => Err($crate::ids::InvalidName::new($what, text)) }
            }
        }
    };
}
pub(crate) use words;

words!(
    /// Where a connection stands. One diagram in `docs/STATE_MACHINE.md`, one CHECK constraint per database.
    State, "a connection state (active, failing, suspect, needs_reauth, disconnected)" {
        /// Has tokens and is refreshed on time.
        Active => "active",
        /// Attempts were given up for now; slow retries go on and the tokens are kept. Success heals it.
        Failing => "failing",
        /// One `invalid_grant` was seen and is to be confirmed before it is believed.
        Suspect => "suspect",
        /// The grant has ended, or its ciphertext cannot be read. Tokens are out of use; the reason is kept.
        NeedsReauth => "needs_reauth",
        /// The user took the connection away. Its tokens are gone.
        Disconnected => "disconnected",
    }
);

impl State {
    /// Whether the scheduler looks at connections in this state and a lease may be taken.
    pub const fn is_refreshable(self) -> bool {
        matches!(self, Self::Active | Self::Failing | Self::Suspect)
    }
}

words!(
    /// Why a connection is not `active`.
    Reason, "a reason" {
        /// The token endpoint said `invalid_grant`, and said it again when asked to confirm.
        GrantInvalid => "grant_invalid",
        /// There is no refresh token to spend.
        NoRefreshToken => "no_refresh_token",
        /// The keyring cannot open the ciphertext. It is kept in quarantine: giving the key back restores it.
        Undecryptable => "undecryptable",
        /// The provider answered with success and without a usable token. The answer is kept, encrypted.
        UnusableAnswer => "unusable_answer",
        /// Transient failures used up the attempts.
        AttemptsExhausted => "attempts_exhausted",
        /// A first `invalid_grant` that waits for its confirmation.
        GrantSuspect => "grant_suspect",
        /// The user disconnected.
        ByUser => "by_user",
    }
);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_read_back() {
        for state in State::ALL {
            assert_eq!(state.as_str().parse::<State>(), Ok(*state));
            assert_eq!(serde_json::to_value(state).unwrap(), state.as_str());
        }
        for reason in Reason::ALL {
            assert_eq!(reason.as_str().parse::<Reason>(), Ok(*reason));
        }
    }
}
