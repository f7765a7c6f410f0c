//! The verdict table: what an answer means, as data.

use evergrant_contract::verdict::VerdictKind;
use serde::Deserialize;

/// What a body is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum BodyKind {
    /// A JSON object.
    Json,
    /// A page for people: a maintenance notice, a proxy's sign-in.
    Html,
    /// Anything else, nothing included.
    Other,
}

/// What was asked for. A code of the authorization that is refused says nothing about an existing grant.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Grant {
    /// A refresh.
    RefreshToken,
    /// The first tokens of a consent.
    AuthorizationCode,
}

/// What is known of an answer.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Facts<'a> {
    pub(crate) status: u16,
    pub(crate) body: BodyKind,
    pub(crate) code: Option<&'a str>,
    pub(crate) sub_code: Option<&'a str>,
    pub(crate) description: Option<&'a str>,
    pub(crate) grant: Grant,
}

/// One line of the table. What it does not mention it does not look at.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Rule {
    /// `429`, or a class such as `5xx`.
    status: Option<StatusPattern>,
    /// Error codes, exactly one of which has to be there.
    #[serde(default)]
    codes: Vec<String>,
    /// Sub-codes, likewise.
    #[serde(default)]
    sub_codes: Vec<String>,
    /// Pieces of the description, one of which has to be in it; upper and lower case are one.
    #[serde(default)]
    description_contains: Vec<String>,
    body: Option<BodyKind>,
    grant: Option<Grant>,
    verdict: VerdictKind,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
enum StatusPattern {
    Exactly(u16),
    Class(u16),
}

impl TryFrom<String> for StatusPattern {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        let class =
            text.strip_suffix("xx").and_then(|class| class.parse().ok()).filter(|class| (1..=5).contains(class));
        let exactly = || text.parse().ok().filter(|status| (100..=599).contains(status));
        class
            .map(Self::Class)
            .or_else(|| exactly().map(Self::Exactly))
            .ok_or_else(|| format!("a status such as \"429\" or a class such as \"5xx\" expected, got `{text}`"))
    }
}

impl StatusPattern {
    const fn matches(self, status: u16) -> bool {
        match self {
            Self::Exactly(exactly) => status == exactly,
            Self::Class(class) => status / 100 == class,
        }
    }
}

impl Rule {
    fn matches(&self, facts: Facts<'_>) -> bool {
        self.status.is_none_or(|status| status.matches(facts.status))
            && self.body.is_none_or(|body| body == facts.body)
            && self.grant.is_none_or(|grant| grant == facts.grant)
            && is_one_of(&self.codes, facts.code)
            && is_one_of(&self.sub_codes, facts.sub_code)
            && self.describes(facts.description)
    }

    fn describes(&self, description: Option<&str>) -> bool {
        let description = description.unwrap_or_default().to_lowercase();
        self.description_contains.is_empty()
            || self.description_contains.iter().any(|piece| description.contains(&piece.to_lowercase()))
    }

    /// What makes a rule dangerous, if anything does.
    pub(crate) fn problem(&self) -> Option<&'static str> {
        let names_code = !self.codes.is_empty() || !self.sub_codes.is_empty();
        match self.verdict {
            VerdictKind::Refreshed => Some("success is not a matter of the table: tokens in the answer are success"),
            VerdictKind::GrantInvalid | VerdictKind::AppFault if !names_code => {
                Some("a rule that ends grants or holds the app has to name exact `codes` or `sub_codes`")
            }
            _ => None,
        }
    }
}

fn is_one_of(wanted: &[String], found: Option<&str>) -> bool {
    wanted.is_empty() || found.is_some_and(|found| wanted.iter().any(|wanted| wanted == found))
}

/// The rules in the order in which they are asked; the first that matches decides.
///
/// Three parts: what holds for every provider and cannot be overruled (a 5xx never ends a grant), the provider's own, and
/// the codes of the standard.
#[derive(Debug, Clone)]
pub(crate) struct VerdictTable(Vec<Rule>);

impl VerdictTable {
    /// Puts the parts together.
    pub(crate) fn new(always: &[Rule], own: Vec<Rule>, standard: &[Rule]) -> Self {
        Self(always.iter().cloned().chain(own).chain(standard.iter().cloned()).collect())
    }

    /// What an answer without tokens means. What no rule knows is transient: it never ends a grant.
    pub(crate) fn judge(&self, facts: Facts<'_>) -> VerdictKind {
        self.0.iter().find(|rule| rule.matches(facts)).map_or(VerdictKind::Transient, |rule| rule.verdict)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rules(text: &str) -> Vec<Rule> {
        #[derive(Deserialize)]
        struct File {
            rules: Vec<Rule>,
        }
        toml::from_str::<File>(text).unwrap().rules
    }

    const FACTS: Facts<'_> = Facts {
        status: 400,
        body: BodyKind::Json,
        code: Some("invalid_grant"),
        sub_code: Some("bad_token"),
        description: Some("The refresh token has EXPIRED"),
        grant: Grant::RefreshToken,
    };

    #[test]
    fn every_condition_of_a_rule_has_to_hold() {
        let rule = rules(
            "[[rules]]\nstatus = \"4xx\"\ncodes = [\"x\", \"invalid_grant\"]\nsub_codes = [\"bad_token\"]\n\
             description_contains = [\"expired\"]\nbody = \"json\"\ngrant = \"refresh_token\"\nverdict = \"grant_invalid\"",
        );
        let table = VerdictTable::new(&[], rule, &[]);
        assert_eq!(table.judge(FACTS), VerdictKind::GrantInvalid);
        let others = [
            Facts { status: 500, ..FACTS },
            Facts { code: Some("INVALID_GRANT"), ..FACTS },
            Facts { code: Some("invalid_grant_type"), ..FACTS },
            Facts { code: None, ..FACTS },
            Facts { sub_code: None, ..FACTS },
            Facts { description: None, ..FACTS },
            Facts { body: BodyKind::Other, ..FACTS },
            Facts { grant: Grant::AuthorizationCode, ..FACTS },
        ];
        for facts in others {
            assert_eq!(table.judge(facts), VerdictKind::Transient, "{facts:?}");
        }
    }

    #[test]
    fn the_first_rule_that_matches_decides() {
        let always = rules("[[rules]]\nstatus = \"503\"\nverdict = \"transient\"");
        let own = rules("[[rules]]\ncodes = [\"invalid_grant\"]\nverdict = \"app_fault\"");
        let standard = rules("[[rules]]\ncodes = [\"invalid_grant\"]\nverdict = \"grant_invalid\"");
        let table = VerdictTable::new(&always, own, &standard);
        assert_eq!(table.judge(FACTS), VerdictKind::AppFault);
        assert_eq!(table.judge(Facts { status: 503, ..FACTS }), VerdictKind::Transient);
    }

    #[test]
    fn dangerous_rules_are_refused() {
        for rule in rules(
            "[[rules]]\nstatus = \"400\"\nverdict = \"grant_invalid\"\n[[rules]]\nverdict = \"app_fault\"\n\
                           [[rules]]\ncodes = [\"ok\"]\nverdict = \"refreshed\"",
        ) {
            assert!(rule.problem().is_some(), "{rule:?}");
        }
    }

    #[test]
    fn statuses_are_exact_or_a_class() {
        for text in ["429", "5xx"] {
            assert!(StatusPattern::try_from(text.to_owned()).is_ok());
        }
        for text in ["", "xx", "9xx", "42", "4x9", "600", "four"] {
            assert!(StatusPattern::try_from(text.to_owned()).is_err(), "{text}");
        }
    }
}
