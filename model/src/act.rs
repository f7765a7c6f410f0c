//! Everything that can happen next.

/// One step. Those with a worker name it by its place.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Act {
    /// A second passes.
    Tick,
    /// The scheduler looks, with its clock so far ahead, and publishes what is due.
    Look {
        /// Seconds.
        ahead: u8,
    },
    /// Somebody forces a refresh of the version that is stored.
    Force,
    /// The user consents anew.
    Consent,
    /// A job that waits is delivered.
    Deliver {
        /// To this worker.
        worker: usize,
        /// Which of those that wait.
        job: usize,
    },
    /// A worker asks for the lease.
    Ask(usize),
    /// A worker calls the provider, or finds that the lease has no room for it.
    Call(usize),
    /// The reply arrives.
    Hear(usize),
    /// A worker writes its result.
    Write(usize),
    /// A worker acknowledges its job.
    Acknowledge(usize),
    /// What an earlier process left in the spool is written.
    Adopt,
    /// The store can be reached again.
    StoreUp,
    /// From now on nothing goes wrong.
    FaultsEnd,
    /// Something goes wrong.
    Fault(Fault),
}

/// What can go wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Fault {
    /// `kill -9`; another process starts in its place. The broker delivers its job again.
    Kill(usize),
    /// A process takes its time.
    Slow(usize),
    /// The process has to end while the store is away.
    Shutdown(usize),
    /// The scheduler is killed: it forgets what it has published.
    SchedulerForgets,
    /// The broker delivers a job twice.
    Duplicate(usize),
    /// A job is on its way for longer than it should be, and others pass it.
    Delay(usize),
    /// The broker loses a job.
    Lose(usize),
    /// The lease is given and the worker does not learn of it.
    LeaseUnconfirmed(usize),
    /// The result is written and the worker does not learn of it.
    WriteUnconfirmed(usize),
    /// The store cannot be reached.
    StoreDown,
    /// The store's clock is stepped forwards by a lease.
    StoreClockJumps,
    /// The provider is in trouble and does nothing.
    Trouble(usize),
    /// The provider says `invalid_grant` though the grant is good.
    WrongInvalidGrant(usize),
    /// The provider has done what was asked, and its reply is lost.
    Silence(usize),
    /// The provider ends the grant.
    Revoke,
}
