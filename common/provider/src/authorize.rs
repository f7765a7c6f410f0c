//! The page where a person consents.

use std::collections::BTreeMap;

use evergrant_contract::consent::ConsentRequest;
use serde::Deserialize;
use url::{Url, form_urlencoded};

use crate::descriptor::Descriptor;

/// Parameters that are ours to set: a descriptor that set them too would break the way back, or open it to others.
const OURS: [&str; 7] =
    ["client_id", "scope", "response_type", "redirect_uri", "state", "code_challenge", "code_challenge_method"];

/// How a consent is asked for.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct AuthorizeForm {
    /// Parameters on top of the standard's, such as Google's `access_type = "offline"`.
    pub extra: BTreeMap<String, String>,
    /// What stands between two scopes.
    pub scope_separator: String,
}

impl Default for AuthorizeForm {
    fn default() -> Self {
        Self { extra: BTreeMap::new(), scope_separator: " ".to_owned() }
    }
}

impl AuthorizeForm {
    /// What is wrong with it, if anything is.
    pub(crate) fn problem(&self) -> Option<String> {
        let ours = self.extra.keys().find(|name| OURS.contains(&name.as_str()))?;
        Some(format!("`{ours}` is set by Evergrant itself"))
    }
}

/// The page's address with everything that the provider has to know.
pub(crate) fn url(descriptor: &Descriptor, client_id: &str, request: &ConsentRequest<'_>) -> Url {
    let scope = descriptor.scopes.join(&descriptor.authorize.scope_separator);
    let standard = [
        ("client_id", client_id),
        ("scope", &scope),
        ("response_type", "code"),
        ("redirect_uri", request.redirect_uri),
        ("state", request.state),
        ("code_challenge", request.code_challenge),
        ("code_challenge_method", "S256"),
    ];
    let mut query = form_urlencoded::Serializer::new(String::new());
    query.extend_pairs(descriptor.authorize_url.query_pairs());
    // No scopes is the app's usual ones; an empty list of them is a mistake at some providers.
    query.extend_pairs(
        standard
            .into_iter()
            .filter(|(name, value)| *name != "scope" || !value.is_empty())
            .map(|(name, value)| (descriptor.request.name(name), value)),
    );
    query.extend_pairs(&descriptor.authorize.extra);
    let mut url = descriptor.authorize_url.clone();
    // A plus sign is a space in a form; in a URL it is one only for those who read it as a form. `%20` is one for all.
    url.set_query(Some(&query.finish().replace('+', "%20")));
    url
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use super::*;
    use crate::Registry;

    const REQUEST: ConsentRequest<'_> = ConsentRequest {
        redirect_uri: "https://app.example/api/auth/amazon/callback?a=1&b=ü",
        state: "st+ate/=&",
        code_challenge: "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM",
    };

    fn page(provider: &str, user: Option<&str>) -> Url {
        let registry = Registry::load(user).unwrap();
        url(registry.get(&provider.parse().unwrap()).unwrap(), "amzn1.client +1", &REQUEST)
    }

    fn query(url: &Url) -> HashMap<String, String> {
        url.query_pairs().into_owned().collect()
    }

    #[test]
    fn the_page_is_asked_as_amazon_documents_it() {
        let expected = "https://www.amazon.com/ap/oa?client_id=amzn1.client%20%2B1\
            &scope=advertising%3A%3Acampaign_management%20profile&response_type=code\
            &redirect_uri=https%3A%2F%2Fapp.example%2Fapi%2Fauth%2Famazon%2Fcallback%3Fa%3D1%26b%3D%C3%BC\
            &state=st%2Bate%2F%3D%26&code_challenge=E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM&code_challenge_method=S256";
        assert_eq!(page("amazon-na", None).as_str(), expected);
    }

    #[test]
    fn descriptors_add_what_their_provider_needs() {
        let google = query(&page("google", None));
        assert_eq!((google["access_type"].as_str(), google["prompt"].as_str()), ("offline", "consent"));
        assert!(!query(&page("github", None)).contains_key("scope"), "no scopes are not an empty list of them");
        assert_eq!(query(&page("microsoft", None))["scope"], "offline_access");
        let slack = page("slack", Some("[provider.slack]\nscopes = [\"commands\", \"chat:write\"]"));
        assert_eq!(query(&slack)["scope"], "commands,chat:write");
    }

    #[test]
    fn parameters_keep_their_names_and_the_page_its_own_query() {
        let user = "[provider.google]\nauthorize_url = \"https://example.com/auth?tenant=7\"\n\
                    request = { rename = { client_id = \"client_key\" } }";
        let url = page("google", Some(user));
        let query = query(&url);
        assert_eq!((query["tenant"].as_str(), query["client_key"].as_str()), ("7", "amzn1.client +1"));
        assert!(!query.contains_key("client_id"));
    }

    #[test]
    fn what_is_ours_cannot_be_set() {
        for name in OURS {
            let user = format!("[provider.google.authorize]\nextra = {{ {name} = \"x\" }}");
            let error = Registry::load(Some(&user)).unwrap_err().to_string();
            assert!(error.contains("authorize.extra") && error.contains(name), "{error}");
        }
    }
}
