//! The store, read around the program and around every fault but its own.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use sqlx::postgres::PgConnectOptions;
use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{ConnectOptions as _, PgConnection, SqliteConnection};

/// The longest wait for an answer of a store that may be away.
const PATIENCE: Duration = Duration::from_secs(2);

/// A connection's row, as it stands.
#[derive(Clone, Debug, PartialEq, Eq, sqlx::FromRow)]
pub(super) struct Standing {
    pub(super) user_id: String,
    pub(super) version: i64,
    pub(super) state: String,
    /// Milliseconds since 1970, by the clock of whoever stored it.
    pub(super) expires_at: Option<i64>,
}

/// Where the rows are.
#[derive(Clone)]
pub(super) enum Place {
    Cluster(Box<PgConnectOptions>),
    Embedded(PathBuf),
}

enum Line {
    Cluster(PgConnection),
    Embedded(SqliteConnection),
}

/// Looks at the rows; while the store is away there is nothing to see.
pub(super) struct Eyes {
    place: Place,
    line: Option<Line>,
}

macro_rules! read {
    ($eyes:expr, $query:expr, $cluster:expr, $embedded:expr) => {{
        let read = async {
            match $eyes.line().await? {
                Line::Cluster(line) => $query($cluster).fetch_all(line).await,
                Line::Embedded(line) => $query($embedded).fetch_all(line).await,
            }
        };
        match tokio::time::timeout(PATIENCE, read).await {
            Ok(Ok(rows)) => Some(rows),
            _ => {
                $eyes.line = None;
                None
            }
        }
    }};
}

impl Eyes {
    pub(super) const fn new(place: Place) -> Self {
        Self { place, line: None }
    }

    async fn line(&mut self) -> Result<&mut Line, sqlx::Error> {
        if self.line.is_none() {
            self.line = Some(match &self.place {
                Place::Cluster(options) => Line::Cluster(options.connect().await?),
                Place::Embedded(file) => {
                    let options = SqliteConnectOptions::new().filename(file).busy_timeout(PATIENCE);
                    Line::Embedded(options.connect().await?)
                }
            });
        }
        Ok(self.line.as_mut().expect("just made"))
    }

    /// Every connection.
    pub(super) async fn standings(&mut self) -> Option<Vec<Standing>> {
        const CLUSTER: &str = "SELECT c.user_id, s.version, s.state,
                (extract(epoch FROM t.expires_at) * 1000)::bigint AS expires_at
             FROM schedules s JOIN connections c ON c.id = s.connection_id JOIN tokens t USING (connection_id)";
        const EMBEDDED: &str = "SELECT c.user_id, s.version, s.state, t.expires_at
             FROM schedules s JOIN connections c ON c.id = s.connection_id JOIN tokens t USING (connection_id)";
        read!(self, sqlx::query_as, CLUSTER, EMBEDDED)
    }

    /// The connections whose lease somebody holds, with the holder's process.
    pub(super) async fn leased(&mut self) -> Option<Vec<(String, i64, String)>> {
        const CLUSTER: &str = "SELECT c.user_id, s.version, s.lease_owner::text
             FROM schedules s JOIN connections c ON c.id = s.connection_id WHERE s.lease_owner IS NOT NULL";
        const EMBEDDED: &str = "SELECT c.user_id, s.version, hex(s.lease_owner)
             FROM schedules s JOIN connections c ON c.id = s.connection_id WHERE s.lease_owner IS NOT NULL";
        read!(self, sqlx::query_as, CLUSTER, EMBEDDED)
    }

    /// How many calls on record had no answer, by user.
    pub(super) async fn ambiguous(&mut self) -> Option<BTreeMap<String, i64>> {
        const CLUSTER: &str = "SELECT c.user_id, count(*) FROM attempts a
             JOIN connections c ON c.id = a.connection_id WHERE a.ambiguous GROUP BY c.user_id";
        const EMBEDDED: &str = "SELECT c.user_id, count(*) FROM attempts a
             JOIN connections c ON c.id = a.connection_id WHERE a.ambiguous = 1 GROUP BY c.user_id";
        let counts: Option<Vec<(String, i64)>> = read!(self, sqlx::query_as, CLUSTER, EMBEDDED);
        Some(counts?.into_iter().collect())
    }
}
