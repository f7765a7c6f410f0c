//! Taking leases, many in one statement and one commit.

use async_trait::async_trait;
use evergrant_contract::Timestamp;
use evergrant_contract::connection::LeaseRequest;
use evergrant_contract::ids::ConnectionId;
use evergrant_contract::ports::StoreError;
use sqlx::PgPool;
use uuid::Uuid;

use super::batch::Batch;
use super::error::store_error;
use super::time::{StoreTime, millis};

pub(super) struct Acquire {
    pub(super) pool: PgPool,
    pub(super) time: StoreTime,
}

/// What the database says to one request. Opened by the caller, after the commit.
pub(super) struct Taken {
    pub(super) outcome: String,
    pub(super) state: Option<String>,
    pub(super) version: Option<i64>,
    pub(super) failures: Option<i32>,
    pub(super) suspicions: Option<i32>,
    pub(super) former_owner: Option<Uuid>,
    pub(super) user_id: Option<String>,
    pub(super) provider: Option<String>,
    pub(super) scopes: Option<String>,
    pub(super) refresh_token: Option<String>,
    pub(super) expires_at: Option<Timestamp>,
}

#[async_trait]
impl Batch for Acquire {
    type Question = LeaseRequest;
    type Answer = Taken;

    fn connection(request: &LeaseRequest) -> ConnectionId {
        request.connection
    }

    fn is_awaited(request: &LeaseRequest) -> bool {
        request.is_awaited
    }

    async fn run(&self, requests: &[LeaseRequest]) -> Result<Vec<Taken>, StoreError> {
        let ids: Vec<_> = requests.iter().map(|request| request.connection.uuid()).collect();
        let versions: Vec<_> = requests.iter().map(|request| request.version.number()).collect();
        let seen: Vec<_> = requests.iter().map(|request| request.seen_refresh_at).collect();
        let owners: Vec<_> = requests.iter().map(|request| request.owner.uuid()).collect();
        let ttls: Vec<_> = requests.iter().map(|request| millis(request.ttl)).collect();
        let graces: Vec<_> = requests.iter().map(|request| millis(request.takeover_grace)).collect();
        sqlx::query_file_as!(
            Taken,
            "src/store/sql/acquire.sql",
            &ids,
            &versions,
            &seen as &[Option<Timestamp>],
            &owners,
            &ttls,
            &graces,
            self.time.now(),
        )
        .fetch_all(&self.pool)
        .await
        .map_err(store_error)
    }
}
