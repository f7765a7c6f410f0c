//! Looks that filters narrow.

use evergrant_contract::ports::StoreError;
use sqlx::{Postgres, Transaction};

use super::PgStore;
use super::begin::begin_with;
use super::error::store_error;

/// One snapshot, so that what a look finds out first holds for the rest of it. Each statement is planned for its
/// parameters: a plan that is made once for any of them would have to do without the indexes of the filters.
const LOOK: &str = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY; SET LOCAL plan_cache_mode = force_custom_plan";

impl PgStore {
    /// Begins to look. Whoever has seen enough commits.
    pub(super) async fn look(&self) -> Result<Transaction<'static, Postgres>, StoreError> {
        begin_with(&self.pool, LOOK).await.map_err(store_error)
    }
}
