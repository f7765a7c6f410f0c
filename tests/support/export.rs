//! The original project's `users` export, as it comes out of its database: consistent in nothing.

use std::fs;
use std::path::Path;

use chrono::{DateTime, Utc};
use evergrant_sim::{IssuedTokens, Sim};
use fernet::Fernet;
use serde_json::{Value, json};

/// An export, and what is to be made of it.
pub(crate) struct Export {
    /// The users with tokens that work.
    pub(crate) users: Vec<String>,
    rows: Vec<Value>,
    /// Rows that nobody can read.
    pub(crate) broken: usize,
    /// Users without any token.
    pub(crate) without_tokens: usize,
}

impl Export {
    /// As many users as wanted, who have just consented at the simulated Amazon, and some rows to stumble over.
    pub(crate) fn new(sim: &Sim, users: usize, key: &str) -> Self {
        let fernet = Fernet::new(key).expect("a Fernet key");
        let mut export = Self { users: Vec::new(), rows: Vec::new(), broken: 0, without_tokens: 0 };
        for number in 0..users {
            let user = format!("00000000-0000-4000-8000-{number:012}");
            let tokens = sim.grant(&user);
            export.rows.push(row(&user, &auth_tokens(number, &tokens, &fernet)));
            export.users.push(user);
            if number % 50 == 7 {
                export.stumble(number, &fernet);
            }
        }
        export
    }

    /// Rows as they are in every database that is old enough.
    fn stumble(&mut self, number: usize, fernet: &Fernet) {
        let stranger = Fernet::new(&Fernet::generate_key()).expect("a Fernet key");
        let id = |kind: &str| format!("{kind}-{number}");
        let foreign = json!({ "refresh_token": stranger.encrypt(b"Atzr|encrypted-with-a-lost-key") });
        let broken = [
            row(&id("foreign-key"), &foreign),
            row(&id("list"), &json!([1, 2])),
            row(&id("half"), &json!("{\"access_token\": \"Atza|cut-sho")),
            json!({ "auth_tokens": { "refresh_token": fernet.encrypt(b"Atzr|nobody's") } }),
        ];
        let without_tokens = [row(&id("null"), &Value::Null), row(&id("empty"), &json!({}))];
        self.broken += broken.len();
        self.without_tokens += without_tokens.len();
        self.rows.extend(broken.into_iter().chain(without_tokens));
    }

    /// Writes it as a JSON array.
    pub(crate) fn write(&self, path: &Path) {
        fs::write(path, serde_json::to_vec(&self.rows).unwrap()).unwrap();
    }
}

fn row(id: &str, auth_tokens: &Value) -> Value {
    json!({
        "id": id, "email": format!("{id}@example.com"), "name": "A User", "amazon_customer_id": format!("amzn1.account.{id}"),
        "auth_tokens": auth_tokens, "is_active": true, "preferences": {}
    })
}

/// Each token is encrypted by itself, or was stored in the clear when the original had no key; times are UTC and rarely say
/// so; some rows are the text of an object, and not one.
fn auth_tokens(number: usize, tokens: &IssuedTokens, fernet: &Fernet) -> Value {
    let hide = |token: &str| if number % 5 == 3 { token.to_owned() } else { fernet.encrypt(token.as_bytes()) };
    let object = json!({
        "access_token": hide(&tokens.access_token),
        "refresh_token": hide(&tokens.refresh_token),
        "token_type": "bearer",
        "expires_at": written(number, tokens.expires_at),
        "updated_at": "2026-11-23T11:00:00"
    });
    if number % 4 == 1 { Value::String(object.to_string()) } else { object }
}

fn written(number: usize, time: DateTime<Utc>) -> String {
    let formats = ["%Y-%m-%dT%H:%M:%S", "%Y-%m-%dT%H:%M:%S%.6f", "%Y-%m-%dT%H:%M:%S%.6fZ", "%Y-%m-%dT%H:%M:%SZ"];
    time.format(formats[number % formats.len()]).to_string()
}
