//! `rollup show`: a rollup as a person looks at it. Owns the choice of the form and what is said of a question that has no answer.

mod csv;
mod file;
mod heat;
mod json;
mod table;
mod terminal;
mod trend;
mod words;

use highwater_db::session::{FaultKind, Session};
use highwater_engine::diagnosis::Diagnosis;
use highwater_engine::report::ExitCode;
use highwater_rollup::declare::Declaration;
use highwater_rollup::settings::Subject;
use highwater_rollup::show::{self, Ask, Question, Refused, Span, Step};
use highwater_rollup::told;

use super::Named;
use crate::cli::RollupShow;
use crate::commands::codes;
use crate::commands::listing;
use crate::config::suggestion;
use crate::site::Site;

pub(super) async fn show(args: &RollupShow, site: &Site) -> Result<ExitCode, Diagnosis> {
    let named = Named::of(site, "rollup show", &args.job)?;
    let declaration = declared(&named)?;
    let look = Look { args, site, named: &named, declaration };
    let ask = look.ask()?;
    let mut session = named.open().await?;
    let began = session.begin_reading().await;
    began.map_err(|fault| look.refused(Refused::Fault(fault)))?;
    let shown = look.shown(&mut *session, &ask).await;
    // Whoever reads the answer may take their time; the database is let go before.
    let ended = session.rollback().await;
    let text = shown?;
    ended.map_err(|fault| look.refused(Refused::Fault(fault)))?;
    look.print(text)
}

/// What is to be printed.
enum Answer {
    /// Text for people, or JSON where that is asked for.
    Told(serde_json::Value, String),
    /// CSV.
    Rows(std::fs::File),
    /// An SVG.
    Drawing(String),
}

/// One call.
struct Look<'l> {
    args: &'l RollupShow,
    site: &'l Site,
    named: &'l Named<'l>,
    declaration: &'l Declaration,
}

fn declared<'n>(named: &'n Named<'_>) -> Result<&'n Declaration, Diagnosis> {
    match &named.subject {
        Subject::Declared(declaration) => Ok(declaration),
        Subject::Window(..) => Err(Diagnosis::refusal(
            "HW-ROL-020",
            format!(
                "found {}, a window of your own: nothing says which table it writes, nor which columns are keys and how the others \
                 add up",
                named.job.name
            ),
            "look at its table with SQL, or declare a rollup (`source`, `target`, `keys`, `aggregates`) and show that",
        )
        .in_file(&named.config.file)
        .at_line(named.job.line)
        .at_field(format!("job.{}.window", named.job.name))),
    }
}

impl Look<'_> {
    fn ask(&self) -> Result<Ask, Diagnosis> {
        let args = self.args;
        let zone = show::zone(&args.tz).map_err(|refused| self.refused(refused))?;
        let last = args.last.map(|last| last.get());
        let top = if args.svg.is_some() { args.top.min(show::svg::SERIES_MAX as u64) } else { args.top };
        Ok(Ask {
            by: args.by.clone(),
            value: args.value.clone(),
            zone,
            step: args.bucket.map(Step::from),
            span: Span { since: args.since, until: args.until, last },
            top: usize::try_from(top).unwrap_or(show::TOP_MAX),
        })
    }

    async fn shown(&self, session: &mut dyn Session, ask: &Ask) -> Result<Answer, Diagnosis> {
        let standing = show::standing(session, self.declaration).await;
        let standing = standing.map_err(|fault| self.refused(Refused::Fault(fault)))?;
        let question = Question::of(self.declaration, ask, standing.now).map_err(|refused| self.refused(refused))?;
        let title = words::title(self.named.job.name.as_str(), &question);
        if self.args.heatmap {
            let heat = show::heat(session, &question, &standing).await.map_err(|refused| self.refused(refused))?;
            let notes = words::of_heat(self.named, &heat, &standing);
            return match (self.args.csv, &self.args.svg) {
                (true, _) => csv::heat(&question, &heat).map(Answer::Rows),
                (_, Some(_)) => Ok(Answer::Drawing(show::svg::heatmap(&title, &question, &heat, &standing))),
                _ => Ok(Answer::Told(
                    json::heat(&title, &question, &heat, &standing, &notes),
                    heat::text(&title, &question, &heat, &notes),
                )),
            };
        }
        if self.args.csv {
            return csv::rows(self, session, &question, &standing).await.map(Answer::Rows);
        }
        let shown = show::series(session, &question, &standing).await.map_err(|refused| self.refused(refused))?;
        if self.args.svg.is_some() {
            return Ok(Answer::Drawing(show::svg::chart(&title, &question, &shown, &standing)));
        }
        let notes = words::of_series(self.named, &shown, &standing);
        let text = table::text(&title, &question, &shown, &notes, &terminal::Terminal::of_stdout());
        Ok(Answer::Told(json::series(&title, &question, &shown, &standing, &notes), text))
    }

    fn print(&self, answer: Answer) -> Result<ExitCode, Diagnosis> {
        match answer {
            Answer::Told(json, text) => self.site.output.answer(&json, text),
            Answer::Rows(file) => {
                listing::copy(file)?;
            }
            Answer::Drawing(svg) => match self.args.svg.as_deref() {
                Some(path) if path.as_os_str() != "-" => {
                    file::publish(path, &svg)?;
                    let json = serde_json::json!({ "svg": path.to_string_lossy() });
                    self.site.output.answer(&json, format!("wrote {}", path.display()));
                }
                _ => {
                    listing::print(svg.as_bytes())?;
                }
            },
        }
        Ok(ExitCode::Drained)
    }

    fn refused(&self, refused: Refused) -> Diagnosis {
        let message = refused.to_string();
        let (code, field, next) = match refused {
            Refused::Fault(fault) => {
                let mut told = told::of_fault(&self.named.place(), "the rollup cannot be read", &fault);
                if fault.kind == FaultKind::Undefined {
                    let name = &self.named.job.name;
                    told.next = format!(
                        "install the rollup and seed it: `highwater rollup install {name}`, `highwater run {name}`"
                    );
                }
                return told.at_field("database");
            }
            Refused::UnknownKey { found, known } => {
                ("HW-ROL-021", "--by", meant(&found, known.iter().map(String::as_str), "name a key of the job"))
            }
            Refused::UnknownValue { found, known } => (
                "HW-ROL-022",
                "--value",
                meant(&found, known.iter().map(String::as_str), "name an aggregate of the job"),
            ),
            Refused::UnknownZone { found } => {
                let known = show::zones();
                ("HW-ROL-023", "--tz", meant(&found, known.iter().map(String::as_str), "correct the name"))
            }
            Refused::Shorter { .. } if self.args.heatmap => {
                ("HW-ROL-024", "--heatmap", "leave `--heatmap` out, or declare a rollup by the hour".to_owned())
            }
            Refused::Shorter { .. } => (
                "HW-ROL-024",
                "--bucket",
                "choose a longer `--bucket`, or declare a rollup with a finer grain".to_owned(),
            ),
            Refused::Straddles { .. } => {
                ("HW-ROL-024", "--tz", "leave `--tz` out, which shows UTC, or declare a rollup by the hour".to_owned())
            }
            Refused::Distinct { .. } => {
                let next = "show it where each bucket and key is one cell (`--bucket grain`, `--by` its only key), show another \
                            aggregate, or declare a rollup of just that grain and key";
                ("HW-ROL-025", "--value", next.to_owned())
            }
            Refused::TooMany { .. } => {
                ("HW-ROL-026", "--bucket", "choose a longer `--bucket` or a shorter window".to_owned())
            }
            Refused::NotANumber { .. } => ("HW-ROL-027", "--value", "show another aggregate".to_owned()),
            Refused::NoTime { .. } => ("HW-ROL-028", "--until", "correct `--since` or `--until`".to_owned()),
        };
        Diagnosis::refusal(code, message, next).at_field(field)
    }
}

fn meant<'k>(found: &str, known: impl Iterator<Item = &'k str>, otherwise: &str) -> String {
    suggestion(found, known).map_or_else(|| otherwise.to_owned(), |meant| format!("did you mean `{meant}`?"))
}

/// The disk has no place for what is to be printed.
fn unkept(error: &std::io::Error) -> Diagnosis {
    Diagnosis::failure(
        codes::CANNOT_PRINT,
        format!("the answer cannot be kept until it is whole: {error}"),
        "free space in the temporary directory, or set `TMPDIR`",
    )
}
