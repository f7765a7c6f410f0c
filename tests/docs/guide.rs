//! `docs/API.md`.

use std::collections::BTreeSet;
use std::path::Path;

use evergrant_api::ProblemKind;
use serde_json::Value;

use super::blocks::{Block, Part, parts, prose, table};
use super::likeness::{differences, differences_of_text};
use super::shell::Shell;
use super::{example, read};
use crate::support::{Plan, Shape, World};

const GUIDE: &str = "docs/API.md";
const PASSWORD: &str = "correct-horse-battery-staple";

/// What the guide shows of Amazon's addresses; here they are the simulated Amazon's.
const AMAZON: [&str; 2] = ["https://www.amazon.com/", "https://advertising-api.amazon.com/"];

/// Runs the guide from its beginning to its end: every command, and every Rust example that can be run.
#[test]
fn the_commands_of_the_guide_do_what_it_shows() {
    let plan = Plan { token_lifetime: std::time::Duration::from_hours(2), ..Plan::new(Shape::Embedded, "docs_api") };
    let Some(mut world) = World::new(&plan) else { return };
    world.set("EVERGRANT_API_PUBLIC_URL", "https://evergrant.example");
    world.start();
    // The service's connection; the guide connects another one.
    world.import(1);
    let mut env = world.env_of("cli");
    env.insert("EVERGRANT_URL".to_owned(), format!("http://{}", world.addresses("serve")[0]));
    env.insert("PASSWORD".to_owned(), PASSWORD.to_owned());
    world.keep_secret(PASSWORD);
    if let Some(shell) = Shell::open(env) {
        follow(&mut world, &shell);
        for name in ["EVERGRANT_API_KEY", "ACCESS_TOKEN"] {
            world.keep_secret(&shell.value(name));
        }
    }
    world.end();
}

fn follow(world: &mut World, shell: &Shell) {
    let mut printed = String::new();
    let (mut checked, mut wrong) = (0, Vec::new());
    for part in parts(&read(GUIDE)) {
        match part {
            Part::Happening(what) => happen(world, shell, &what),
            Part::Block(Block { language, text, line }) => match language.as_str() {
                "sh" => {
                    let run = shell.run(&text);
                    printed = run.unwrap_or_else(|error| panic!("{GUIDE}:{line}: {error}"));
                }
                "json" | "text" => {
                    let differences = compare(world, line, &language, &text, &printed);
                    wrong.extend(differences.into_iter().map(|what| format!("{GUIDE}:{line}: {what}")));
                    checked += 1;
                }
                "rust" => try_example(world, shell, &text),
                "js" | "mermaid" => {}
                other => panic!("{GUIDE}:{line}: nobody knows what to do with a block of {other:?}"),
            },
        }
    }
    assert!(wrong.is_empty(), "the answers are not those that are shown:\n{}", wrong.join("\n"));
    assert!(checked > 15, "the guide is no longer read as it is written");
}

/// Where what was printed is not what is shown.
fn compare(world: &World, line: usize, language: &str, shown: &str, printed: &str) -> Vec<String> {
    let shown = AMAZON.iter().fold(shown.to_owned(), |shown, amazon| shown.replace(amazon, world.sim.url().as_str()));
    if language == "text" {
        return differences_of_text(&shown, printed);
    }
    let shown: Value = serde_json::from_str(&shown).unwrap_or_else(|error| panic!("{GUIDE}:{line}: {error}"));
    match serde_json::from_str(printed) {
        Ok(found) => differences(&shown, &found),
        Err(error) => vec![format!("the answer is no JSON: {error}")],
    }
}

/// What the guide only tells of.
fn happen(world: &mut World, shell: &Shell, what: &str) {
    match what {
        "the person consents" => {
            let begun: Value = serde_json::from_str(&shell.run("cat begun.json").unwrap()).unwrap();
            let callback = world.consent(begun["auth_url"].as_str().expect("an address"), "amzn1.account.ADA");
            let follow = format!(
                "curl -sS --cookie cookies.txt --cookie-jar cookies.txt -o /dev/null -w '%{{http_code}} %{{redirect_url}}' \
                 \"$EVERGRANT_URL{callback}\""
            );
            let landed = shell.run(&follow).unwrap();
            let wanted = "303 https://evergrant.example/profile?connected=success&redirect=%2Fdashboard";
            assert_eq!(landed, wanted, "the guide says where the browser lands");
        }
        "the user of the service's connection removes the app at Amazon" => {
            let id = shell.value("CONNECTION_ID");
            let row = world.rows().into_values().find(|row| row.id == id).expect("the connection");
            assert!(world.sim.revoke(&row.user) > 0, "nothing was revoked");
            // An operator looks at it, which finds out.
            world.ask(&["connections", "refresh", &id]);
        }
        other => panic!("nobody knows how to let this happen: {other}"),
    }
}

/// The first example is a file of these tests too, so that it is not only compiled.
fn try_example(world: &World, shell: &Shell, text: &str) {
    if !text.contains("fn instances") {
        return;
    }
    let [url, key, connection] = ["EVERGRANT_URL", "EVERGRANT_API_KEY", "CONNECTION_ID"].map(|name| shell.value(name));
    let ids = world.runtime.block_on(example::instances(&url, &key, &connection)).unwrap();
    let through_evergrant = "ENTITY=$(curl -sS -H \"Authorization: Bearer $EVERGRANT_API_KEY\" \
         \"$EVERGRANT_URL/api/amc/$CONNECTION_ID/amc/accounts\" | jq -er '.amcAccounts[0].accountId')
         curl -sS -H \"Authorization: Bearer $EVERGRANT_API_KEY\" -H \"Amazon-Advertising-API-AdvertiserId: $ENTITY\" \
         -H 'Amazon-Advertising-API-MarketplaceId: ATVPDKIKX0DER' \
         \"$EVERGRANT_URL/api/amc/$CONNECTION_ID/amc/instances\" | jq -er '.instances[].instanceId'";
    let first_page = shell.run(through_evergrant).unwrap();
    let first_page: Vec<_> = first_page.lines().collect();
    assert!(ids.len() > first_page.len() && ids.starts_with_these(&first_page), "{ids:?} {first_page:?}");
}

trait StartsWithThese {
    fn starts_with_these(&self, first: &[&str]) -> bool;
}

impl StartsWithThese for Vec<String> {
    fn starts_with_these(&self, first: &[&str]) -> bool {
        self.len() >= first.len() && self.iter().zip(first).all(|(one, other)| one == other)
    }
}

#[test]
fn the_example_that_is_run_is_the_one_that_is_shown() {
    let shown = |part| matches!(part, Part::Block(Block { language, text, .. }) if language == "rust" && text == read("tests/docs/example.rs"));
    assert!(parts(&read(GUIDE)).into_iter().any(shown), "{GUIDE} and tests/docs/example.rs differ");
}

#[test]
fn the_guide_lists_every_problem_with_its_status_and_no_other() {
    let rows = table(&read(GUIDE), "## Problems");
    let listed: Vec<_> = rows.iter().map(|row| (row[0].trim_matches('`').to_owned(), row[1].clone())).collect();
    let kinds = ProblemKind::ALL.iter().map(|kind| (kind.slug().to_owned(), kind.status().as_u16().to_string()));
    assert_eq!(listed, kinds.collect::<Vec<_>>(), "the table has the order of ProblemKind::ALL");
    for row in &rows {
        assert!(row.len() == 4 && row[2..].iter().any(|cell| !cell.is_empty()), "{row:?} does not say what to do");
    }
}

#[test]
fn every_route_that_the_guide_names_exists_and_every_route_is_named() {
    let document = serde_json::to_value(evergrant_api::document()).unwrap();
    let paths = document["paths"].as_object().expect("paths");
    let guide = read(GUIDE);
    // "`GET /api/x?y=z`", with or without a query, as the guide writes routes in its text.
    let prose = prose(&guide);
    let routes = prose.split('`').skip(1).step_by(2).filter_map(|span| span.split_once(" /api/"));
    let mut named = 0;
    for (method, path) in routes {
        let path = format!("/api/{}", path.split(['?', ' ']).next().unwrap_or_default());
        named += 1;
        let is_known = paths.get(&path).is_some_and(|item| item.get(method.to_lowercase()).is_some());
        assert!(is_known, "{GUIDE} names {method} {path}, and there is no such route");
    }
    assert!(named > 30, "the guide is no longer read as it is written");
    let is_documentation = |path: &str| path.starts_with("/api/docs");
    let is_named = |path: &str| {
        let concrete = path.replace("{id}", "$CONNECTION_ID");
        guide.contains(path) || guide.contains(&concrete) || path.starts_with("/api/amc/") || is_documentation(path)
    };
    let missing: BTreeSet<_> = paths.keys().filter(|path| !is_named(path)).collect();
    assert!(missing.is_empty(), "{GUIDE} does not name {missing:?}");
}

#[test]
fn the_places_that_the_guide_points_to_exist() {
    let guide = read(GUIDE);
    let anchor = |heading: &str| {
        let kept = heading.to_lowercase();
        let kept = kept.chars().filter(|letter| letter.is_alphanumeric() || matches!(letter, ' ' | '-' | '_'));
        kept.collect::<String>().replace(' ', "-")
    };
    let headings = guide.lines().filter_map(|line| line.split_once("# ")).map(|(_, heading)| anchor(heading));
    let anchors: BTreeSet<_> = headings.collect();
    let targets = guide.split("](").skip(1).filter_map(|rest| rest.split(')').next());
    for target in targets.filter(|target| !target.starts_with("https://")) {
        let exists = match target.strip_prefix('#') {
            Some(name) => anchors.contains(name),
            None => Path::new(env!("CARGO_MANIFEST_DIR")).join("docs").join(target).exists(),
        };
        assert!(exists, "{GUIDE} points to {target}, which is not there");
    }
}
