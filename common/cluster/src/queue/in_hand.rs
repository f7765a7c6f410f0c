//! A delivery whose jobs are in hand.

use std::sync::atomic::{AtomicUsize, Ordering};

use evergrant_contract::ports::Fate;

use super::acks::{Answer, Answers};

/// A delivery, answered when the last of its jobs is done with. If any was not done it goes back as a whole: the rows know
/// those that were.
pub(super) struct InHand {
    tag: u64,
    answers: Answers,
    undone: AtomicUsize,
}

impl InHand {
    pub(super) fn new(tag: u64, jobs: usize, answers: Answers) -> Self {
        Self { tag, answers, undone: AtomicUsize::new(jobs) }
    }

    /// One of its jobs came to this.
    pub(super) fn note(&self, fate: Fate) {
        match fate {
            Fate::Done => drop(self.undone.fetch_sub(1, Ordering::AcqRel)),
            Fate::PutBack => {}
        }
    }
}

impl Drop for InHand {
    fn drop(&mut self) {
        let answer = if *self.undone.get_mut() == 0 { Answer::Ack } else { Answer::PutBack };
        // Nobody takes answers any more once the channel is closed; then the delivery comes again.
        let _ = self.answers.send((self.tag, answer));
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use tokio::sync::mpsc;

    use super::*;

    #[test]
    fn it_is_answered_once_when_the_last_job_is_done_with() {
        for (second, expected) in
            [(Some(Fate::Done), Answer::Ack), (Some(Fate::PutBack), Answer::PutBack), (None, Answer::PutBack)]
        {
            let (answers, mut told) = mpsc::unbounded_channel();
            let first = Arc::new(InHand::new(7, 2, answers));
            let other = Arc::clone(&first);
            first.note(Fate::Done);
            drop(first);
            assert!(told.try_recv().is_err());
            if let Some(fate) = second {
                other.note(fate);
            }
            drop(other);
            assert_eq!(told.try_recv().unwrap(), (7, expected));
        }
    }
}
