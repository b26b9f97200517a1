//! [`About`]: what the operator tells about the horde: documents, news, supporters.

use std::path::PathBuf;

use muster_engine::Supporter;
use muster_protocol::{HordeDocument, Newspiece};
use serde_json::Value;

const TERMS: &str = include_str!("../content/terms.md");
const PRIVACY: &str = include_str!("../content/privacy.md");
const NEWS: &str = include_str!("../content/news.json");

/// What the operator tells about the horde.
#[derive(Clone, Debug, Default)]
pub struct About {
    /// The title of the horde.
    pub title: String,
    /// How it is reached.
    pub url: String,
    /// How its operator is reached.
    pub email: Option<String>,
    /// The address of a picture that stands for it.
    pub logo: Option<String>,
    /// Where the source code of the running software is.
    pub repository: Option<String>,
    /// Terms of service in Markdown, with `{title}`, `{url}` and `{email}`; `None`: neutral ones.
    pub terms: Option<String>,
    /// The same about privacy.
    pub privacy: Option<String>,
    /// A JSON file with news, which is read whenever somebody asks; `None`: what comes with the software.
    pub news: Option<PathBuf>,
}

/// A document.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Document {
    Terms,
    Privacy,
    Sponsors,
}

impl About {
    /// A document in Markdown.
    fn markdown(&self, document: Document, supporters: &[Supporter]) -> String {
        let template = match document {
            Document::Terms => self.terms.as_deref().unwrap_or(TERMS),
            Document::Privacy => self.privacy.as_deref().unwrap_or(PRIVACY),
            Document::Sponsors => return sponsors(&self.title, supporters),
        };
        let email = self.email.as_deref().unwrap_or("its operator");
        template
            .replace("{title}", &self.title)
            .replace("{url}", &self.url)
            .replace("{email}", email)
            .trim()
            .to_owned()
    }

    /// A document as it is asked for; `None` for a format that there is not.
    pub(crate) fn document(
        &self,
        document: Document,
        format: &str,
        supporters: &[Supporter],
    ) -> Option<HordeDocument> {
        let markdown = self.markdown(document, supporters);
        match format {
            "markdown" => Some(HordeDocument {
                markdown: Some(markdown),
                html: None,
            }),
            "html" => Some(HordeDocument {
                html: Some(html(&markdown)),
                markdown: None,
            }),
            _ => None,
        }
    }

    /// A document as markup.
    pub(crate) fn markup(&self, document: Document, supporters: &[Supporter]) -> String {
        html(&self.markdown(document, supporters))
    }

    /// The news, newest first. A file that cannot be read is as good as an empty one.
    pub(crate) async fn news(&self) -> Vec<Newspiece> {
        let Some(file) = &self.news else {
            return pieces(NEWS);
        };
        match tokio::fs::read_to_string(file).await {
            Ok(text) => pieces(&text),
            Err(error) => {
                tracing::error!(%error, file = %file.display(), "the news cannot be read");
                Vec::new()
            }
        }
    }
}

fn html(markdown: &str) -> String {
    let mut html = String::new();
    pulldown_cmark::html::push_html(&mut html, pulldown_cmark::Parser::new(markdown));
    html.truncate(html.trim_end().len());
    html
}

/// The pieces of a file, newest first, equal dates in the order of the file. Those without a date are left out.
fn pieces(text: &str) -> Vec<Newspiece> {
    let list: Vec<Value> = serde_json::from_str(text).unwrap_or_else(|error| {
        tracing::error!(%error, "the news are not a JSON list");
        Vec::new()
    });
    let read = |piece: Value| match serde_json::from_value::<Newspiece>(piece) {
        Ok(piece) if is_date(&piece.date_published) => Some(piece),
        Ok(piece) => {
            tracing::warn!(date = piece.date_published, "a piece of news has no date");
            None
        }
        Err(error) => {
            tracing::warn!(%error, "a piece of news cannot be read");
            None
        }
    };
    let mut pieces: Vec<Newspiece> = list.into_iter().filter_map(read).collect();
    pieces.sort_by(|one, other| other.date_published.cmp(&one.date_published));
    pieces
}

/// Whether a text is `YYYY-MM-DD`.
fn is_date(text: &str) -> bool {
    let parts: Vec<&str> = text.split('-').collect();
    let number = |part: &str, digits: usize, most: u32| {
        let fits = part.len() == digits && part.bytes().all(|digit| digit.is_ascii_digit());
        fits && part.parse().is_ok_and(|number: u32| (1..=most).contains(&number))
    };
    matches!(parts[..], [year, month, day] if number(year, 4, 9999) && number(month, 2, 12) && number(day, 2, 31))
}

/// Sponsors are supporters with a link, patrons those without.
fn sponsors(title: &str, supporters: &[Supporter]) -> String {
    let mut by_amount: Vec<&Supporter> = supporters.iter().collect();
    by_amount.sort_by_key(|supporter| std::cmp::Reverse(supporter.monthly_kudos));
    let mut text = format!("# Who supports {}\n", escaped(title));
    let mut patrons = Vec::new();
    for supporter in by_amount {
        match (&supporter.name, &supporter.link) {
            (Some(name), Some(link)) => text += &["\n* [", &escaped(name), "](<", link, ">)"].concat(),
            (Some(name), None) => patrons.push(escaped(name)),
            (None, _) => {}
        }
    }
    if !patrons.is_empty() {
        text.push_str("\n\n## Patrons\n\n");
        text.push_str(&patrons.join(", "));
    }
    text.trim().to_owned()
}

/// A name without a meaning in Markdown.
fn escaped(name: &str) -> String {
    let mut text = String::with_capacity(name.len());
    for character in name.chars() {
        if character.is_ascii_punctuation() {
            text.push('\\');
        }
        text.push(if character.is_control() { ' ' } else { character });
    }
    text
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use muster_protocol::{Kudos, UserId};

    use super::*;

    #[test]
    fn the_news_that_come_along_can_be_read() {
        assert_eq!(pieces(NEWS).len(), 1);
    }

    #[test]
    fn news_without_a_date_are_left_out() {
        let text = r#"[{"date_published": "2024-01-02", "newspiece": "a"}, {"date_published": "soon", "newspiece": "b"},
            {"newspiece": "c"}, {"date_published": "2024-02-01", "newspiece": "d"},
            {"date_published": "2024-01-02", "newspiece": "e"}, {"date_published": "2024-13-01", "newspiece": "f"}, 7]"#;
        let told: Vec<String> = pieces(text).into_iter().map(|piece| piece.newspiece).collect();
        assert_eq!(told, ["d", "a", "e"]);
        assert!(pieces("{").is_empty());
    }

    #[test]
    fn supporters_cannot_write_markup() {
        let supporter = |name: &str, link: Option<&str>, kudos| Supporter {
            user: UserId(1),
            monthly_kudos: Kudos::from_whole(kudos),
            name: Some(name.to_owned()),
            link: link.map(str::to_owned),
        };
        let supporters = [
            supporter("Ann", None, 10),
            supporter("<b>", None, 30),
            supporter("Firm", Some("https://example.org"), 5),
        ];
        let about = About {
            title: "Us".to_owned(),
            ..About::default()
        };
        let html = about
            .document(Document::Sponsors, "html", &supporters)
            .unwrap()
            .html;
        assert_eq!(
            html.as_deref(),
            Some(
                "<h1>Who supports Us</h1>\n<ul>\n<li><a href=\"https://example.org\">Firm</a></li>\n</ul>\n\
                 <h2>Patrons</h2>\n<p>&lt;b&gt;, Ann</p>"
            )
        );
        assert!(about.document(Document::Sponsors, "pdf", &supporters).is_none());
    }
}
