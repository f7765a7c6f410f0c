//! Which acks to send, when work ends out of order.
//!
//! Acking many deliveries with one frame is several times cheaper than one by one, but such an ack covers *everything* up to
//! its delivery tag. So the ledger acks the unbroken run of finished deliveries in one, and those that finished behind a
//! straggler one by one, once they have waited long enough.

use std::collections::BTreeMap;

/// One ack to send.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Ack {
    /// The delivery tag, never 0, which would mean everything.
    pub(super) tag: u64,
    /// Whether everything unanswered before it is meant too.
    pub(super) multiple: bool,
}

enum Mark {
    /// Finished and to be acked; how many flushes it has waited.
    Finished { flushes: u32 },
    /// Answered already.
    Answered,
}

/// The deliveries of one channel, whose tags count up from 1 without a gap.
#[derive(Default)]
pub(super) struct AckLedger {
    /// Every delivery up to this tag has been answered.
    floor: u64,
    /// What is known of deliveries above the floor. A missing tag is unfinished, or not delivered yet.
    marks: BTreeMap<u64, Mark>,
    waiting: usize,
}

impl AckLedger {
    /// A delivery is finished and may be acked.
    pub(super) fn finish(&mut self, tag: u64) {
        if tag > self.floor && !self.marks.contains_key(&tag) {
            self.marks.insert(tag, Mark::Finished { flushes: 0 });
            self.waiting += 1;
        }
    }

    /// A delivery has been answered in another way.
    pub(super) fn answered(&mut self, tag: u64) {
        if tag > self.floor && matches!(self.marks.insert(tag, Mark::Answered), Some(Mark::Finished { .. })) {
            self.waiting -= 1;
        }
    }

    /// Finished deliveries that have not been acked.
    pub(super) const fn waiting(&self) -> usize {
        self.waiting
    }

    /// The acks to send now, in this order. A delivery behind an unfinished one is held back for `patience` flushes, in the
    /// hope of a common ack.
    pub(super) fn flush(&mut self, patience: u32) -> Vec<Ack> {
        let mut acks: Vec<Ack> = self.take_run().into_iter().collect();
        for (&tag, mark) in &mut self.marks {
            if let Mark::Finished { flushes } = mark {
                if *flushes >= patience {
                    acks.push(Ack { tag, multiple: false });
                    *mark = Mark::Answered;
                    self.waiting -= 1;
                } else {
                    *flushes += 1;
                }
            }
        }
        acks
    }

    /// Moves the floor over everything finished or answered. The ack names the last *finished* one: the broker knows no
    /// tag that was answered before, and closes the channel over it.
    fn take_run(&mut self) -> Option<Ack> {
        let mut run = None;
        let mut length = 0;
        while let Some(entry) = self.marks.first_entry().filter(|entry| *entry.key() == self.floor + 1) {
            let (tag, mark) = entry.remove_entry();
            self.floor = tag;
            if matches!(mark, Mark::Finished { .. }) {
                run = Some(tag);
                length += 1;
            }
        }
        self.waiting -= length;
        run.map(|tag| Ack { tag, multiple: length > 1 })
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    fn ack(tag: u64, multiple: bool) -> Ack {
        Ack { tag, multiple }
    }

    fn finished(tags: &[u64]) -> AckLedger {
        let mut ledger = AckLedger::default();
        for tag in tags {
            ledger.finish(*tag);
        }
        ledger
    }

    #[test]
    fn an_unbroken_run_is_one_ack_whatever_the_order() {
        let mut ledger = finished(&[3, 1, 2]);
        assert_eq!(ledger.flush(9), [ack(3, true)]);
        assert_eq!(ledger.waiting(), 0);
        ledger.finish(4);
        assert_eq!(ledger.flush(9), [ack(4, false)]);
    }

    #[test]
    fn a_straggler_holds_the_others_back_only_for_a_while() {
        let mut ledger = finished(&[2, 3]);
        assert_eq!(ledger.flush(2), []);
        assert_eq!(ledger.flush(2), []);
        assert_eq!(ledger.flush(2), [ack(2, false), ack(3, false)]);
        ledger.finish(4);
        ledger.finish(1);
        assert_eq!(ledger.flush(2), [ack(4, true)]);
    }

    #[test]
    fn a_run_that_ends_with_an_answered_delivery_names_the_last_finished_one() {
        let mut ledger = finished(&[1, 2]);
        ledger.answered(3);
        assert_eq!(ledger.flush(9), [ack(2, true)]);
        ledger.finish(4);
        assert_eq!(ledger.flush(9), [ack(4, false)]);
    }

    #[test]
    fn nothing_is_counted_twice() {
        let mut ledger = finished(&[1, 1]);
        assert_eq!(ledger.waiting(), 1);
        assert_eq!(ledger.flush(0), [ack(1, false)]);
        ledger.finish(1);
        ledger.answered(1);
        assert_eq!((ledger.waiting(), ledger.flush(0).len()), (0, 0));
    }

    /// The broker's side of a channel: what is unanswered, and what it would close the channel for.
    struct Channel {
        unanswered: BTreeSet<u64>,
        working: BTreeSet<u64>,
    }

    impl Channel {
        fn take(&mut self, acks: &[Ack]) {
            for Ack { tag, multiple } in acks {
                assert!(self.unanswered.contains(tag), "{tag} is unknown to the broker");
                let first = if *multiple { 0 } else { *tag };
                let covered: Vec<u64> = self.unanswered.range(first..=*tag).copied().collect();
                for tag in covered {
                    assert!(!self.working.contains(&tag), "{tag} is still being worked on");
                    self.unanswered.remove(&tag);
                }
            }
        }
    }

    proptest! {
        #[test]
        fn every_delivery_is_acked_once_and_none_before_its_end(
            ends in Just((1..=60_u64).collect::<Vec<_>>()).prop_shuffle(),
            rejected in proptest::collection::btree_set(1..=60_u64, 0..8),
            flush_after in proptest::collection::btree_set(0..60_usize, 0..30),
            patience in 0..4_u32,
        ) {
            let all: BTreeSet<u64> = ends.iter().copied().collect();
            let mut channel = Channel { unanswered: all.clone(), working: all };
            let mut ledger = AckLedger::default();
            for (at, tag) in ends.into_iter().enumerate() {
                channel.working.remove(&tag);
                if rejected.contains(&tag) {
                    channel.unanswered.remove(&tag);
                    ledger.answered(tag);
                } else {
                    ledger.finish(tag);
                }
                if flush_after.contains(&at) {
                    channel.take(&ledger.flush(patience));
                }
            }
            channel.take(&ledger.flush(0));
            prop_assert!(channel.unanswered.is_empty());
            prop_assert_eq!(ledger.waiting(), 0);
        }

        #[test]
        fn no_finished_delivery_outwaits_the_patience(
            finished in proptest::collection::btree_set(2..=60_u64, 1..40),
            patience in 0..5_u32,
        ) {
            let mut ledger = AckLedger::default();
            for tag in &finished {
                ledger.finish(*tag);
            }
            let sent: usize = (0..=patience).map(|_| ledger.flush(patience).len()).sum();
            prop_assert_eq!(sent, finished.len());
        }
    }
}
