//! The people who may sign in.

use async_trait::async_trait;
use evergrant_contract::ids::UserId;
use evergrant_contract::people::{Saved, User, UserKey};
use evergrant_contract::ports::{StoreError, Users};
use evergrant_contract::secret::Secret;
use sqlx::SqliteConnection;

use super::SqliteStore;
use super::columns::{Row, json_text, millis};
use super::error::Explain;
use super::writer::{Scope, Write};

/// A user as the row holds them, the password apart.
struct UserRow {
    id: String,
    email: String,
    name: String,
    account: String,
    is_admin: bool,
    is_active: bool,
    profile_ids: String,
    marketplace_ids: String,
    created_at: i64,
}

/// The one list of columns, with the rest of the query behind it.
macro_rules! users {
    ($rest:literal, $($argument:expr),+ $(,)?) => {
        sqlx::query_as!(
            UserRow,
            r#"SELECT id AS "id!", email AS "email!", name AS "name!", account AS "account!", is_admin AS "is_admin!: bool",
                   is_active AS "is_active!: bool", profile_ids AS "profile_ids!", marketplace_ids AS "marketplace_ids!",
                   created_at AS "created_at!: i64"
               FROM users "#
                + $rest,
            $($argument),+
        )
    };
}

#[async_trait]
impl Users for SqliteStore {
    async fn user(&self, key: UserKey<'_>) -> Result<Option<User>, StoreError> {
        let row = match key {
            UserKey::Id(id) => {
                let id = id.as_str();
                users!("WHERE id = ?", id).fetch_optional(&self.readers).await
            }
            UserKey::Email(email) => {
                let key = email_key(email);
                users!("WHERE email_key = ?", key).fetch_optional(&self.readers).await
            }
            UserKey::Account(account) => {
                users!("WHERE account = ? AND account <> ''", account).fetch_optional(&self.readers).await
            }
        };
        row.explain()?.map(UserRow::read).transpose()
    }

    async fn save_user(&self, user: &User) -> Result<Saved, StoreError> {
        self.writer.write(SaveUser(user.clone())).await
    }

    async fn users(&self, after: Option<&UserId>, limit: u32) -> Result<Vec<User>, StoreError> {
        // No id is empty. SQLite compares texts by their bytes.
        let after = after.map_or("", UserId::as_str);
        let rows = users!("WHERE id > ? ORDER BY id LIMIT ?", after, limit).fetch_all(&self.readers).await.explain()?;
        rows.into_iter().map(UserRow::read).collect()
    }

    async fn password(&self, id: &UserId) -> Result<Option<Secret>, StoreError> {
        let id = id.as_str();
        let row = sqlx::query!(r#"SELECT password AS "password?" FROM users WHERE id = ?"#, id)
            .fetch_optional(&self.readers)
            .await
            .explain()?;
        Ok(row.and_then(|row| row.password).map(Secret::new))
    }

    async fn set_password(&self, id: &UserId, hash: Option<&Secret>) -> Result<bool, StoreError> {
        self.writer.write(SetPassword { id: id.clone(), hash: hash.cloned() }).await
    }
}

impl UserRow {
    fn read(self) -> Result<User, StoreError> {
        let cell = Row::of("users", &self.id);
        Ok(User {
            id: cell.word("id", &self.id)?,
            email: self.email,
            name: self.name,
            account: self.account,
            is_admin: self.is_admin,
            is_active: self.is_active,
            profile_ids: cell.json("profile_ids", &self.profile_ids)?,
            marketplace_ids: cell.json("marketplace_ids", &self.marketplace_ids)?,
            created_at: cell.time("created_at", self.created_at)?,
        })
    }
}

/// What makes an address unique. SQLite itself folds the letters of English only.
fn email_key(email: &str) -> Option<String> {
    (!email.is_empty()).then(|| email.to_lowercase())
}

struct SaveUser(User);

#[async_trait]
impl Write for SaveUser {
    type Output = Saved;

    async fn apply(&self, scope: &mut Scope<'_>) -> Result<Saved, StoreError> {
        let user = &self.0;
        let (id, email_key) = (user.id.as_str(), email_key(&user.email));
        // The one writer is alone in its transaction: nobody comes between this look and the write.
        let taken = taken(scope.db, user, email_key.as_deref()).await?;
        if taken != Saved::Done {
            return Ok(taken);
        }
        let (profile_ids, marketplace_ids) = (json_text(&user.profile_ids), json_text(&user.marketplace_ids));
        let created_at = millis(user.created_at);
        sqlx::query!(
            "INSERT INTO users
                 (id, email, email_key, name, account, is_admin, is_active, profile_ids, marketplace_ids, created_at)
             VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
             ON CONFLICT (id) DO UPDATE
             SET email = excluded.email, email_key = excluded.email_key, name = excluded.name, account = excluded.account,
                 is_admin = excluded.is_admin, is_active = excluded.is_active, profile_ids = excluded.profile_ids,
                 marketplace_ids = excluded.marketplace_ids",
            id,
            user.email,
            email_key,
            user.name,
            user.account,
            user.is_admin,
            user.is_active,
            profile_ids,
            marketplace_ids,
            created_at,
        )
        .execute(&mut *scope.db)
        .await
        .explain()?;
        Ok(Saved::Done)
    }
}

/// Whether somebody else has what must be unique.
async fn taken(db: &mut SqliteConnection, user: &User, email_key: Option<&str>) -> Result<Saved, StoreError> {
    let id = user.id.as_str();
    let taken = sqlx::query!(
        r#"SELECT EXISTS (SELECT 1 FROM users WHERE email_key = ?1 AND id <> ?3) AS "email!: bool",
               EXISTS (SELECT 1 FROM users WHERE account = ?2 AND account <> '' AND id <> ?3) AS "account!: bool""#,
        email_key,
        user.account,
        id,
    )
    .fetch_one(db)
    .await
    .explain()?;
    Ok(match (taken.email, taken.account) {
        (true, _) => Saved::EmailTaken,
        (false, true) => Saved::AccountTaken,
        (false, false) => Saved::Done,
    })
}

struct SetPassword {
    id: UserId,
    hash: Option<Secret>,
}

#[async_trait]
impl Write for SetPassword {
    type Output = bool;

    async fn apply(&self, scope: &mut Scope<'_>) -> Result<bool, StoreError> {
        let (id, hash) = (self.id.as_str(), self.hash.as_ref().map(Secret::expose));
        let done = sqlx::query!("UPDATE users SET password = ? WHERE id = ?", hash, id)
            .execute(&mut *scope.db)
            .await
            .explain()?;
        Ok(done.rows_affected() == 1)
    }
}
