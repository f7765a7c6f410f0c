//! Finds what is due and publishes RefreshDue.
