//! What was published and is still due.
//!
//! It saves publishing a job again while one is on its way, and nothing depends on it: a scheduler that starts with an empty
//! ledger publishes some jobs twice, which is harmless. It is rebuilt by every whole look from the rows that are still due, so
//! it never holds more than the jobs on their way and those of the last second.

use std::collections::HashMap;
use std::time::Duration;

use evergrant_contract::Timestamp;
use evergrant_contract::connection::Due;
use evergrant_contract::ids::ConnectionId;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Entry {
    refresh_at: Timestamp,
    published_at: Duration,
}

/// The published jobs of one provider app.
#[derive(Debug, Default)]
pub(crate) struct Ledger {
    entries: HashMap<ConnectionId, Entry>,
}

/// The ledger as a look rebuilds it.
#[derive(Debug)]
pub(crate) struct Rebuilt<'a> {
    former: &'a mut Ledger,
    entries: HashMap<ConnectionId, Entry>,
    now: Duration,
    republish_after: Duration,
}

impl Ledger {
    /// Begins a look.
    pub(crate) fn rebuild(&mut self, now: Duration, republish_after: Duration) -> Rebuilt<'_> {
        Rebuilt { former: self, entries: HashMap::new(), now, republish_after }
    }

    /// Forgets everything: the queue may have lost what was in it.
    pub(crate) fn clear(&mut self) {
        self.entries.clear();
    }

    #[cfg(test)]
    fn len(&self) -> usize {
        self.entries.len()
    }
}

impl Rebuilt<'_> {
    /// Whether a job for this row, as it stands, is on its way. If so it is kept in mind.
    pub(crate) fn is_on_its_way(&mut self, due: &Due) -> bool {
        let Some(entry) = self.former.entries.get(&due.connection) else { return false };
        let is_same_look = entry.refresh_at == due.refresh_at;
        let is_fresh = self.now < entry.published_at + self.republish_after;
        if is_same_look && is_fresh {
            self.entries.insert(due.connection, *entry);
        }
        is_same_look && is_fresh
    }

    /// Takes note of a job that the queue has taken.
    pub(crate) fn published(&mut self, due: &Due) {
        self.entries.insert(due.connection, Entry { refresh_at: due.refresh_at, published_at: self.now });
    }

    /// Ends the look, which read all due rows behind `begun_behind` and up to `read_to`; `None`: from the first, to the last.
    /// Rows that were read and not met are dealt with; those that were not read stay in mind.
    pub(crate) fn finish(self, begun_behind: Option<Due>, read_to: Option<Due>) {
        let Self { former, entries, .. } = self;
        let place = |due: Due| (due.refresh_at, due.connection);
        former.entries.retain(|id, entry| {
            let at = (entry.refresh_at, *id);
            begun_behind.is_some_and(|begin| at <= place(begin)) || read_to.is_some_and(|end| at > place(end))
        });
        former.entries.extend(entries);
    }
}

#[cfg(test)]
mod tests {
    use evergrant_contract::ids::Version;

    use super::*;

    const MINUTE: Duration = Duration::from_mins(1);

    fn due(at_secs: i64) -> Due {
        let refresh_at = Timestamp::from_timestamp(1_800_000_000 + at_secs, 0).unwrap();
        Due { connection: ConnectionId::generate(), version: Version::FIRST, refresh_at }
    }

    fn publish(ledger: &mut Ledger, rows: &[Due], now: Duration) {
        let mut look = ledger.rebuild(now, MINUTE);
        for row in rows {
            look.published(row);
        }
        look.finish(None, None);
    }

    #[test]
    fn a_job_on_its_way_is_known_until_it_counts_as_lost() {
        let (mut ledger, row) = (Ledger::default(), due(0));
        publish(&mut ledger, &[row], Duration::ZERO);
        for (now, on_its_way) in [(MINUTE / 2, true), (MINUTE, false)] {
            let mut look = ledger.rebuild(now, MINUTE);
            assert_eq!(look.is_on_its_way(&row), on_its_way);
            look.finish(None, None);
        }
    }

    #[test]
    fn a_row_that_moved_is_a_new_matter() {
        let (mut ledger, row) = (Ledger::default(), due(0));
        publish(&mut ledger, &[row], Duration::ZERO);
        let moved = Due { refresh_at: due(1).refresh_at, ..row };
        assert!(!ledger.rebuild(Duration::ZERO, MINUTE).is_on_its_way(&moved));
    }

    #[test]
    fn what_is_no_longer_due_is_forgotten() {
        let (mut ledger, rows) = (Ledger::default(), [due(0), due(1), due(2)]);
        publish(&mut ledger, &rows, Duration::ZERO);
        let mut look = ledger.rebuild(Duration::ZERO, MINUTE);
        assert!(look.is_on_its_way(&rows[1]));
        look.finish(None, None);
        assert_eq!(ledger.len(), 1);
    }

    #[test]
    fn a_look_that_stopped_early_keeps_what_it_did_not_reach() {
        let (mut ledger, rows) = (Ledger::default(), [due(0), due(1), due(2)]);
        publish(&mut ledger, &rows, Duration::ZERO);
        ledger.rebuild(Duration::ZERO, MINUTE).finish(None, Some(rows[1]));
        assert_eq!(ledger.len(), 1);
        assert!(ledger.rebuild(Duration::ZERO, MINUTE).is_on_its_way(&rows[2]));
    }

    #[test]
    fn a_look_that_began_later_keeps_what_came_before() {
        let (mut ledger, rows) = (Ledger::default(), [due(0), due(1), due(2)]);
        publish(&mut ledger, &rows[..2], Duration::ZERO);
        let mut look = ledger.rebuild(Duration::ZERO, MINUTE);
        look.published(&rows[2]);
        look.finish(Some(rows[1]), None);
        assert_eq!(ledger.len(), 3);
    }
}
