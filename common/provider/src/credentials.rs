//! Who our app is, with one client secret or, while it is being switched, two.

use std::sync::atomic::{AtomicBool, Ordering};

use evergrant_contract::secret::Secret;

/// A provider app's own credentials.
#[derive(Clone)]
pub struct Credentials {
    /// The client id.
    pub client_id: String,
    /// The client secret.
    pub client_secret: Secret,
    /// The one that takes its place: tried when the first is refused.
    pub next_client_secret: Option<Secret>,
}

/// The secrets of an app, and which of them worked last.
pub(crate) struct Keys {
    pub(crate) client_id: String,
    first: Secret,
    next: Option<Secret>,
    prefers_next: AtomicBool,
}

/// One of the secrets.
#[derive(Clone, Copy)]
pub(crate) struct Key<'a> {
    pub(crate) secret: &'a Secret,
    is_next: bool,
}

impl Key<'_> {
    /// What to call it in logs.
    pub(crate) const fn name(self) -> &'static str {
        if self.is_next { "client_secret_next" } else { "client_secret" }
    }
}

impl Keys {
    pub(crate) fn new(credentials: Credentials) -> Self {
        let next = credentials.next_client_secret.filter(|next| !next.same_as(&credentials.client_secret));
        Self {
            client_id: credentials.client_id,
            first: credentials.client_secret,
            next,
            prefers_next: AtomicBool::new(false),
        }
    }

    /// The secret that worked last, and the other one if there is one.
    pub(crate) fn in_order(&self) -> (Key<'_>, Option<Key<'_>>) {
        let first = Key { secret: &self.first, is_next: false };
        match &self.next {
            None => (first, None),
            Some(secret) => {
                let next = Key { secret, is_next: true };
                if self.prefers_next.load(Ordering::Relaxed) { (next, Some(first)) } else { (first, Some(next)) }
            }
        }
    }

    /// Every secret, in any order.
    pub(crate) fn all(&self) -> impl Iterator<Item = &Secret> {
        std::iter::once(&self.first).chain(&self.next)
    }

    /// From now on this one is tried first. `true`: it was another one until now.
    pub(crate) fn prefer(&self, key: Key<'_>) -> bool {
        self.prefers_next.swap(key.is_next, Ordering::Relaxed) != key.is_next
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn keys(next: Option<&str>) -> Keys {
        Keys::new(Credentials {
            client_id: "id".into(),
            client_secret: Secret::new("first"),
            next_client_secret: next.map(Secret::new),
        })
    }

    fn order(keys: &Keys) -> Vec<&str> {
        let (first, other) = keys.in_order();
        std::iter::once(first).chain(other).map(|key| key.secret.expose()).collect()
    }

    #[test]
    fn the_one_that_worked_is_tried_first_from_then_on() {
        let keys = keys(Some("second"));
        assert_eq!(order(&keys), ["first", "second"]);
        let second = keys.in_order().1.unwrap();
        assert_eq!(second.name(), "client_secret_next");
        assert!(keys.prefer(second));
        assert!(!keys.prefer(second));
        assert_eq!(order(&keys), ["second", "first"]);
    }

    #[test]
    fn the_same_secret_twice_is_one() {
        assert_eq!(order(&keys(Some("first"))), ["first"]);
        assert_eq!(order(&keys(None)), ["first"]);
    }
}
