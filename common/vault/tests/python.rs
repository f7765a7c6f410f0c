//! Rows are shared with Python: what either side writes the other reads.

use std::io::Write;
use std::process::{Command, Stdio};

use evergrant_contract::ids::ConnectionId;
use evergrant_contract::secret::Secret;
use evergrant_vault::{Ciphertext, Field, Keyring, Place};

/// Runs a script with these lines as its input and returns the lines of its output; `None` without Python's cryptography.
#[expect(clippy::expect_used, clippy::print_stdout, reason = "a helper of tests: it fails loudly and skips loudly")]
fn python(script: &str, input: &[&str]) -> Option<Vec<String>> {
    let there = Command::new("python3").args(["-c", "import cryptography.fernet"]).stderr(Stdio::null()).status();
    if !there.is_ok_and(|status| status.success()) {
        println!("SKIPPED: python3 with the package `cryptography` is not installed; interoperability was not tested");
        return None;
    }
    let mut child = Command::new("python3")
        .args(["-c", script])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("python3 starts");
    child.stdin.take().expect("piped").write_all(input.join("\n").as_bytes()).expect("python3 reads");
    let output = child.wait_with_output().expect("python3 ends");
    assert!(output.status.success(), "the script failed");
    Some(String::from_utf8(output.stdout).expect("UTF-8").lines().map(str::to_owned).collect())
}

fn secrets() -> Vec<String> {
    vec![String::new(), "Atzr|IwEBIExample".into(), "päss—wörd".into(), "x".repeat(2048)]
}

#[test]
fn python_writes_and_we_read() {
    let key = Keyring::generate_key();
    let script = "import sys\nfrom cryptography.fernet import Fernet\n\
                  key, *secrets = sys.stdin.buffer.read().split(b'\\n')\n\
                  for secret in secrets: print(Fernet(key).encrypt(secret).decode())";
    let secrets = secrets();
    let input: Vec<&str> = std::iter::once(key.expose()).chain(secrets.iter().map(String::as_str)).collect();
    let Some(tokens) = python(script, &input) else { return };
    let keyring = Keyring::parse(&key).expect("a fresh key");
    assert_eq!(tokens.len(), secrets.len());
    for (token, secret) in tokens.into_iter().zip(secrets) {
        let opened = keyring.open_bare(&Ciphertext::from(token)).expect("opens");
        assert!(opened.same_as(&Secret::new(secret)));
    }
}

#[test]
fn we_write_and_python_reads() {
    let key = Keyring::generate_key();
    let keyring = Keyring::parse(&key).expect("a fresh key");
    let connection: ConnectionId = "018f0000-0000-7000-8000-000000000001".parse().expect("an id");
    let place = Place { connection, field: Field::RefreshToken };
    let secrets = secrets();
    let tokens: Vec<Ciphertext> = secrets.iter().map(|text| keyring.seal(place, &Secret::new(text.as_str()))).collect();
    let script = "import sys\nfrom cryptography.fernet import Fernet\n\
                  key, *tokens = sys.stdin.buffer.read().split(b'\\n')\n\
                  for token in tokens: sys.stdout.buffer.write(Fernet(key).decrypt(token) + b'\\n')";
    let input: Vec<&str> = std::iter::once(key.expose()).chain(tokens.iter().map(Ciphertext::as_str)).collect();
    let Some(texts) = python(script, &input) else { return };
    let expected: Vec<String> =
        secrets.iter().map(|secret| format!("eg1:018f0000000070008000000000000001:r:{secret}")).collect();
    assert_eq!(texts, expected);
}

#[test]
fn python_takes_the_keys_that_we_make() {
    let keys: Vec<Secret> = (0..20).map(|_| Keyring::generate_key()).collect();
    let script = "import sys\nfrom cryptography.fernet import Fernet\n\
                  for key in sys.stdin.read().split('\\n'): Fernet(key); print('ok')";
    let input: Vec<&str> = keys.iter().map(Secret::expose).collect();
    let Some(answers) = python(script, &input) else { return };
    assert_eq!(answers, vec!["ok"; 20]);
}
