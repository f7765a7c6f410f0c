//! All grants, in shards, so that thousands of refreshes a second do not wait for each other.

use std::{
    collections::HashMap,
    hash::{BuildHasher, RandomState},
    sync::{Arc, Mutex},
};

use crate::{grant::Grant, lock::lock, token::GrantNo};

/// Enough that two cores rarely meet at one lock, few enough to walk for the statistics.
const SHARDS: usize = 64;

/// All grants. No method holds a lock while it waits, and none takes two.
pub(crate) struct Grants {
    shards: Vec<Mutex<Shard>>,
    place: RandomState,
}

#[derive(Default)]
struct Shard {
    grants: Vec<Grant>,
    by_user: HashMap<Arc<str>, Vec<usize>>,
}

impl Grants {
    pub(crate) fn new() -> Self {
        Self { shards: (0..SHARDS).map(|_| Mutex::default()).collect(), place: RandomState::new() }
    }

    /// Adds a grant. A user may have several; each consent makes one.
    pub(crate) fn add(&self, grant: Grant) -> GrantNo {
        let shard_index = self.shard_of(&grant.user);
        let mut shard = lock(&self.shards[shard_index]);
        let index = shard.grants.len();
        shard.by_user.entry(Arc::clone(&grant.user)).or_default().push(index);
        shard.grants.push(grant);
        GrantNo((index * SHARDS + shard_index) as u64)
    }

    /// Does something to one grant. `None` if there is no such grant.
    pub(crate) fn with<T>(&self, no: GrantNo, act: impl FnOnce(&mut Grant) -> T) -> Option<T> {
        let no = usize::try_from(no.0).ok()?;
        lock(&self.shards[no % SHARDS]).grants.get_mut(no / SHARDS).map(act)
    }

    /// Does something to every grant of a user; returns how many there are.
    pub(crate) fn with_user(&self, user: &str, mut act: impl FnMut(&mut Grant)) -> usize {
        let mut shard = lock(&self.shards[self.shard_of(user)]);
        let Shard { grants, by_user } = &mut *shard;
        let indices = by_user.get(user).map_or(&[][..], Vec::as_slice);
        for index in indices {
            act(&mut grants[*index]);
        }
        indices.len()
    }

    /// Looks at every grant, one shard at a time.
    pub(crate) fn for_each(&self, mut look: impl FnMut(GrantNo, &Grant)) {
        for (shard_index, shard) in self.shards.iter().enumerate() {
            for (index, grant) in lock(shard).grants.iter().enumerate() {
                look(GrantNo((index * SHARDS + shard_index) as u64), grant);
            }
        }
    }

    fn shard_of(&self, user: &str) -> usize {
        usize::try_from(self.place.hash_one(user) % SHARDS as u64).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_user_may_consent_twice() {
        let grants = Grants::new();
        let grant = |user: &str| Grant::new(user.into(), "profile".into(), 0);
        let (first, second) = (grants.add(grant("ann")), grants.add(grant("ann")));
        let other = grants.add(grant("bob"));
        assert_ne!(first, second);
        assert_eq!(grants.with_user("ann", Grant::revoke), 2);
        assert_eq!(grants.with(second, |grant| grant.is_live()), Some(false));
        assert_eq!(grants.with(other, |grant| grant.is_live()), Some(true));
        assert_eq!(grants.with(GrantNo(u64::MAX), |_| ()), None);
        assert_eq!(grants.with_user("eve", |_| ()), 0);
    }
}
