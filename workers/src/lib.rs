//! One job, one lease, one attempt, one verdict, one write.
