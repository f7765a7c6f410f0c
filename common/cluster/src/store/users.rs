//! The people who may sign in.

use async_trait::async_trait;
use evergrant_contract::Timestamp;
use evergrant_contract::ids::UserId;
use evergrant_contract::people::{Saved, User, UserKey};
use evergrant_contract::ports::{StoreError, Users};
use evergrant_contract::secret::Secret;
use evergrant_contract::timing::to_millis;

use super::PgStore;
use super::error::{is_unique_violation, store_error};
use super::row::{text, word};

/// How often a user is written at most. The second time is for whoever lost a race that nobody won.
const WRITES: usize = 3;

#[async_trait]
impl Users for PgStore {
    async fn user(&self, key: UserKey<'_>) -> Result<Option<User>, StoreError> {
        let row = match key {
            UserKey::Id(id) => {
                let found = sqlx::query_file_as!(UserRow, "src/store/sql/user_by_id.sql", id.as_str());
                found.fetch_optional(&self.pool).await
            }
            UserKey::Email(email) => {
                let found = sqlx::query_file_as!(UserRow, "src/store/sql/user_by_email.sql", email_key(email));
                found.fetch_optional(&self.pool).await
            }
            UserKey::Account(account) => {
                let found = sqlx::query_file_as!(UserRow, "src/store/sql/user_by_account.sql", text(account));
                found.fetch_optional(&self.pool).await
            }
        };
        row.map_err(store_error)?.map(User::try_from).transpose()
    }

    async fn save_user(&self, user: &User) -> Result<Saved, StoreError> {
        for _ in 0..WRITES {
            match self.write(user).await {
                Ok(()) => return Ok(Saved::Done),
                Err(error) if is_unique_violation(&error) => {}
                Err(error) => return Err(store_error(error)),
            }
            if let Some(taken) = self.taken(user).await? {
                return Ok(taken);
            }
        }
        Err(StoreError::Unavailable("several processes write one user at once".to_owned()))
    }

    async fn users(&self, after: Option<&UserId>, limit: u32) -> Result<Vec<User>, StoreError> {
        // Before the first page stands what no id is.
        let after = after.map_or("", UserId::as_str);
        let rows = sqlx::query_file_as!(UserRow, "src/store/sql/users.sql", after, i64::from(limit))
            .fetch_all(&self.pool)
            .await
            .map_err(store_error)?;
        rows.into_iter().map(User::try_from).collect()
    }

    async fn password(&self, id: &UserId) -> Result<Option<Secret>, StoreError> {
        let hash = sqlx::query_scalar!("SELECT password FROM users WHERE id = $1", id.as_str())
            .fetch_optional(&self.pool)
            .await
            .map_err(store_error)?;
        Ok(hash.flatten().map(Secret::new))
    }

    async fn set_password(&self, id: &UserId, hash: Option<&Secret>) -> Result<bool, StoreError> {
        let done = sqlx::query!("UPDATE users SET password = $2 WHERE id = $1", id.as_str(), hash.map(Secret::expose))
            .execute(&self.pool)
            .await
            .map_err(store_error)?;
        Ok(done.rows_affected() == 1)
    }
}

impl PgStore {
    async fn write(&self, user: &User) -> Result<(), sqlx::Error> {
        sqlx::query!(
            "INSERT INTO users
                 (id, email, email_key, name, account, is_admin, is_active, profile_ids, marketplace_ids, created_at)
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)
             ON CONFLICT (id) DO UPDATE SET
                 email = excluded.email, email_key = excluded.email_key, name = excluded.name,
                 account = excluded.account, is_admin = excluded.is_admin, is_active = excluded.is_active,
                 profile_ids = excluded.profile_ids, marketplace_ids = excluded.marketplace_ids",
            user.id.as_str(),
            text(&user.email),
            email_key(&user.email),
            text(&user.name),
            text(&user.account),
            user.is_admin,
            user.is_active,
            &texts(&user.profile_ids),
            &texts(&user.marketplace_ids),
            to_millis(user.created_at),
        )
        .execute(&self.pool)
        .await?;
        Ok(())
    }

    /// What another user has of what this one was to have. Nothing, if the other has let go of it, or was this one: when
    /// two processes make one user at once, it depends on the order of the indexes at which of them they meet.
    async fn taken(&self, user: &User) -> Result<Option<Saved>, StoreError> {
        let others = sqlx::query!(
            r#"SELECT EXISTS (SELECT FROM users WHERE email_key = $2 AND id <> $1) AS "email!",
                      EXISTS (SELECT FROM users WHERE account = $3 AND account <> '' AND id <> $1) AS "account!""#,
            user.id.as_str(),
            email_key(&user.email),
            text(&user.account),
        )
        .fetch_one(&self.pool)
        .await
        .map_err(store_error)?;
        let email = others.email.then_some(Saved::EmailTaken);
        Ok(email.or(others.account.then_some(Saved::AccountTaken)))
    }
}

/// An address as it is looked up and as it is unique. Folded here: what a database folds depends on its locale.
fn email_key(email: &str) -> Option<String> {
    (!email.is_empty()).then(|| text(&email.to_lowercase()))
}

fn texts(words: &[String]) -> Vec<String> {
    words.iter().map(|word| text(word)).collect()
}

struct UserRow {
    id: String,
    email: String,
    name: String,
    account: String,
    is_admin: bool,
    is_active: bool,
    profile_ids: Vec<String>,
    marketplace_ids: Vec<String>,
    created_at: Timestamp,
}

impl TryFrom<UserRow> for User {
    type Error = StoreError;

    fn try_from(row: UserRow) -> Result<Self, StoreError> {
        Ok(Self {
            id: word("users", "id", &row.id, &row.id)?,
            email: row.email,
            name: row.name,
            account: row.account,
            is_admin: row.is_admin,
            is_active: row.is_active,
            profile_ids: row.profile_ids,
            marketplace_ids: row.marketplace_ids,
            created_at: row.created_at,
        })
    }
}
