//! The body and the headers that ask for tokens.

use bytes::Bytes;
use evergrant_contract::consent::CodeCall;
use evergrant_contract::secret::Secret;
use evergrant_contract::verdict::RefreshCall;
use reqwest::header::{AUTHORIZATION, CONTENT_TYPE, HeaderMap, HeaderValue};
use url::form_urlencoded;
use zeroize::Zeroizing;

use crate::descriptor::{BodyForm, ClientAuth, RequestForm};
use crate::table::Grant;

/// What tokens are asked for with.
#[derive(Clone, Copy)]
pub(crate) enum Asked<'a> {
    /// A refresh token.
    Refresh(&'a RefreshCall<'a>),
    /// The code of a consent.
    Exchange(&'a CodeCall<'a>),
}

impl<'a> Asked<'a> {
    /// What its answer is about.
    pub(crate) const fn grant(self) -> Grant {
        match self {
            Self::Refresh(_) => Grant::RefreshToken,
            Self::Exchange(_) => Grant::AuthorizationCode,
        }
    }

    /// Everything secret that is sent, the app's own credentials apart.
    pub(crate) fn secrets(self) -> impl Iterator<Item = &'a Secret> {
        let (first, second) = match self {
            Self::Refresh(call) => (call.refresh_token, None),
            Self::Exchange(call) => (call.code, Some(call.code_verifier)),
        };
        std::iter::once(first).chain(second)
    }

    fn fields(self, form: &RequestForm) -> Vec<(&'static str, &'a str)> {
        match self {
            Self::Refresh(call) => {
                let mut fields = vec![("grant_type", "refresh_token"), ("refresh_token", call.refresh_token.expose())];
                fields.extend(call.scopes.filter(|_| form.send_scopes).map(|scopes| ("scope", scopes)));
                fields
            }
            Self::Exchange(call) => vec![
                ("grant_type", "authorization_code"),
                ("code", call.code.expose()),
                ("redirect_uri", call.redirect_uri),
                ("code_verifier", call.code_verifier.expose()),
            ],
        }
    }
}

/// What is sent. The memory of the body is overwritten when the last holder lets go of it.
pub(crate) struct Question {
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
}

/// Builds the question. `None`: the credentials do not fit into a header.
pub(crate) fn ask(form: &RequestForm, asked: Asked<'_>, client_id: &str, secret: &Secret) -> Option<Question> {
    let mut fields = asked.fields(form);
    let mut headers = HeaderMap::new();
    match form.client_auth {
        ClientAuth::Body => fields.extend([("client_id", client_id), ("client_secret", secret.expose())]),
        ClientAuth::Basic => {
            headers.insert(AUTHORIZATION, basic(client_id, secret)?);
        }
    }
    let renamed = fields.into_iter().map(|(name, value)| (form.name(name), value));
    let extra = form.extra.iter().map(|(name, value)| (name.as_str(), value.as_str()));
    let fields: Vec<_> = renamed.chain(extra).collect();
    let (kind, body) = match form.body {
        BodyForm::Form => ("application/x-www-form-urlencoded;charset=UTF-8", urlencoded(&fields)),
        BodyForm::Json => ("application/json", json(&fields)),
    };
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(kind));
    Some(Question { headers, body: Bytes::from_owner(body) })
}

/// Room for the longest possible text: a buffer that grows would leave copies of secrets behind.
fn room(fields: &[(&str, &str)], worst_per_byte: usize) -> usize {
    fields.iter().map(|(name, value)| (name.len() + value.len()) * worst_per_byte + "\"\":\"\",{}".len()).sum()
}

fn urlencoded(fields: &[(&str, &str)]) -> Zeroizing<Vec<u8>> {
    let text = String::with_capacity(room(fields, "%00".len()));
    Zeroizing::new(form_urlencoded::Serializer::new(text).extend_pairs(fields).finish().into_bytes())
}

fn json(fields: &[(&str, &str)]) -> Zeroizing<Vec<u8>> {
    let mut body = Zeroizing::new(Vec::with_capacity(room(fields, "\\u0000".len())));
    for (n, (name, value)) in fields.iter().enumerate() {
        body.push(if n == 0 { b'{' } else { b',' });
        // Writing text into memory cannot fail.
        let _ = serde_json::to_writer(&mut *body, name);
        body.push(b':');
        let _ = serde_json::to_writer(&mut *body, value);
    }
    body.push(b'}');
    body
}

/// RFC 6749, section 2.3.1: id and secret are form-encoded before they are joined.
fn basic(client_id: &str, secret: &Secret) -> Option<HeaderValue> {
    use base64::Engine;
    use base64::engine::general_purpose::STANDARD;

    let encode = |text: &str| Zeroizing::new(form_urlencoded::byte_serialize(text.as_bytes()).collect::<String>());
    let pair = Zeroizing::new(format!("{}:{}", encode(client_id).as_str(), encode(secret.expose()).as_str()));
    let text = Zeroizing::new(format!("Basic {}", STANDARD.encode(pair.as_bytes())));
    let mut value = HeaderValue::from_str(&text).ok()?;
    value.set_sensitive(true);
    Some(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refresh(form: &RequestForm, scopes: Option<&str>) -> (Option<String>, String) {
        let token = Secret::new("Atzr|a b&c");
        read(form, Asked::Refresh(&RefreshCall { refresh_token: &token, scopes }))
    }

    fn exchange(form: &RequestForm) -> (Option<String>, String) {
        let (code, code_verifier) = (Secret::new("AN c&d"), Secret::new("v-e_r~i"));
        let call =
            CodeCall { code: &code, redirect_uri: "https://app.example/back?x=1", code_verifier: &code_verifier };
        read(form, Asked::Exchange(&call))
    }

    fn read(form: &RequestForm, asked: Asked<'_>) -> (Option<String>, String) {
        let question = ask(form, asked, "id:1", &Secret::new("s=\"1\"")).unwrap();
        let header = question.headers.get(AUTHORIZATION).map(|value| {
            assert!(value.is_sensitive());
            value.to_str().unwrap().to_owned()
        });
        (header, String::from_utf8(question.body.to_vec()).unwrap())
    }

    #[test]
    fn the_standard_form() {
        let (header, body) = refresh(&RequestForm::default(), Some("a b"));
        assert_eq!(header, None);
        let expected =
            "grant_type=refresh_token&refresh_token=Atzr%7Ca+b%26c&client_id=id%3A1&client_secret=s%3D%221%22";
        assert_eq!(body, expected);
    }

    #[test]
    fn a_descriptor_changes_names_place_and_form() {
        let text =
            "body = \"json\"\nsend_scopes = true\n[rename]\nclient_id = \"client_key\"\n[extra]\nexpiring = \"1\"\n";
        let (_, body) = refresh(&toml::from_str(text).unwrap(), Some("x y"));
        let body: serde_json::Value = serde_json::from_str(&body).unwrap();
        let expected = serde_json::json!({
            "grant_type": "refresh_token", "refresh_token": "Atzr|a b&c", "scope": "x y",
            "client_key": "id:1", "client_secret": "s=\"1\"", "expiring": "1",
        });
        assert_eq!(body, expected);
    }

    #[test]
    fn basic_authentication_keeps_the_secret_out_of_the_body() {
        let (header, body) = refresh(&toml::from_str("client_auth = \"basic\"").unwrap(), None);
        // base64 of `id%3A1:s%3D%221%22`
        assert_eq!(header.as_deref(), Some("Basic aWQlM0ExOnMlM0QlMjIxJTIy"));
        assert_eq!(body, "grant_type=refresh_token&refresh_token=Atzr%7Ca+b%26c");
    }

    #[test]
    fn a_code_is_exchanged_in_the_same_form() {
        let expected = "grant_type=authorization_code&code=AN+c%26d&redirect_uri=https%3A%2F%2Fapp.example%2Fback%3Fx%3D1\
                        &code_verifier=v-e_r%7Ei&client_id=id%3A1&client_secret=s%3D%221%22";
        assert_eq!(exchange(&RequestForm::default()), (None, expected.to_owned()));
        let (header, body) = exchange(&toml::from_str("client_auth = \"basic\"\nsend_scopes = true").unwrap());
        assert_eq!(header.as_deref(), Some("Basic aWQlM0ExOnMlM0QlMjIxJTIy"));
        assert!(body.ends_with("&code_verifier=v-e_r%7Ei"), "{body}");
    }

    #[test]
    fn the_room_is_enough_for_the_worst() {
        let worst = "\u{1}\u{ffff}\"".repeat(50);
        let fields = [("a", worst.as_str()), ("b", worst.as_str())];
        assert!(urlencoded(&fields).len() <= room(&fields, 3));
        assert!(json(&fields).len() <= room(&fields, 6));
    }
}
