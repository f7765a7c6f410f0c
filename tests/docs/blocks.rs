//! The parts of a Markdown document that a test can act on.

/// A part, in the order of the document.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Part {
    /// A fenced block.
    Block(Block),
    /// `<!-- test: … -->`: something that happens outside of the document at this place.
    Happening(String),
}

/// A fenced block.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Block {
    /// The word behind the fence.
    pub(super) language: String,
    pub(super) text: String,
    /// The line that its text begins at.
    pub(super) line: usize,
}

/// The parts of a document. A fence that is not closed ends the test.
pub(super) fn parts(document: &str) -> Vec<Part> {
    let mut parts = Vec::new();
    let mut open: Option<Block> = None;
    for (index, line) in document.lines().enumerate() {
        let fence = line.strip_prefix("```");
        match (open.take(), fence) {
            (None, Some(language)) => {
                open = Some(Block { language: language.to_owned(), text: String::new(), line: index + 2 });
            }
            (None, None) => {
                let happening = line.strip_prefix("<!-- test: ").and_then(|rest| rest.strip_suffix(" -->"));
                parts.extend(happening.map(|words| Part::Happening(words.to_owned())));
            }
            (Some(block), Some(_)) => parts.push(Part::Block(block)),
            (Some(mut block), None) => {
                block.text.push_str(line);
                block.text.push('\n');
                open = Some(block);
            }
        }
    }
    assert!(open.is_none(), "a fence is not closed");
    parts
}

/// What stands outside of fences.
pub(super) fn prose(document: &str) -> String {
    let mut is_fenced = false;
    let is_prose = |line: &&str| {
        let is_fence = line.starts_with("```");
        is_fenced ^= is_fence;
        !is_fence && !is_fenced
    };
    document.lines().filter(is_prose).flat_map(|line| [line, "\n"]).collect()
}

/// The rows of the table under a heading, each cell trimmed, the head and its rule left out.
pub(super) fn table(document: &str, heading: &str) -> Vec<Vec<String>> {
    let section = document.lines().skip_while(|line| *line != heading).skip(1);
    let rows = section.skip_while(|line| !line.starts_with('|')).take_while(|line| line.starts_with('|'));
    let cells = |row: &str| row.trim_matches('|').split('|').map(|cell| cell.trim().to_owned()).collect();
    let rows: Vec<_> = rows.skip(2).map(cells).collect();
    assert!(!rows.is_empty(), "there is no table under {heading:?}");
    rows
}

#[test]
fn blocks_and_happenings_come_in_order_with_their_lines() {
    let document = "text\n```sh\na\nb\n```\n<!-- test: it rains -->\n<!-- something else -->\n```json\n{}\n```\n";
    let block = |language: &str, text: &str, line| {
        Part::Block(Block { language: language.to_owned(), text: text.to_owned(), line })
    };
    assert_eq!(
        parts(document),
        [block("sh", "a\nb\n", 3), Part::Happening("it rains".to_owned()), block("json", "{}\n", 9)]
    );
}

#[test]
fn prose_is_what_is_not_fenced() {
    assert_eq!(prose("a\n```sh\nb `c`\n```\nd\n"), "a\nd\n");
}

#[test]
fn a_table_is_that_of_its_heading() {
    let document = "## A\n| x |\n| - |\n| 1 |\n\n## B\n\ntext\n\n| x | y |\n| - | - |\n| `2` | 3 |\n| 4 | |\n\n| 5 |\n";
    assert_eq!(table(document, "## B"), [["`2`", "3"], ["4", ""]]);
}
