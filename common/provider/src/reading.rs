//! What an answer says, out of its status, headers and body.

use std::time::Duration;

use evergrant_contract::Timestamp;
use evergrant_contract::secret::Secret;
use evergrant_contract::timing::{after, to_millis};
use evergrant_contract::verdict::{Tokens, Verdict, VerdictKind};
use serde_json::Value;

use crate::descriptor::{Descriptor, as_text};
use crate::lifetime::Expiry;
use crate::redact::Redactor;
use crate::retry_after;
use crate::table::{BodyKind, Facts, Grant};

/// The longest error code that is kept, in characters.
const CODE_MAX: usize = 64;
/// The longest id of a request that is kept, in characters.
const REQUEST_ID_MAX: usize = 128;
/// No refresh token is believed to live longer than this.
const CONSENT_MAX: Duration = Duration::from_hours(10 * 366 * 24);

/// A complete answer, as it came.
pub struct Reply<'a> {
    /// The HTTP status.
    pub status: u16,
    /// The header of that name.
    pub retry_after: Option<&'a str>,
    /// The provider's id of the request, from a header.
    pub request_id: Option<&'a str>,
    /// Every byte of it.
    pub body: &'a [u8],
}

/// What it was asked for, and when.
pub struct Question<'a> {
    /// What was asked for.
    pub grant: Grant,
    /// Everything secret that was sent.
    pub sent: &'a [&'a Secret],
    /// Taken before it was sent.
    pub sent_at: Timestamp,
    /// When the answer is read.
    pub now: Timestamp,
}

/// What an answer says.
pub struct Reading {
    /// What it means.
    pub verdict: Verdict,
    /// The provider's error code, if it looks like one.
    pub code: Option<String>,
    /// One sentence for people, without any secret.
    pub message: String,
    /// The provider's id of the request.
    pub request_id: Option<String>,
    /// The client secret was refused, rather than anything else about the app.
    pub secret_refused: bool,
}

/// Reads a complete answer. Pure: the same answer always means the same.
pub fn read(descriptor: &Descriptor, question: &Question<'_>, reply: &Reply<'_>) -> Reading {
    let mut body = Body::parse(reply.body);
    let received = body.secrets();
    let redactor = Redactor::new(question.sent.iter().copied().chain(&received).map(Secret::expose));
    let code = body.first(&descriptor.answer.code);
    let verdict = judge(descriptor, question, reply, &mut body, code.as_deref());
    let request_id = reply.request_id.map(str::to_owned).or_else(|| body.text("/request_id"));
    let told = body.first(&descriptor.answer.description);
    let code_shown = code.as_deref().and_then(|code| redactor.label(code, CODE_MAX));
    let refuses_secret = |code| descriptor.answer.secret_refused.contains(code);
    Reading {
        message: redactor.clean(&message(
            question.grant,
            verdict.kind(),
            reply.status,
            code_shown.as_deref(),
            told.as_deref(),
        )),
        secret_refused: verdict.kind() == VerdictKind::AppFault && code.as_ref().is_some_and(refuses_secret),
        code: code_shown,
        request_id: request_id.and_then(|id| redactor.label(&id, REQUEST_ID_MAX)),
        verdict,
    }
}

fn judge(
    descriptor: &Descriptor,
    question: &Question<'_>,
    reply: &Reply<'_>,
    body: &mut Body,
    code: Option<&str>,
) -> Verdict {
    let success = (200..300).contains(&reply.status);
    let refused = body.refused(descriptor, code);
    if success
        && !refused
        && let Some(tokens) = body.take_tokens(descriptor, question)
    {
        return Verdict::Refreshed(tokens);
    }
    // A success that cannot be used may still hold a rotated secret, and so may a refusal that has tokens in it.
    let unreadable = match body.kind() {
        BodyKind::Json => !refused || body.has_tokens(descriptor),
        BodyKind::Other => true,
        BodyKind::Html => false,
    };
    if success && unreadable {
        return Verdict::Unusable(Secret::new(String::from_utf8_lossy(reply.body)));
    }
    let sub_code = descriptor.answer.sub_code.as_ref().and_then(|at| as_text(at.of(body.value()?)?));
    let description = body.first(&descriptor.answer.description);
    let facts = Facts {
        status: reply.status,
        body: body.kind(),
        code,
        sub_code: sub_code.as_deref(),
        description: description.as_deref(),
        grant: question.grant,
    };
    match descriptor.verdicts.judge(facts) {
        VerdictKind::GrantInvalid => Verdict::GrantInvalid,
        VerdictKind::AppFault => Verdict::AppFault,
        VerdictKind::Throttled => {
            Verdict::Throttled(reply.retry_after.and_then(|header| retry_after::read(header, question.now)))
        }
        VerdictKind::Unusable => Verdict::Unusable(Secret::new(String::from_utf8_lossy(reply.body))),
        // The table is checked when it is loaded: it never says `refreshed`.
        VerdictKind::Transient | VerdictKind::Refreshed => Verdict::Transient,
    }
}

fn message(grant: Grant, kind: VerdictKind, status: u16, code: Option<&str>, told: Option<&str>) -> String {
    let ours = match kind {
        VerdictKind::Transient if grant == Grant::AuthorizationCode => "the code was not exchanged",
        VerdictKind::GrantInvalid if grant == Grant::AuthorizationCode => "the provider does not take the code",
        VerdictKind::Refreshed => return "a new access token was issued".to_owned(),
        VerdictKind::Transient => "no token was issued, and nothing is known about the grant",
        VerdictKind::Throttled => "the provider asks for a pause",
        VerdictKind::GrantInvalid => "the provider says that the grant has ended",
        VerdictKind::AppFault => "the provider refuses the app's credentials or configuration",
        VerdictKind::Unusable => "the provider reported success without a usable token",
    };
    let code = code.map(|code| format!(" {code}")).unwrap_or_default();
    let told = told.map(|told| format!(": {told}")).unwrap_or_default();
    format!("{ours} (HTTP {status}{code}){told}")
}

enum Body {
    Json(Value),
    Html,
    Other,
}

impl Body {
    fn parse(bytes: &[u8]) -> Self {
        let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes).trim_ascii();
        match serde_json::from_slice(bytes) {
            Ok(value @ Value::Object(_)) => Self::Json(value),
            _ if bytes.starts_with(b"<") => Self::Html,
            _ => Self::Other,
        }
    }

    const fn kind(&self) -> BodyKind {
        match self {
            Self::Json(_) => BodyKind::Json,
            Self::Html => BodyKind::Html,
            Self::Other => BodyKind::Other,
        }
    }

    const fn value(&self) -> Option<&Value> {
        match self {
            Self::Json(value) => Some(value),
            Self::Html | Self::Other => None,
        }
    }

    fn text(&self, pointer: &str) -> Option<String> {
        as_text(self.value()?.pointer(pointer)?)
    }

    fn first(&self, pointers: &[crate::descriptor::Pointer]) -> Option<String> {
        let value = self.value()?;
        pointers.iter().find_map(|at| as_text(at.of(value)?))
    }

    /// Whether the body says that it is no success, whatever the status says.
    fn refused(&self, descriptor: &Descriptor, code: Option<&str>) -> bool {
        match (&descriptor.answer.success, self.value()) {
            (Some(mark), Some(value)) => mark.at.of(value).is_some_and(|found| *found != mark.equals),
            _ => code.is_some(),
        }
    }

    fn has_tokens(&self, descriptor: &Descriptor) -> bool {
        let Some(root) = self.value().and_then(|value| descriptor.answer.root.of(value)) else { return false };
        ["access_token", "refresh_token"].iter().any(|field| root.get(field).and_then(as_text).is_some())
    }

    /// Takes the tokens out, so that no copy stays behind in the body.
    fn take_tokens(&mut self, descriptor: &Descriptor, question: &Question<'_>) -> Option<Tokens> {
        let Self::Json(value) = self else { return None };
        let form = &descriptor.answer;
        let root = form.root.of_mut(value)?;
        let access_token = take_secret(root, "access_token")?;
        let refresh_token = take_secret(root, "refresh_token");
        let expiry = |field: &str| Expiry::read(root.get(field), form.expiry_unit, question.now);
        let (lifetime, absurd) = expiry(&form.expires_in).lifetime(descriptor.default_lifetime);
        if absurd {
            tracing::warn!(
                provider = %descriptor.name, lifetime_secs = lifetime.as_secs(),
                "The provider's answer has an absurd lifetime; the descriptor's default is used"
            );
        }
        let refresh_expires_at = match expiry(&form.refresh_expires_in) {
            Expiry::In(lifetime) if !lifetime.is_zero() && lifetime <= CONSENT_MAX => {
                Some(to_millis(after(question.sent_at, lifetime)))
            }
            _ => None,
        };
        let scopes = root.get("scope").and_then(scopes);
        Some(Tokens { access_token, refresh_token, lifetime, refresh_expires_at, scopes })
    }

    /// Every text in a field that is named like a secret, wherever it is.
    fn secrets(&self) -> Vec<Secret> {
        let mut found = Vec::new();
        if let Some(value) = self.value() {
            collect_secrets(value, false, &mut found);
        }
        found
    }
}

/// JSON from a body of limited size that `serde_json` has read: its depth is limited too.
fn collect_secrets(value: &Value, named: bool, found: &mut Vec<Secret>) {
    match value {
        Value::String(text) if named => found.extend(Secret::non_empty(text.as_str())),
        Value::Array(items) => items.iter().for_each(|item| collect_secrets(item, named, found)),
        Value::Object(fields) => {
            for (name, field) in fields {
                let secret = matches!(name.as_str(), "access_token" | "refresh_token" | "id_token" | "client_secret");
                collect_secrets(field, named || secret, found);
            }
        }
        _ => {}
    }
}

fn take_secret(object: &mut Value, field: &str) -> Option<Secret> {
    match object.get_mut(field)?.take() {
        Value::String(text) => Secret::non_empty(text),
        _ => None,
    }
}

/// Scopes as text, or as a list of texts.
fn scopes(value: &Value) -> Option<String> {
    match value {
        Value::Array(items) => {
            let scopes: Vec<_> = items.iter().filter_map(Value::as_str).collect();
            (!scopes.is_empty()).then(|| scopes.join(" "))
        }
        value => as_text(value),
    }
}
