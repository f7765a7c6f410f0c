//! The description as a page.

use std::fmt::Write as _;

use serde_json::Value;

/// The page. Whatever the document says is escaped.
pub(super) fn render(document: &Value) -> String {
    let mut page = Page(String::with_capacity(128 * 1024));
    let title = escape(text(&document["info"]["title"]));
    page.put(&format!(
        "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n<title>{title} API</title>\n\
         <link rel=\"stylesheet\" href=\"/api/docs.css\">\n</head>\n<body>\n"
    ));
    let groups: Vec<_> = items(&document["tags"]).map(|tag| (tag, operations(document, text(&tag["name"])))).collect();
    page.contents(&groups, &document["components"]["schemas"]);
    let version = escape(text(&document["info"]["version"]));
    page.put(&format!(
        "<main>\n<h1>{title} API</h1>\n<p class=\"quiet\">Version {version} · <a href=\"/api/openapi.json\">openapi.json</a></p>\n"
    ));
    page.prose(&document["info"]["description"]);
    for (tag, operations) in &groups {
        let name = escape(text(&tag["name"]));
        page.put(&format!("<h2 id=\"tag-{name}\">{name}</h2>\n"));
        page.prose(&tag["description"]);
        for operation in operations {
            page.operation(operation);
        }
    }
    page.put("<h2 id=\"schemas\">Schemas</h2>\n");
    for (name, schema) in fields(&document["components"]["schemas"]) {
        page.schema(name, schema);
    }
    page.put("</main>\n</body>\n</html>\n");
    page.0
}

/// One operation with its place.
struct Operation<'a> {
    method: &'a str,
    path: &'a str,
    value: &'a Value,
}

fn operations<'a>(document: &'a Value, tag: &str) -> Vec<Operation<'a>> {
    fields(&document["paths"])
        .flat_map(|(path, item)| fields(item).map(move |(method, value)| Operation { method, path, value }))
        .filter(|operation| items(&operation.value["tags"]).any(|own| own == tag))
        .collect()
}

struct Page(String);

impl Page {
    fn put(&mut self, html: &str) {
        self.0.push_str(html);
    }

    fn contents(&mut self, groups: &[(&Value, Vec<Operation<'_>>)], schemas: &Value) {
        self.put("<nav aria-label=\"Contents\">\n");
        for (tag, operations) in groups {
            self.put(&format!("<h2>{}</h2>\n<ul>\n", escape(text(&tag["name"]))));
            for Operation { method, value, .. } in operations {
                self.put(&format!(
                    "<li><a href=\"#{}\"><span class=\"method {method}\">{}</span> {}</a></li>\n",
                    escape(text(&value["operationId"])),
                    method.to_uppercase(),
                    escape(text(&value["summary"])),
                ));
            }
            self.put("</ul>\n");
        }
        self.put("<h2>Schemas</h2>\n<ul>\n");
        for (name, _) in fields(schemas) {
            let name = escape(name);
            self.put(&format!("<li><a href=\"#schema-{name}\">{name}</a></li>\n"));
        }
        self.put("</ul>\n</nav>\n");
    }

    fn operation(&mut self, operation: &Operation<'_>) {
        let Operation { method, path, value } = operation;
        let id = escape(text(&value["operationId"]));
        self.put(&format!(
            "<section class=\"one\" id=\"{id}\">\n<h3><a href=\"#{id}\"><span class=\"method {method}\">{}</span> \
             <code>{}</code></a></h3>\n<p><strong>{}</strong></p>\n",
            method.to_uppercase(),
            escape(path),
            escape(text(&value["summary"])),
        ));
        self.prose(&value["description"]);
        self.put(&format!("<p class=\"quiet\">{}</p>\n", who(&value["security"])));
        self.parameters(&value["parameters"]);
        let mut bodies = fields(&value["requestBody"]["content"]).peekable();
        if bodies.peek().is_some() {
            self.put("<h4>Body</h4>\n");
            for (kind, content) in bodies {
                self.put(&format!("<p><code>{}</code> {}</p>\n", escape(kind), shape(&content["schema"])));
            }
        }
        self.answers(&value["responses"]);
        self.put("</section>\n");
    }

    fn parameters(&mut self, parameters: &Value) {
        let mut rows = items(parameters).peekable();
        if rows.peek().is_none() {
            return;
        }
        self.put("<h4>Parameters</h4>\n<div class=\"scroll\"><table>\n");
        for parameter in rows {
            let needed = if parameter["required"] == true { "required" } else { "optional" };
            self.put(&format!(
                "<tr><th><code>{}</code></th><td class=\"quiet\">{}, {needed}</td><td>{}</td><td>{}</td></tr>\n",
                escape(text(&parameter["name"])),
                escape(text(&parameter["in"])),
                shape(&parameter["schema"]),
                inline(text(&parameter["description"])),
            ));
        }
        self.put("</table></div>\n");
    }

    fn answers(&mut self, answers: &Value) {
        self.put("<h4>Answers</h4>\n<div class=\"scroll\"><table>\n");
        for (status, answer) in fields(answers) {
            let shapes: Vec<_> = fields(&answer["content"])
                .map(|(kind, content)| {
                    format!("<span class=\"quiet\">{}</span> {}", escape(kind), shape(&content["schema"]))
                })
                .collect();
            self.put(&format!(
                "<tr><th>{}</th><td>{}</td><td>{}</td></tr>\n",
                escape(status),
                shapes.join("<br>"),
                inline(text(&answer["description"])),
            ));
        }
        self.put("</table></div>\n");
    }

    fn schema(&mut self, name: &str, schema: &Value) {
        let shown = escape(name);
        self.put(&format!(
            "<section class=\"one\" id=\"schema-{shown}\">\n<h3><a href=\"#schema-{shown}\">{shown}</a></h3>\n"
        ));
        self.prose(&schema["description"]);
        let mut properties = fields(&schema["properties"]).peekable();
        if properties.peek().is_none() {
            self.put(&format!("<p>{}</p>\n</section>\n", shape(schema)));
            return;
        }
        self.put("<div class=\"scroll\"><table>\n");
        for (name, property) in properties {
            let needed = items(&schema["required"]).any(|required| required == name);
            self.put(&format!(
                "<tr><th><code>{}</code></th><td class=\"quiet\">{}</td><td>{}</td><td>{}</td></tr>\n",
                escape(name),
                if needed { "always" } else { "maybe" },
                shape(property),
                inline(text(&property["description"])),
            ));
        }
        self.put("</table></div>\n</section>\n");
    }

    /// Paragraphs.
    fn prose(&mut self, value: &Value) {
        for paragraph in text(value).split("\n\n").map(str::trim).filter(|paragraph| !paragraph.is_empty()) {
            self.put(&format!("<p>{}</p>\n", inline(paragraph)));
        }
    }
}

/// Whom an operation is for.
fn who(security: &Value) -> String {
    let Some(ways) = security.as_array() else { return "For people and services.".to_owned() };
    let known = ways.iter().flat_map(fields).map(|(scheme, _)| match scheme {
        "session" => "people who are signed in",
        "session_cookie" => "browsers with the session's cookie",
        "api_key" | "api_key_header" => "services",
        other => other,
    });
    let known = escape(&known.collect::<Vec<_>>().join(" and "));
    let is_open = ways.iter().any(|way| fields(way).next().is_none());
    match (is_open, known.is_empty()) {
        (true, true) => "For everybody.".to_owned(),
        (true, false) => format!("For everybody; it tells {known} apart."),
        (false, _) => format!("For {known}."),
    }
}

/// What a schema allows, in a few words.
fn shape(schema: &Value) -> String {
    if let Some(name) = schema["$ref"].as_str().and_then(|to| to.rsplit('/').next()) {
        let name = escape(name);
        return format!("<a href=\"#schema-{name}\">{name}</a>");
    }
    let choices = items(&schema["oneOf"]).chain(items(&schema["anyOf"])).map(shape).collect::<Vec<_>>();
    if !choices.is_empty() {
        return choices.join(" or ");
    }
    if let Some(words) = schema["enum"].as_array() {
        let words: Vec<_> = words.iter().map(|word| format!("<code>{}</code>", escape(&plain(word)))).collect();
        return words.join(" ");
    }
    let kind = match &schema["type"] {
        Value::Array(kinds) => kinds.iter().map(plain).collect::<Vec<_>>().join(" or "),
        kind => plain(kind),
    };
    let mut shape = match schema.get("items") {
        Some(items) => format!("list of {}", self::shape(items)),
        None if kind.is_empty() => "anything".to_owned(),
        None => escape(&kind),
    };
    if let Some(format) = schema["format"].as_str() {
        // Writing into memory cannot fail.
        let _ = write!(shape, " <span class=\"quiet\">{}</span>", escape(format));
    }
    shape
}

/// One paragraph: what stands between backticks is code, and between double asterisks strong.
fn inline(text: &str) -> String {
    let mut html = String::with_capacity(text.len() + 32);
    for (n, piece) in text.split('`').enumerate() {
        if n % 2 == 1 {
            let _ = write!(html, "<code>{}</code>", escape(piece));
            continue;
        }
        for (n, piece) in piece.split("**").enumerate() {
            let piece = escape(piece);
            if n % 2 == 1 {
                let _ = write!(html, "<strong>{piece}</strong>");
            } else {
                html.push_str(&piece);
            }
        }
    }
    html
}

fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&#39;"),
            other => escaped.push(other),
        }
    }
    escaped
}

fn plain(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Null => String::new(),
        other => other.to_string(),
    }
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

fn items(value: &Value) -> impl Iterator<Item = &Value> {
    value.as_array().into_iter().flatten()
}

fn fields(value: &Value) -> impl Iterator<Item = (&str, &Value)> {
    value.as_object().into_iter().flatten().map(|(name, value)| (name.as_str(), value))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn whatever_the_document_says_is_escaped() {
        let evil = "<script>alert('x')</script> `<b>` **\"&**";
        let document = json!({
            "info": {"title": evil, "description": evil, "version": evil},
            "tags": [{"name": "t", "description": evil}],
            "paths": {"/x<y>": {"get": {
                "tags": ["t"], "operationId": evil, "summary": evil, "description": evil,
                "parameters": [{"name": evil, "in": evil, "description": evil, "schema": {"enum": [evil]}}],
                "requestBody": {"content": {evil: {"schema": {"type": [evil], "format": evil}}}},
                "responses": {evil: {"description": evil, "content": {evil: {"schema": {"$ref": evil}}}}},
            }}},
            "components": {"schemas": {evil: {"description": evil, "properties": {evil: {"type": evil}}}}},
        });
        let page = render(&document);
        assert!(!page.contains("<script") && !page.contains("<b>") && !page.contains("alert('"), "{page}");
        assert!(page.contains("<code>&lt;b&gt;</code> <strong>&quot;&amp;</strong>"));
    }

    #[test]
    fn it_is_told_whom_an_operation_is_for() {
        let cases = [
            (json!(null), "For people and services."),
            (json!([{}]), "For everybody."),
            (json!([{}, {"session": []}]), "For everybody; it tells people who are signed in apart."),
            (json!([{"session": []}]), "For people who are signed in."),
        ];
        for (security, told) in cases {
            assert_eq!(who(&security), told);
        }
    }

    #[test]
    fn shapes_are_told_in_a_few_words() {
        let cases = [
            (json!({"$ref": "#/components/schemas/Me"}), "<a href=\"#schema-Me\">Me</a>"),
            (json!({"type": ["string", "null"], "format": "uuid"}), "string or null <span class=\"quiet\">uuid</span>"),
            (json!({"type": "array", "items": {"type": "integer"}}), "list of integer"),
            (json!({"oneOf": [{"type": "null"}, {"$ref": "#/x/A"}]}), "null or <a href=\"#schema-A\">A</a>"),
            (json!({"enum": ["a", 1]}), "<code>a</code> <code>1</code>"),
            (json!({}), "anything"),
        ];
        for (schema, told) in cases {
            assert_eq!(shape(&schema), told);
        }
    }
}
