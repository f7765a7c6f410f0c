//! One grant: what its tokens are worth, and what has been done with them.

use std::sync::Arc;

use chrono::DateTime;

use crate::{
    ledger::{Counts, LedgerEntry, Repeat},
    options::Rotation,
    token::GrantNo,
};

/// Why a grant has ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum End {
    /// The user removed the app in their Amazon account.
    Revoked,
    /// A spent refresh token came back under strict rotation.
    ReuseDetected,
}

/// From this many `invalid_grant` answers on, a client has been told that the grant is over and should stop calling.
const ANSWERS_THAT_SETTLE_IT: u32 = 2;

/// What one user allowed at one consent.
pub(crate) struct Grant {
    pub(crate) user: Arc<str>,
    pub(crate) scope: Arc<str>,
    end: Option<End>,
    /// The newest refresh token.
    generation: u32,
    /// The newest access token.
    serial: u32,
    access_expires_at_ms: i64,
    refused_after_end: u32,
    token_calls_now: u32,
    counts: Counts,
    repeats: Vec<Repeat>,
    unsettled: Vec<Unsettled>,
    /// Spent generations whose answer never reached the client.
    lost: Vec<u32>,
}

/// Answers to one refresh token that are still on their way.
struct Unsettled {
    generation: u32,
    answers: u32,
    /// How often the token came again in the meantime: excused if the answer turns out to be lost.
    repeats: u32,
}

/// The pair a refresh is answered with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Issue {
    pub(crate) generation: u32,
    pub(crate) serial: u32,
    pub(crate) expires_at_ms: i64,
}

/// The terms of one refresh.
#[derive(Clone, Copy)]
pub(crate) struct Terms {
    pub(crate) rotation: Rotation,
    pub(crate) now_ms: i64,
    pub(crate) lifetime_ms: i64,
    /// The answer will hold no refresh token, so the presented one must stay good.
    pub(crate) keep_refresh_token: bool,
}

/// Why an access token is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Refused {
    Ended,
    Expired,
}

impl Grant {
    pub(crate) fn new(user: Arc<str>, scope: Arc<str>, access_expires_at_ms: i64) -> Self {
        Self {
            user,
            scope,
            end: None,
            generation: 0,
            serial: 0,
            access_expires_at_ms,
            refused_after_end: 0,
            token_calls_now: 0,
            counts: Counts::default(),
            repeats: Vec::new(),
            unsettled: Vec::new(),
            lost: Vec::new(),
        }
    }

    /// The pair that is current.
    pub(crate) fn issue(&self) -> Issue {
        Issue { generation: self.generation, serial: self.serial, expires_at_ms: self.access_expires_at_ms }
    }

    /// A call that presents a refresh token of this grant begins; returns its number.
    pub(crate) fn begin_token_call(&mut self) -> u64 {
        self.token_calls_now += 1;
        self.counts.concurrent_refreshes = self.counts.concurrent_refreshes.max(self.token_calls_now);
        self.counts.token_calls += 1;
        self.counts.token_calls
    }

    /// Its answer is about to be written, or never will be.
    pub(crate) fn end_token_call(&mut self) {
        self.token_calls_now = self.token_calls_now.saturating_sub(1);
    }

    /// Spends a refresh token. `Err` is `invalid_grant`.
    pub(crate) fn spend(&mut self, presented: u32, terms: Terms) -> Result<Issue, End> {
        if let Some(end) = self.end {
            self.note_refusal();
            return Err(end);
        }
        let spent_before = presented < self.generation;
        if spent_before {
            self.note_repeat(presented);
        }
        let strict = matches!(terms.rotation, Rotation::Strict { .. });
        if strict && spent_before {
            let retry = terms.rotation == Rotation::Strict { retry_until_successor_used: true };
            // The current token is unspent by definition, so its predecessor is the one that may be retried.
            if !retry || presented + 1 != self.generation {
                self.end = Some(End::ReuseDetected);
                self.note_refusal();
                return Err(End::ReuseDetected);
            }
        }
        let same_pair = strict && spent_before;
        if terms.rotation != Rotation::Off && !same_pair && !terms.keep_refresh_token {
            self.generation += 1;
        }
        if !same_pair || self.access_expires_at_ms <= terms.now_ms {
            self.serial += 1;
            self.access_expires_at_ms = terms.now_ms + terms.lifetime_ms;
        }
        self.counts.refreshes += 1;
        self.expect_answer(presented);
        Ok(self.issue())
    }

    /// Uses an access token of this grant.
    pub(crate) fn use_access(&mut self, expires_at_ms: i64, now_ms: i64) -> Result<(), Refused> {
        if self.end.is_some() {
            self.note_call_after_end();
            return Err(Refused::Ended);
        }
        if expires_at_ms <= now_ms {
            self.counts.expired_uses += 1;
            return Err(Refused::Expired);
        }
        Ok(())
    }

    /// An API call with a token of this grant begins; returns its number.
    pub(crate) fn begin_api_call(&mut self) -> u64 {
        self.counts.api_calls += 1;
        self.counts.api_calls
    }

    /// Ends the grant, unless it has ended before.
    pub(crate) fn revoke(&mut self) {
        self.end.get_or_insert(End::Revoked);
    }

    /// The answer to a spent token has been written whole, or is known to be lost.
    pub(crate) fn settle(&mut self, generation: u32, delivered: bool) {
        if !delivered {
            self.counts.lost_replies += 1;
        }
        let Some(index) = self.unsettled.iter().position(|open| open.generation == generation) else { return };
        let open = &mut self.unsettled[index];
        open.answers -= 1;
        let repeats = std::mem::take(&mut open.repeats);
        if open.answers == 0 {
            self.unsettled.swap_remove(index);
        }
        self.lost.retain(|lost| *lost != generation);
        if !delivered {
            self.counts.after_lost_reply += repeats;
            self.lost.push(generation);
        }
    }

    fn expect_answer(&mut self, presented: u32) {
        if presented == self.generation {
            return; // Not rotated: presenting it again is what the client is meant to do.
        }
        match self.unsettled.iter_mut().find(|open| open.generation == presented) {
            Some(open) => open.answers += 1,
            None => self.unsettled.push(Unsettled { generation: presented, answers: 1, repeats: 0 }),
        }
    }

    fn note_repeat(&mut self, presented: u32) {
        self.counts.spent_twice += 1;
        match self.repeats.iter_mut().find(|repeat| repeat.generation == presented) {
            Some(repeat) => repeat.spends += 1,
            None => self.repeats.push(Repeat { generation: presented, spends: 2 }),
        }
        if self.lost.contains(&presented) {
            self.counts.after_lost_reply += 1;
        } else if let Some(open) = self.unsettled.iter_mut().find(|open| open.generation == presented) {
            open.repeats += 1;
        }
    }

    fn note_refusal(&mut self) {
        self.note_call_after_end();
        self.counts.refused += 1;
        self.refused_after_end += 1;
    }

    fn note_call_after_end(&mut self) {
        if self.refused_after_end >= ANSWERS_THAT_SETTLE_IT {
            self.counts.calls_after_end += 1;
        }
    }

    pub(crate) fn is_live(&self) -> bool {
        self.end.is_none()
    }

    pub(crate) fn counts(&self) -> &Counts {
        &self.counts
    }

    pub(crate) fn ledger_entry(&self, no: GrantNo) -> LedgerEntry {
        LedgerEntry {
            grant: format!("{:016x}", no.0),
            user_id: self.user.to_string(),
            state: match self.end {
                None => "live",
                Some(End::Revoked) => "revoked",
                Some(End::ReuseDetected) => "reuse_detected",
            },
            generation: self.generation,
            access_expires_at: DateTime::from_timestamp_millis(self.access_expires_at_ms).unwrap_or_default(),
            counts: self.counts,
            repeats: self.repeats.clone(),
        }
    }
}

#[cfg(test)]
#[path = "grant_tests.rs"]
mod tests;
