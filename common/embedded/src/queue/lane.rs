//! The jobs of one kind that wait.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use evergrant_contract::job::Job;
use tokio::sync::Notify;
use tokio::sync::futures::OwnedNotified;

/// A bounded line of jobs that any number of workers take from.
#[derive(Debug)]
pub(super) struct Lane {
    jobs: Mutex<VecDeque<Job>>,
    capacity: usize,
    arrived: Arc<Notify>,
    consumers: AtomicU64,
}

/// A worker that takes jobs from a lane, until it is dropped.
pub(super) struct Consumer<'a>(&'a Lane);

impl Drop for Consumer<'_> {
    fn drop(&mut self) {
        self.0.consumers.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Lane {
    pub(super) fn new(capacity: usize) -> Self {
        Self { jobs: Mutex::default(), capacity, arrived: Arc::default(), consumers: AtomicU64::new(0) }
    }

    /// Adds a job at the end. `false`: there is no room for it.
    pub(super) fn push(&self, job: Job) -> bool {
        let mut jobs = self.lock();
        let fits = jobs.len() < self.capacity;
        if fits {
            jobs.push_back(job);
            drop(jobs);
            self.arrived.notify_one();
        }
        fits
    }

    /// Adds a job that was in hand at the end, room or not: those in hand are bounded too.
    pub(super) fn put_back(&self, job: Job) {
        self.lock().push_back(job);
        self.arrived.notify_one();
    }

    /// Takes the first job.
    pub(super) fn pop(&self) -> Option<Job> {
        let mut jobs = self.lock();
        let job = jobs.pop_front();
        // Several arrivals may have been noticed as one: whoever takes a job passes the news on.
        if !jobs.is_empty() {
            self.arrived.notify_one();
        }
        job
    }

    pub(super) fn len(&self) -> usize {
        self.lock().len()
    }

    /// A worker takes jobs from here.
    pub(super) fn taken_from(&self) -> Consumer<'_> {
        self.consumers.fetch_add(1, Ordering::Relaxed);
        Consumer(self)
    }

    /// How many workers do.
    pub(super) fn consumers(&self) -> u64 {
        self.consumers.load(Ordering::Relaxed)
    }

    /// Ends when a job may have arrived since it was first polled, or since the last time nobody waited.
    pub(super) fn arrival(&self) -> OwnedNotified {
        self.arrived.clone().notified_owned()
    }

    /// A panic cannot leave the line half changed, so the poison is no reason to stop.
    fn lock(&self) -> MutexGuard<'_, VecDeque<Job>> {
        self.jobs.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
