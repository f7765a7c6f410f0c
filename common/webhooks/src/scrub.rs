//! What may be kept and shown of a receiver's answer.

/// Characters that are kept.
const KEPT: usize = 300;
/// A run of so many characters of a token's alphabet is taken for a secret.
const SECRET_LENGTH: usize = 20;

/// One line of the beginning of an answer, with everything secret-like taken out.
pub(crate) fn scrub(answer: &str) -> String {
    let mut shown = String::new();
    let mut run = String::new();
    for character in answer.chars().map(|one| if one.is_control() { ' ' } else { one }).chain([' ']) {
        if is_of_a_token(character) {
            run.push(character);
            continue;
        }
        shown.push_str(if run.len() >= SECRET_LENGTH { "[hidden]" } else { &run });
        run.clear();
        shown.push(character);
    }
    shown.split_whitespace().collect::<Vec<_>>().join(" ").chars().take(KEPT).collect()
}

const fn is_of_a_token(character: char) -> bool {
    character.is_ascii_alphanumeric() || matches!(character, '_' | '-' | '+' | '/' | '=' | '|' | '.' | '~' | '%')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_are_taken_out_and_words_stay() {
        let answer = "no such hook\r\n<p>Bearer abcdefghijklmnopqrstuvwxyz</p> whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD \u{1b}[31m";
        let shown = scrub(answer);
        assert_eq!(shown, "no such hook <p>Bearer [hidden]</p> [hidden] [31m", "{shown}");
        assert_eq!(scrub(&"é ".repeat(1000)).chars().count(), KEPT);
    }
}
