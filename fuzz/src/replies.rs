//! What a token endpoint answers.

use std::sync::LazyLock;
use std::time::Duration;

use evergrant_contract::Timestamp;
use evergrant_contract::secret::Secret;
use evergrant_contract::verdict::{Verdict, VerdictKind};
use evergrant_provider::reading::{Question, Reading, Reply, read};
use evergrant_provider::{Descriptor, Grant, Registry};

/// Stands in the corpus too, so that answers that repeat what was sent are found.
const SENT: &str = "Atzr|sent-refresh-token";
/// Statuses that tables tell apart, and some that nobody expects.
const STATUSES: [u16; 14] = [200, 201, 204, 299, 301, 400, 401, 403, 404, 418, 429, 500, 503, 599];
/// No access token is believed to live longer.
pub(crate) const LONGEST: Duration = Duration::from_hours(400 * 24);

pub(crate) static REGISTRY: LazyLock<Registry> =
    LazyLock::new(|| Registry::load(None).unwrap_or_else(|error| panic!("the built-in descriptors: {error}")));

pub(crate) fn ask(descriptor: &Descriptor, grant: Grant, reply: &Reply<'_>) -> Reading {
    let now = Timestamp::from_timestamp(1_800_000_000, 0).unwrap_or_default();
    let sent = Secret::new(SENT);
    read(descriptor, &Question { grant, sent: &[&sent], sent_at: now, now }, reply)
}

/// The first three bytes choose the provider app, the status and the grant; then a `Retry-After` up to a zero byte, and the
/// body.
pub(crate) fn replies(data: &[u8]) {
    let [app, status, grant, rest @ ..] = data else { return };
    let descriptors: Vec<_> = REGISTRY.iter().collect();
    let descriptor = descriptors[usize::from(*app) % descriptors.len()];
    let status = STATUSES[usize::from(*status) % STATUSES.len()];
    let grant = if grant % 2 == 0 { Grant::RefreshToken } else { Grant::AuthorizationCode };
    let (header, body) = crate::halves(rest);
    let retry_after = std::str::from_utf8(header).ok();
    let reply = Reply { status, retry_after, request_id: retry_after, body };
    let reading = ask(descriptor, grant, &reply);
    check(descriptor, status, &reading);
    assert_eq!(reading.verdict.kind(), ask(descriptor, grant, &reply).verdict.kind(), "an answer means two things");
}

fn check(descriptor: &Descriptor, status: u16, reading: &Reading) {
    let shown = [Some(&reading.message), reading.code.as_ref(), reading.request_id.as_ref()];
    for text in shown.into_iter().flatten() {
        assert!(!text.contains(SENT), "what was sent is shown: {text}");
        assert!(!text.contains(char::is_control), "control characters are shown: {text:?}");
    }
    let is_success = (200..300).contains(&status);
    match &reading.verdict {
        Verdict::Refreshed(tokens) => {
            assert!(is_success, "tokens came with HTTP {status}");
            assert!(!tokens.access_token.expose().trim().is_empty(), "an empty access token");
            let refresh_token = tokens.refresh_token.as_ref();
            assert!(refresh_token.is_none_or(|token| !token.expose().trim().is_empty()), "an empty refresh token");
            assert!(tokens.lifetime <= LONGEST.max(descriptor.default_lifetime), "{:?}", tokens.lifetime);
            assert!(!reading.message.contains(tokens.access_token.expose()) || tokens.access_token.expose().len() < 8);
        }
        Verdict::Unusable(_) => assert!(is_success, "HTTP {status} is kept as an answer"),
        Verdict::GrantInvalid | Verdict::AppFault => {
            let trouble = matches!(status, 429 | 500..);
            assert!(!trouble, "HTTP {status} is a verdict about a grant or an app");
        }
        Verdict::Throttled(pause) => assert!(pause.is_none_or(|pause| pause < LONGEST), "{pause:?}"),
        Verdict::Transient => {}
    }
    let refuses_secret = reading.secret_refused && reading.verdict.kind() != VerdictKind::AppFault;
    assert!(!refuses_secret, "a secret is refused by an answer that says nothing about the app");
}
