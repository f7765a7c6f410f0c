use super::*;
use crate::Overrides;

fn name(text: &str) -> ProviderName {
    text.parse().unwrap()
}

fn problem(user: &str) -> String {
    Registry::load(Some(user)).unwrap_err().to_string()
}

#[test]
fn the_providers_compiled_in_are_sound() {
    let registry = Registry::load(None).unwrap();
    let names: Vec<_> = registry.iter().map(|descriptor| descriptor.name.as_str()).collect();
    assert_eq!(names, ["amazon-eu", "amazon-fe", "amazon-na", "github", "google", "hubspot", "microsoft", "slack"]);
}

#[test]
fn amazon_is_as_amazon_documents_it() {
    let registry = Registry::load(None).unwrap();
    let regions = [
        (
            "amazon-na",
            "https://www.amazon.com/ap/oa",
            "https://api.amazon.com/auth/o2/token",
            "advertising-api.amazon.com",
        ),
        (
            "amazon-eu",
            "https://eu.account.amazon.com/ap/oa",
            "https://api.amazon.co.uk/auth/o2/token",
            "advertising-api-eu.amazon.com",
        ),
        (
            "amazon-fe",
            "https://apac.account.amazon.com/ap/oa",
            "https://api.amazon.co.jp/auth/o2/token",
            "advertising-api-fe.amazon.com",
        ),
    ];
    for (region, authorize_url, token_url, api_host) in regions {
        let amazon = registry.get(&name(region)).unwrap();
        assert_eq!((amazon.authorize_url.as_str(), amazon.token_url.as_str()), (authorize_url, token_url));
        assert_eq!(amazon.api_url.as_ref().and_then(url::Url::host_str), Some(api_host));
        assert_eq!(amazon.default_lifetime, Duration::from_hours(1));
        assert_eq!(amazon.requests_per_second, 200);
        assert_eq!(amazon.scopes, ["advertising::campaign_management", "profile"]);
        let host = |url: &url::Url| url.host_str().map(str::to_owned);
        let token_info = amazon.identity.token_info.as_ref().unwrap();
        let profile = amazon.identity.profile.as_ref().unwrap();
        assert_eq!((token_info.url.path(), profile.url.path()), ("/auth/o2/tokeninfo", "/user/profile"));
        assert_eq!([host(&token_info.url), host(&profile.url)], [host(&amazon.token_url), host(&amazon.token_url)]);
        let policy = amazon.policy(Duration::from_secs(10));
        assert_eq!((policy.margin_share_percent, policy.rotation), (25, Rotation::Optional));
        assert_eq!(policy.confirmation, Confirmation::InJob { after_ms: 3000 });
        let consent = |text: &str| amazon.consent_lifetime.refresh_expires_at(text.parse().unwrap());
        assert_eq!(consent("2026-06-29T23:59:59Z"), None);
        assert_eq!(consent("2026-06-30T00:00:00Z"), Some("2027-06-30T00:00:00Z".parse().unwrap()));
    }
}

#[test]
fn a_user_file_changes_copies_and_adds() {
    let user = r#"
        [provider.amazon-na]
        requests_per_second = 5
        confirmation = { mode = "spaced", times = 2, every_ms = 1000 }
        request = { extra = { x = "1" } }

        [provider.amazon-second-app]
        like = "amazon-na"
        title = "The other app"

        [provider.tiktok]
        title = "TikTok"
        authorize_url = "https://www.tiktok.com/v2/auth/authorize/"
        token_url = "https://open.tiktokapis.com/v2/oauth/token/"
        default_lifetime_secs = 7200
        margin_share_percent = 25
        rotation = "strict"
        confirmation = { mode = "in_job", after_ms = 3000 }
        consent_lifetime = { rule = "open" }
        request = { rename = { client_id = "client_key" } }
        answer = { refresh_expires_in = "refresh_expires_in" }
    "#;
    let registry = Registry::load(Some(user)).unwrap();
    let changed = registry.get(&name("amazon-na")).unwrap();
    assert_eq!((changed.title.as_str(), changed.requests_per_second), ("Amazon Ads", 5));
    assert_eq!(changed.request.extra.len(), 1);
    let copy = registry.get(&name("amazon-second-app")).unwrap();
    assert_eq!((copy.title.as_str(), copy.requests_per_second), ("The other app", 5));
    assert_eq!(copy.token_url, changed.token_url);
    assert_eq!(registry.get(&name("tiktok")).unwrap().request.rename["client_id"], "client_key");
    assert_eq!(registry.get(&name("amazon-eu")).unwrap().requests_per_second, 200);
}

#[test]
fn mistakes_are_named_with_key_and_place() {
    let cases = [
        ("[provider.amazon-na]\ntokn_url = \"x\"", ["the provider file, [provider.amazon-na]", "`tokn_url`"]),
        ("[provider.amazon-na.answer]\nrot = \"x\"", ["`rot`", "in `answer`"]),
        ("[provider.amazon-na.confirmation]\nafter = 1", ["`after`", "in `confirmation`"]),
        ("[provider.amazon-na]\ntoken_url = \"http://example.com/\"", ["token_url", "plain http"]),
        ("[provider.amazon-na]\nmargin_share_percent = 51", ["margin_share_percent", "between 1 and 50"]),
        ("[provider.amazon-na]\ndefault_lifetime_secs = 0", ["default_lifetime_secs", "between 1 and"]),
        ("[[provider.amazon-na.verdicts]]\nstatus = \"400\"\nverdict = \"grant_invalid\"", ["verdicts", "`codes`"]),
        ("[[provider.amazon-na.verdicts]]\nstatus = \"40x\"\nverdict = \"transient\"", ["`40x`", "5xx"]),
        ("[provider.mine]\ntitle = \"x\"", ["[provider.mine]", "missing field `authorize_url`"]),
        ("[provider.mine]\nlike = \"amazn\"", ["[provider.mine]", "amazn"]),
        ("[provider.\"My App\"]\nlike = \"google\"", ["a provider name", "My App"]),
        ("[provider.slack.identity.profile]\nurl = \"http://slack.com/x\"", ["identity.profile.url", "plain http"]),
        ("[provider.hubspot.identity.profile]\nurl = \"https://x.com\"", ["missing field `account`", "identity"]),
        ("[providers.google]", ["line 1", "providers"]),
        ("[provider.google", ["the provider file", "line 1"]),
    ];
    for (user, expected) in cases {
        let problem = problem(user);
        for piece in expected {
            assert!(problem.contains(piece), "{piece} is not in: {problem}");
        }
    }
}

#[test]
fn an_unknown_provider_is_told_with_those_there_are() {
    let error = Registry::load(None).unwrap().get(&name("amazon")).unwrap_err().to_string();
    assert!(error.contains("`amazon`") && error.contains("amazon-na, github"), "{error}");
}

#[test]
fn overrides_replace_what_they_name() {
    let registry = Registry::load(None).unwrap();
    let amazon = || registry.get(&name("amazon-na")).unwrap().clone();
    let unchanged = amazon().with_overrides(&Overrides::default()).unwrap();
    assert_eq!((unchanged.token_url, unchanged.api_url), (amazon().token_url, amazon().api_url));
    let url = |text: &str| Some(text.to_owned());
    let overrides = Overrides {
        token_url: url("http://127.0.0.1:9000/auth/o2/token"),
        api_url: url("http://localhost:9000"),
        requests_per_second: Some(0),
        ..Overrides::default()
    };
    let changed = amazon().with_overrides(&overrides).unwrap();
    assert_eq!(changed.token_url.port(), Some(9000));
    assert_eq!(changed.api_url.unwrap().as_str(), "http://localhost:9000/");
    assert_eq!((changed.authorize_url, changed.requests_per_second), (amazon().authorize_url, 0));

    let asked = changed.identity.token_info.unwrap().url;
    assert_eq!(asked.as_str(), "http://127.0.0.1:9000/auth/o2/tokeninfo", "tokens are shown to who issued them");
    let own = Overrides { identity_url: url("https://id.example/x/"), scopes: Some(vec!["a".into()]), ..overrides };
    let changed = amazon().with_overrides(&own).unwrap();
    assert_eq!(changed.identity.profile.unwrap().url.as_str(), "https://id.example/x/user/profile");
    assert_eq!(changed.scopes, ["a"]);

    let plain = Overrides { token_url: url("http://sim:9000/auth/o2/token"), ..Overrides::default() };
    let error = amazon().with_overrides(&plain).unwrap_err().to_string();
    assert!(error.contains("provider amazon-na: token_url is plain http"), "{error}");
    assert!(amazon().with_overrides(&Overrides { allow_plain_http: true, ..plain }).is_ok());
}
